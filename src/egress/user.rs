//! Questions to the user, whoever asks them: an editor's dialog or a terminal.

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{FutureExt as _, future::BoxFuture};

use super::{Consent, Manifest};

/// Somebody who can be asked. A question that is not answered (closed, cut off, nobody there) is a no
/// for now, and nothing is kept of it.
pub trait User: Send + Sync {
    /// Whether the folder is trusted: whether text of it may leave and tools may be run on it.
    fn trusts<'a>(&'a self, root: &'a Path) -> BoxFuture<'a, Option<bool>>;

    /// Whether what the manifest lists may leave. The manifest has to be shown.
    fn consents<'a>(&'a self, manifest: &'a Manifest) -> BoxFuture<'a, Option<Consent>>;
}

/// Nobody: what is not decided yet is refused.
#[derive(Debug, Clone, Copy)]
pub struct Nobody;

impl User for Nobody {
    fn trusts<'a>(&'a self, _: &'a Path) -> BoxFuture<'a, Option<bool>> {
        Box::pin(std::future::ready(None))
    }

    fn consents<'a>(&'a self, _: &'a Manifest) -> BoxFuture<'a, Option<Consent>> {
        Box::pin(std::future::ready(None))
    }
}

/// A user whose "once" holds for one task: a task that asks again after a wrong answer is not asked
/// about again, as long as it goes to the same place and shows no line that was not agreed to, be it
/// that the model was allowed to read on. What is private is asked about each time.
pub struct OneTask {
    user: Arc<dyn User>,
    agreed: Mutex<Option<Manifest>>,
}

impl OneTask {
    pub fn new(user: Arc<dyn User>) -> Self {
        Self { user, agreed: Mutex::default() }
    }

    fn covers(&self, manifest: &Manifest) -> bool {
        let agreed = self.agreed.lock().unwrap_or_else(PoisonError::into_inner);
        agreed.as_ref().is_some_and(|agreed| agreed.covers(manifest))
    }
}

impl User for OneTask {
    fn trusts<'a>(&'a self, root: &'a Path) -> BoxFuture<'a, Option<bool>> {
        self.user.trusts(root)
    }

    fn consents<'a>(&'a self, manifest: &'a Manifest) -> BoxFuture<'a, Option<Consent>> {
        async move {
            if self.covers(manifest) {
                return Some(Consent::Once);
            }
            let answer = self.user.consents(manifest).await;
            if answer == Some(Consent::Once) {
                let mut agreed = self.agreed.lock().unwrap_or_else(PoisonError::into_inner);
                *agreed = Some(manifest.clone());
            }
            answer
        }
        .boxed()
    }
}

impl fmt::Debug for OneTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneTask").field("agreed", &self.agreed).finish_non_exhaustive()
    }
}
