//! Questions to the user, whoever asks them: an editor's dialog or a terminal.

use std::path::Path;

use futures::future::BoxFuture;

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
