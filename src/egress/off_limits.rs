//! The files that no model is ever shown anything of, wherever it runs: the user's `privacy.exclude`.
//!
//! One reading of that list for all who ask: what may enter the index, what may be completed, what
//! may leave. A file counts under the name it was given and under the one it leads to; where that
//! cannot be found out it is off limits, and so is everything while the list cannot be read.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::Refusal;

/// The setting that this is.
pub(super) const SETTING: &str = "privacy.exclude";

/// The list, as it reads from each folder of a workspace.
#[derive(Debug, Clone)]
pub struct OffLimits {
    /// Each under the name it was given and under the one it leads to.
    folders: Vec<(PathBuf, Gitignore)>,
    /// For a file that is in none of them.
    anywhere: Gitignore,
}

impl OffLimits {
    /// `patterns` in the notation of `.gitignore`, without regard to case. A `!` takes nothing back.
    pub fn new(folders: &[PathBuf], patterns: &[String]) -> Result<Self, Refusal> {
        let mut names: Vec<PathBuf> = folders.to_vec();
        names.extend(folders.iter().filter_map(|folder| fs::canonicalize(folder).ok()));
        names.sort();
        names.dedup();
        let read = |folder: PathBuf| Ok((folder.clone(), globs(&folder, SETTING, patterns)?));
        Ok(Self {
            folders: names.into_iter().map(read).collect::<Result<_, Refusal>>()?,
            anywhere: globs(Path::new(""), SETTING, patterns)?,
        })
    }

    /// Why nothing of the file at `path` is shown, as a sentence, if that is so. Asks the file system,
    /// if there is any pattern.
    pub fn hide(&self, path: &Path) -> Option<String> {
        let hidden = !self.anywhere.is_empty()
            && match resolve(path) {
                Ok(resolved) => self.list(path, false) || self.list(&resolved, false),
                Err(_) => true,
            };
        hidden.then(|| {
            let below =
                self.folders.iter().filter_map(|(folder, _)| path.strip_prefix(folder).ok());
            let shown = below.min_by_key(|below| below.as_os_str().len()).unwrap_or(path);
            format!("{} is excluded ({SETTING})", shown.display())
        })
    }

    /// Whether the list names `path` or a folder around it. Asks nobody.
    pub fn list(&self, path: &Path, is_folder: bool) -> bool {
        if self.anywhere.is_empty() {
            return false;
        }
        let mut around = self
            .folders
            .iter()
            .filter_map(|(folder, globs)| Some((path.strip_prefix(folder).ok()?, globs)))
            .peekable();
        if around.peek().is_some() {
            return around.any(|(relative, globs)| named(globs, relative, is_folder));
        }
        named(&self.anywhere, path, is_folder)
    }
}

/// Whether `globs` name a path below their folder, or a folder on the way to it.
pub(super) fn named(globs: &Gitignore, relative: &Path, is_folder: bool) -> bool {
    let parts = relative.components().filter(|part| matches!(part, Component::Normal(_)));
    let below: PathBuf = parts.collect();
    globs.matched_path_or_any_parents(below, is_folder).is_ignore()
}

/// Patterns of a setting, as they read from `folder`.
pub(super) fn globs(
    folder: &Path,
    setting: &'static str,
    patterns: &[String],
) -> Result<Gitignore, Refusal> {
    let unread = |error: ignore::Error| Refusal::Pattern { setting, detail: error.to_string() };
    let mut globs = GitignoreBuilder::new(folder);
    globs.case_insensitive(true).map_err(unread)?;
    for pattern in patterns {
        // A list of what stays has no way back out.
        globs.add_line(None, pattern.trim_start_matches('!')).map_err(unread)?;
    }
    globs.build().map_err(unread)
}

/// Where a path leads. A file that is not on disk (yet, or any more) is looked up by its folder; a
/// link that leads nowhere is an error.
pub(super) fn resolve(path: &Path) -> std::io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error)
            if error.kind() == std::io::ErrorKind::NotFound
                && fs::symlink_metadata(path).is_err() =>
        {
            let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
                return Err(error);
            };
            Ok(resolve(folder)?.join(name))
        }
        resolved => resolved,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether each path below a workspace of two folders, one in the other, is off limits.
    fn check(patterns: &[&str], hidden: &[&str], shown: &[&str]) {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("work");
        fs::create_dir_all(root.join("sub/secret")).expect("folders");
        fs::write(root.join("sub/secret/a.rs"), "").expect("a file");
        fs::write(root.join("open.rs"), "").expect("a file");
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(root.join("sub/secret/a.rs"), root.join("link.rs")).unwrap();
            std::os::unix::fs::symlink(root.join("gone.rs"), root.join("nowhere.rs")).unwrap();
            std::os::unix::fs::symlink(&root, folder.path().join("same")).unwrap();
        }
        let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        let folders = [root.clone(), root.join("sub")];
        let limits = OffLimits::new(&folders, &patterns).expect("patterns");
        for (names, expected) in [(hidden, true), (shown, false)] {
            for name in names {
                let hides = limits.hide(&root.join(name)).is_some();
                assert_eq!(hides, expected, "{name} with {patterns:?}");
            }
        }
    }

    #[test]
    fn a_file_is_off_limits_under_every_name_that_it_has() {
        check(&[], &[], &["sub/secret/a.rs", "open.rs", "../elsewhere.rs"]);
        check(
            &["secret/"],
            &["sub/secret/a.rs", "sub/secret/new.rs", "sub/../sub/secret/a.rs", "sub/SECRET/b.rs"],
            &["open.rs", "new.rs"],
        );
        check(&["/sub/secret/a.rs"], &["sub/secret/a.rs"], &["sub/secret/b.rs", "open.rs"]);
        check(&["/secret"], &["sub/secret/a.rs"], &["open.rs"]);
        check(&["secret/", "!a.rs"], &["sub/secret/a.rs", "a.rs"], &["open.rs"]);
        check(&["*.KEY"], &["x.key", "../elsewhere/x.key"], &["key.rs"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_hides_nothing() {
        check(&["secret/"], &["link.rs", "nowhere.rs", "../same/sub/secret/a.rs"], &["open.rs"]);
        check(&["/link.rs"], &["link.rs"], &["sub/secret/a.rs"]);
    }

    #[test]
    fn a_list_that_cannot_be_read_is_no_list() {
        let patterns = ["a{b".to_owned()];
        let error = OffLimits::new(&[], &patterns).expect_err("no glob");
        assert!(matches!(error, Refusal::Pattern { setting: SETTING, .. }), "{error}");
    }
}
