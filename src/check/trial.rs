//! A generated test on trial: it must compile, pass time after time, and fail where the function it
//! is for is broken. A test that no broken function fails proves nothing, and is dropped. So does one
//! that merely calls a function until it panics itself: what counts is a failure in the test's own
//! code. Where a function cannot be broken, a test may stay for running what no other test of its
//! module runs.

use std::{
    ops::{Range, RangeInclusive},
    path::PathBuf,
    time::{Duration, Instant},
};

use super::{
    Checker, Failure, Isolation, Progress, Proposal, Rights, Skip, Step, Verdict,
    bed::Bed,
    condition,
    coverage::Coverage,
    mutate::mutants,
    process::End,
    shape,
    workshop::{Texts, Workshop},
};
use crate::syntax::Language;

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
    /// It passes, there is nothing to break, and it runs so many lines of the target that no other test
    /// of its module runs.
    Covers {
        lines: usize,
    },
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
    #[error("it passed, and failed on run {}", passed + 1)]
    Flaky { passed: usize, failure: Failure },
    #[error("it does not end")]
    Hangs,
    #[error("there is nothing in the function to break, and nothing that only this test runs")]
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
                "The test passed, and failed on run {}, so its result depends on time, order or \
                 chance:\n{failure}",
                passed + 1
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

/// Tries at the most for each broken target that compiles: many do not.
const TRIES: usize = 3;

impl Checker {
    /// Judges a generated test. Dropping the future cancels, as with [`Checker::climb`].
    pub async fn judge(&self, trial: &Trial, rights: Rights, progress: Progress<'_>) -> Judgement {
        let mut judgement =
            Judgement { ruling: Ruling::NotTried(Skip::NotReached), mutants: 0, isolation: None };
        judgement.ruling = match self.try_judge(trial, rights, progress, &mut judgement).await {
            Ok(ruling) => ruling,
            Err(skip) => Ruling::NotTried(skip),
        };
        judgement
    }

    async fn try_judge(
        &self,
        trial: &Trial,
        rights: Rights,
        progress: Progress<'_>,
        judgement: &mut Judgement,
    ) -> Result<Ruling, Skip> {
        let dropped = |dropped| Ok(Ruling::Dropped(dropped));
        let proposal = trial.proposal.clone();
        let shape = tokio::task::spawn_blocking(move || shape::verdicts(&proposal)).await;
        for (_, verdict) in shape.unwrap_or_default() {
            if let Verdict::Failed(failure) = verdict {
                return dropped(Dropped::Malformed(failure));
            }
        }
        let (may_compile, _) = (rights.compile?, rights.run?);
        let compilation = self.compilation(&trial.proposal, may_compile).await?;
        let (workshop, edited) = (&*compilation.workshop, &compilation.edited);
        judgement.isolation = Some(workshop.sandbox().isolation());
        let bed = match compilation.bed(&trial.proposal).await? {
            Ok(bed) => bed,
            Err(failure) => return dropped(Dropped::DoesNotCompile(failure)),
        };
        let all = bed.list(workshop, &trial.test).await?;
        let Some(test) = bed.named(&all, &trial.test) else {
            return dropped(Dropped::NotFound);
        };
        let test = [test];
        let mut longest = Duration::ZERO;
        for n in 1..=trial.repeats {
            progress(Step::Repeat { n, of: trial.repeats });
            let begun = Instant::now();
            let tested = bed.run(workshop, &test, workshop.limits().run).await?;
            longest = longest.max(begun.elapsed());
            let failure = match tested.end {
                End::TimedOut => return dropped(Dropped::Hangs),
                End::Success if tested.passed == 1 => continue,
                End::Success => Failure::new("The test is ignored."),
                End::TooMuchOutput => Failure::new("The test writes without end."),
                End::Failure => Failure::new(tested.said),
            };
            return dropped(match n {
                1 => Dropped::Fails(failure),
                n => Dropped::Flaky { passed: n - 1, failure },
            });
        }
        let (path, source, range) = trial.broken(edited)?;
        // A broken target may never end: it gets some times of what the test takes.
        let time = (longest * 5).clamp(Duration::from_secs(2), workshop.limits().run);
        let line_of =
            |text: &str, at: usize| text.get(..at).unwrap_or_default().matches('\n').count() + 1;
        let code = condition::test_code(&trial.proposal).unwrap_or_default();
        let written = edited.get(&trial.proposal.file).map_or("", String::as_str);
        let bench = Bench {
            workshop,
            bed: &bed,
            test: &test,
            time,
            copies: workshop.copies(&trial.proposal.file),
            code: line_of(written, code.start)..=line_of(written, code.end),
            target: (path == trial.proposal.file)
                .then(|| line_of(&source, range.start)..=line_of(&source, range.end)),
        };
        let language = Language::by_path(&path).ok_or(Skip::NoGrammar)?;
        let mut survivor = None;
        for mutant in mutants(language, &source, &range, trial.mutants * TRIES) {
            if judgement.mutants == trial.mutants {
                break;
            }
            progress(Step::Mutant { n: judgement.mutants + 1, of: trial.mutants });
            let mut texts = edited.clone();
            texts.extend(mutant.of(&source).map(|broken| (path.clone(), broken)));
            match bench.notices(&texts).await? {
                None => {}
                Some(true) => {
                    judgement.mutants += 1;
                    return Ok(Ruling::Kills(mutant));
                }
                Some(false) => {
                    judgement.mutants += 1;
                    survivor.get_or_insert(mutant);
                }
            }
        }
        if let Some(example) = survivor {
            return dropped(Dropped::KillsNothing { tried: judgement.mutants, example });
        }
        let Bed::Cargo(harness) = &bed else { return dropped(Dropped::NoMutants) };
        workshop.sync(edited).await?;
        let others: Vec<String> =
            harness.of_module(all).into_iter().filter(|other| !test.contains(other)).collect();
        let coverage = Coverage {
            workshop,
            harness,
            copies: &workshop.copies(&path),
            lines: line_of(&source, range.start)..=line_of(&source, range.end),
        };
        match coverage.gained(&test[0], &others).await? {
            Some(lines @ 1..) => Ok(Ruling::Covers { lines }),
            Some(0) | None => dropped(Dropped::NoMutants),
        }
    }
}

