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

pub struct House {
    pub root: PathBuf,
    pub cache: PathBuf,
    pub checker: Checker,
    before: Picture,
    _folder: TempDir,
}

pub fn limits() -> Limits {
    Limits { run: Duration::from_secs(20), ..Limits::default() }
}

pub const MANIFEST: &str =
    "[package]\nname = \"fixture\"\nversion = \"0.1.0\"\nedition = \"2021\"\n";

impl House {
    /// A crate of these sources; a manifest is added.
    pub fn new(files: &[(&str, &str)]) -> Self {
        Self::with(&[&[("Cargo.toml", MANIFEST)], files].concat(), limits())
    }

    /// A tree of these files, of some time ago.
    pub fn with(files: &[(&str, &str)], limits: Limits) -> Self {
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
        let checker = Checker::new(cache.clone(), Toolchains::of_environment(), limits);
        let before = picture(&base.join("home"));
        Self { root, cache, checker, before, _folder: folder }
    }

    /// A proposal to replace the first `old` in a file by `new`.
    pub fn proposal(&self, file: &str, old: &str, new: &str) -> Proposal {
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

    pub async fn climb(&self, proposal: &Proposal) -> Report {
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

    /// The user's tree is as it was.
    pub fn untouched(&self) {
        let home = self.root.ancestors().nth(2).expect("a home");
        assert!(picture(home) == self.before, "the user's tree has changed");
    }
}

pub fn all_rights() -> Rights {
    rights(true, RunTests::Always)
}

pub fn rights(compile: bool, run: RunTests) -> Rights {
    let settings = Settings { check_compile: compile, check_run_tests: run, ..Settings::default() };
    Rights::of(Trust::Trusted, &settings, Answer::NotAsked)
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

/// What failed, on one line a rung.
pub fn shown(report: &Report) -> String {
    let line = |(rung, verdict): (Rung, &Verdict)| match verdict {
        Verdict::Held => format!("{}\n", rung.label()),
        Verdict::Failed(failure) => format!("not {}: {}\n", rung.label(), failure.message),
        Verdict::Skipped(skip) => format!("{}? {skip}\n", rung.label()),
    };
    report.outcomes.iter().map(|outcome| line((outcome.rung, &outcome.verdict))).collect()
}
