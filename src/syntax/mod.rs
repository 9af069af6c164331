//! Trees of source text: languages, borders, errors, extents. Knows tree-sitter, not the workspace.

pub mod borders;
pub mod errors;
pub mod extent;
pub mod language;
pub mod lexer;
pub mod skeleton;
pub mod table;

pub use extent::{Extent, Judge};
pub use language::{Language, Queries};