impl Trial {
    /// The file of the target, its text with the test, and where the target is in it.
    fn broken(&self, edited: &Texts) -> Result<(PathBuf, String, Range<usize>), Skip> {
        let Target { file, range } = &self.target;
        let touched = || Skip::ToolFailed("the test replaces what it is to test".to_owned());
        let range = if *file == self.proposal.file {
            self.proposal.shifted(range).ok_or_else(touched)?
        } else {
            range.clone()
        };
        let text = match edited.get(file) {
            Some(text) => text.clone(),
            None => std::fs::read_to_string(file).map_err(|_| Skip::NotCompiled)?,
        };
        Ok((file.clone(), text, range))
    }
}

/// What a broken target is tried with.
struct Bench<'a> {
    workshop: &'a Workshop,
    bed: &'a Bed,
    test: &'a [String],
    time: Duration,
    /// Where the test's file is in the copy, and the lines of test code in it.
    copies: Vec<PathBuf>,
    code: RangeInclusive<usize>,
    /// The lines of the target where it is in the same file.
    target: Option<RangeInclusive<usize>>,
}

impl Bench<'_> {
    /// Whether the test notices. `None` if the broken target does not compile, does not end (that may
    /// be the machine), or panics itself: of that, a test that asserts nothing fails as well.
    async fn notices(&self, texts: &Texts) -> Result<Option<bool>, Skip> {
        if !self.bed.builds(self.workshop, texts).await? {
            return Ok(None);
        }
        let tested = self.bed.run(self.workshop, self.test, self.time).await?;
        let in_test_code = || match self.bed {
            Bed::Cargo(_) => self.in_test_code(&tested.said),
            Bed::Tool(runner) => runner.blames_test(&tested.said),
        };
        Ok(match tested.end {
            End::Success => Some(false),
            End::Failure if !tested.aborted && in_test_code() => Some(true),
            End::Failure | End::TimedOut | End::TooMuchOutput => None,
        })
    }

    /// Whether it was the test that failed: by a panic in its own code, or without one, by returning
    /// an error or by not panicking as it should.
    fn in_test_code(&self, said: &str) -> bool {
        let mut panics = panics(said).peekable();
        let target = |line| self.target.as_ref().is_some_and(|target| target.contains(&line));
        panics.peek().is_none()
            || said.contains("did not contain expected string")
            || panics.any(|(path, line)| {
                let here = self.copies.iter().any(|copy| copy.ends_with(path));
                here && self.code.contains(&line) && !target(line)
            })
    }
}

/// The places of panics in what a harness says, as files and lines.
fn panics(said: &str) -> impl Iterator<Item = (&str, usize)> {
    let told = said.lines().filter_map(|line| Some(line.split_once(" panicked at ")?.1));
    // Until Rust 1.73 the message stood before the place.
    let places = told.map(|place| place.rsplit_once("', ").map_or(place, |(_, place)| place));
    places.filter_map(|place| {
        let mut parts = place.trim_end_matches(':').rsplitn(3, ':');
        let (_column, line, path) = (parts.next()?, parts.next()?, parts.next()?);
        Some((path, line.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_panics() {
        let check = |said: &str, expected: &[(&str, usize)]| {
            assert_eq!(panics(said).collect::<Vec<_>>(), expected);
        };
        check(
            "---- a stdout ----\n\nthread 'a' (7) panicked at src/a b.rs:12:5:\nno",
            &[("src/a b.rs", 12)],
        );
        check("thread 'a' panicked at src/a b.rs:12:5:\nno", &[("src/a b.rs", 12)]);
        check("thread 'a' panicked at 'x: 1', src/a.rs:1:2", &[("src/a.rs", 1)]);
        check("Error: \"no\"", &[]);
    }
}
