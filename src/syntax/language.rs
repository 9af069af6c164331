//! The languages Hearth has a grammar for: a row each. Every other language is text in lines.

use std::{
    ops::ControlFlow,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use ropey::Rope;
use tree_sitter::{ParseOptions, Parser, Tree};

/// A language with a grammar.
#[derive(Debug)]
pub struct Language {
    /// The identifier that editors send in `textDocument/didOpen`.
    pub id: &'static str,
    /// File name extensions, without the dot.
    pub extensions: &'static [&'static str],
    grammar: fn() -> tree_sitter::Language,
}

/// Every language with a grammar.
pub static LANGUAGES: &[Language] =
    &[Language { id: "rust", extensions: &["rs"], grammar: || tree_sitter_rust::LANGUAGE.into() }];

impl Language {
    /// The row for an editor's language identifier.
    pub fn by_id(id: &str) -> Option<&'static Self> {
        LANGUAGES.iter().find(|language| language.id == id)
    }

    /// The row for a file name.
    pub fn by_path(path: &Path) -> Option<&'static Self> {
        let extension = path.extension()?.to_str()?;
        LANGUAGES.iter().find(|language| language.extensions.contains(&extension))
    }

    /// The grammar itself.
    pub fn grammar(&self) -> tree_sitter::Language {
        (self.grammar)()
    }

    /// Parses `text`, reusing `old` (a tree of an earlier text, shifted by the edits since).
    ///
    /// `None` when `cancel` became true on the way, or when the grammar does not fit this build.
    pub fn parse(&self, text: &Rope, old: Option<&Tree>, cancel: &AtomicBool) -> Option<Tree> {
        let mut parser = Parser::new();
        parser.set_language(&self.grammar()).ok()?;
        let mut read = |byte: usize, _| {
            if byte >= text.len_bytes() {
                return &[][..];
            }
            let (chunk, start, ..) = text.chunk_at_byte(byte);
            &chunk.as_bytes()[byte - start..]
        };
        let mut progress = |_: &tree_sitter::ParseState| {
            if cancel.load(Ordering::Relaxed) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        parser.parse_with_options(
            &mut read,
            old,
            Some(ParseOptions::new().progress_callback(&mut progress)),
        )
    }
}
