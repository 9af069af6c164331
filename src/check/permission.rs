//! Who may compile and run code. Compiling runs code too, build scripts and procedural macros, so
//! both take a permission, and only trust and settings together mint one.

use crate::config::{RunTests, Settings};

/// Whether the user trusts what is in a workspace. Nothing in the workspace itself can say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    Trusted,
    Untrusted,
}

/// What the user said when asked whether tests may be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    NotAsked,
    Yes,
    No,
}

/// Build tools may be started on this workspace.
#[derive(Debug, Clone, Copy)]
pub struct MayCompile(());

/// Code of this workspace, and code that a model wrote, may be run.
#[derive(Debug, Clone, Copy)]
pub struct MayRun(());

/// Why there is no permission, in words for a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("this workspace is not trusted")]
    Untrusted,
    #[error("`check.compile` is off")]
    CompileOff,
    #[error("`check.run_tests` is \"never\"")]
    RunNever,
    #[error("running tests needs an answer first")]
    NotAsked,
    #[error("running tests was declined")]
    Declined,
}

/// What a check may do with a workspace.
#[derive(Debug, Clone, Copy)]
pub struct Rights {
    pub compile: Result<MayCompile, Refusal>,
    pub run: Result<MayRun, Refusal>,
}

impl Rights {
    /// What trust, settings and the user's answer allow together. Nothing may be run that may not be
    /// compiled.
    pub fn of(trust: Trust, settings: &Settings, answer: Answer) -> Self {
        let compile = match (trust, settings.check_compile) {
            (Trust::Untrusted, _) => Err(Refusal::Untrusted),
            (_, false) => Err(Refusal::CompileOff),
            _ => Ok(MayCompile(())),
        };
        let run = match (compile, settings.check_run_tests, answer) {
            (Err(refusal), ..) => Err(refusal),
            (_, RunTests::Never, _) => Err(Refusal::RunNever),
            (_, RunTests::Always, _) | (_, RunTests::Ask, Answer::Yes) => Ok(MayRun(())),
            (_, RunTests::Ask, Answer::NotAsked) => Err(Refusal::NotAsked),
            (_, RunTests::Ask, Answer::No) => Err(Refusal::Declined),
        };
        Self { compile, run }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_runs_that_may_not_be_compiled() {
        for trust in [Trust::Trusted, Trust::Untrusted] {
            for compile in [true, false] {
                for run in [RunTests::Ask, RunTests::Always, RunTests::Never] {
                    for answer in [Answer::NotAsked, Answer::Yes, Answer::No] {
                        let settings = Settings {
                            check_compile: compile,
                            check_run_tests: run,
                            ..Settings::default()
                        };
                        let rights = Rights::of(trust, &settings, answer);
                        let may = trust == Trust::Trusted && compile;
                        let yes = answer == Answer::Yes && run == RunTests::Ask;
                        assert_eq!(rights.compile.is_ok(), may);
                        assert_eq!(rights.run.is_ok(), may && (run == RunTests::Always || yes));
                    }
                }
            }
        }
    }

    #[test]
    fn the_answer_is_asked_for() {
        let rights = Rights::of(Trust::Trusted, &Settings::default(), Answer::NotAsked);
        assert!(rights.compile.is_ok());
        assert_eq!(rights.run.err(), Some(Refusal::NotAsked));
    }
}
