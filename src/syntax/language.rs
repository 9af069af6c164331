//! A language Hearth has a grammar for; which these are stands in [`super::table`]. Every other
//! language is text in lines.

use std::{
    ops::ControlFlow,
    path::Path,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use ropey::Rope;
use tree_sitter::{Node, ParseOptions, Parser, Query, QueryError, Tree};

use super::table::LANGUAGES;

/// A language with a grammar.
#[derive(Debug)]
pub struct Language {
    /// The identifier that editors send in `textDocument/didOpen`.
    pub id: &'static str,
    /// File name extensions, without the dot.
    pub extensions: &'static [&'static str],
    pub(super) grammar: fn() -> tree_sitter::Language,
    /// Node kinds that stand for themselves: a window may be cut before them, and a suggestion is
    /// checked within one.
    pub(super) items: &'static [&'static str],
    /// Node kinds whose children stand on their own lines: statements, members, variants.
    pub(super) bodies: &'static [&'static str],
    /// What the index takes from a tree: `queries/<language>/`.
    pub(super) queries: Compiled,
}

/// A language's queries and what they compile to, once one is asked for.
#[derive(Debug)]
pub(super) struct Compiled {
    items: &'static str,
    imports: &'static str,
    result: OnceLock<Option<Queries>>,
}

impl Compiled {
    pub(super) const fn new(items: &'static str, imports: &'static str) -> Self {
        Self { items, imports, result: OnceLock::new() }
    }
}

/// A language's queries. What their captures mean is written at the top of `queries/rust/*.scm`.
#[derive(Debug)]
pub struct Queries {
    /// Items among the direct children of a node, and where further ones are.
    pub items: Query,
    /// What a file takes from elsewhere, among the direct children of its root.
    pub imports: Query,
    /// By the grammar's number of a node kind: whether its leaves are identifiers.
    identifiers: Box<[bool]>,
}

impl Queries {
    fn compile(language: &Language) -> Result<Self, QueryError> {
        let grammar = language.grammar();
        let is_identifier = |kind: u16| {
            grammar.node_kind_is_named(kind)
                && grammar.node_kind_for_id(kind).is_some_and(|name| name.contains("identifier"))
        };
        Ok(Self {
            items: Query::new(&grammar, language.queries.items)?,
            imports: Query::new(&grammar, language.queries.imports)?,
            identifiers: (0..u16::try_from(grammar.node_kind_count()).unwrap_or(u16::MAX))
                .map(is_identifier)
                .collect(),
        })
    }

    /// Whether a leaf is a name.
    pub fn is_identifier(&self, leaf: Node<'_>) -> bool {
        self.identifiers.get(usize::from(leaf.kind_id())).copied().unwrap_or(false)
    }
}

impl Language {
    /// The row for an editor's language identifier.
    pub fn by_id(id: &str) -> Option<&'static Self> {
        // The same language to everything but some editors.
        let id = if id == "javascriptreact" { "javascript" } else { id };
        LANGUAGES.iter().copied().find(|language| language.id == id)
    }

    /// The row for a file name.
    pub fn by_path(path: &Path) -> Option<&'static Self> {
        let extension = path.extension()?.to_str()?;
        LANGUAGES.iter().copied().find(|language| language.extensions.contains(&extension))
    }

    /// Whether a node of this kind stands for itself.
    pub fn is_item(&self, kind: &str) -> bool {
        self.items.contains(&kind)
    }

    /// Whether the children of a node of this kind stand on their own lines.
    pub fn is_body(&self, kind: &str) -> bool {
        self.bodies.contains(&kind)
    }

    /// The language's queries. `None` when they do not fit the grammar, which a test rules out.
    pub fn queries(&self) -> Option<&Queries> {
        let compile = || match Queries::compile(self) {
            Ok(queries) => Some(queries),
            Err(error) => {
                tracing::error!(language = self.id, %error, "queries that do not fit the grammar");
                None
            }
        };
        self.queries.result.get_or_init(compile).as_ref()
    }

    /// The grammar itself.
    pub fn grammar(&self) -> tree_sitter::Language {
        (self.grammar)()
    }

    /// Parses `text`, reusing `old` (a tree of an earlier text, shifted by the edits since).
    ///
    /// `None` when `cancel` became true on the way, or when the grammar does not fit this build.
    pub fn parse(&self, text: &Rope, old: Option<&Tree>, cancel: &AtomicBool) -> Option<Tree> {
        let read = |byte: usize| {
            if byte >= text.len_bytes() {
                return &[][..];
            }
            let (chunk, start, ..) = text.chunk_at_byte(byte);
            &chunk.as_bytes()[byte - start..]
        };
        self.parse_with(read, old, cancel)
    }

    /// The same for a text in one piece that was never parsed before.
    pub fn parse_text(&self, text: &str, cancel: &AtomicBool) -> Option<Tree> {
        self.parse_with(|byte| text.as_bytes().get(byte..).unwrap_or_default(), None, cancel)
    }

    fn parse_with<'text>(
        &self,
        read: impl Fn(usize) -> &'text [u8],
        old: Option<&Tree>,
        cancel: &AtomicBool,
    ) -> Option<Tree> {
        let mut parser = Parser::new();
        parser.set_language(&self.grammar()).ok()?;
        let mut read = |byte: usize, _| read(byte);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_names_kinds_of_its_grammar() {
        for language in LANGUAGES {
            let grammar = language.grammar();
            for kind in language.items.iter().chain(language.bodies) {
                assert_ne!(grammar.id_for_node_kind(kind, true), 0, "{}: {kind}", language.id);
            }
            assert!(language.queries().is_some(), "{}", language.id);
        }
    }

    #[test]
    fn a_cancelled_parse_gives_nothing() {
        let language = Language::by_id("rust").expect("a row");
        let text = Rope::from_str(&"fn a() {}\n".repeat(50_000));
        assert!(language.parse(&text, None, &AtomicBool::new(true)).is_none());
        assert!(
            language.parse(&Rope::from_str("fn a() {}"), None, &AtomicBool::new(false)).is_some()
        );
    }
}
