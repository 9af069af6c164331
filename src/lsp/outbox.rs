//! Messages to the client. No handler ever waits for the client to read.
//!
//! The framework's channel to the client holds one message, so awaiting it in a handler can stop the
//! read loop. Notifications therefore go through a queue without a bound, emptied by an owned task.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::mpsc;
use tower::Service;
use tower_lsp::{
    Client,
    gen_lsp_types::{self, Notification},
    jsonrpc::{Error, Request},
};

use crate::session::task::OwnedTask;

/// A client that has not answered after this long will not, where it need not wait for its user.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Sends to the client. A clone is another handle to the same queue.
#[derive(Debug, Clone)]
pub struct Outbox(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    client: Client,
    queue: mpsc::UnboundedSender<Request>,
    sending: Mutex<Sending>,
}

#[derive(Debug)]
enum Sending {
    /// Nothing may be sent before the client has said `initialized`.
    NotYet(mpsc::UnboundedReceiver<Request>),
    Yes {
        _task: OwnedTask,
    },
}

/// Why a request to the client brought no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    #[error("the client refused: {0}")]
    Refused(#[from] Error),
    #[error("the client did not answer within {} s", ANSWER_WITHIN.as_secs())]
    Silent,
}

impl Outbox {
    pub fn new(client: Client) -> Self {
        let (queue, waiting) = mpsc::unbounded_channel();
        let sending = Mutex::new(Sending::NotYet(waiting));
        Self(Arc::new(Shared { client, queue, sending }))
    }

    /// Queues a notification. Those from before `initialized` are sent after it.
    pub fn notify<N: Notification>(&self, params: N::Params) {
        match serde_json::to_value(params) {
            Ok(params) => {
                let request = Request::build(N::METHOD.as_str()).params(params).finish();
                // An error means that the client is gone.
                let _ = self.0.queue.send(request);
            }
            Err(error) => tracing::error!(%error, method = %N::METHOD, "cannot be sent"),
        }
    }

    /// Asks the client.
    pub async fn ask<R: gen_lsp_types::Request>(
        &self,
        params: R::Params,
    ) -> Result<R::Result, AskError> {
        let answer = self.0.client.send_request::<R>(params);
        Ok(tokio::time::timeout(ANSWER_WITHIN, answer).await.map_err(|_| AskError::Silent)??)
    }

    /// Asks what only the user can answer, for as long as the user takes. Dropping the future gives
    /// the question up.
    pub async fn ask_user<R: gen_lsp_types::Request>(
        &self,
        params: R::Params,
    ) -> Result<R::Result, AskError> {
        Ok(self.0.client.send_request::<R>(params).await?)
    }

    /// Starts to send: the client has said `initialized`.
    pub fn start(&self) {
        let mut sending = self.0.sending.lock().unwrap_or_else(PoisonError::into_inner);
        let Sending::NotYet(waiting) = &mut *sending else { return };
        let mut waiting = std::mem::replace(waiting, mpsc::unbounded_channel().1);
        let mut client = self.0.client.clone();
        let task = OwnedTask::spawn(async move {
            while let Some(message) = waiting.recv().await {
                if client.call(message).await.is_err() {
                    return;
                }
            }
        });
        *sending = Sending::Yes { _task: task };
    }
}
