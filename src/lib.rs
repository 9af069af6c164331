//! Hearth: a local-first AI language server.

pub mod context;
pub mod model;
pub mod syntax;
