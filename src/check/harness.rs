//! Rust's tests: which target a file's tests are in, which of them belong to its module, and how
//! they end.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use super::{
    Failure, Skip,
    cargo::{Build, Built, first_error},
    manifest,
    process::{End, Ran},
    workshop::{Purpose, Texts, Workshop},
};

/// The tests of one target.
#[derive(Debug)]
pub(super) struct Harness {
    cargo: PathBuf,
    package: manifest::Package,
    /// `--lib`, or `--bin NAME` and the like.
    target: Vec<OsString>,
    /// The file's module: `a::b`, empty for the target's root.
    module: String,
}

/// How a run of tests ended.
#[derive(Debug)]
pub(super) struct Tested {
    pub(super) end: End,
    pub(super) passed: usize,
    pub(super) failed: Vec<String>,
    /// The process ended in the midst of it: by a signal, a stack overflow, an exit.
    pub(super) aborted: bool,
    /// What failed tests said, paths as the user knows them.
    pub(super) said: String,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
    name: String,
    src_path: PathBuf,
}

impl Target {
    fn flags(&self) -> Option<Vec<OsString>> {
        let kind = |name: &str| self.kind.iter().any(|kind| kind == name);
        let named = ["bin", "test", "example", "bench"].into_iter().find(|name| kind(name));
        match named {
            Some(named) => Some(vec![format!("--{named}").into(), self.name.clone().into()]),
            None if kind("custom-build") => None,
            None => Some(vec!["--lib".into()]),
        }
    }

    /// The module that a file of this target is, if it can be one.
    fn module(&self, file: &Path) -> Option<String> {
        if file == self.src_path {
            return Some(String::new());
        }
        let below = file.strip_prefix(self.src_path.parent()?).ok()?.with_extension("");
        let mut names: Vec<String> =
            below.iter().map(|name| name.to_string_lossy().into_owned()).collect();
        names.pop_if(|last| last == "mod");
        Some(names.join("::"))
    }
}

impl Harness {
    /// The harnesses that may have this file's tests, the likeliest first: by where things are, a
    /// module may be the library's or a program's. The copy must be in step.
    pub(super) async fn candidates(
        workshop: &Workshop,
        cargo: &Path,
        package: &manifest::Package,
        file: &Path,
    ) -> Result<Vec<Self>, Skip> {
        let arguments = ["metadata", "--no-deps", "--format-version", "1"].map(OsString::from);
        let time = workshop.limits().compile;
        let folder = &package.folder;
        let ran = workshop.run(cargo, arguments.into(), folder, Purpose::Build, time).await?;
        let metadata: Metadata = serde_json::from_str(&ran.stdout)
            .map_err(|_| Skip::ToolFailed(first_error(&workshop.relative(&ran.stderr))))?;
        let manifest = workshop.mirrored(&folder.join("Cargo.toml"));
        let targets = metadata
            .packages
            .into_iter()
            .filter(|package| package.manifest_path == manifest)
            .flat_map(|package| package.targets);
        let file = workshop.mirrored(file);
        let mut found: Vec<(String, Vec<OsString>)> =
            targets.filter_map(|target| Some((target.module(&file)?, target.flags()?))).collect();
        // The target that starts closest to the file; of several the library.
        found.sort_by_key(|(module, flags)| {
            (module.split("::").filter(|name| !name.is_empty()).count(), flags.len())
        });
        let harness = |(module, target)| {
            let (cargo, package) = (cargo.to_path_buf(), package.clone());
            Self { cargo, package, target, module }
        };
        Ok(found.into_iter().map(harness).collect())
    }

    /// Builds the tests with `edited`, and where that fails with `unedited`.
    pub(super) async fn build(
        &self,
        workshop: &Workshop,
        edited: &Texts,
        unedited: &Texts,
    ) -> Built {
        self.as_build().compare(workshop, edited, unedited).await
    }

    /// Builds the tests with these texts; whether that worked.
    pub(super) async fn builds(&self, workshop: &Workshop, texts: &Texts) -> Result<bool, Skip> {
        workshop.sync(texts).await?;
        Ok(self.as_build().run(workshop).await?.end == End::Success)
    }

    fn as_build(&self) -> Build {
        Build {
            cargo: self.cargo.clone(),
            package: self.package.clone(),
            arguments: vec!["test", "--no-run", "--message-format=json"],
            more: self.target.clone(),
        }
    }

    async fn start(
        &self,
        workshop: &Workshop,
        arguments: &[String],
        time: Duration,
    ) -> Result<Ran, Skip> {
        let mut all: Vec<OsString> = vec!["test".into(), "--quiet".into()];
        all.extend(self.selection(workshop));
        all.push("--".into());
        all.extend(arguments.iter().map(OsString::from));
        workshop.run(&self.cargo, all, &self.package.folder, Purpose::Run, time).await
    }

