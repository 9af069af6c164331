//! Which handler serves which method, and when it runs.
//!
//! | class | runs | waits |
//! |---|---|---|
//! | `sync` | whole, on receipt, in the order of the client's messages | never |
//! | `interactive` | takes its snapshot on receipt, then beside all others; a user is waiting | as it likes |
//!
//! A method that is not here does not exist: a request is refused with `MethodNotFound`, a
//! notification ignored. `initialize`, `initialized`, `shutdown`, `exit` and `$/cancelRequest` are
//! the framework's own.

use std::future;

use serde::{Serialize, de::DeserializeOwned};
use tower_lsp::{ClientSocket, LspService, LspServiceBuilder};

use super::{Connection, Options};
use crate::{
    config,
    handlers::{
        Hearth, Premises, Reply, code_action, code_lens, completion, documents, execute_command,
        inline_completion, progress, show, tally, trust, workspace,
    },
};

/// Hearth as a service, and the other end of its messages to the client.
pub(super) fn service(
    options: Options,
    connection: &Connection,
) -> (LspService<Hearth>, ClientSocket) {
    let gone = connection.gone.clone();
    let Options { layers, session, index, cache, state, limits } = options;
    let cache = cache.unwrap_or_else(config::cache_or_temporary_folder);
    let premises = Premises { cache, state, limits };
    Routes(LspService::build_with_lifecycle_methods(|client| {
        Hearth::new(client, session, index, layers, premises, gone)
    }))
    .sync("textDocument/didOpen", documents::did_open)
    .sync("textDocument/didChange", documents::did_change)
    .sync("textDocument/didClose", documents::did_close)
    .sync("workspace/didChangeConfiguration", workspace::did_change_configuration)
    .sync("workspace/didChangeWatchedFiles", workspace::did_change_watched_files)
    .sync("workspace/didChangeWorkspaceFolders", workspace::did_change_workspace_folders)
    .sync("window/workDoneProgress/cancel", progress::cancel)
    .interactive("textDocument/codeAction", code_action::code_action)
    .interactive("textDocument/codeLens", code_lens::code_lens)
    .sync("hearth/didChangeTrust", trust::did_change_trust)
    .sync("hearth/didShow", tally::did_show)
    .interactive("textDocument/inlineCompletion", inline_completion::inline_completion)
    .interactive("textDocument/completion", completion::completion)
    .interactive("workspace/textDocumentContent", show::text_document_content)
    .interactive("workspace/executeCommand", execute_command::execute_command)
    .0
    .finish()
}

struct Routes(LspServiceBuilder<Hearth>);

impl Routes {
    /// A notification. That `handler` is no future is what keeps the order.
    fn sync<P>(self, method: &'static str, handler: fn(&Hearth, P)) -> Self
    where
        P: DeserializeOwned + Send + 'static,
    {
        Self(self.0.custom_method(method, move |hearth: &Hearth, params: P| {
            handler(hearth, params);
            future::ready(())
        }))
    }

    /// A request. That the reply does not borrow `Hearth` is what makes it work on a snapshot.
    fn interactive<P, R>(self, method: &'static str, handler: fn(&Hearth, P) -> Reply<R>) -> Self
    where
        P: DeserializeOwned + Send + 'static,
        R: Serialize + Send + 'static,
    {
        Self(
            self.0.custom_method(method, move |hearth: &Hearth, params: P| handler(hearth, params)),
        )
    }
}
