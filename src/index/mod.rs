//! What the workspace contains: every item, every use of a name, and a search over both.
//!
//! Files are read and parsed on threads of the index's own, below interactive work; readers see the
//! last complete state through a [`View`]. Unsaved buffers count instead of the files they are of.
//! No text and no tree is kept: who needs the text of an item reads the file ([`Index::text`]).
//! Nothing of an excluded file ever enters.
//!
//! Knows files, not prompts: which of all this a model is shown is decided in [`crate::context`].

mod chunks;
mod contents;
mod dependencies;
mod extract;
mod file;
mod imports;
mod item;
mod lead;
mod modules;
mod names;
mod outside;
mod queue;
mod reach;
mod rules;
mod search;
mod signature;
mod source;
mod watch;
mod work;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLockReadGuard},
    thread::{self, JoinHandle},
};

use ropey::Rope;
use tree_sitter::Tree;

use crate::{session::Follower, syntax::Language};

pub use contents::{Contents, Totals};
pub use file::{File, FileId, Import, Origin};
pub use item::{Item, ItemRef, Kind, Visibility};
pub use names::{Names, Symbol};
pub use search::Hit;
pub use source::Skip;

use queue::Buffer;
use reach::Reach;
use watch::Watch;
use work::Shared;

/// More threads than this read no faster than a disk delivers, and leave nothing for others.
const MAX_THREADS: usize = 4;

/// What belongs to the workspace.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// Absolute folders; one may lie inside of another.
    pub roots: Vec<PathBuf>,
    /// Globs in the manner of a `.gitignore`: what is never read. Of a dependency they also hold for
    /// `NAME-VERSION/src/lib.rs`, as it lies in the registry, and for `NAME/src/lib.rs`, as it is shown.
    pub exclude: Vec<String>,
    /// Folders that these read from beside the roots: the one that a command runs in.
    pub exclude_from: Vec<PathBuf>,
    /// Cargo's folder, in whose registry the workspace's dependencies lie, of which the public
    /// signatures count. `None` where they do not.
    pub cargo_home: Option<PathBuf>,
}

impl Scope {
    /// Every folder that what is excluded reads from.
    pub fn folders(&self) -> Vec<PathBuf> {
        [self.roots.as_slice(), &self.exclude_from].concat()
    }
}

/// How far the index is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// Files that scans have found so far.
    pub found: usize,
    /// Pieces of work that are left; with none, the index is that of the workspace.
    pub pending: usize,
    /// Files that are not in the index, by why; counted once nothing is pending.
    pub skipped: BTreeMap<Skip, usize>,
}

/// What the index knows, held still. Not for long and not across a wait: the index's threads wait
/// for it.
pub type View<'a> = RwLockReadGuard<'a, Contents>;

/// The index of a workspace. Its threads end with it.
#[derive(Debug)]
pub struct Index {
    shared: Arc<Shared>,
    scope: Mutex<Scope>,
    threads: Vec<JoinHandle<()>>,
}

impl Index {
    /// Starts to read the workspace in the background.
    pub fn start(scope: Scope) -> Self {
        let shared = Arc::new(Shared::new());
        let count = thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
        let threads = (0..count).filter_map(|number| {
            let shared = Arc::clone(&shared);
            let thread = thread::Builder::new().name(format!("index {number}"));
            let started = thread.spawn(move || {
                give_way();
                shared.run();
            });
            started.inspect_err(|error| tracing::error!(%error, "no thread for the index")).ok()
        });
        let threads = threads.collect();
        shared.set_reach(Reach::new(&scope), scope.cargo_home.clone());
        Self { shared, scope: Mutex::new(scope), threads }
    }

    /// What belongs to the workspace.
    pub fn scope(&self) -> Scope {
        self.scope.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes what belongs to the workspace. What does not any more is gone on return.
    pub fn set_scope(&self, scope: Scope) {
        let mut before = self.scope.lock().unwrap_or_else(PoisonError::into_inner);
        if *before != scope {
            self.shared.set_reach(Reach::new(&scope), scope.cargo_home.clone());
            *before = scope;
        }
    }

    /// What is known right now.
    pub fn read(&self) -> View<'_> {
        self.shared.read()
    }