    /// How Cargo is told of this target and no other.
    pub(super) fn selection(&self, workshop: &Workshop) -> Vec<OsString> {
        let package = self.package.specification(&workshop.mirrored(&self.package.folder));
        let package = package.into_iter().flat_map(|name| ["--package".into(), name.into()]);
        package.chain(self.target.iter().cloned()).collect()
    }

    pub(super) fn folder(&self) -> &Path {
        &self.package.folder
    }

    /// The names of all tests of the target. They must be built.
    pub(super) async fn list(&self, workshop: &Workshop) -> Result<Vec<String>, Skip> {
        let arguments = ["--list", "--format", "terse"].map(str::to_owned);
        let ran = self.start(workshop, &arguments, workshop.limits().run).await?;
        let test = |line: &str| line.strip_suffix(": test").map(str::to_owned);
        Ok(ran.stdout.lines().filter_map(test).collect())
    }

    /// Of these tests, those of the file's module: its own, and those of modules in it.
    pub(super) fn of_module(&self, tests: Vec<String>) -> Vec<String> {
        let prefix = format!("{}::", self.module);
        let own = |test: &String| match self.module.as_str() {
            // At a target's root everything is below; what is meant is the root and `tests` in it.
            "" => test.split("::").count() <= 2,
            _ => test.starts_with(&prefix),
        };
        tests.into_iter().filter(own).collect()
    }

    /// The one of these tests whose function has this name, in this module if there are several.
    pub(super) fn named(&self, tests: &[String], name: &str) -> Option<String> {
        let named = |test: &&String| test.rsplit("::").next() == Some(name);
        let own = self.of_module(tests.to_vec());
        own.iter().find(named).or_else(|| tests.iter().find(named)).cloned()
    }

    /// Runs tests by their full names.
    pub(super) async fn run(
        &self,
        workshop: &Workshop,
        tests: &[String],
        time: Duration,
    ) -> Result<Tested, Skip> {
        // A module of very many tests: all of the target rather than a command line too long.
        let exact = tests.len() <= 500;
        let mut arguments: Vec<String> = vec!["--format".to_owned(), "pretty".to_owned()];
        if exact {
            arguments.push("--exact".to_owned());
            arguments.extend(tests.iter().cloned());
        }
        let ran = self.start(workshop, &arguments, time).await?;
        let (mut passed, mut failed) = (0, Vec::new());
        for line in ran.stdout.lines() {
            // What a test prints may stand before its result.
            let Some((name, result)) =
                line.strip_prefix("test ").and_then(|line| line.split_once(" ... "))
            else {
                continue;
            };
            let name = name.trim_end_matches(" - should panic");
            if result.ends_with("ok") {
                passed += 1;
            } else if result.ends_with("FAILED") {
                failed.push(name.to_owned());
            }
        }
        let aborted = ran.end == End::Failure && failed.is_empty();
        if aborted {
            failed.extend(tests.iter().cloned());
        }
        let said = workshop.relative(&told(&ran));
        Ok(Tested { end: ran.end, passed, failed, aborted, said })
    }
}

/// What failed tests said: from the harness's list of failures, or all there is.
fn told(ran: &Ran) -> String {
    match ran.stdout.split_once("\nfailures:\n") {
        Some((_, failures)) => {
            failures.split("\nfailures:\n").next().unwrap_or(failures).trim().to_owned()
        }
        None => format!("{}\n{}", ran.stdout.trim(), ran.stderr.trim()),
    }
}

impl Harness {
    /// Whether the tests of this module that passed with `unedited` still pass as they are built now,
    /// with an edit.
    pub(super) async fn compare(
        &self,
        workshop: &Workshop,
        unedited: &Texts,
    ) -> Result<Result<(), Failure>, Skip> {
        let tests = self.of_module(self.list(workshop).await?);
        if tests.is_empty() {
            return Err(Skip::NoTests);
        }
        let time = workshop.limits().run;
        let now = self.run(workshop, &tests, time).await?;
        if now.end == End::Success {
            return Ok(Ok(()));
        }
        if !self.builds(workshop, unedited).await? {
            return Err(Skip::ToolFailed("the tests did not compile before".to_owned()));
        }
        let asked = if now.end == End::Failure { &now.failed } else { &tests };
        let before = self.run(workshop, asked, time).await?;
        let seconds = time.as_secs();
        match (now.end, before.end) {
            (End::TimedOut, End::TimedOut) => Err(Skip::ToolFailed(format!(
                "the tests of this module take longer than {seconds} seconds"
            ))),
            (End::TimedOut, _) => Ok(Err(Failure::new(format!(
                "The tests of this module do not end within {seconds} seconds; before they did."
            )))),
            (_, End::TooMuchOutput) => {
                Err(Skip::ToolFailed("the tests of this module write without end".to_owned()))
            }
            (End::TooMuchOutput, _) => {
                Ok(Err(Failure::new("The tests of this module now write without end.")))
            }
            _ if now.failed.iter().all(|test| before.failed.contains(test)) => Ok(Ok(())),
            _ => Ok(Err(Failure::new(format!("Tests that passed before now fail:\n{}", now.said)))),
        }
    }
}
