//! What is done with a message: a file for each LSP method, or for the few that belong together.
//!
//! A notification's handler is `fn(&Hearth, Params)`: it has done all when it returns. A request's
//! handler is `fn(&Hearth, Params) -> Reply<Result>`: it takes its snapshot, then returns a future
//! that owns all it needs and is dropped when the client cancels. No handler knows a model or a
//! socket, and none computes for long.

mod analyze;
mod apply_edit;
pub mod code_action;
pub mod code_lens;
pub mod completion;
mod current_settings;
pub mod documents;
pub mod execute_command;
mod hearth;
pub mod inline_completion;
mod job;
pub mod lifecycle;
mod menu;
mod offer;
mod outcome;
#[cfg(unix)]
mod parent;
mod place;
pub mod progress;
mod reading;
mod refactor;
pub mod show;
mod status;
pub mod tally;
mod test_runs;
pub mod trust;
mod user;
pub mod workspace;

use futures::future::BoxFuture;
use tower_lsp::jsonrpc;

pub use current_settings::CurrentSettings;
pub use hearth::{Hearth, Premises};
pub use trust::WorkspaceTrust;
pub use user::EditorUser;

/// The answer to a request, still to be worked out.
pub type Reply<R> = BoxFuture<'static, jsonrpc::Result<R>>;
