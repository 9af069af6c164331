//! Questions about whole codebases, from the index to models on real sockets and back: what they are
//! shown, what leaves this machine, and what becomes of what they say.

mod above;
mod command_line;
mod editor;
mod here;
mod real_code;
#[path = "../support/mod.rs"]
mod support;
mod world;
