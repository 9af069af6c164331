//! Tasks that end with whoever owns them. Nothing in Hearth runs unowned.

use std::future::Future;

use tokio::task::JoinHandle;

/// A spawned task that is aborted when this is dropped.
#[derive(Debug)]
pub struct OwnedTask<T = ()>(JoinHandle<T>);

impl<T: Send + 'static> OwnedTask<T> {
    /// Runs `future` on the current runtime.
    #[expect(clippy::disallowed_methods, reason = "the one place where tasks are spawned, owned")]
    pub fn spawn(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(tokio::spawn(future))
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
