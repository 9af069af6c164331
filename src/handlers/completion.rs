//! `textDocument/completion`: the same suggestion in a popup, for editors without ghost text.
//!
//! A popup waits for nobody: what the model has not finished in time comes with the next key, which
//! is why the list is always incomplete. While one request is open Helix sends no second, so the
//! first one stays good as long as what is typed agrees with what the model says; editors apply its
//! answer to the text as it was when they asked. A request that was overtaken gets an empty list as well:
//! nobody waits for it any more, and Helix logs the cancellation of a request as a failure.

use std::time::Duration;

use futures::{FutureExt, future};
use tower_lsp::gen_lsp_types::{
    CompletionItem, CompletionItemKind, CompletionItemTextEdit, CompletionList, CompletionParams,
    InsertTextFormat, TextEdit,
};

use super::{Hearth, Reply, inline_completion::word};
use crate::{
    lsp::convert,
    task::{self, Answer, Audience},
};

/// How long a popup may be held up. Helix shows the first server's answer at once and merges what
/// comes within 100 ms; at 250 ms its users notice.
const PATIENCE: Duration = Duration::from_millis(200);

/// A label is cut here, in characters.
const LABEL: usize = 60;

pub fn completion(hearth: &Hearth, params: CompletionParams) -> Reply<CompletionList> {
    let uri = &params.text_document_position_params.text_document.uri;
    let position = params.text_document_position_params.position;
    let list = |items| CompletionList { is_incomplete: true, items, ..CompletionList::default() };
    let Some(snapshot) = hearth.session.snapshot(uri.as_ref()) else {
        tracing::warn!(uri = uri.as_ref(), "asked for a suggestion in a document that is not open");
        return future::ready(Ok(list(Vec::new()))).boxed();
    };
    let Some(desk) = hearth.desk() else { return future::ready(Ok(list(Vec::new()))).boxed() };
    let encoding = hearth.encoding();
    let offset = convert::to_offset(&snapshot.text, position, encoding);
    let text = snapshot.text.clone();
    let audience = Audience::Popup(PATIENCE);
    let answer =
        super::completed(task::ask(desk, hearth.settings.get(), snapshot, offset, audience));
    async move {
        let Some(Answer::Suggestions(suggestions)) = answer.await else {
            return Ok(list(Vec::new()));
        };
        let suggestion = suggestions.into_iter().next().unwrap_or_default();
        let line_idx = text.byte_to_line(offset);
        let line_start = text.line_to_byte(line_idx);
        let before = text.byte_slice(line_start..offset).to_string();
        let typed = word(&before);
        let range = convert::to_range(&text, line_start + typed.start..offset, encoding);
        let new_text = format!("{}{suggestion}", &before[typed.clone()]);
        let first = new_text.trim_start().lines().next().unwrap_or_default();
        // What is typed along meanwhile still matches it.
        let in_word = |c: char| c.is_alphanumeric() || c == '_';
        let first_word = new_text.find(|c| !in_word(c)).unwrap_or(new_text.len());
        Ok(list(vec![CompletionItem {
            label: first.chars().take(LABEL).collect(),
            kind: Some(CompletionItemKind::Text),
            detail: Some("Hearth".to_owned()),
            filter_text: Some(new_text[..first_word].to_owned()),
            sort_text: Some("\u{1}".to_owned()),
            insert_text_format: Some(InsertTextFormat::PlainText),
            text_edit: Some(CompletionItemTextEdit::TextEdit(TextEdit { range, new_text })),
            ..CompletionItem::default()
        }]))
    }
    .boxed()
}
