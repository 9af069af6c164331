//! `textDocument/inlineCompletion`: ghost text.
//!
//! Every item has a range on one line, plain text, and starts with the text in its range: without a
//! range VS Code replaces the word at the cursor where Neovim inserts, and with text right of the
//! cursor Neovim draws over it. Lines end in a line feed alone, whatever the file has: VS Code turns it
//! into the file's own, and Neovim keeps a carriage return as text. Whatever goes wrong, the answer is
//! an empty list: `null` leaves an outdated ghost on Neovim's screen, an error pops up in VS Code.

use std::ops::Range;

use futures::{FutureExt, future};
use ropey::Rope;
use tower_lsp::{
    gen_lsp_types::{
        Command, InlineCompletionItem, InlineCompletionList, InlineCompletionParams,
        InlineCompletionTriggerKind, InsertText, SelectedCompletionInfo, Uri,
    },
    jsonrpc::Error,
};

use super::{Hearth, Reply};
use crate::{
    lsp::{
        convert,
        ext::{ACCEPTED, PlaceArguments},
    },
    session::Encoding,
    task::{self, Answer, Audience},
};

pub fn inline_completion(
    hearth: &Hearth,
    params: InlineCompletionParams,
) -> Reply<InlineCompletionList> {
    let uri = params.text_document_position_params.text_document.uri;
    let position = params.text_document_position_params.position;
    let empty = || future::ready(Ok(InlineCompletionList::default())).boxed();
    let Some(snapshot) = hearth.session.snapshot(uri.as_ref()) else {
        tracing::warn!(uri = uri.as_ref(), "asked for a suggestion in a document that is not open");
        return empty();
    };
    let Some(desk) = hearth.desk() else { return empty() };
    let encoding = hearth.encoding();
    let offset = convert::to_offset(&snapshot.text, position, encoding);
    let text = snapshot.text.clone();
    let selected = params.context.selected_completion_info;
    let audience = match params.context.trigger_kind {
        InlineCompletionTriggerKind::Invoked => Audience::Invoked,
        _ => Audience::GhostText,
    };
    let answer =
        super::completed(task::ask(desk, hearth.settings.get(), snapshot, offset, audience));
    async move {
        match answer.await {
            Some(Answer::Suggestions(suggestions)) => {
                let accepted = accepted(uri);
                let item = |suggestion: &String| {
                    let item = item(&text, offset, suggestion, selected.as_ref(), encoding)?;
                    Some(InlineCompletionItem { command: Some(accepted.clone()), ..item })
                };
                Ok(InlineCompletionList { items: suggestions.iter().filter_map(item).collect() })
            }
            Some(Answer::Overtaken) => Err(Error::request_cancelled()),
            Some(Answer::Nothing(_) | Answer::Late) | None => Ok(InlineCompletionList::default()),
        }
    }
    .boxed()
}

/// The item that inserts `suggestion` at byte `offset`, what stands right of it staying. `None` when
/// the editor's popup has an entry selected that the suggestion does not extend.
fn item(
    text: &Rope,
    offset: usize,
    suggestion: &str,
    selected: Option<&SelectedCompletionInfo>,
    encoding: Encoding,
) -> Option<InlineCompletionItem> {
    let line_idx = text.byte_to_line(offset);
    let line = text.line(line_idx).to_string();
    let line_start = text.line_to_byte(line_idx);
    let cut = offset - line_start;
    let rest = line[cut..].trim_end_matches(['\n', '\r']);
    // With only space right of the cursor the range ends at the cursor; else it takes the line along.
    let end = if rest.trim().is_empty() { cut } else { cut + rest.len() };
    let (start, range) = match selected {
        Some(selected) => {
            let start = convert::to_offset(text, selected.range.start, encoding);
            (start.checked_sub(line_start).filter(|start| *start <= cut)?, None)
        }
        None => (word(&line[..cut]).start, Some(line_start)),
    };
    let range = range.map_or_else(
        || selected.map(|selected| selected.range),
        |line_start| Some(convert::to_range(text, line_start + start..line_start + end, encoding)),
    );
    let suggestion = suggestion.replace("\r\n", "\n");
    let mut insert = format!("{}{suggestion}", &line[start..cut]);
    if let Some(selected) = selected {
        if !insert.starts_with(&selected.text) {
            return None;
        }
    } else {
        insert.push_str(&line[cut..end]);
    }
    Some(InlineCompletionItem {
        insert_text: InsertText::String(insert),
        filter_text: None,
        range,
        command: None,
    })
}

/// What the editor runs after an item was accepted in the document at `uri`.
fn accepted(uri: Uri) -> Command {
    let place = PlaceArguments { uri: Some(uri), ..PlaceArguments::default() };
    let argument = serde_json::to_value(place).and_then(serde_json::from_value).ok();
    Command {
        title: "Accepted".to_owned(),
        command: ACCEPTED.to_owned(),
        arguments: argument.map(|place| vec![place]),
        ..Command::default()
    }
}

/// The word that ends where `before` ends.
pub(super) fn word(before: &str) -> Range<usize> {
    let start = before.trim_end_matches(|c: char| c.is_alphanumeric() || c == '_').len();
    start..before.len()
}
