//! What is too long for a message: shown as a Markdown document where the editor can open one.
//!
//! The document is a file of this user's alone, below the cache folder, which the next one replaces
//! and the end of the connection removes. A report is no file where the editor can ask for its text
//! (`workspace/textDocumentContent`).

use std::{
    collections::VecDeque,
    io::Write as _,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{FutureExt, future};
use tower_lsp::{
    gen_lsp_types::{
        MessageType, ShowDocumentParams, ShowDocumentRequest, ShowMessageNotification,
        ShowMessageParams, TextDocumentContentParams, TextDocumentContentResult, Uri,
    },
    jsonrpc::Error,
};

use super::{Hearth, Reply};
use crate::lsp::{ClientCaps, Outbox, convert, ext::SCHEME};

/// Reports whose text is kept.
const KEPT: usize = 8;

/// Where documents are shown.
#[derive(Debug, Clone)]
pub(super) struct Screen {
    outbox: Outbox,
    page: Arc<Page>,
    reports: Arc<Mutex<Reports>>,
}

/// The texts of the last reports, by the paths of their URIs.
#[derive(Debug, Default)]
struct Reports {
    made: usize,
    kept: VecDeque<(String, String)>,
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
        Self {
            outbox,
            page: Arc::new(Page { folder, shown: Mutex::default() }),
            reports: Arc::default(),
        }
    }

    /// A sentence that the user must not miss.
    pub(super) fn say(&self, kind: MessageType, message: impl Into<String>) {
        let message = format!("Hearth: {}", message.into());
        self.outbox.notify::<ShowMessageNotification>(ShowMessageParams { kind, message });
    }

    /// Shows `markdown`, or its text in a message where no document can be opened.
    pub(super) async fn show(&self, client: ClientCaps, markdown: String) {
        if client.show_document
            && let Some(uri) = self.file(&markdown)
            && self.open(uri).await
        {
            return;
        }
        self.say(MessageType::Info, markdown);
    }

    /// Shows a report, and answers with its URI. One that no document can be opened for is too long
    /// for a message, which says where it is.
    pub(super) async fn show_report(&self, client: ClientCaps, markdown: String) -> Option<Uri> {
        let uri =
            if client.text_document_content { self.keep(markdown) } else { self.file(&markdown)? };
        if !(client.show_document && self.open(uri.clone()).await) {
            self.say(MessageType::Info, format!("the report is at {}", uri.as_ref()));
        }
        Some(uri)
    }

    fn keep(&self, markdown: String) -> Uri {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        reports.made += 1;
        let uri = format!("{SCHEME}:/analysis/{}.md", reports.made);
        if reports.kept.len() == KEPT {
            reports.kept.pop_front();
        }
        reports.kept.push_back((uri.clone(), markdown));
        Uri::from(uri)
    }

    fn kept(&self, uri: &Uri) -> Option<String> {
        let reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        reports.kept.iter().find(|(own, _)| own == uri.as_ref()).map(|(_, text)| text.clone())
    }

    /// Whether the editor opened it.
    async fn open(&self, uri: Uri) -> bool {
        let params =
            ShowDocumentParams { uri, external: None, take_focus: Some(false), selection: None };
        match self.outbox.ask::<ShowDocumentRequest>(params).await {
            Ok(answer) if answer.success => return true,
            Ok(_) => tracing::warn!("the editor did not open the document"),
            Err(error) => tracing::warn!(%error, "no document can be shown"),
        }
        false
    }

    /// The page's file, with this text.
    fn file(&self, markdown: &str) -> Option<Uri> {
        let written = self.write(markdown);
        let path = written
            .inspect_err(|error| tracing::warn!(%error, "no document can be written"))
            .ok()?;
        convert::to_uri(&path)
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

/// The text of a report.
pub fn text_document_content(
    hearth: &Hearth,
    params: TextDocumentContentParams,
) -> Reply<TextDocumentContentResult> {
    let text = hearth.screen.kept(&params.uri);
    let gone = || Error::invalid_params("there is no such report, or not any more");
    future::ready(text.map(TextDocumentContentResult::new).ok_or_else(gone)).boxed()
}

/// `text` between fences that nothing in it closes.
pub(super) fn fenced(language: &str, text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}\n", text.trim_end())
}
