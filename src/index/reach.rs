//! What may be read: the files below the roots that nothing excludes. One authority for walking
//! everything and for looking at one file, so that the two can never disagree.
//!
//! `.gitignore` (the user's global one and `.git/info/exclude` included), `.hearthignore` and what is
//! off limits hold; hidden files and links are left out. A file that does not exist is not within
//! reach, and nothing is while the list of what is off limits cannot be read.

use std::{
    fs,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use ignore::{DirEntry, WalkBuilder};

use super::{Scope, dependencies::Package, rules::Rules};
use crate::egress::OffLimits;

/// What may be read.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// The innermost first.
    roots: Vec<Root>,
    /// What is off limits; `None` while that cannot be read, and nothing else either.
    off_limits: Option<Arc<OffLimits>>,
}

#[derive(Debug, Clone)]
struct Root {
    path: PathBuf,
    /// Of all roots.
    off_limits: Arc<OffLimits>,
    rules: Arc<Rules>,
}

impl Reach {
    pub(super) fn new(scope: &Scope) -> Self {
        let rules = Arc::new(Rules::new(scope.roots.clone()));
        let off_limits = match OffLimits::new(&scope.folders(), &scope.exclude) {
            Ok(off_limits) => Arc::new(off_limits),
            Err(unread) => {
                tracing::error!(%unread, "nothing of the workspace is read");
                return Self::default();
            }
        };
        let mut roots: Vec<_> = scope
            .roots
            .iter()
            .filter(|path| path.is_absolute())
            .map(|path| Root {
                path: path.clone(),
                off_limits: Arc::clone(&off_limits),
                rules: Arc::clone(&rules),
            })
            .collect();
        roots.sort_by_key(|root| std::cmp::Reverse(root.path.components().count()));
        roots.dedup_by(|a, b| a.path == b.path);
        Self { roots, off_limits: Some(off_limits) }
    }

    /// The same after an ignore file has changed.
    pub(super) fn with_new_rules(&self) -> Self {
        let roots = self.roots.iter().map(|root| root.path.clone()).collect();
        let rules = Arc::new(Rules::new(roots));
        let renewed = |root: &Root| Root { rules: Arc::clone(&rules), ..root.clone() };
        let roots = self.roots.iter().map(renewed).collect();
        Self { roots, off_limits: self.off_limits.clone() }
    }

    /// The innermost root around `path`.
    pub(super) fn root_of(&self, path: &Path) -> Option<&Path> {
        self.around(path).next().map(|root| root.path.as_path())
    }

    /// Whether `path` is a file that may be read. Asks the file system, of the folders on the way to
    /// it as well.
    pub(super) fn includes(&self, path: &Path) -> bool {
        self.around(path).any(|root| root.includes(path))
    }

    /// Whether an open document may be read that is to be the file at `path`: one that is there, or
    /// one that is not yet.
    pub(super) fn includes_open(&self, path: &Path) -> bool {
        self.includes(path) || (fs::symlink_metadata(path).is_err() && self.allows(path))
    }

    /// Whether nothing excludes `path` by its name, whatever it is and if it is there or not.
    pub(super) fn allows(&self, path: &Path) -> bool {
        self.around(path).any(|root| root.allows(path))
    }

    /// Whether the file at `path` of a dependency is not off limits, whatever it is called.
    pub(super) fn takes_of(&self, package: &Package, path: &Path) -> bool {
        let Some(off_limits) = &self.off_limits else { return false };
        let is_listed = |name: &Path| off_limits.list(name, false);
        !is_listed(path) && !package.names_of(path).iter().any(|name| is_listed(name))
    }

    /// Every folder and file that may be read, each root's folders first seen before their files. A
    /// file below two roots comes twice.
    pub(super) fn entries(&self) -> impl Iterator<Item = DirEntry> {
        self.roots.iter().flat_map(Root::walk)
    }

    fn around(&self, path: &Path) -> impl Iterator<Item = &Root> {
        self.roots.iter().filter(move |root| path.starts_with(&root.path))
    }
}

impl Root {
    fn walk(&self) -> impl Iterator<Item = DirEntry> + use<> {
        let root = self.clone();
        WalkBuilder::new(&self.path)
            .standard_filters(false)
            .follow_links(false)
            .filter_entry(move |entry| {
                entry.depth() == 0 || root.takes(entry.path(), is_folder(entry))
            })
            .build()
            // What cannot be listed cannot be read.
            .filter_map(Result::ok)
    }

    /// Whether nothing speaks against `path` itself; the folders around it are taken for granted.
    fn takes(&self, path: &Path, is_folder: bool) -> bool {
        let name = path.file_name().unwrap_or_default();
        !name.as_encoded_bytes().starts_with(b".")
            && !self.off_limits.list(path, is_folder)
            && !self.rules.exclude(path, is_folder)
    }

    fn allows(&self, path: &Path) -> bool {
        self.steps(path).all(|(path, is_last)| self.takes(&path, !is_last))
    }

    fn includes(&self, path: &Path) -> bool {
        path != self.path
            && self.allows(path)
            && self.steps(path).all(|(path, is_last)| {
                let kind = fs::symlink_metadata(path).map(|metadata| metadata.file_type());
                kind.is_ok_and(|kind| if is_last { kind.is_file() } else { kind.is_dir() })
            })
    }

    /// Every path from the root down to `path`, without the root; whether it is `path` itself.
    fn steps(&self, path: &Path) -> impl Iterator<Item = (PathBuf, bool)> + use<> {
        let below = path.strip_prefix(&self.path).unwrap_or(Path::new("")).to_owned();
        let count = below.components().count();
        let root = self.path.clone();
        (1..=count).map(move |depth| {
            let names: PathBuf = below.components().take(depth).map(Component::as_os_str).collect();
            (root.join(names), depth == count)
        })
    }
}

/// Whether an entry is a file itself: no folder, link, pipe or device.
pub(super) fn is_file(entry: &DirEntry) -> bool {
    entry.file_type().is_some_and(|kind| kind.is_file())
}

pub(super) fn is_folder(entry: &DirEntry) -> bool {
    entry.file_type().is_some_and(|kind| kind.is_dir())
}
