//! What the user decided: which folders are trusted, and what may go where from which workspace.
//!
//! Kept in one file in the XDG state folder, readable by the user alone, never in a repository. A
//! file that cannot be read trusts nothing and allows nothing.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::config::private_file;

/// The user's answer to "may this leave?". Whoever hands one in has asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Consent {
    /// This request alone.
    Once,
    /// From this workspace to this host, until it is taken back.
    Workspace,
    /// From this workspace to this host: no, and don't ask again.
    Never,
}

/// Whether there is anything to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The user allowed this host for this workspace: seal with [`Consent::Workspace`].
    Allowed,
    /// Ask, with the manifest.
    Ask,
}

/// The file.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    /// By canonical folder. The nearest folder above a workspace decides.
    #[serde(default)]
    trust: BTreeMap<PathBuf, bool>,
    /// By canonical workspace, then by host (scheme, name, port).
    #[serde(default)]
    consent: BTreeMap<PathBuf, BTreeMap<String, Kept>>,
}

/// An answer that outlives its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kept {
    Allowed,
    Never,
}

/// The user's decisions on disk.
#[derive(Debug, Clone)]
pub struct Decisions {
    folder: PathBuf,
}

impl Decisions {
    /// Kept below `state` ([`state_folder`](crate::config::state_folder)).
    pub fn new(state: &Path) -> Self {
        Self { folder: state.to_owned() }
    }

    /// Does what waits for a lock and for the disk on a thread that may.
    pub async fn aside<T: Send + 'static>(
        &self,
        folder: &Path,
        work: impl FnOnce(&Self, &Path) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (decisions, folder) = (self.clone(), folder.to_owned());
        let working = tokio::task::spawn_blocking(move || work(&decisions, &folder));
        working.await.map_err(io::Error::other)?
    }

    /// Trusts a folder and all below it, or takes that back. Answers with the canonical folder.
    pub fn trust(&self, folder: &Path, trusted: bool) -> io::Result<PathBuf> {
        let folder = fs::canonicalize(folder)?;
        self.change(|stored| stored.trust.insert(folder.clone(), trusted))?;
        Ok(folder)
    }

    /// What the nearest decision at or above `folder` says; `None` where there is none.
    pub fn trusted(&self, folder: &Path) -> io::Result<Option<bool>> {
        let folder = fs::canonicalize(folder)?;
        let stored = self.read()?;
        Ok(folder.ancestors().find_map(|above| stored.trust.get(above)).copied())
    }

    /// Every folder that was decided on, and whether it is trusted.
    pub fn folders(&self) -> io::Result<BTreeMap<PathBuf, bool>> {
        Ok(self.read()?.trust)
    }

    /// What was decided for this workspace and host; `None` where the user has to be asked.
    pub fn standing(&self, workspace: &Path, host: &str) -> io::Result<Option<Consent>> {
        let workspace = fs::canonicalize(workspace)?;
        let kept = self.read()?.consent.get(&workspace).and_then(|hosts| hosts.get(host)).copied();
        Ok(kept.map(|kept| match kept {
            Kept::Allowed => Consent::Workspace,
            Kept::Never => Consent::Never,
        }))
    }

    /// Keeps an answer. [`Consent::Once`] is not kept, and takes nothing back.
    pub fn keep(&self, workspace: &Path, host: &str, consent: Consent) -> io::Result<()> {
        let kept = match consent {
            Consent::Once => return Ok(()),
            Consent::Workspace => Kept::Allowed,
            Consent::Never => Kept::Never,
        };
        let workspace = fs::canonicalize(workspace)?;
        self.change(|stored| {
            stored.consent.entry(workspace.clone()).or_default().insert(host.to_owned(), kept)
        })
        .map(drop)
    }

    /// Takes all answers for a workspace back: the next request asks.
    pub fn forget(&self, workspace: &Path) -> io::Result<()> {
        let workspace = fs::canonicalize(workspace)?;
        self.change(|stored| stored.consent.remove(&workspace)).map(drop)
    }

    fn file(&self) -> PathBuf {
        self.folder.join("decisions.json")
    }

    fn read(&self) -> io::Result<Stored> {
        match fs::read(self.file()) {
            Ok(text) => serde_json::from_slice(&text).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Stored::default()),
            Err(error) => Err(error),
        }
    }

    /// Reads, changes and writes under a lock, so that two processes lose nothing.
    fn change<T>(&self, change: impl FnOnce(&mut Stored) -> T) -> io::Result<T> {
        private_file::folder(&self.folder)?;
        let lock = private_file::open(&self.folder.join("decisions.lock"))?;
        lock.lock()?;
        let mut stored = self.read()?;
        let before = serde_json::to_vec_pretty(&stored).map_err(io::Error::other)?;
        let changed = change(&mut stored);
        let after = serde_json::to_vec_pretty(&stored).map_err(io::Error::other)?;
        if before != after {
            private_file::replace(&self.file(), &after)?;
        }
        Ok(changed)
    }
}
