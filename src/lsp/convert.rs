//! Protocol types from and to the session's.

use std::path::{Path, PathBuf};

use ropey::Rope;
use tower_lsp::gen_lsp_types::{
    Position, PositionEncodingKind, Range, TextDocumentContentChangeEvent, Uri,
};
use url::Url;

use crate::session::{Change, Encoding, Point, position};

pub fn to_point(position: Position) -> Point {
    Point { line: position.line, character: position.character }
}

pub fn to_position(point: Point) -> Position {
    Position { line: point.line, character: point.character }
}

/// The range of the bytes `start..end` of `text`.
pub fn to_range(text: &Rope, bytes: std::ops::Range<usize>, encoding: Encoding) -> Range {
    Range {
        start: to_position(position::point(text, bytes.start, encoding)),
        end: to_position(position::point(text, bytes.end, encoding)),
    }
}

/// The byte of `text` at `position`, or the nearest before it.
pub fn to_offset(text: &Rope, position: Position, encoding: Encoding) -> usize {
    position::offset(text, to_point(position), encoding)
}

pub fn to_change(event: TextDocumentContentChangeEvent) -> Change {
    match event {
        TextDocumentContentChangeEvent::TextDocumentContentChangePartial(change) => Change {
            range: Some((to_point(change.range.start), to_point(change.range.end))),
            text: change.text,
        },
        TextDocumentContentChangeEvent::TextDocumentContentChangeWholeDocument(change) => {
            Change { range: None, text: change.text }
        }
    }
}

pub fn to_encoding_kind(encoding: Encoding) -> PositionEncodingKind {
    match encoding {
        Encoding::Utf8 => PositionEncodingKind::UTF8,
        Encoding::Utf16 => PositionEncodingKind::UTF16,
        Encoding::Utf32 => PositionEncodingKind::UTF32,
    }
}

/// The file that `uri` names; `None` for a buffer without a file.
pub fn to_path(uri: &Uri) -> Option<PathBuf> {
    Url::parse(uri.as_ref()).ok()?.to_file_path().ok()
}

/// The URI of an absolute path; `None` for a relative one.
pub fn to_uri(path: &Path) -> Option<Uri> {
    Url::from_file_path(path).ok().map(|url| Uri::from(String::from(url)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_and_paths() {
        let path = |uri: &str| to_path(&Uri::from(uri)).map(|path| path.display().to_string());
        assert_eq!(path("file:///w/a%20b/%C3%A9.rs").as_deref(), Some("/w/a b/é.rs"));
        assert_eq!(path("untitled:Untitled-1"), None);
        assert_eq!(path("not a uri"), None);
        assert_eq!(to_uri(Path::new("/w/a b/é.rs")), Some(Uri::from("file:///w/a%20b/%C3%A9.rs")));
        assert_eq!(to_uri(Path::new("a.rs")), None);
    }
}
