//! Trees of source text: languages, item borders, extents. Knows tree-sitter, not the workspace.

pub mod language;

pub use language::Language;
