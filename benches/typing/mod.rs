//! Someone who types into a document of real source, so that no two iterations see the same text.

use std::{fmt::Write as _, sync::Arc};

use hearth::session::{Change, Document, Encoding, Opened, Point, Snapshot, position};

/// This crate's own files, one after the other until there are enough lines.
const SOURCE: [&str; 4] = [
    include_str!("../../src/task/complete.rs"),
    include_str!("../../src/model/llama_server.rs"),
    include_str!("../../src/route/discover.rs"),
    include_str!("../../src/syntax/borders.rs"),
];

/// What is typed, over and over; a line that is done is emptied again.
const TYPED: &str = "let kept = snapshot.text.byte_slice(window.start..offset).len_bytes()";

/// A document and a cursor that stands on a line of its own inside of a function's body.
pub(crate) struct Typist {
    document: Document,
    version: i32,
    line: u32,
    typed: usize,
}

impl Typist {
    /// A document of `lines` lines, its cursor close to the middle; with a syntax tree or without.
    pub(crate) fn new(lines: usize, with_tree: bool) -> Self {
        let source = SOURCE.iter().flat_map(|file| file.lines()).cycle().take(lines);
        let text = source.fold(String::new(), |mut text, line| {
            let _ = writeln!(text, "{line}");
            text
        });
        let statement = |line: &str| line.starts_with("        ") && line.ends_with(';');
        let above = text.lines().skip(lines / 2).position(statement).expect("a statement");
        let line = u32::try_from(lines / 2 + above).expect("few lines");
        let opened = Opened {
            uri: "file:///w/src/typed.rs".into(),
            path: None,
            language_id: "rust".into(),
            version: 0,
            text,
        };
        let document = Document::new(opened, Arc::from("src/typed.rs"), None);
        if with_tree {
            document.reparse();
        }
        let mut typist = Self { document, version: 0, line: line + 1, typed: 0 };
        let end = Point { line, character: u32::MAX };
        typist.replace(end, end, "\n        ");
        typist
    }

    /// Presses the next key: the document after it, and the cursor in bytes.
    pub(crate) fn key(&mut self) -> (Snapshot, usize) {
        let at = |typed: usize| Point {
            line: self.line,
            character: u32::try_from(8 + typed).expect("a short line"),
        };
        if let Some(key) = TYPED.get(self.typed..=self.typed) {
            let here = at(self.typed);
            self.replace(here, here, key);
            self.typed += 1;
        } else {
            let (start, end) = (at(0), at(self.typed));
            self.replace(start, end, "");
            self.typed = 0;
        }
        let snapshot = self.document.snapshot();
        let cursor =
            Point { line: self.line, character: u32::try_from(8 + self.typed).expect("short") };
        let offset = position::offset(&snapshot.text, cursor, Encoding::Utf8);
        (snapshot, offset)
    }

    fn replace(&mut self, start: Point, end: Point, text: &str) {
        self.version += 1;
        let change = Change { range: Some((start, end)), text: text.to_owned() };
        // That a parse is due is not looked at: while one types, the tree lags behind.
        let _ = self.document.apply(self.version, vec![change], Encoding::Utf8);
    }
}
