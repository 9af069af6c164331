//! `textDocument/didOpen`, `didChange` and `didClose`: the session follows the editor.

use tower_lsp::gen_lsp_types::{
    DidChangeTextDocumentParams, DidCloseTextDocumentParams, DidOpenTextDocumentParams,
};

use super::Hearth;
use crate::{lsp::convert, session::Opened};

pub fn did_open(hearth: &Hearth, params: DidOpenTextDocumentParams) {
    let document = params.text_document;
    hearth.session.open(Opened {
        uri: document.uri.as_ref().into(),
        path: convert::to_path(&document.uri).map(Into::into),
        language_id: document.language_id.as_str().into(),
        version: document.version,
        text: document.text,
    });
}

pub fn did_change(hearth: &Hearth, params: DidChangeTextDocumentParams) {
    let document = params.text_document;
    let changes = params.content_changes.into_iter().map(convert::to_change).collect();
    let uri = document.text_document_identifier.uri;
    hearth.session.change(uri.as_ref(), document.version, changes, hearth.encoding());
}

pub fn did_close(hearth: &Hearth, params: DidCloseTextDocumentParams) {
    hearth.session.close(params.text_document.uri.as_ref());
}
