//! Text for a model that knows which places it was taken from.

use std::{fmt::Write as _, path::Path, sync::Arc};

use crate::{
    context::map::Sheet,
    egress::{Border, Content, Origin, Piece},
    index::File,
};

/// Places whose text goes as one piece: fewer parts for a server to put together.
const PER_PIECE: usize = 40;

/// Lines of an item that are shown at the most.
const MOST_LINES: usize = 160;

/// Text and where it is from.
#[derive(Debug, Clone)]
pub(super) struct Passage {
    pub(super) origins: Vec<Origin>,
    /// Ends in a line feed.
    pub(super) text: String,
    /// Items of a map on it.
    pub(super) items: usize,
}

impl Passage {
    pub(super) fn of_lines(
        path: &Arc<Path>,
        lines: std::ops::Range<usize>,
        text: impl Into<String>,
    ) -> Self {
        Self { origins: vec![Origin::new(&**path, lines)], text: text.into(), items: 0 }
    }

    pub(super) fn of_sheet(sheet: &Sheet) -> Self {
        let origins = vec![Origin::new(&*sheet.path, 0..sheet.length)];
        Self { origins, text: sheet.text(), items: sheet.items() }
    }

    /// Lines of `text`, which is that of `file`, each with its number; `lines` count from 0.
    pub(super) fn quoted(file: &File, text: &str, lines: std::ops::Range<usize>) -> Self {
        let cut = lines.len() > MOST_LINES;
        let end = lines.end.min(lines.start + MOST_LINES);
        let path = file.relative_path();
        let mut shown = format!("{path}:{}-{end}\n", lines.start + 1);
        for (index, line) in text.lines().enumerate().take(end).skip(lines.start) {
            let _ = writeln!(shown, "{} {line}", index + 1);
        }
        if cut {
            let _ = writeln!(shown, "(it goes on to line {})", lines.end);
        }
        Self::of_lines(file.path(), lines.start..end, shown)
    }
}

/// What a model that is not on this machine may be shown: what the border lets out, and nothing of a
/// private file.
#[derive(Debug, Clone)]
pub(super) enum Bounds {
    Here,
    Beyond(Border),
}

impl Bounds {
    /// Reads the file system.
    pub(super) fn admits(&self, file: &File) -> bool {
        match self {
            Self::Here => true,
            Self::Beyond(border) => border.admit(file.path()).is_ok(),
        }
    }
}

/// Passages as parts of a request to a cloud.
pub(super) fn contents(passages: &[Passage]) -> impl Iterator<Item = Content> {
    passages.chunks(PER_PIECE).filter_map(|some| pieces(some).map(Content::Piece))
}

/// Passages as one piece.
pub(super) fn pieces(passages: &[Passage]) -> Option<Piece> {
    let origins = passages.iter().flat_map(|passage| passage.origins.iter().cloned()).collect();
    let text: String = passages.iter().map(|passage| passage.text.as_str()).collect();
    Piece::derived(origins, text)
}
