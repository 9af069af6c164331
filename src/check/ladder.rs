//! The ladder: rung after rung, each only where all before it held, the cheap ones first.
//!
//! What is compiled is a copy of the workspace, which a [`Checker`] keeps between checks so that the
//! second one is incremental. One check of a workspace runs at a time; a second waits for it.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{OnceCell, OwnedMappedMutexGuard, OwnedMutexGuard};

use super::{
    Isolation, Outcome, Proposal, Report, Rights, Rung, Skip, Verdict,
    format::{Formatted, format},
    sandbox::Sandbox,
    shape,
    workshop::Workshop,
};
use crate::config::Toolchains;

/// Bounds on what a check takes.
#[derive(Debug, Clone)]
pub struct Limits {
    /// One run of a build tool. The first one in a workspace builds all dependencies.
    pub compile: Duration,
    /// One run of tests.
    pub run: Duration,
    /// Address space of one process that runs tests, in bytes.
    pub memory: u64,
    /// Output of one command, in bytes.
    pub output: usize,
    /// Source files copied, in bytes.
    pub copied: u64,
    /// Build artefacts kept for later sessions, over all workspaces, in bytes.
    pub kept: u64,
}

impl Default for Limits {
    /// Ours: generous for a build, narrow for a unit test.
    fn default() -> Self {
        Self {
            compile: Duration::from_mins(10),
            run: Duration::from_mins(1),
            memory: 4 << 30,
            output: 16 << 20,
            copied: 1 << 30,
            kept: 8 << 30,
        }
    }
}

/// What a check is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Rung(Rung),
    /// The test of a trial is run for the `n`th time, from 1.
    Repeat {
        n: usize,
        of: usize,
    },
    /// The test is run on the `n`th broken target, from 1.
    Mutant {
        n: usize,
        of: usize,
    },
}

/// Is told of every step as it begins. Must not block.
pub type Progress<'a> = &'a (dyn Fn(Step) + Send + Sync);

/// Checks proposals. One a server; cheap until something is compiled.
#[derive(Debug)]
pub struct Checker {
    cache: PathBuf,
    limits: Limits,
    toolchains: Toolchains,
    sandbox: OnceCell<Sandbox>,
    /// One at a time works with each.
    workshops: Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<Option<Workshop>>>>>,
}

impl Checker {
    /// Keeps its copies below `cache`, a folder that is this user's alone
    /// ([`crate::config::cache_folder`]).
    pub fn new(cache: PathBuf, toolchains: Toolchains, limits: Limits) -> Self {
        Self {
            cache,
            limits,
            toolchains,
            sandbox: OnceCell::new(),
            workshops: Mutex::new(HashMap::new()),
        }
    }

    /// Checks a proposal, as far as `rights` allow. Dropping the future cancels: whatever runs is
    /// killed with all its children.
    pub async fn climb(
        &self,
        proposal: &Proposal,
        rights: Rights,
        progress: Progress<'_>,
    ) -> Report {
        let mut climb = Climb {
            outcomes: Vec::new(),
            progress,
            begun: Instant::now(),
            checked_by: None,
            isolation: None,
        };
        let mut proposal = proposal.clone();
        // A failure or the last rung ends the climb.
        let _ = self.rungs(&mut climb, &mut proposal, rights).await;
        climb.report(proposal.replacement)
    }

    async fn rungs(
        &self,
        climb: &mut Climb<'_>,
        proposal: &mut Proposal,
        rights: Rights,
    ) -> Option<()> {
        for (rung, verdict) in shape_of(proposal).await {
            climb.begin(rung);
            climb.end(rung, verdict)?;
        }
        climb.begin(Rung::Formats);
        let verdict = match format(proposal, &self.toolchains, &self.limits).await {
            Formatted::As(replacement) => {
                proposal.replacement = replacement;
                Verdict::Held
            }
            Formatted::Failed(failure) => Verdict::Failed(failure),
            Formatted::Skipped(skip) => Verdict::Skipped(skip),
        };
        climb.end(Rung::Formats, verdict)?;
        climb.begin(Rung::Compiles);
        let opened = match rights.compile {
            Ok(may) => self.compilation(proposal, may).await,
            Err(refusal) => Err(refusal.into()),
        };
        let compilation = match opened {
            Ok(compilation) => compilation,
            Err(skip) => return climb.end(Rung::Compiles, Verdict::Skipped(skip)),
        };
        climb.isolation = Some(compilation.workshop.sandbox().isolation());
        let (by, verdict) = compilation.compiles(proposal).await;
        climb.checked_by = by;
        let compiled = verdict == Verdict::Held;
        climb.end(Rung::Compiles, verdict)?;
        if !compiled {
            return None;
        }
        climb.begin(Rung::TestsPass);
        let verdict = match rights.run {
            Ok(_) => compilation.tests_pass(&proposal.file).await,
            Err(refusal) => Verdict::Skipped(refusal.into()),
        };
        climb.end(Rung::TestsPass, verdict)
    }

    /// Whose turn it is with the copy of `root`; opened where it is not yet.
    pub(super) async fn workshop(&self, root: &Path) -> Result<Turn, Skip> {
        let sandbox =
            self.sandbox.get_or_init(|| Sandbox::find(&self.cache, &self.toolchains)).await;
        let turn = {
            let mut workshops = self.workshops.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(workshops.entry(root.to_path_buf()).or_default())
        };
        let mut turn = turn.lock_owned().await;
        if turn.is_none() {
            let (root, limits) = (root.to_path_buf(), self.limits.clone());
            *turn = Some(Workshop::open(&self.cache, root, sandbox.clone(), limits).await?);
        }
        let open = OwnedMutexGuard::try_map(turn, Option::as_mut);
        open.map_err(|_| Skip::ToolFailed("no copy of the workspace".to_owned()))
    }

    pub(super) const fn toolchains(&self) -> &Toolchains {
        &self.toolchains
    }
}

/// A workshop, until this is dropped nobody else's.
pub(super) type Turn = OwnedMappedMutexGuard<Option<Workshop>, Workshop>;

/// The first rungs, off the thread that serves the editor.
async fn shape_of(proposal: &Proposal) -> Vec<(Rung, Verdict)> {
    let proposal = proposal.clone();
    tokio::task::spawn_blocking(move || shape::verdicts(&proposal)).await.unwrap_or_default()
}

/// The outcomes so far.
struct Climb<'a> {
    outcomes: Vec<Outcome>,
    progress: Progress<'a>,
    begun: Instant,
    checked_by: Option<&'static str>,
    isolation: Option<Isolation>,
}

impl Climb<'_> {
    fn begin(&mut self, rung: Rung) {
        self.begun = Instant::now();
        (self.progress)(Step::Rung(rung));
    }

    /// `None` when the climb ends here.
    fn end(&mut self, rung: Rung, verdict: Verdict) -> Option<()> {
        let failed = matches!(verdict, Verdict::Failed(_));
        self.outcomes.push(Outcome { rung, verdict, took: self.begun.elapsed() });
        (!failed).then_some(())
    }

    fn report(mut self, replacement: String) -> Report {
        for rung in Rung::ALL.into_iter().skip(self.outcomes.len()) {
            let verdict = Verdict::Skipped(Skip::NotReached);
            self.outcomes.push(Outcome { rung, verdict, took: Duration::ZERO });
        }
        let Self { outcomes, checked_by, isolation, .. } = self;
        Report { outcomes, checked_by, replacement, isolation }
    }
}
