//! Changes and tests that a model writes, from the editor's pipe to the model's socket, the tools and
//! back. After every test the user's tree on disk is what it was.

mod command_line;
mod consent;
mod editor;
mod generated;
mod hold;
mod listing;
mod sent_up;
#[path = "../support/mod.rs"]
mod support;
mod typing;
