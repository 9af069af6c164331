//! Hearth: a local-first AI language server.

pub mod context;
pub mod engine;
pub mod model;
pub mod session;
pub mod syntax;
