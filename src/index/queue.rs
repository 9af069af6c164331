//! What the index has to do, the most urgent first: what is typed before what changed on disk before what
//! was never read. And what it knows of the files on its way to them.

use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use ropey::Rope;
use tree_sitter::Tree;

use super::{Skip, dependencies::Package, source::Stamp};
use crate::syntax::Language;

/// How long a document is left alone by whoever types before its text is taken up. Each key would
/// cost a walk over the whole document, beside the prompt that is built for that very key; and what a
/// prompt shows of its own file does not come from here.
const REST: Duration = Duration::from_millis(300);

/// What is to be done, the most urgent first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Job {
    /// An ignore file has changed: what it excludes goes.
    Sweep,
    /// An open document has a new text.
    Edited(Arc<Path>),
    /// A file has changed on disk, or a document was closed.
    Changed(Arc<Path>),
    /// Everything below the roots is to be compared with what is known.
    Scan,
    /// A scan has found a file.
    Found(Arc<Path>),
    /// The sources of a dependency are to be listed.
    Package(Arc<Package>),
    /// A source of a dependency is to be read.
    Public(Arc<Path>, Arc<Package>),
    /// Manifests, or what dependencies hand on, may name other packages than before.
    Dependencies,
}

impl Job {
    pub(super) fn path(&self) -> Option<&Arc<Path>> {
        match self {
            Self::Edited(path)
            | Self::Changed(path)
            | Self::Found(path)
            | Self::Public(path, _) => Some(path),
            Self::Sweep | Self::Scan | Self::Package(_) | Self::Dependencies => None,
        }
    }

    /// Whether the two must not run at once.
    pub(super) fn excludes(&self, other: &Self) -> bool {
        self.path() == other.path()
    }
}

/// The text of an open document, which counts instead of the file's.
#[derive(Debug, Clone)]
pub(super) struct Buffer {
    pub(super) language: Option<&'static Language>,
    pub(super) text: Rope,
    /// Of this very text; taken out once the index is done with it.
    pub(super) tree: Option<Tree>,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) due: BTreeSet<Job>,
    /// Documents that are being typed into, and when that counts as over.
    pub(super) typed: HashMap<Arc<Path>, Instant>,
    pub(super) busy: Vec<Job>,
    pub(super) buffers: HashMap<Arc<Path>, Buffer>,
    /// Whether the paths of open documents may be read, as far as somebody has looked.
    pub(super) allowed: HashMap<Arc<Path>, bool>,
    /// Files on disk, as they were when they were read.
    pub(super) known: HashMap<Arc<Path>, Stamp>,
    pub(super) skipped: HashMap<Arc<Path>, Skip>,
    /// Cargo's manifests within reach.
    pub(super) manifests: BTreeSet<PathBuf>,
    /// Files that the scans have found, for the progress.
    pub(super) found: usize,
    /// Files of the last scan that were too many.
    pub(super) too_many: usize,
    /// When work ended that took memory which nobody has given back yet.
    pub(super) worked: Option<Instant>,
}

impl Queue {
    /// Somebody types into the document at `path`.
    pub(super) fn put_off(&mut self, path: Arc<Path>) {
        self.typed.insert(path, Instant::now() + REST);
    }

    /// Makes due what nobody types into any more. How long until the next is, if there is one.
    pub(super) fn take_rested(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let due = &mut self.due;
        self.typed.retain(|path, rested_at| {
            let rested = *rested_at <= now;
            if rested {
                due.insert(Job::Edited(Arc::clone(path)));
            }
            !rested
        });
        self.typed.values().min().map(|rested_at| *rested_at - now)
    }
}
