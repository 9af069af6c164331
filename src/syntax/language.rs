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
    /// Node kinds that stand for themselves: a window may be cut before them, and a suggestion is
    /// checked within one.
    items: &'static [&'static str],
    /// Node kinds whose children stand on their own lines: statements, members, variants.
    bodies: &'static [&'static str],
}

/// Every language with a grammar.
pub static LANGUAGES: &[Language] = &[Language {
    id: "rust",
    extensions: &["rs"],
    grammar: || tree_sitter_rust::LANGUAGE.into(),
    items: &[
        "associated_type",
        "const_item",
        "enum_item",
        "extern_crate_declaration",
        "foreign_mod_item",
        "function_item",
        "function_signature_item",
        "impl_item",
        "macro_definition",
        "mod_item",
        "static_item",
        "struct_item",
        "trait_item",
        "type_item",
        "union_item",
        "use_declaration",
    ],
    bodies: &[
        "block",
        "declaration_list",
        "enum_variant_list",
        "field_declaration_list",
        "field_initializer_list",
        "match_block",
        "source_file",
    ],
}];

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

    /// Whether a node of this kind stands for itself.
    pub fn is_item(&self, kind: &str) -> bool {
        self.items.contains(&kind)
    }

    /// Whether the children of a node of this kind stand on their own lines.
    pub fn is_body(&self, kind: &str) -> bool {
        self.bodies.contains(&kind)
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
