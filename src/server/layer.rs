//! The receipt-order layer: what the framework leaves open about order, answers and panics.
//!
//! The framework calls the service for one message after another, but runs the handlers later and
//! interleaved. Here each handler is polled once at the moment of receipt, in the read loop, so what
//! it does before its first suspension happens in the order in which the client wrote. That makes
//! the following rules sound, and [`super::routes`] enforces them by type:
//!
//! 1. A notification does all of its work on receipt and hands slow work to an owned task.
//! 2. A request takes its snapshot on receipt; only then may it wait.
//! 3. Neither computes for long there: the read loop waits for it.
//!
//! Beyond that the layer sees to it that every request is answered exactly once, also when its
//! handler panics or the client is gone, and remembers whether `shutdown` came before `exit`. It
//! must never look into params or results: nothing of them may reach a log.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Instant,
};

use futures::{FutureExt, future::BoxFuture};
use tokio_util::sync::CancellationToken;
use tower::Service;
use tower_lsp::{
    ExitedError,
    jsonrpc::{Error, Id, Request, Response},
};

type Answer = Result<Option<Response>, ExitedError>;

/// What is to be known of the connection by those who serve it.
#[derive(Debug, Clone, Default)]
pub struct Connection {
    /// Cancelled when the client is gone or going: nobody waits for an answer any more.
    pub gone: CancellationToken,
    shutdown: Arc<AtomicBool>,
}

impl Connection {
    /// Whether the client has sent `shutdown`.
    pub fn was_shut_down(&self) -> bool {
        self.shutdown.load(Ordering::Relaxed)
    }
}

/// Wraps the framework's service, or one that behaves like it.
#[derive(Debug)]
pub struct ReceiptOrder<S> {
    inner: S,
    connection: Connection,
}

impl<S> ReceiptOrder<S> {
    pub fn new(inner: S, connection: Connection) -> Self {
        Self { inner, connection }
    }
}

impl<S> Service<Request> for ReceiptOrder<S>
where
    S: Service<
            Request,
            Response = Option<Response>,
            Error = ExitedError,
            Future = BoxFuture<'static, Answer>,
        >,
{
    type Response = Option<Response>;
    type Error = ExitedError;
    type Future = BoxFuture<'static, Answer>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ExitedError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let message = Message::of(&request);
        match request.method() {
            "shutdown" => self.connection.shutdown.store(true, Ordering::Relaxed),
            "exit" => self.connection.gone.cancel(),
            _ => {}
        }
        let mut handler = AssertUnwindSafe(self.inner.call(request)).catch_unwind().boxed();
        match handler.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => futures::future::ready(message.finish(result)).boxed(),
            Poll::Pending => {
                if message.id.is_none() {
                    let method = &message.method;
                    tracing::error!(method, "a notification waits: later messages overtake it");
                }
                let gone = self.connection.gone.clone();
                // Polled again by the executor, which brings the real waker.
                async move {
                    tokio::select! {
                        biased;
                        result = handler => message.finish(result),
                        () = gone.cancelled() => message.finish(Ok(Ok(message.cancelled()))),
                    }
                }
                .boxed()
            }
        }
    }
}

/// What is remembered of a message while it is worked on.
#[derive(Debug)]
struct Message {
    id: Option<Id>,
    method: String,
    received: Instant,
}

impl Message {
    fn of(request: &Request) -> Self {
        Self {
            id: request.id().cloned(),
            method: request.method().to_owned(),
            received: Instant::now(),
        }
    }

    fn cancelled(&self) -> Option<Response> {
        self.id.clone().map(|id| Response::from_error(id, Error::request_cancelled()))
    }

    /// Exactly one answer for a request, none for a notification.
    fn finish(&self, result: std::thread::Result<Answer>) -> Answer {
        let (answer, panicked) = match result {
            Ok(answer) => (answer?, false),
            Err(_) => (None, true),
        };
        let answer = match (&self.id, answer) {
            (Some(id), None) => {
                // The framework swallows its own refusal of unknown `$/` requests.
                let error =
                    if panicked { Error::internal_error() } else { Error::method_not_found() };
                Some(Response::from_error(id.clone(), error))
            }
            (_, answer) => answer,
        };
        let outcome = match answer.as_ref().and_then(Response::error) {
            _ if panicked => "panicked",
            Some(error) => error.code.description(),
            None => "ok",
        };
        let ms = self.received.elapsed().as_secs_f64() * 1e3;
        let id = self.id.as_ref().map(tracing::field::display);
        tracing::debug!(method = %self.method, id, ms, outcome);
        Ok(answer)
    }
}
