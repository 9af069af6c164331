//! Open documents and what is going on in them. Knows text and time, not how models are asked.
//!
//! The read loop of the server is the only one that opens, changes and closes; everybody else works
//! on a [`Snapshot`]. Nothing here parses on the caller's thread.

pub mod document;
mod hold;
pub mod owner;
pub mod position;
pub mod snapshot;
pub mod task;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock, PoisonError, RwLock},
    time::Duration,
};

use dashmap::DashMap;
use ropey::Rope;
use tree_sitter::Tree;

pub use document::{Change, Document, MAX_PARSED_BYTES, Opened};
pub use hold::{Hold, HoldCell};
pub use owner::Owner;
pub use position::{Encoding, Point};
pub use snapshot::Snapshot;

use crate::{metrics::Tally, syntax::Language};

/// One edit of a document's text, in bytes of the text before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteEdit {
    pub start: usize,
    pub old_end: usize,
    /// End of the inserted text, in bytes of the text after the edit.
    pub new_end: usize,
}

/// Somebody who wants to know each text that has been parsed.
///
/// Told on the thread that parsed, never on the caller's of [`Session::change`]; for one document in
/// the order of its texts, and nothing after it was closed. What it does there delays the next parse.
pub trait Follower: fmt::Debug + Send + Sync {
    /// A document has a new text; `tree`, where the language has a grammar, is of exactly this text.
    fn parsed(
        &self,
        path: &Arc<Path>,
        language: Option<&'static Language>,
        text: Rope,
        tree: Option<Tree>,
    );
    /// A document is not open any more.
    fn closed(&self, path: &Arc<Path>);
}

/// A parse after an edit waits this long, so that the request which follows the same key has the
/// cores for itself: it needs the last tree alone. Edits that come meanwhile are parsed along.
const AFTER_A_KEY: Duration = Duration::from_millis(4);

/// The open documents of one editor, by their URIs as the editor spells them.
#[derive(Debug, Default)]
pub struct Session {
    follower: OnceLock<Arc<dyn Follower>>,
    documents: DashMap<Arc<str>, Arc<Document>>,
    roots: RwLock<Vec<PathBuf>>,
    tally: Arc<Tally>,
}

impl Session {
    /// Opens a document; one that is already open is replaced. Needs a tokio runtime.
    pub fn open(&self, opened: Opened) {
        let uri = opened.uri.clone();
        let relative_path = self.relative_path(opened.path.as_deref(), &uri);
        let follower = self.follower.get().cloned();
        let document = Document::new(opened, relative_path, follower).counting(&self.tally);
        let document = Arc::new(document);
        if let Some(before) = self.documents.insert(uri.clone(), Arc::clone(&document)) {
            tracing::warn!(%uri, "opened although it is open: taking the new text");
            before.close();
        }
        // Only now: the follower hears of the document before first.
        Self::parse_in_background(&document, Duration::ZERO);
    }

    /// Has `follower` told of the documents that are opened from now on. There is one at most: a
    /// second is ignored.
    pub fn set_follower(&self, follower: Arc<dyn Follower>) {
        if self.follower.set(follower).is_err() {
            tracing::warn!("the session is followed already");
        }
    }

    /// Applies `changes` in order. A document that was never opened is ignored with a warning.
    /// Needs a tokio runtime.
    pub fn change(&self, uri: &str, version: i32, changes: Vec<Change>, encoding: Encoding) {
        let Some(document) = self.document(uri) else {
            tracing::warn!(uri, "changed although it is not open: ignored");
            return;
        };
        if document.apply(version, changes, encoding) {
            Self::parse_in_background(&document, AFTER_A_KEY);
        }
    }

    /// Forgets a document. Its running parse stops; snapshots stay valid.
    pub fn close(&self, uri: &str) {
        let Some((_, document)) = self.documents.remove(uri) else {
            tracing::warn!(uri, "closed although it is not open: ignored");
            return;
        };
        document.close();
    }

    pub fn document(&self, uri: &str) -> Option<Arc<Document>> {
        self.documents.get(uri).map(|document| Arc::clone(&document))
    }

    /// What `uri` is right now; `None` when it is not open.
    pub fn snapshot(&self, uri: &str) -> Option<Snapshot> {
        Some(self.document(uri)?.snapshot())
    }

    /// All that is open, right now.
    pub fn snapshots(&self) -> Vec<Snapshot> {
        self.documents.iter().map(|document| document.snapshot()).collect()
    }

    /// What became of suggestions in its documents, up to now.
    pub fn tally(&self) -> &Arc<Tally> {
        for document in &self.documents {
            document.owner().settle();
        }
        &self.tally
    }

    /// The editor is going: what will become of the suggestions in its documents is not seen any more,
    /// which is counted.
    pub fn farewell(&self) {
        for document in &self.documents {
            document.owner().lose_sight();
        }
    }

    /// The folders that the editor has open.
    pub fn roots(&self) -> Vec<PathBuf> {
        self.roots.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the folders that the editor has open, and the relative paths with them.
    pub fn change_roots(&self, change: impl FnOnce(&mut Vec<PathBuf>)) {
        change(&mut self.roots.write().unwrap_or_else(PoisonError::into_inner));
        for document in &self.documents {
            let path = self.relative_path(document.path(), document.uri());
            document.set_relative_path(path);
        }
    }

    /// `path` from the innermost root that contains it, with `/`; the file's name without a root.
    fn relative_path(&self, path: Option<&Path>, uri: &str) -> Arc<str> {
        let roots = self.roots.read().unwrap_or_else(PoisonError::into_inner);
        let Some(path) = path else {
            return uri.rsplit(['/', ':']).next().unwrap_or(uri).into();
        };
        let shortest = roots
            .iter()
            .filter_map(|root| path.strip_prefix(root).ok())
            .min_by_key(|relative| relative.as_os_str().len())
            .or_else(|| path.file_name().map(Path::new))
            .unwrap_or(path);
        let parts: Vec<_> =
            shortest.components().map(|part| part.as_os_str().to_string_lossy()).collect();
        parts.join("/").into()
    }

    fn parse_in_background(document: &Arc<Document>, after: Duration) {
        let document = Arc::clone(document);
        tokio::task::spawn_blocking(move || {
            std::thread::sleep(after);
            document.reparse();
        });
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for document in &self.documents {
            document.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(roots: &[&str], path: &str) -> String {
        let session = Session::default();
        session.change_roots(|all| all.extend(roots.iter().map(PathBuf::from)));
        session.relative_path(Some(Path::new(path)), "file:///not-looked-at").to_string()
    }

    #[test]
    fn the_innermost_root_counts() {
        assert_eq!(paths(&["/w", "/w/member", "/other"], "/w/member/src/lib.rs"), "src/lib.rs");
        assert_eq!(paths(&["/w/member", "/w"], "/w/src/lib.rs"), "src/lib.rs");
        assert_eq!(paths(&["/w"], "/workspace/lib.rs"), "lib.rs", "a name is no folder");
        assert_eq!(paths(&[], "/w/src/lib.rs"), "lib.rs");
    }

    #[test]
    fn a_buffer_without_a_file_has_a_name() {
        assert_eq!(&*Session::default().relative_path(None, "untitled:Untitled-1"), "Untitled-1");
    }
}
