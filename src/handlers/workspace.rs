//! `workspace/didChangeConfiguration`, `didChangeWorkspaceFolders` and `didChangeWatchedFiles`.

use std::sync::Arc;

use serde_json::json;
use tower_lsp::gen_lsp_types::{
    ConfigurationItem, ConfigurationParams, ConfigurationRequest, DidChangeConfigurationParams,
    DidChangeWatchedFilesParams, DidChangeWorkspaceFoldersParams, Registration, RegistrationParams,
    RegistrationRequest, WatchKind, WorkspaceFolder,
};

use super::{Hearth, current_settings::SECTION, hearth::keep};
use crate::{config::Layer, index, lsp::convert, session::task::OwnedTask};

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
                // `null` where there is no such section, or not any more.
                let tree = answers.into_iter().next().filter(|tree| !tree.is_null());
                settings.set(Layer::EditorChange, tree.unwrap_or_else(|| json!({})));
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
    hearth.roots_changed.notify_one();
}

pub fn did_change_watched_files(hearth: &Hearth, params: DidChangeWatchedFilesParams) {
    let paths: Vec<_> =
        params.changes.iter().filter_map(|change| convert::to_path(&change.uri)).collect();
    hearth.index.changed_on_disk(paths.iter().map(AsRef::as_ref));
}

/// Has the client tell of changed files where it can, else watches for them here.
pub(super) fn watch_files(hearth: &Hearth) {
    let index = Arc::clone(&hearth.index);
    let client_can = hearth.client().register_watched_files;
    let outbox = hearth.outbox.clone();
    let mut watchers: Vec<_> =
        index::watched_globs().map(|glob| json!({ "globPattern": glob })).collect();
    let comes_or_goes = u32::from(WatchKind::Create) | u32::from(WatchKind::Delete);
    watchers.push(json!({ "globPattern": "**/*", "kind": comes_or_goes }));
    let registration = Registration {
        id: "hearth.watchedFiles".to_owned(),
        method: "workspace/didChangeWatchedFiles".to_owned(),
        register_options: Some(json!({ "watchers": watchers })),
    };
    let params = RegistrationParams { registrations: vec![registration] };
    let task = OwnedTask::spawn(async move {
        if client_can {
            match outbox.ask::<RegistrationRequest>(params).await {
                Ok(()) => return,
                Err(error) => tracing::info!(%error, "the client does not tell of changed files"),
            }
        }
        index.watch();
    });
    keep(&hearth.watching_files, task);
}