    /// An open document has this text. `tree` must be of exactly it; without one the text is parsed
    /// here. Returns at once.
    pub fn edited(
        &self,
        path: Arc<Path>,
        language: Option<&'static Language>,
        text: Rope,
        tree: Option<Tree>,
    ) {
        self.shared.edited(path, Buffer { language, text, tree });
    }

    /// A document is closed: its file counts again. Returns at once.
    pub fn closed(&self, path: &Arc<Path>) {
        self.shared.closed(path);
    }

    /// Files or folders have appeared, changed or gone. Returns at once.
    pub fn changed_on_disk<'a>(&self, paths: impl IntoIterator<Item = &'a Path>) {
        self.shared.changed(paths);
    }

    /// Has the operating system tell of changed files from now on: for a workspace of which nobody
    /// calls [`Index::changed_on_disk`].
    pub fn watch(&self) {
        match Watch::new(Arc::downgrade(&self.shared)) {
            Ok(watch) => self.shared.set_watch(watch),
            Err(error) => tracing::warn!(%error, "changed files will not be noticed"),
        }
    }

    /// The text that `file` was when it was indexed, from its buffer or read again. `None` when it has
    /// changed since: then its ranges mean nothing, and the index learns of the change soon.
    pub fn text(&self, file: &File) -> Option<String> {
        self.shared.text(file)
    }

    /// Whether `path` is a file within the workspace that nothing excludes. Asks the file system: not
    /// for the read loop.
    pub fn includes(&self, path: &Path) -> bool {
        self.shared.includes(path)
    }

    /// How far the index is, and every later state.
    pub fn progress(&self) -> tokio::sync::watch::Receiver<Progress> {
        self.shared.progress.subscribe()
    }

    /// Waits until nothing is pending.
    pub async fn settled(&self) {
        // An error means that the sender is gone, which `self` owns.
        let _ = self.progress().wait_for(|progress| progress.pending == 0).await;
    }
}

/// Of no workspace yet.
impl Default for Index {
    fn default() -> Self {
        Self::start(Scope::default())
    }
}

impl Follower for Index {
    fn parsed(
        &self,
        path: &Arc<Path>,
        language: Option<&'static Language>,
        text: Rope,
        tree: Option<Tree>,
    ) {
        self.shared.typed(Arc::clone(path), Buffer { language, text, tree });
    }

    fn closed(&self, path: &Arc<Path>) {
        Self::closed(self, path);
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.shared.stop();
        for thread in self.threads.drain(..) {
            // A panic is in the log already.
            let _ = thread.join();
        }
    }
}

/// The files of whose every change [`Index::changed_on_disk`] wants to hear, as globs of the protocol.
/// Of the coming and going of everything else it wants to hear, too: it may be a folder, and of a
/// folder that goes or is renamed an editor may tell alone.
pub fn watched_globs() -> impl Iterator<Item = String> {
    let rules = ["**/.gitignore", "**/.hearthignore", "**/Cargo.{toml,lock}"].map(str::to_owned);
    rules.into_iter().chain([format!("**/*.{{{}}}", source::extensions().join(","))])
}

/// Lets every other thread go first.
#[cfg(target_os = "linux")]
fn give_way() {
    // Of this thread alone, as Linux has it.
    if let Err(error) = rustix::process::nice(10) {
        tracing::debug!(%error, "the index runs at normal priority");
    }
}

/// Elsewhere a priority is that of a process.
#[cfg(not(target_os = "linux"))]
fn give_way() {}

/// Returns what is free to the system, of all threads. glibc keeps what each once had: half a megabyte
/// for every thread that has parsed, and all that the first scan took.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn give_back() {
    // SAFETY: it touches no memory that is in use, and takes the allocator's own locks.
    unsafe { libc::malloc_trim(0) };
}

/// Other allocators do so by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn give_back() {}

#[cfg(test)]
mod tests;
