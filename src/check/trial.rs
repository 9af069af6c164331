//! A generated test on trial: it must compile, pass time after time, and fail where the function it
//! is for is broken. A test that no broken function fails proves nothing, and is dropped.

use std::{ops::Range, path::PathBuf};

use super::{Failure, Isolation, Proposal, Skip};

/// A test that is to be judged.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The edit that adds the test ([`super::Keeps::Nothing`]).
    pub proposal: Proposal,
    /// The name of the test's function; no other test of its module has it.
    pub test: String,
    pub target: Target,
    /// Times that the test must pass in a row; 5 is what is usual.
    pub repeats: usize,
    /// Broken targets that are tried at the most, each compiled.
    pub mutants: usize,
}

/// The function that a test is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Absolute; may be the file that the test is added to.
    pub file: PathBuf,
    /// The function's bytes in that file's text before the edit.
    pub range: Range<usize>,
}

/// One way in which the target was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutant {
    /// The bytes that are replaced, in the text that was broken.
    pub range: Range<usize>,
    pub old: String,
    pub new: String,
    /// The line in that text, from 1.
    pub line: usize,
}

/// How a trial ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    pub ruling: Ruling,
    /// Broken targets that compiled and that the test was run on.
    pub mutants: usize,
    /// What was kept from what ran; `None` when nothing ran.
    pub isolation: Option<Isolation>,
}

/// Whether a test is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ruling {
    /// It passes, and fails on this broken target.
    Kills(Mutant),
    Dropped(Dropped),
    /// Nothing can be said: it may not be run here, or there is no tool to run it.
    NotTried(Skip),
}

/// Why a test is dropped. The display is for a user, [`Dropped::failure`] for a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Dropped {
    /// Not well-formed, or it does not parse.
    #[error("it does not parse")]
    Malformed(Failure),
    #[error("it does not compile")]
    DoesNotCompile(Failure),
    /// The harness does not know a test of that name.
    #[error("the harness does not find it")]
    NotFound,
    #[error("it fails")]
    Fails(Failure),
    #[error("it passed {passed} times and then failed")]
    Flaky { passed: usize, failure: Failure },
    #[error("it does not end")]
    Hangs,
    #[error("there is nothing in the function to break")]
    NoMutants,
    /// It passes however the target is broken; one of the broken targets as an example.
    #[error("it passes on each of {tried} broken targets")]
    KillsNothing { tried: usize, example: Mutant },
}

impl Dropped {
    /// What to tell the model that wrote the test.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Malformed(failure) | Self::DoesNotCompile(failure) | Self::Fails(failure) => {
                failure.clone()
            }
            Self::Flaky { passed, failure } => Failure::new(format!(
                "The test passed {passed} times in a row and then failed, so its result depends on \
                 time, order or chance:\n{failure}"
            )),
            Self::NotFound => Failure::new("There is no function of that name marked `#[test]`."),
            Self::Hangs => Failure::new("The test does not end."),
            Self::NoMutants => Failure::new("There is nothing in the function to be tested."),
            Self::KillsNothing { example, .. } => Failure::new(format!(
                "The test still passes when the function is broken: for example with `{}` instead \
                 of `{}`. Assert the function's exact result.",
                example.new, example.old
            )),
        }
    }
}
