//! Tasks that die with whoever started them: the one place that calls `tokio::spawn`.

use tokio::task::JoinHandle;

/// A running task. Dropping this stops it at its next `.await`.
#[derive(Debug)]
#[must_use = "the task is aborted when this is dropped"]
pub struct AbortOnDrop(JoinHandle<()>);

impl AbortOnDrop {
    /// Starts `task` on the current runtime.
    #[expect(clippy::disallowed_methods, reason = "this is the place that owns the handle")]
    pub fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(task))
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dropped_task_drops_what_it_owns() {
        let (owned, gone) = tokio::sync::oneshot::channel::<()>();
        let task = AbortOnDrop::spawn(async move {
            std::future::pending::<()>().await;
            drop(owned);
        });
        drop(task);
        assert!(gone.await.is_err(), "the sender was dropped unsent");
    }
}
