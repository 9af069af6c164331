//! Changed files where the editor does not tell of them: the operating system does.
//!
//! Watches the folders that may be read, one by one: what is excluded, such as a folder of build
//! outputs, is often most of a tree and changes all the time.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Weak,
};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::work::Shared;

/// Watches folders for an index.
#[derive(Debug)]
pub(super) struct Watch {
    watcher: RecommendedWatcher,
    folders: HashSet<PathBuf>,
}

impl Watch {
    pub(super) fn new(shared: Weak<Shared>) -> notify::Result<Self> {
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Some(shared) = shared.upgrade() else { return };
            match event {
                // Events were lost.
                Ok(event) if event.need_rescan() => shared.scan(),
                Ok(event) if matches!(event.kind, EventKind::Access(_)) => {}
                Ok(event) => event.paths.iter().for_each(|path| shared.changed(path)),
                Err(error) => tracing::warn!(%error, "watching files"),
            }
        })?;
        Ok(Self { watcher, folders: HashSet::new() })
    }

    /// Watches these folders and no others. `true` when some of them are new: what happened there
    /// before may have gone unnoticed.
    pub(super) fn set(&mut self, folders: HashSet<PathBuf>) -> bool {
        for gone in self.folders.difference(&folders) {
            // It may have been deleted, which ends the watch as well.
            let _ = self.watcher.unwatch(gone);
        }
        let mut any_new = false;
        for new in folders.difference(&self.folders) {
            Self::add(&mut self.watcher, new);
            any_new = true;
        }
        self.folders = folders;
        any_new
    }

    fn add(watcher: &mut RecommendedWatcher, folder: &Path) {
        if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
            tracing::warn!(%error, "a folder that cannot be watched");
        }
    }
}
