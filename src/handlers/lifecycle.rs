//! `initialize`, `initialized` and `shutdown`.

use std::{path::PathBuf, sync::Arc};

use tower_lsp::{
    LanguageServer,
    gen_lsp_types::{
        ChangeNotifications, CodeActionOptions, CodeActionProvider, CodeLensOptions,
        CompletionOptions, ExecuteCommandOptions, InitializeParams, InitializeResult,
        InitializedParams, InlineCompletionProvider, Registration, RegistrationParams,
        RegistrationRequest, ServerCapabilities, ServerInfo, TextDocumentContentOptions,
        TextDocumentSync, TextDocumentSyncKind, TextDocumentSyncOptions, WorkDoneProgressOptions,
        WorkspaceFolders, WorkspaceFoldersServerCapabilities, WorkspaceOptions,
    },
    jsonrpc::Result,
};

use super::{
    Hearth, code_action, current_settings::SECTION, hearth::keep, reading, tally, workspace,
};
use crate::{
    config::Layer,
    lsp::{
        ClientCaps, convert,
        ext::{
            ACCEPTED, ANALYZE, CANCEL, EXPLAIN, INSTALL, PAUSE, REFACTOR, RESUME, SCHEME, TEST,
            TRUST,
        },
    },
    session::task::OwnedTask,
};

impl LanguageServer for Hearth {
    async fn initialize(&self, params: InitializeParams) -> Result<InitializeResult> {
        let client = ClientCaps::of(&params.capabilities);
        self.met_client(client);
        tracing::info!(
            name = params.client_info.as_ref().map(|info| &info.name),
            ?client,
            "client"
        );
        #[cfg(unix)]
        if let Some(process_id) = params.process_id
            && let Some(task) = super::parent::watch(process_id, self.gone.clone())
        {
            keep(&self.watching_parent, task);
        }
        let roots = roots(&params);
        self.session.change_roots(|all| *all = roots);
        if let Some(mut options) = params.initialization_options {
            self.trust.take_option(&mut options);
            self.settings.set(Layer::EditorStart, options);
        }
        self.open_desk();
        Ok(InitializeResult {
            capabilities: capabilities(client),
            server_info: Some(ServerInfo {
                name: "hearth".to_owned(),
                version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            }),
        })
    }

    async fn initialized(&self, _: InitializedParams) {
        self.outbox.start();
        let client = self.client();
        if client.configuration {
            workspace::ask_settings(self);
        }
        workspace::watch_files(self);
        if client.work_done_progress {
            let index = Arc::clone(&self.index);
            keep(&self.telling_progress, reading::tell(index, self.outbox.clone()));
        }
        if client.register_configuration {
            let outbox = self.outbox.clone();
            let registration = Registration {
                id: SECTION.to_owned(),
                method: "workspace/didChangeConfiguration".to_owned(),
                register_options: Some(serde_json::json!({ "section": SECTION })),
            };
            let params = RegistrationParams { registrations: vec![registration] };
            let question = async move {
                if let Err(error) = outbox.ask::<RegistrationRequest>(params).await {
                    tracing::warn!(%error, "changed settings will not be noticed");
                }
            };
            keep(&self.registering, OwnedTask::spawn(question));
        }
    }

    async fn shutdown(&self) -> Result<()> {
        self.session.farewell();
        if let Some(state) = self.trust.state() {
            tally::write(&self.session, state.to_owned()).await;
        }
        Ok(())
    }
}

/// Characters after which the popup is asked for, beside those of words.
const TRIGGERS: [&str; 5] = [".", ":", "(", "=", "{"];

/// The folders that the client has open, in its order.
fn roots(params: &InitializeParams) -> Vec<PathBuf> {
    let folders = &params.workspace_folders_initialize_params.workspace_folders;
    if let Some(WorkspaceFolders::WorkspaceFolderList(folders)) = folders {
        return folders.iter().filter_map(|folder| convert::to_path(&folder.uri)).collect();
    }
    #[expect(deprecated, reason = "clients without workspace folders know nothing newer")]
    let root = params.root_uri.as_ref();
    root.and_then(convert::to_path).into_iter().collect()
}

fn capabilities(client: ClientCaps) -> ServerCapabilities {
    ServerCapabilities {
        position_encoding: Some(convert::to_encoding_kind(client.encoding)),
        text_document_sync: Some(TextDocumentSync::Options(TextDocumentSyncOptions {
            open_close: Some(true),
            change: Some(TextDocumentSyncKind::Incremental),
            ..TextDocumentSyncOptions::default()
        })),
        // Static: Neovim asks for nothing that was registered later.
        inline_completion_provider: Some(InlineCompletionProvider::Bool(true)),
        // A client with ghost text would show everything twice.
        completion_provider: (!client.inline_completion).then(|| CompletionOptions {
            trigger_characters: Some(TRIGGERS.map(str::to_owned).to_vec()),
            ..CompletionOptions::default()
        }),
        code_action_provider: Some(CodeActionProvider::CodeActionOptions(CodeActionOptions {
            code_action_kinds: Some(code_action::kinds()),
            // Helix blocks until a resolve is answered: there is nothing to resolve.
            resolve_provider: Some(false),
            ..CodeActionOptions::default()
        })),
        code_lens_provider: client.code_lens.then(CodeLensOptions::default),
        execute_command_provider: Some(ExecuteCommandOptions {
            commands: [
                ACCEPTED, PAUSE, RESUME, CANCEL, TRUST, REFACTOR, TEST, EXPLAIN, INSTALL, ANALYZE,
            ]
            .map(str::to_owned)
            .to_vec(),
            work_done_progress_options: WorkDoneProgressOptions { work_done_progress: Some(true) },
        }),
        workspace: Some(WorkspaceOptions {
            workspace_folders: Some(WorkspaceFoldersServerCapabilities {
                supported: Some(true),
                change_notifications: Some(ChangeNotifications::Bool(true)),
            }),
            text_document_content: client
                .text_document_content
                .then(|| TextDocumentContentOptions { schemes: vec![SCHEME.to_owned()] }.into()),
            ..WorkspaceOptions::default()
        }),
        ..ServerCapabilities::default()
    }
}
