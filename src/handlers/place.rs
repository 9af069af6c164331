//! The place that a command is for: arguments in, offsets of a snapshot out.

use std::sync::Arc;

use tower_lsp::jsonrpc::{self, Error};

use super::Hearth;
use crate::{
    lsp::{convert, ext::PlaceArguments},
    session::{Document, Snapshot},
    task::Wish,
};

/// The place that a command is for, as the document was when the command came.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) document: Arc<Document>,
    pub(super) snapshot: Snapshot,
    pub(super) selection: std::ops::Range<usize>,
    pub(super) wish: Wish,
}

impl Place {
    pub(super) fn find(hearth: &Hearth, arguments: &PlaceArguments) -> jsonrpc::Result<Self> {
        let document = match (&arguments.uri, &arguments.file) {
            (Some(uri), _) => hearth.session.document(uri.as_ref()),
            (None, Some(file)) => hearth.session.roots().iter().find_map(|root| {
                let uri = convert::to_uri(&root.join(file))?;
                hearth.session.document(uri.as_ref())
            }),
            (None, None) => return Err(Error::invalid_params("no uri and no file")),
        };
        let not_open = || Error::invalid_params("the document is not open");
        let document = document.ok_or_else(not_open)?;
        let snapshot = document.snapshot();
        let encoding = hearth.encoding();
        let offset = |position| convert::to_offset(&snapshot.text, position, encoding);
        let selection = match (arguments.range, arguments.line) {
            (Some(range), _) => offset(range.start)..offset(range.end),
            (None, Some(line)) => {
                let last = snapshot.text.len_lines().saturating_sub(1);
                let line = usize::try_from(line).unwrap_or(last).saturating_sub(1).min(last);
                let start = snapshot.text.line_to_byte(line);
                start..start
            }
            (None, None) => return Err(Error::invalid_params("no range and no line")),
        };
        let wish = if arguments.cloud { Wish::GoesUp } else { Wish::AsRuled };
        Ok(Self { document, snapshot, selection, wish })
    }
}
