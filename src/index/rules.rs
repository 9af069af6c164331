//! `.gitignore` and `.hearthignore`, read as git reads them: the file nearest to a path counts first.
//!
//! Each of the two is a chain of its own: a `!` in one takes back nothing that the other excludes.
//! Answers about one path and not about the folders around it. What it has read it keeps: after such
//! a file has changed, make new ones.

use std::{
    collections::HashMap,
    fmt, fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use ignore::gitignore::{Gitignore, GitignoreBuilder, gitconfig_excludes_path};

/// Git's file of globs, in any folder.
const GIT: &str = ".gitignore";

/// Hearth's own, in any folder, in the same notation.
const HEARTH: &str = ".hearthignore";

/// The ignore files of every folder that somebody asked about.
pub(super) struct Rules {
    folders: Mutex<HashMap<PathBuf, Arc<Folder>>>,
    /// The workspace's folders: what is no repository has rules all the same.
    roots: Vec<PathBuf>,
    /// The user's own file for all repositories.
    global: Option<PathBuf>,
}

struct Folder {
    git: Gitignore,
    hearth: Gitignore,
    /// Of the repository that starts here: its `info/exclude`. Git looks no further up.
    repository: Option<Gitignore>,
    /// The user's own globs as they hold from here, where a repository or the workspace starts.
    global: Option<Gitignore>,
    parent: Option<Arc<Folder>>,
}

impl Rules {
    pub(super) fn new(roots: Vec<PathBuf>) -> Self {
        Self { folders: Mutex::default(), roots, global: gitconfig_excludes_path() }
    }

    /// Whether a file of this name is one of ours.
    pub(super) fn are_in(path: &Path) -> bool {
        path.file_name().is_some_and(|name| name == GIT || name == HEARTH)
    }

    /// Whether an ignore file excludes this very path.
    pub(super) fn exclude(&self, path: &Path, is_folder: bool) -> bool {
        let Some(folder) = path.parent().map(|parent| self.folder(parent)) else { return false };
        git_excludes(&folder, path, is_folder) || hearth_excludes(&folder, path, is_folder)
    }

    fn folder(&self, path: &Path) -> Arc<Folder> {
        let known = self.folders.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned();
        known.unwrap_or_else(|| {
            let exclude = exclude_file(path);
            let starts = exclude.is_some() || self.roots.iter().any(|root| root == path);
            let folder = Arc::new(Folder {
                git: read(path, &path.join(GIT)),
                hearth: read(path, &path.join(HEARTH)),
                repository: exclude.map(|file| read(path, &file)),
                global: self.global.as_ref().filter(|_| starts).map(|file| read(path, file)),
                parent: path.parent().map(|parent| self.folder(parent)),
            });
            let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
            folders.insert(path.to_owned(), Arc::clone(&folder));
            folder
        })
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").finish_non_exhaustive()
    }
}

impl Folder {
    fn upwards(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |folder| folder.parent.as_deref())
    }
}

fn git_excludes(folder: &Folder, path: &Path, is_folder: bool) -> bool {
    let mut global = None;
    for folder in folder.upwards() {
        global = folder.global.as_ref().or(global);
        let own = folder.git.matched(path, is_folder);
        if !own.is_none() {
            return own.is_ignore();
        }
        if let Some(repository) = &folder.repository {
            let of_repository = repository.matched(path, is_folder);
            if !of_repository.is_none() {
                return of_repository.is_ignore();
            }
            break;
        }
    }
    global.is_some_and(|global| global.matched(path, is_folder).is_ignore())
}

fn hearth_excludes(folder: &Folder, path: &Path, is_folder: bool) -> bool {
    let mut said = folder.upwards().map(|folder| folder.hearth.matched(path, is_folder));
    said.find(|said| !said.is_none()).is_some_and(|said| said.is_ignore())
}

/// The globs in `file`, from `folder`. No file is no globs, a line that is none is left out.
fn read(folder: &Path, file: &Path) -> Gitignore {
    if !file.is_file() {
        return Gitignore::empty();
    }
    let mut builder = GitignoreBuilder::new(folder);
    if let Some(error) = builder.add(file) {
        tracing::warn!(%error, "an ignore file that is not understood whole");
    }
    builder.build().unwrap_or_else(|error| {
        tracing::warn!(%error, "an ignore file that cannot be used");
        Gitignore::empty()
    })
}

/// Where the repository that starts in `folder` keeps its own globs; `None` where none starts.
fn exclude_file(folder: &Path) -> Option<PathBuf> {
    let git = folder.join(".git");
    let kind = fs::metadata(&git).ok()?;
    let common = if kind.is_dir() {
        git
    } else {
        // A worktree or a submodule names its folder, and a worktree's names the one it shares.
        let text = fs::read_to_string(&git).ok()?;
        let own = folder.join(text.strip_prefix("gitdir:")?.trim());
        match fs::read_to_string(own.join("commondir")) {
            Ok(common) => own.join(common.trim()),
            Err(_) => own,
        }
    };
    Some(common.join("info").join("exclude"))
}
