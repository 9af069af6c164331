//! `$/progress`: that the workspace is being read, where that takes a while.

use std::{sync::Arc, time::Duration};

use tower_lsp::gen_lsp_types::{
    LspAny, ProgressNotification, ProgressParams, ProgressToken, WorkDoneProgressBegin,
    WorkDoneProgressCreateParams, WorkDoneProgressCreateRequest, WorkDoneProgressEnd,
    WorkDoneProgressReport,
};

use crate::{
    index::{Index, Progress},
    lsp::Outbox,
    session::task::OwnedTask,
};

/// Fewer files are read before somebody has seen that they are.
const WORTH_A_MESSAGE: usize = 200;

/// Between two messages on one reading.
const INTERVAL: Duration = Duration::from_millis(500);

/// Tells the client of every longer reading, from its beginning to its end.
pub(super) fn tell(index: Arc<Index>, outbox: Outbox) -> OwnedTask {
    let mut progress = index.progress();
    OwnedTask::spawn(async move {
        for number in 0_u64.. {
            if progress.wait_for(|now| now.pending > WORTH_A_MESSAGE).await.is_err() {
                return;
            }
            let token = ProgressToken::String(format!("hearth/index/{number}"));
            let create = WorkDoneProgressCreateParams { token: token.clone() };
            if let Err(error) = outbox.ask::<WorkDoneProgressCreateRequest>(create).await {
                tracing::info!(%error, "the client shows no progress");
                return;
            }
            let send = |value: LspAny| {
                let params = ProgressParams { token: token.clone(), value };
                outbox.notify::<ProgressNotification>(params);
            };
            let title = "Reading the workspace".to_owned();
            send(value(WorkDoneProgressBegin { title, ..WorkDoneProgressBegin::default() }));
            let done = loop {
                let done = async {
                    progress.wait_for(|now| now.pending == 0).await.ok().map(|now| now.clone())
                };
                match tokio::time::timeout(INTERVAL, done).await {
                    Ok(Some(done)) => break done,
                    Ok(None) => return,
                    Err(_) => {}
                }
                let message = Some(format!("{} left", progress.borrow().pending));
                send(value(WorkDoneProgressReport { message, ..Default::default() }));
            };
            send(value(WorkDoneProgressEnd { message: Some(summary(&index, &done)) }));
        }
    })
}

/// What has been read, and what was left out.
fn summary(index: &Index, done: &Progress) -> String {
    let totals = index.read().totals();
    let skipped: Vec<_> =
        done.skipped.iter().map(|(skip, count)| format!("{count} {skip}")).collect();
    let read = format!("{} lines in {} files", totals.lines, totals.files);
    if skipped.is_empty() { read } else { format!("{read}; left out: {}", skipped.join(", ")) }
}

fn value(progress: impl serde::Serialize) -> LspAny {
    serde_json::to_value(progress).unwrap_or_default()
}
