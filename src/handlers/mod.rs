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

use std::future;

use futures::future::{BoxFuture, Either};
use tower_lsp::jsonrpc;

use crate::{
    session::task::OwnedTask,
    task::{Answer, Asked},
};

pub use current_settings::CurrentSettings;
pub use hearth::{Hearth, Premises};
pub use trust::WorkspaceTrust;
pub use user::EditorUser;

/// The answer to a request, still to be worked out.
pub type Reply<R> = BoxFuture<'static, jsonrpc::Result<R>>;

/// What a request for a completion comes to. What is at hand has no way to another thread: on a busy
/// machine that is the longest part of it. `None` after a panic, which is in the log.
fn completed(asked: Asked) -> impl Future<Output = Option<Answer>> {
    match asked.at_hand() {
        Ok(answer) => Either::Left(future::ready(Some(answer))),
        Err(asked) => Either::Right(OwnedTask::spawn(asked.answer()).join()),
    }
}
