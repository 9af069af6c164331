//! Changed files where the editor does not tell of them: the operating system does.
//!
//! Watches the folders that may be read, one by one: what is excluded, such as a folder of build
//! outputs, is often most of a tree and changes all the time.

use std::{collections::HashSet, path::PathBuf, sync::Weak};

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
                Ok(event) => shared.changed(event.paths.iter().map(PathBuf::as_path)),
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
        let mut failed = None;
        for new in folders.difference(&self.folders) {
            match self.watcher.watch(new, RecursiveMode::NonRecursive) {
                Ok(()) => any_new = true,
                Err(error) => failed = Some(error),
            }
        }
        if let Some(error) = failed {
            tracing::warn!(%error, "changes in some folders will not be noticed");
        }
        self.folders = folders;
        any_new
    }
}
