//! A user's crate, and a checker beside it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
    time::{Duration, SystemTime},
};

use hearth::{
    check::{Answer, Checker, Keeps, Limits, Proposal, Report, Rights, Rung, Step, Trust, Verdict},
    config::{RunTests, Settings, Toolchains},
};
use tempfile::TempDir;

/// Path, bytes, time and mode of everything in a tree.
type Picture = Vec<(PathBuf, Vec<u8>, SystemTime, u32)>;

pub(crate) struct House {
    pub(crate) root: PathBuf,
    pub(crate) cache: PathBuf,
    pub(crate) checker: Checker,
    limits: Limits,
    before: Picture,
    _folder: TempDir,
}

pub(crate) fn limits() -> Limits {
    Limits { run: Duration::from_secs(20), ..Limits::default() }
}

pub(crate) const MANIFEST: &str =
    "[package]\nname = \"fixture\"\nversion = \"0.1.0\"\nedition = \"2021\"\n";

impl House {
    /// A crate of these sources; a manifest is added.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        Self::with(&[&[("Cargo.toml", MANIFEST)], files].concat(), limits())
    }

    pub(crate) fn with(files: &[(&str, &str)], limits: Limits) -> Self {
        Self::by(files, limits, Toolchains::of_environment())
    }

    /// A tree of these files, of some time ago.
    pub(crate) fn by(files: &[(&str, &str)], limits: Limits, toolchains: Toolchains) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let base = fs::canonicalize(folder.path()).expect("a path");
        let (root, cache) = (base.join("home/user/project"), base.join("cache"));
        let old = SystemTime::now() - Duration::from_hours(1);
        for (name, text) in files {
            let path = root.join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(&path, text).expect("a file");
            let file = fs::File::options().write(true).open(&path).expect("a file");
            file.set_modified(old).expect("a time");
        }
        let checker = Checker::new(cache.clone(), toolchains, limits.clone());
        let before = picture(&base.join("home"));
        Self { root, cache, checker, limits, before, _folder: folder }
    }

    /// A proposal to replace the first `old` in a file by `new`.
    pub(crate) fn proposal(&self, file: &str, old: &str, new: &str) -> Proposal {
        let path = self.root.join(file);
        let text = fs::read_to_string(&path).expect("a file");
        let start = text.find(old).expect("what is replaced");
        Proposal {
            root: self.root.clone(),
            file: path,
            range: start..start + old.len(),
            text,
            replacement: new.to_owned(),
            imports: Vec::new(),
            buffers: Vec::new(),
            keeps: Keeps::Signature,
        }
    }

    pub(crate) async fn climb(&self, proposal: &Proposal) -> Report {
        let steps = Mutex::new(Vec::new());
        let note = |step| steps.lock().expect("no panic").push(step);
        let report = self.checker.climb(proposal, all_rights(), &note).await;
        let told = steps.into_inner().expect("no panic");
        for (step, rung) in told.into_iter().zip(Rung::ALL) {
            assert_eq!(step, Step::Rung(rung));
        }
        self.untouched();
        report
    }

    /// With more in the tree than text.
    pub(crate) fn and(self, more: impl FnOnce(&Path)) -> Self {
        more(&self.root);
        let before = picture(self.root.ancestors().nth(2).expect("a home"));
        Self { before, ..self }
    }

    /// As after the server has ended and started again.
    pub(crate) fn restart(&mut self) {
        let toolchains = Toolchains::of_environment();
        self.checker = Checker::new(self.cache.clone(), toolchains, self.limits.clone());
    }

    /// The one folder with a copy in it.
    pub(crate) fn slot(&self) -> PathBuf {
        let slots = fs::read_dir(self.cache.join("check")).expect("a folder");
        slots.flatten().next().expect("a copy").path()
    }

    /// Waits until no process lives that was started for a check.
    pub(crate) async fn nothing_runs(&self) {
        while living(&self.cache) {
            tokio::task::yield_now().await;
        }
    }

    /// The user's tree is as it was.
    pub(crate) fn untouched(&self) {
        let home = self.root.ancestors().nth(2).expect("a home");
        assert!(picture(home) == self.before, "the user's tree has changed");
    }
}

pub(crate) fn all_rights() -> Rights {
    rights(true, RunTests::Always)
}

pub(crate) fn rights(compile: bool, run: RunTests) -> Rights {
    let settings = Settings { check_compile: compile, check_run_tests: run, ..Settings::default() };
    Rights::of(Trust::Trusted, &settings, Answer::NotAsked)
}

/// Whether a process lives that was started with a path below this folder: a compiler, a harness, a
/// sandbox around them.
fn living(folder: &Path) -> bool {
    let Ok(processes) = fs::read_dir("/proc") else { return false };
    let folder = folder.as_os_str().as_encoded_bytes();
    processes.flatten().any(|process| {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        line.windows(folder.len()).any(|part| part == folder)
    })
}

fn picture(folder: &Path) -> Picture {
    let mut seen = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let found = fs::symlink_metadata(&path).expect("an entry");
        #[cfg(unix)]
        let mode = std::os::unix::fs::PermissionsExt::mode(&found.permissions());
        #[cfg(not(unix))]
        let mode = u32::from(found.permissions().readonly());
        let time = found.modified().expect("a time");
        if found.is_dir() {
            seen.push((path.clone(), Vec::new(), time, mode));
            seen.extend(picture(&path));
        } else {
            let bytes = fs::read(&path).unwrap_or_default();
            seen.push((path, bytes, time, mode));
        }
    }
    seen.sort();
    seen
}

/// The label of a report, whatever this system can keep from what runs.
pub(crate) fn label(report: &Report) -> String {
    Report { isolation: None, ..report.clone() }.to_string()
}

/// What a tool said without what differs from run to run: the numbers of threads.
pub(crate) fn masked(said: &str) -> String {
    let line = |line: &str| match line.split_once("' (").zip(line.split_once(") panicked")) {
        Some(((thread, _), (_, place))) => [thread, "' panicked", place].concat(),
        None => line.to_owned(),
    };
    said.split_inclusive('\n').map(line).collect()
}

/// What failed, on one line a rung.
pub(crate) fn shown(report: &Report) -> String {
    let line = |(rung, verdict): (Rung, &Verdict)| match verdict {
        Verdict::Held => format!("{}\n", rung.label()),
        Verdict::Failed(failure) => format!("not {}: {}\n", rung.label(), masked(&failure.message)),
        Verdict::Skipped(skip) => format!("{}? {skip}\n", rung.label()),
    };
    report.outcomes.iter().map(|outcome| line((outcome.rung, &outcome.verdict))).collect()
}
