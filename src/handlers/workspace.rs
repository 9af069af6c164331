//! `workspace/didChangeConfiguration` and `didChangeWorkspaceFolders`.

use std::sync::Arc;

use serde_json::Value as Json;
use tower_lsp::gen_lsp_types::{
    ConfigurationItem, ConfigurationParams, ConfigurationRequest, DidChangeConfigurationParams,
    DidChangeWorkspaceFoldersParams, WorkspaceFolder,
};

use super::{Hearth, current_settings::SECTION, hearth::keep};
use crate::{config::Layer, lsp::convert, session::task::OwnedTask};

pub fn did_change_configuration(hearth: &Hearth, params: DidChangeConfigurationParams) {
    if hearth.client().configuration {
        ask_settings(hearth);
    } else {
        hearth.settings.set(Layer::EditorChange, params.settings);
    }
}

/// Asks the client for our section of its settings; they are taken when the answer comes.
pub(super) fn ask_settings(hearth: &Hearth) {
    let (outbox, settings) = (hearth.outbox.clone(), Arc::clone(&hearth.settings));
    let items = vec![ConfigurationItem { scope_uri: None, section: Some(SECTION.to_owned()) }];
    let question = async move {
        match outbox.ask::<ConfigurationRequest>(ConfigurationParams { items }).await {
            Ok(answers) => {
                let tree = answers.into_iter().next().unwrap_or(Json::Null);
                settings.set(Layer::EditorChange, tree);
            }
            Err(error) => tracing::warn!(%error, "no settings from the client"),
        }
    };
    keep(&hearth.asking_settings, OwnedTask::spawn(question));
}

pub fn did_change_workspace_folders(hearth: &Hearth, params: DidChangeWorkspaceFoldersParams) {
    let path = |folder: &WorkspaceFolder| convert::to_path(&folder.uri);
    let removed: Vec<_> = params.event.removed.iter().filter_map(path).collect();
    let added: Vec<_> = params.event.added.iter().filter_map(path).collect();
    hearth.session.change_roots(|roots| {
        roots.retain(|root| !removed.contains(root));
        roots.extend(added);
    });
}
