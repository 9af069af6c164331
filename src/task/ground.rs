//! What a task that changes code works with, how far it is, and how it ends.

use std::{fmt, path::Path, sync::Arc};

use super::{Desk, Edit, Reach};
use crate::{
    check::{Checker, Failure, Report, Rights, Rung, Step},
    config::Settings,
    route::{Retries, Witness},
    session::Session,
};

/// What a task works with.
#[derive(Debug, Clone)]
pub struct Ground {
    pub desk: Arc<Desk>,
    pub settings: Arc<Settings>,
    pub session: Arc<Session>,
    pub checker: Arc<Checker>,
    pub rights: Rights,
    /// How far its text may go.
    pub reach: Reach,
}

/// How far a task is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Who is asked, and why, as a sentence.
    Decided(String),
    /// What an answer of a cloud's cost.
    Answered(String),
    /// The model reads the prompt.
    Asking,
    /// It has written so many lines.
    Writing(usize),
    Checking(Step),
    /// The `n`th try, and the rung that the last one fell from.
    Again {
        n: usize,
        of: usize,
        rung: Rung,
    },
    /// The `n`th of the items in an item that is too large to be asked for at once.
    Part {
        n: usize,
        of: usize,
        name: String,
    },
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decided(said) | Self::Answered(said) => f.write_str(said),
            Self::Asking => f.write_str("the model reads"),
            Self::Writing(1) => f.write_str("the model writes: 1 line"),
            Self::Writing(lines) => write!(f, "the model writes: {lines} lines"),
            Self::Checking(Step::Rung(rung)) => f.write_str(match rung {
                Rung::WellFormed | Rung::Parses | Rung::Keeps => "parsing",
                Rung::Formats => "formatting",
                Rung::Compiles => "compiling",
                Rung::TestsPass => "running this module's tests",
            }),
            Self::Checking(Step::Repeat { n, of }) => write!(f, "running the test ({n} of {of})"),
            Self::Checking(Step::Mutant { n, of }) => {
                write!(f, "running the test on a broken function ({n} of {of})")
            }
            Self::Again { n, of, rung } => {
                write!(f, "try {n} of {of}: the last was not {}", rung.label())
            }
            Self::Part { n, of, name } => write!(f, "{name} ({n} of {of})"),
        }
    }
}

/// Is told how far a task is. Must not block.
pub type Progress<'a> = &'a (dyn Fn(Stage) + Send + Sync);

/// How a task ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    Held(Box<Edit>),
    /// Nothing held; the best attempt is worth a look.
    Fell {
        why: String,
        attempt: Box<Edit>,
    },
    /// There is nothing to show, and why.
    Refused(String),
}

/// Rounds of checking an edit again on what the user has typed meanwhile.
const ROUNDS: usize = 3;

impl Ground {
    /// How often a wrong answer is asked for again.
    pub(super) fn retries(&self) -> Retries {
        Retries::from(&*self.settings)
    }

    /// Why no model is shown anything of the file at `path`, as a sentence, if that is so.
    pub(super) fn hides(&self, path: &Path) -> Option<String> {
        self.desk.hides(&self.settings, self.session.roots(), path)
    }

    pub(super) async fn climb(&self, edit: &Edit, progress: Progress<'_>) -> Report {
        let step = |step| progress(Stage::Checking(step));
        self.checker.climb(&edit.proposal, self.rights, &step).await
    }

    /// Moves an edit that held onto what the user has typed meanwhile, and checks it there.
    pub(super) async fn settle(&self, mut edit: Edit, progress: Progress<'_>) -> Outcome {
        let changed = |attempt| Outcome::Fell {
            why: "the code was changed while the model worked on it".to_owned(),
            attempt: Box::new(attempt),
        };
        for _ in 0..ROUNDS {
            let Some(now) = edit.now(&self.session) else { return changed(edit) };
            if now.proposal.text == edit.proposal.text {
                return Outcome::Held(Box::new(now));
            }
            let report = self.climb(&now, progress).await;
            if let Some((rung, failure)) = report.failure() {
                let why =
                    format!("it does not fit what was typed meanwhile: {}", told(rung, failure));
                return Outcome::Fell { why, attempt: Box::new(now) };
            }
            edit = now.checked(&report);
        }
        edit.notes.push("The checks saw the file as it was some keys ago.".to_owned());
        match edit.now(&self.session) {
            Some(now) => Outcome::Held(Box::new(now)),
            None => changed(edit),
        }
    }
}

/// What was wrong, for a model and for a user.
pub(super) fn told(rung: Rung, failure: &Failure) -> String {
    let why = match rung {
        Rung::WellFormed | Rung::Parses | Rung::Keeps => return failure.message.clone(),
        Rung::Formats => "The formatter does not take it:",
        Rung::Compiles => "It does not compile:",
        Rung::TestsPass => "With it, tests fail that passed before:",
    };
    format!("{why}\n{}", failure.message)
}

/// Whose words those are.
pub(super) const fn witness(rung: Rung) -> Witness {
    match rung {
        Rung::WellFormed | Rung::Parses | Rung::Keeps | Rung::Formats => Witness::Hearth,
        Rung::Compiles => Witness::Compiler,
        Rung::TestsPass => Witness::Program,
    }
}
