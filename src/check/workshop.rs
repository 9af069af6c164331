//! Where commands are run on a copy of a workspace: an overlay, a sandbox and the limits of both.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{
    Limits, Skip,
    manifest::{Crates, toolchain_override},
    overlay::{Layout, Overlay, OverlayError},
    process::{Job, Ran},
    sandbox::{Bounds, Sandbox},
};

/// Bytes that one file may have that a command writes; no artefact of a build is larger.
const LARGEST_FILE: u64 = 4 << 30;

/// A workspace's copy, and what is known of it.
#[derive(Debug)]
pub(super) struct Workshop {
    overlay: Arc<Mutex<Overlay>>,
    layout: Layout,
    sandbox: Sandbox,
    limits: Limits,
    /// The workspace's own folder; messages name paths from here.
    root: PathBuf,
    /// What is copied.
    roots: Vec<PathBuf>,
    files: Vec<PathBuf>,
    /// The toolchain that the user has set for the workspace's folder.
    toolchain: Option<String>,
}

/// What a build may write beyond the output of a run: its messages quote each warning's source.
const BUILD_OUTPUT: usize = 8;

/// The texts of files that differ from the disk, by their absolute paths.
pub(super) type Texts = BTreeMap<PathBuf, String>;

/// What a command is started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Build,
    /// Tests of this workspace; they get less memory and less time.
    Run,
}

impl Workshop {
    /// Opens the copy for `root`. Nothing is copied yet.
    pub(super) async fn open(
        cache: &Path,
        root: PathBuf,
        sandbox: Sandbox,
        limits: Limits,
    ) -> Result<Self, Skip> {
        let (cache, at, kept) = (cache.to_path_buf(), root.clone(), limits.kept);
        let open = tokio::task::spawn_blocking(move || Overlay::open(&cache, &at, kept));
        let overlay = open
            .await
            .map_err(std::io::Error::other)
            .flatten()
            .map_err(|error| Skip::ToolFailed(format!("cannot copy the workspace: {error}")))?;
        let layout = overlay.layout();
        let (overlay, roots) = (Arc::new(Mutex::new(overlay)), vec![root.clone()]);
        Ok(Self {
            overlay,
            layout,
            sandbox,
            limits,
            root,
            roots,
            files: Vec::new(),
            toolchain: None,
        })
    }

    pub(super) const fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    pub(super) const fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn target(&self) -> PathBuf {
        self.layout.target()
    }

    pub(super) fn mirrored(&self, path: &Path) -> PathBuf {
        self.layout.mirrored(path)
    }

    /// Where a file is in the copy, since the last [`Self::sync`].
    pub(super) fn copies(&self, file: &Path) -> Vec<PathBuf> {
        self.overlay.lock().unwrap_or_else(PoisonError::into_inner).copies(file)
    }

    /// From now on what this survey names is copied.
    pub(super) fn take(&mut self, crates: &Crates) {
        self.roots.clone_from(&crates.roots);
        let cargo = self.sandbox.toolchains().folder("CARGO_HOME");
        let own = |file: &Path| cargo.is_some_and(|home| file.starts_with(home));
        self.files = crates.files.iter().filter(|file| !own(file)).cloned().collect();
        let folder = |name| self.sandbox.toolchains().folder(name);
        self.toolchain =
            folder("RUSTUP_HOME").and_then(|home| toolchain_override(&crates.package.folder, home));
    }

    /// Brings the copy in step with the disk and `texts`. Once begun it is not cancelled: the next
    /// one waits for it, and finds the copy whole.
    pub(super) async fn sync(&self, texts: &Texts) -> Result<(), Skip> {
        let (overlay, texts) = (Arc::clone(&self.overlay), texts.clone());
        let (roots, files, most) = (self.roots.clone(), self.files.clone(), self.limits.copied);
        let sync = tokio::task::spawn_blocking(move || {
            let mut overlay = overlay.lock().unwrap_or_else(PoisonError::into_inner);
            overlay.sync(&roots, &files, &texts, most)
        });
        let synced = sync.await.map_err(|error| Skip::ToolFailed(error.to_string()))?;
        synced.map_err(|error| match error {
            OverlayError::TooLarge => Skip::TooLarge,
            OverlayError::Io(_) => Skip::ToolFailed(self.relative(&error.to_string())),
        })
    }

    /// Runs a program in the copy of `folder`.
    pub(super) async fn run(
        &self,
        program: &Path,
        arguments: Vec<OsString>,
        folder: &Path,
        purpose: Purpose,
        time: Duration,
    ) -> Result<Ran, Skip> {
        let work = self.layout.work();
        let mut environment = self.sandbox.environment(&work);
        environment.push(("CARGO_TARGET_DIR".into(), self.target().into()));
        let chosen = environment.iter().any(|(name, _)| name == "RUSTUP_TOOLCHAIN");
        let toolchain = self.toolchain.iter().filter(|_| !chosen);
        environment.extend(toolchain.map(|name| ("RUSTUP_TOOLCHAIN".into(), name.into())));
        let output = match purpose {
            Purpose::Build => self.limits.output.saturating_mul(BUILD_OUTPUT),
            Purpose::Run => self.limits.output,
        };
        let job = Job {
            program: program.to_path_buf(),
            arguments,
            folder: self.mirrored(folder),
            environment,
            input: None,
            time,
            output,
        };
        let bounds = Bounds {
            folder: &work,
            // Path dependencies may be named by their absolute paths.
            readable: self.roots.get(1..).unwrap_or_default(),
            memory: (purpose == Purpose::Run).then_some(self.limits.memory),
            file: LARGEST_FILE,
        };
        self.sandbox.confine(job, bounds).run().await.map_err(|error| {
            Skip::ToolFailed(format!("cannot start {}: {error}", program.display()))
        })
    }

    /// A tool's words with the paths as the user knows them: from the workspace's folder.
    pub(super) fn relative(&self, text: &str) -> String {
        let copy = self.layout.mirrored(&self.root);
        let below = |path: &Path| format!("{}{}", path.display(), std::path::MAIN_SEPARATOR);
        text.replace(&below(&copy), "")
            .replace(&*self.layout.tree().to_string_lossy(), "")
            .replace(&below(&self.root), "")
    }
}
