//! The table of languages: a row each. A row, its `queries/<language>/` and the grammar's crate behind
//! a cargo feature are all that a language is.

use super::language::{Compiled, Language};

/// Every language with a grammar.
pub static LANGUAGES: &[&Language] = &[&RUST];

static RUST: Language = Language {
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
    queries: Compiled::new(
        include_str!("../../queries/rust/items.scm"),
        include_str!("../../queries/rust/imports.scm"),
    ),
};
