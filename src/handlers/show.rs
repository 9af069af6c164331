//! What is too long for a message: shown as a Markdown document where the editor can open one.
//!
//! The document is a file of this user's alone, below the cache folder, which the next one replaces
//! and the end of the connection removes.

use std::{
    io::Write as _,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use tower_lsp::gen_lsp_types::{
    MessageType, ShowDocumentParams, ShowDocumentRequest, ShowMessageNotification,
    ShowMessageParams,
};

use crate::lsp::{ClientCaps, Outbox, convert};

/// Where documents are shown.
#[derive(Debug, Clone)]
pub(super) struct Screen {
    outbox: Outbox,
    page: Arc<Page>,
}

/// The file that is shown.
#[derive(Debug)]
struct Page {
    folder: PathBuf,
    shown: Mutex<Option<tempfile::TempPath>>,
}

impl Screen {
    /// Pages are files in `folder`, which is this user's alone.
    pub(super) fn new(outbox: Outbox, folder: PathBuf) -> Self {
        Self { outbox, page: Arc::new(Page { folder, shown: Mutex::default() }) }
    }

    /// A sentence that the user must not miss.
    pub(super) fn say(&self, kind: MessageType, message: impl Into<String>) {
        let message = format!("Hearth: {}", message.into());
        self.outbox.notify::<ShowMessageNotification>(ShowMessageParams { kind, message });
    }

    /// Shows `markdown`, or its text in a message where no document can be opened.
    pub(super) async fn show(&self, client: ClientCaps, markdown: String) {
        if client.show_document {
            match self.write(&markdown) {
                Ok(path) => {
                    let uri = convert::to_uri(&path);
                    let Some(uri) = uri else { return };
                    let params = ShowDocumentParams {
                        uri,
                        external: None,
                        take_focus: Some(false),
                        selection: None,
                    };
                    match self.outbox.ask::<ShowDocumentRequest>(params).await {
                        Ok(answer) if answer.success => return,
                        Ok(_) => tracing::warn!("the editor did not open the document"),
                        Err(error) => tracing::warn!(%error, "no document can be shown"),
                    }
                }
                Err(error) => tracing::warn!(%error, "no document can be written"),
            }
        }
        self.say(MessageType::Info, markdown);
    }

    fn write(&self, markdown: &str) -> std::io::Result<PathBuf> {
        std::fs::create_dir_all(&self.page.folder)?;
        // Created for this user alone, under a name that nobody can guess.
        let mut file = tempfile::Builder::new()
            .prefix("hearth-")
            .suffix(".md")
            .tempfile_in(&self.page.folder)?;
        file.write_all(markdown.as_bytes())?;
        let path = file.into_temp_path();
        let shown = path.to_path_buf();
        *self.page.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(path);
        Ok(shown)
    }
}

/// `text` between fences that nothing in it closes.
pub(super) fn fenced(language: &str, text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}\n", text.trim_end())
}
