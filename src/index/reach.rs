//! What may be read: the files below the roots that nothing excludes. One authority for walking
//! everything and for looking at one file, so that the two can never disagree.
//!
//! `.gitignore` (the user's global one and `.git/info/exclude` included), `.hearthignore` and the
//! globs of `privacy.exclude` hold; hidden files and links are left out. A file that does not exist
//! is not within reach.

use std::path::{Path, PathBuf};

use ignore::{
    DirEntry, WalkBuilder,
    gitignore::{Gitignore, GitignoreBuilder},
};

/// Hearth's own file of globs, in any folder, written as a `.gitignore`.
const IGNORE_FILE: &str = ".hearthignore";

/// What may be read.
#[derive(Debug, Clone, Default)]
pub(super) struct Reach {
    /// The innermost first.
    roots: Vec<Root>,
}

#[derive(Debug, Clone)]
struct Root {
    path: PathBuf,
    /// The user's globs, from this root.
    excluded: Gitignore,
}

impl Reach {
    /// Globs that cannot be understood are named in a warning and left out.
    pub(super) fn new(roots: &[PathBuf], exclude: &[String]) -> Self {
        let mut roots: Vec<_> = roots
            .iter()
            .filter(|path| path.is_absolute())
            .map(|path| Root { path: path.clone(), excluded: globs(path, exclude) })
            .collect();
        roots.sort_by_key(|root| std::cmp::Reverse(root.path.components().count()));
        roots.dedup_by(|a, b| a.path == b.path);
        Self { roots }
    }

    /// Whether a file of this name changes what may be read.
    pub(super) fn is_rule(path: &Path) -> bool {
        path.file_name().is_some_and(|name| name == IGNORE_FILE || name == ".gitignore")
    }

    /// The innermost root around `path`.
    pub(super) fn root_of(&self, path: &Path) -> Option<&Path> {
        self.around(path).next().map(|root| root.path.as_path())
    }

    /// Whether `path` is a file that may be read. Lists the folders on the way to it.
    pub(super) fn includes(&self, path: &Path) -> bool {
        self.around(path).any(|root| {
            let on_the_way = path.to_owned();
            let mut walk = root.walk(move |entry| on_the_way.starts_with(entry));
            walk.any(|entry| entry.path() == path && is_file(&entry))
        })
    }

    /// Whether the user's globs exclude `path`, wherever else it may be named.
    pub(super) fn is_excluded_by_user(&self, path: &Path) -> bool {
        self.around(path)
            .any(|root| root.excluded.matched_path_or_any_parents(path, false).is_ignore())
    }

    /// Every folder and file that may be read, each root's folders first seen before their files. A
    /// file below two roots comes twice.
    pub(super) fn entries(&self) -> impl Iterator<Item = DirEntry> {
        self.roots.iter().flat_map(|root| root.walk(|_| true))
    }

    fn around(&self, path: &Path) -> impl Iterator<Item = &Root> {
        self.roots.iter().filter(move |root| path.starts_with(&root.path))
    }
}

impl Root {
    fn walk<F>(&self, goes_on: F) -> impl Iterator<Item = DirEntry> + use<F>
    where
        F: Fn(&Path) -> bool + Send + Sync + 'static,
    {
        let excluded = self.excluded.clone();
        let root = self.path.clone();
        WalkBuilder::new(&self.path)
            .follow_links(false)
            .ignore(false)
            .require_git(false)
            .add_custom_ignore_filename(IGNORE_FILE)
            .filter_entry(move |entry| {
                let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
                entry.path() == root
                    || (goes_on(entry.path())
                        && !excluded.matched(entry.path(), is_folder).is_ignore())
            })
            .build()
            // What cannot be listed cannot be read.
            .filter_map(Result::ok)
    }
}

/// Whether an entry is a file itself: no folder, link, pipe or device.
pub(super) fn is_file(entry: &DirEntry) -> bool {
    entry.file_type().is_some_and(|kind| kind.is_file())
}

pub(super) fn is_folder(entry: &DirEntry) -> bool {
    entry.file_type().is_some_and(|kind| kind.is_dir())
}

fn globs(root: &Path, exclude: &[String]) -> Gitignore {
    let mut builder = GitignoreBuilder::new(root);
    for glob in exclude {
        // A list of what to leave out has no way back in.
        let glob = glob.trim_start_matches('!');
        if let Err(error) = builder.add_line(None, glob) {
            tracing::warn!(%error, "a glob of 'privacy.exclude' that cannot be understood");
        }
    }
    builder.build().unwrap_or_else(|error| {
        tracing::warn!(%error, "the globs of 'privacy.exclude' cannot be used");
        Gitignore::empty()
    })
}
