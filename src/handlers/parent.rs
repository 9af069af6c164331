//! Ends the server when the process that started it is gone.
//!
//! The end of the input says the same, unless another child of that process has inherited the pipe.

use std::{os::unix::process::parent_id, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::session::task::OwnedTask;

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Watches the process that `initialize` names, if that is our parent: an orphan gets another one.
/// A process further up, or one of another container, cannot be told from a stranger with its number.
pub(super) fn watch(process_id: i32, gone: CancellationToken) -> Option<OwnedTask> {
    let parent = u32::try_from(process_id).ok().filter(|id| *id == parent_id())?;
    Some(OwnedTask::spawn(async move {
        while parent_id() == parent {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        tracing::info!("the editor's process is gone");
        gone.cancel();
    }))
}
