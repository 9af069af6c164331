//! The table of languages: a row each. A row, its `queries/<language>/` and the grammar's crate behind
//! a cargo feature are all that a language is.

use super::language::{Compiled, Language};

/// Every language with a grammar.
pub static LANGUAGES: &[&Language] = &[
    &RUST,
    #[cfg(feature = "python")]
    &PYTHON,
    #[cfg(feature = "javascript")]
    &JAVASCRIPT,
    #[cfg(feature = "typescript")]
    &TYPESCRIPT,
    #[cfg(feature = "typescript")]
    &TSX,
    #[cfg(feature = "go")]
    &GO,
];

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

#[cfg(feature = "python")]
static PYTHON: Language = Language {
    id: "python",
    extensions: &["py", "pyi"],
    grammar: || tree_sitter_python::LANGUAGE.into(),
    items: &[
        "class_definition",
        "decorated_definition",
        "function_definition",
        "import_from_statement",
        "import_statement",
        "type_alias_statement",
    ],
    bodies: &["block", "module"],
    queries: Compiled::new(
        include_str!("../../queries/python/items.scm"),
        include_str!("../../queries/python/imports.scm"),
    ),
};

#[cfg(feature = "javascript")]
static JAVASCRIPT: Language = Language {
    id: "javascript",
    extensions: &["js", "jsx", "mjs", "cjs"],
    grammar: || tree_sitter_javascript::LANGUAGE.into(),
    items: &[
        "class_declaration",
        "export_statement",
        "field_definition",
        "function_declaration",
        "generator_function_declaration",
        "import_statement",
        "method_definition",
    ],
    bodies: &["class_body", "object", "program", "statement_block", "switch_body"],
    queries: Compiled::new(
        include_str!("../../queries/javascript/items.scm"),
        include_str!("../../queries/javascript/imports.scm"),
    ),
};

#[cfg(feature = "typescript")]
const TYPESCRIPT_ITEMS: &[&str] = &[
    "abstract_class_declaration",
    "abstract_method_signature",
    "class_declaration",
    "enum_declaration",
    "export_statement",
    "function_declaration",
    "function_signature",
    "generator_function_declaration",
    "import_statement",
    "interface_declaration",
    "internal_module",
    "method_definition",
    "method_signature",
    "public_field_definition",
    "type_alias_declaration",
];

#[cfg(feature = "typescript")]
const TYPESCRIPT_BODIES: &[&str] = &[
    "class_body",
    "enum_body",
    "interface_body",
    "object",
    "object_type",
    "program",
    "statement_block",
    "switch_body",
];

#[cfg(feature = "typescript")]
static TYPESCRIPT: Language = Language {
    id: "typescript",
    extensions: &["ts", "mts", "cts"],
    grammar: || tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into(),
    items: TYPESCRIPT_ITEMS,
    bodies: TYPESCRIPT_BODIES,
    queries: Compiled::new(
        include_str!("../../queries/typescript/items.scm"),
        include_str!("../../queries/typescript/imports.scm"),
    ),
};

#[cfg(feature = "typescript")]
static TSX: Language = Language {
    id: "typescriptreact",
    extensions: &["tsx"],
    grammar: || tree_sitter_typescript::LANGUAGE_TSX.into(),
    items: TYPESCRIPT_ITEMS,
    bodies: TYPESCRIPT_BODIES,
    queries: Compiled::new(
        include_str!("../../queries/typescript/items.scm"),
        include_str!("../../queries/typescript/imports.scm"),
    ),
};

#[cfg(feature = "go")]
static GO: Language = Language {
    id: "go",
    extensions: &["go"],
    grammar: || tree_sitter_go::LANGUAGE.into(),
    items: &[
        "const_declaration",
        "function_declaration",
        "import_declaration",
        "method_declaration",
        "type_declaration",
        "var_declaration",
    ],
    bodies: &[
        "block",
        "field_declaration_list",
        "interface_type",
        "literal_value",
        "source_file",
        "statement_list",
    ],
    queries: Compiled::new(
        include_str!("../../queries/go/items.scm"),
        include_str!("../../queries/go/imports.scm"),
    ),
};
