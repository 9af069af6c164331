//! The module that a file is, by its path and by its language's rules.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use crate::syntax::Language;

/// Names of Cargo packages by their folders, read once.
#[derive(Debug, Default)]
pub(super) struct Packages(Mutex<HashMap<PathBuf, Option<Arc<str>>>>);

impl Packages {
    /// The module that the file at `path`, below `root`, is: `hearth::index::modules`,
    /// `package.module`, `src.app`.
    pub(super) fn module(&self, root: &Path, path: &Path, language: &Language) -> String {
        if language.id == "rust" { self.rust(root, path) } else { dotted(root, path, language) }
    }

    /// Forgets what is known of the folder of a manifest.
    pub(super) fn forget(&self, manifest: &Path) {
        if let Some(folder) = manifest.parent() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(folder);
        }
    }

    fn rust(&self, root: &Path, path: &Path) -> String {
        let mut folder = path.parent();
        let (mut name, mut below) = (None, None);
        while let Some(here) = folder.filter(|here| here.starts_with(root)) {
            if let Some(found) = self.package(here) {
                name = Some(found);
                below = path.strip_prefix(here).ok();
                break;
            }
            folder = here.parent();
        }
        let below = below.or_else(|| path.strip_prefix(root).ok()).unwrap_or(path);
        of_rust(name.as_deref(), below)
    }

    fn package(&self, folder: &Path) -> Option<Arc<str>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .entry(folder.to_owned())
            .or_insert_with(|| {
                let text = fs::read_to_string(folder.join("Cargo.toml")).ok()?;
                let manifest: toml::Table = text.parse().ok()?;
                Some(manifest.get("package")?.get("name")?.as_str()?.into())
            })
            .clone()
    }
}

/// The module of a Rust file at a path below the folder of its package.
pub(super) fn of_rust(package: Option<&str>, below: &Path) -> String {
    let below = below.strip_prefix("src").unwrap_or(below).with_extension("");
    let mut parts: Vec<String> = Vec::new();
    parts.extend(package.map(|name| name.replace('-', "_")));
    parts.extend(below.components().map(|part| part.as_os_str().to_string_lossy().into_owned()));
    if parts.last().is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main")) {
        parts.pop();
    }
    parts.join("::")
}

fn dotted(root: &Path, path: &Path, language: &Language) -> String {
    let below = path.strip_prefix(root).unwrap_or(path).with_extension("");
    let mut parts: Vec<_> =
        below.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    let stands_for_its_folder = match language.id {
        "python" => parts.last().is_some_and(|last| last == "__init__"),
        // A package is a folder.
        "go" => true,
        _ => parts.last().is_some_and(|last| last == "index"),
    };
    if stands_for_its_folder {
        parts.pop();
    }
    parts.join(".")
}
