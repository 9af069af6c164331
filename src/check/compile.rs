//! The rungs that need a compiler: what compiling a proposal takes, and what it says.

use std::path::{Path, PathBuf};

use super::{
    Checker, Failure, MayCompile, Proposal, Skip, Verdict,
    cargo::{Build, Built, compiled_from},
    harness::Harness,
    ladder::Turn,
    manifest::Crates,
    shape,
    toolchain::Row,
    workshop::Texts,
};

/// A proposal on its way through a compiler. Holds its workspace's copy until it is dropped.
pub(super) struct Compilation {
    means: Means,
    pub(super) workshop: Turn,
    /// With the edit.
    pub(super) edited: Texts,
    /// As the editor has everything now.
    pub(super) unedited: Texts,
}

/// What compiles.
enum Means {
    Cargo { cargo: PathBuf, crates: Crates },
    Row(&'static Row),
}

impl Checker {
    /// Finds what compiles this proposal, and waits for the workspace's copy.
    pub(super) async fn compilation(
        &self,
        proposal: &Proposal,
        _may: MayCompile,
    ) -> Result<Compilation, Skip> {
        let (applied, _) =
            proposal.applied().map_err(|misplaced| Skip::ToolFailed(misplaced.to_string()))?;
        let mut unedited: Texts =
            proposal.buffers.iter().map(|it| (it.path.clone(), it.text.clone())).collect();
        unedited.insert(proposal.file.clone(), proposal.text.clone());
        let mut edited = unedited.clone();
        edited.insert(proposal.file.clone(), applied);
        let (means, root) = if proposal.file.extension().is_some_and(|it| it == "rs") {
            let cargo = self.toolchains().find("cargo").ok_or(Skip::NoTool("cargo"))?;
            let (file, opened) = (proposal.file.clone(), proposal.root.clone());
            let survey = tokio::task::spawn_blocking(move || Crates::around(&file, &opened));
            let crates = survey.await.ok().flatten().ok_or(Skip::NotCompiled)?;
            let root = crates.roots.first().unwrap_or(&proposal.root).clone();
            (Means::Cargo { cargo, crates }, root)
        } else {
            let row = Row::of(&proposal.file).ok_or(Skip::NoTool("check for this language"))?;
            (Means::Row(row), proposal.root.clone())
        };
        let mut workshop = self.workshop(&root).await?;
        if let Means::Cargo { crates, .. } = &means {
            workshop.take(crates);
        }
        Ok(Compilation { means, workshop, edited, unedited })
    }
}

impl Compilation {
    /// The rung of the compiler.
    pub(super) async fn compiles(&self, proposal: &Proposal) -> Verdict {
        match &self.means {
            Means::Row(row) => {
                let at = (proposal.file.as_path(), proposal.root.as_path());
                match row.compare(&self.workshop, at, &self.edited, &self.unedited).await {
                    Ok(Ok(())) => Verdict::Held,
                    Ok(Err(failure)) => Verdict::Failed(failure),
                    Err(skip) => Verdict::Skipped(skip),
                }
            }
            Means::Cargo { cargo, crates } => {
                // What is compiled for tests alone is not looked at otherwise.
                let ways: &[&[&str]] = if shape::is_test_code(proposal) {
                    &[&["--tests"], &["--all-targets"]]
                } else {
                    &[&[], &["--all-targets"]]
                };
                for way in ways {
                    let mut arguments = vec!["check", "--message-format=json"];
                    arguments.extend(*way);
                    let build = Build {
                        cargo: cargo.clone(),
                        package: crates.package.clone(),
                        arguments,
                        more: Vec::new(),
                    };
                    match build.compare(&self.workshop, &self.edited, &self.unedited).await {
                        Built::Worse(failure) => return Verdict::Failed(failure),
                        Built::Unclear(skip) => return Verdict::Skipped(skip),
                        Built::Clean(artifacts) => {
                            let file = self.workshop.mirrored(&proposal.file);
                            if compiled_from(&artifacts, &self.workshop.target(), &file) {
                                return Verdict::Held;
                            }
                        }
                    }
                }
                Verdict::Skipped(Skip::NotCompiled)
            }
        }
    }

    /// The rung of the tests that are there.
    pub(super) async fn tests_pass(&self, file: &Path) -> Verdict {
        match self.try_tests(file).await {
            Ok(Ok(())) => Verdict::Held,
            Ok(Err(failure)) => Verdict::Failed(failure),
            Err(skip) => Verdict::Skipped(skip),
        }
    }

    async fn try_tests(&self, file: &Path) -> Result<Result<(), Failure>, Skip> {
        let harness = self.harness(file).await?;
        harness.compare(&self.workshop, &self.edited, &self.unedited).await
    }

    /// The harness for a file's tests, with the edit in place.
    pub(super) async fn harness(&self, file: &Path) -> Result<Harness, Skip> {
        let Means::Cargo { cargo, crates } = &self.means else {
            return Err(Skip::NoTool("test harness for this language"));
        };
        self.workshop.sync(&self.edited).await?;
        Harness::of(&self.workshop, cargo, &crates.package, file).await
    }
}
