//! Hearth: a local-first AI language server.

pub mod config;
pub mod context;
pub mod model;
pub mod route;
pub mod session;
pub mod syntax;
