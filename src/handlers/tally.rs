//! What became of suggestions, on its way to the disk, and `hearth/didShow`.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::Hearth;
use crate::{
    lsp::ext::DidShowParams,
    metrics::Count,
    session::{Session, task::OwnedTask},
};

/// Counts of this long go into the file at once. Whoever kills the server loses no more than them.
const TOGETHER: Duration = Duration::from_secs(5);

/// Writes what is counted from now on below `state`.
pub(super) fn keep(session: &Arc<Session>, state: PathBuf) -> OwnedTask {
    let session = Arc::clone(session);
    OwnedTask::spawn(async move {
        let mut counted = session.tally().watch();
        while counted.changed().await.is_ok() {
            tokio::time::sleep(TOGETHER).await;
            write(&session, state.clone()).await;
        }
    })
}

/// Writes what was counted so far.
pub(super) async fn write(session: &Session, state: PathBuf) {
    let tally = Arc::clone(session.tally());
    let written = tokio::task::spawn_blocking(move || tally.write(&state)).await;
    if let Ok(Err(error)) = written {
        tracing::warn!(%error, "what became of suggestions cannot be written down");
    }
}

pub fn did_show(hearth: &Hearth, params: DidShowParams) {
    let time = Duration::from_millis(params.milliseconds);
    hearth.session.tally().count(Count::OnScreen(time));
}
