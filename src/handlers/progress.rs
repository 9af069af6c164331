//! `$/progress` and `window/workDoneProgress/cancel`: what long work is at, and the user's way to
//! stop it.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use dashmap::DashMap;
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tower_lsp::gen_lsp_types::{
    ProgressNotification, ProgressParams, ProgressToken, WorkDoneProgressBegin,
    WorkDoneProgressCancelParams, WorkDoneProgressCreateParams, WorkDoneProgressCreateRequest,
    WorkDoneProgressEnd, WorkDoneProgressReport,
};

use super::Hearth;
use crate::lsp::Outbox;

/// Between two reports: what changes faster is read by nobody.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// The work that is under way, by the tokens of its progress.
#[derive(Debug, Clone, Default)]
pub struct Running(Arc<Tokens>);

#[derive(Debug, Default)]
struct Tokens {
    cancels: DashMap<ProgressToken, CancellationToken>,
    created: AtomicU64,
}

pub fn cancel(hearth: &Hearth, params: WorkDoneProgressCancelParams) {
    if let Some(cancel) = hearth.running.0.cancels.get(&params.token) {
        cancel.cancel();
    }
}

impl Running {
    /// Ends all of it, as its users' own cancelling would.
    pub(super) fn cancel_all(&self) {
        for cancel in &self.0.cancels {
            cancel.cancel();
        }
    }
}

/// The progress of one piece of work. Dropping it ends it on the user's screen.
#[derive(Debug)]
pub(super) struct Progress {
    outbox: Outbox,
    running: Running,
    /// `None` for a client that shows no progress.
    token: Option<ProgressToken>,
    cancelled: CancellationToken,
    last: Mutex<Last>,
}

#[derive(Debug)]
struct Last {
    message: String,
    /// When the last one of a stream was sent.
    streamed: Option<Instant>,
    /// What remains on the screen.
    end: Option<String>,
}

impl Progress {
    /// Shows that `title` has begun, under the client's own token where it gave one.
    pub(super) async fn begin(
        outbox: Outbox,
        running: Running,
        given: Option<ProgressToken>,
        may_create: bool,
        title: String,
    ) -> Self {
        let mut token = given;
        if token.is_none() && may_create {
            let number = running.0.created.fetch_add(1, Ordering::Relaxed);
            let made = ProgressToken::String(format!("hearth/{number}"));
            let params = WorkDoneProgressCreateParams { token: made.clone() };
            match outbox.ask::<WorkDoneProgressCreateRequest>(params).await {
                Ok(()) => token = Some(made),
                Err(error) => tracing::warn!(%error, "no progress is shown"),
            }
        }
        let cancelled = CancellationToken::new();
        if let Some(token) = &token {
            running.0.cancels.insert(token.clone(), cancelled.clone());
        }
        let last = Last { message: String::new(), streamed: None, end: None };
        let progress = Self { outbox, running, token, cancelled, last: Mutex::new(last) };
        progress.send(WorkDoneProgressBegin {
            title,
            cancellable: Some(true),
            ..WorkDoneProgressBegin::default()
        });
        progress
    }

    /// Whether the user sees it.
    pub(super) fn is_shown(&self) -> bool {
        self.token.is_some()
    }

    /// Waits until the user has cancelled.
    pub(super) async fn cancelled(&self) {
        self.cancelled.cancelled().await;
    }

    /// Says what the work is at. One of a stream of messages may be left out.
    pub(super) fn report(&self, message: String, of_a_stream: bool) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let soon = last.streamed.is_some_and(|at| at.elapsed() < REPORT_EVERY);
        if message == last.message || (of_a_stream && soon) {
            return;
        }
        last.message.clone_from(&message);
        last.streamed = of_a_stream.then(Instant::now);
        drop(last);
        self.send(WorkDoneProgressReport {
            message: Some(message),
            ..WorkDoneProgressReport::default()
        });
    }

    /// Ends with a message that says what came of it.
    pub(super) fn end(self, message: impl Into<String>) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.end = Some(message.into());
    }

    fn send(&self, value: impl Serialize) {
        let Some(token) = self.token.clone() else { return };
        match serde_json::to_value(value).and_then(serde_json::from_value) {
            Ok(value) => {
                self.outbox.notify::<ProgressNotification>(ProgressParams { token, value });
            }
            Err(error) => tracing::error!(%error, "progress cannot be sent"),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let message = last.end.clone();
        drop(last);
        self.send(WorkDoneProgressEnd { message });
        if let Some(token) = &self.token {
            self.running.0.cancels.remove(token);
        }
    }
}
