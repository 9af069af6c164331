//! Tasks that end with whoever owns them. Nothing in Hearth waits for anything unowned.

use std::{future::Future, panic::resume_unwind};

use tokio::{runtime::Handle, sync::oneshot, task::JoinHandle};

/// A spawned task that is aborted when this is dropped.
#[derive(Debug)]
pub struct OwnedTask<T = ()>(JoinHandle<T>);

impl<T: Send + 'static> OwnedTask<T> {
    /// Runs `future` on the current runtime.
    #[expect(clippy::disallowed_methods, reason = "the one place where tasks are spawned, owned")]
    pub fn spawn(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(tokio::spawn(future))
    }

    /// Runs `future` on a thread of its own: for work that parses, reads files or compares texts between
    /// its waits, which would hold up everybody else's.
    pub fn aside(future: impl Future<Output = T> + Send + 'static) -> Self {
        let runtime = Handle::current();
        Self::spawn(async move {
            let (held, dropped) = oneshot::channel::<()>();
            let work = tokio::task::spawn_blocking(move || {
                runtime.block_on(async {
                    tokio::select! {
                        biased;
                        _ = dropped => None,
                        result = future => Some(result),
                    }
                })
            });
            let done = work.await;
            // Until here: with this task it would be gone, and the work with it.
            drop(held);
            match done {
                Ok(result) => result.expect("it was held until the work was done"),
                Err(error) => resume_unwind(error.into_panic()),
            }
        })
    }

    /// Waits for the task. `None` when it panicked; the panic is in the log already.
    pub async fn join(mut self) -> Option<T> {
        (&mut self.0).await.ok()
    }
}

impl<T> Drop for OwnedTask<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
