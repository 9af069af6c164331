//! Hearth: a local-first AI language server.

pub mod config;
pub mod context;
pub mod handlers;
pub mod lsp;
pub mod model;
pub mod server;
pub mod session;
pub mod syntax;
