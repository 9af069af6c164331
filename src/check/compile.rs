//! The rungs that need a compiler: what compiling a proposal takes, and what it says.

use std::path::{Path, PathBuf};

use super::{
    Checker, Failure, MayCompile, Proposal, Skip, Verdict,
    bed::Bed,
    cargo::{Artifact, Build, Built, compiled_from},
    condition,
    harness::Harness,
    ladder::Turn,
    manifest::Crates,
    process::End,
    runner::Runner,
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
    /// The rung of the compiler, and by what it was climbed where that is not one.
    pub(super) async fn compiles(&self, proposal: &Proposal) -> (Option<&'static str>, Verdict) {
        match &self.means {
            Means::Row(row) => {
                let at = (proposal.file.as_path(), proposal.root.as_path());
                row.compare(&self.workshop, at, &self.edited, &self.unedited).await
            }
            Means::Cargo { cargo, crates } => {
                (None, self.compiles_by_cargo(proposal, cargo, crates).await)
            }
        }
    }

    async fn compiles_by_cargo(
        &self,
        proposal: &Proposal,
        cargo: &Path,
        crates: &Crates,
    ) -> Verdict {
        // What is compiled for tests alone is not looked at otherwise.
        let first = if condition::is_test_code(proposal) { "--tests" } else { "" };
        let mut missed = Skip::NotCompiled;
        for way in [first, "--all-targets"] {
            let mut arguments = vec!["check", "--message-format=json"];
            arguments.extend(Some(way).filter(|way| !way.is_empty()));
            let (cargo, package) = (cargo.to_path_buf(), crates.package.clone());
            let build = Build { cargo, package, arguments, more: Vec::new() };
            match build.compare(&self.workshop, &self.edited, &self.unedited).await {
                Built::Worse(failure) => return Verdict::Failed(failure),
                Built::Unclear(skip) => return Verdict::Skipped(skip),
                Built::Clean(artifacts) => match self.seen(proposal, &build, &artifacts).await {
                    Ok(()) => return Verdict::Held,
                    Err(skip) => missed = skip,
                },
            }
        }
        Verdict::Skipped(missed)
    }

    /// Whether a build without errors had the edited item in it: its file, and where conditions stand
    /// around the item, what stands beside it.
    async fn seen(
        &self,
        proposal: &Proposal,
        build: &Build,
        artifacts: &[Artifact],
    ) -> Result<(), Skip> {
        let copies = self.workshop.copies(&proposal.file);
        let target = self.workshop.target();
        if !copies.iter().any(|copy| compiled_from(artifacts, &target, copy)) {
            return Err(Skip::NotCompiled);
        }
        let Some(probed) = condition::with_error_beside(proposal) else { return Ok(()) };
        let mut texts = self.edited.clone();
        texts.insert(proposal.file.clone(), probed);
        self.workshop.sync(&texts).await?;
        match build.run(&self.workshop).await?.end {
            End::Success => Err(Skip::LeftOut),
            _ => Ok(()),
        }
    }

    /// What runs a generated test in `file`, built with the edit in it; or what is wrong with the edit.
    pub(super) async fn bed(&self, proposal: &Proposal) -> Result<Result<Bed, Failure>, Skip> {
        if matches!(self.means, Means::Cargo { .. }) {
            return Ok(self.harness(&proposal.file).await?.map(Bed::Cargo));
        }
        if let (_, Verdict::Failed(failure)) = self.compiles(proposal).await {
            return Ok(Err(failure));
        }
        self.workshop.sync(&self.edited).await?;
        Ok(Ok(Bed::Tool(Runner::of(&self.workshop, &proposal.file, &proposal.root)?)))
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
        match self.harness(file).await? {
            Ok(harness) => harness.compare(&self.workshop, &self.unedited).await,
            Err(failure) => Ok(Err(failure)),
        }
    }

    /// The harness that has a file's tests, built with the edit in it; or what is wrong with the edit.
    pub(super) async fn harness(&self, file: &Path) -> Result<Result<Harness, Failure>, Skip> {
        let Means::Cargo { cargo, crates } = &self.means else {
            return Err(Skip::NoTool("way to run the project's own tests"));
        };
        let workshop = &*self.workshop;
        workshop.sync(&self.edited).await?;
        let copies = workshop.copies(file);
        for harness in Harness::candidates(workshop, cargo, &crates.package, file).await? {
            match harness.build(workshop, &self.edited, &self.unedited).await {
                Built::Clean(artifacts) => {
                    let built = || artifacts.iter().filter(|artifact| artifact.is_harness());
                    let target = workshop.target();
                    if copies.iter().any(|copy| compiled_from(built(), &target, copy)) {
                        return Ok(Ok(harness));
                    }
                }
                Built::Worse(failure) => return Ok(Err(failure)),
                Built::Unclear(skip) => return Err(skip),
            }
        }
        Err(Skip::NotCompiled)
    }
}
