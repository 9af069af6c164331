//! Tests for a function or a type: written one at a time, kept only after a trial.
//!
//! A test that is kept has compiled, has passed time after time and has failed on a broken target.
//! What falls goes back to the model with the reason; what still falls is dropped, and the report
//! says why. Kept tests stand in the module that the language's users expect them in; not a byte
//! outside of it is changed.

pub mod answer;
mod custom;
pub mod place;
pub mod subject;

use std::{
    ops::Range,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub use subject::{Subject, public_functions};

use self::{
    answer::Written,
    custom::Custom,
    place::{Filled, Place},
};
use super::{
    beside::Beside,
    chat::{Said, Talk, Unasked},
    edit::{Change, Edit, Standing},
    ground::{Ground, Outcome, Progress, Stage},
    question::{self, Question, about},
    refactor::{import_lines, imports},
    source::{Source, buffers},
};
use crate::{
    check::{Buffer, Dropped, Keeps, Ruling, Rung, Step, Trial, trial},
    route::{Attempt, GaveUp, Mistake, Output, Setback, Witness, Work as Kind, retry},
    session::{Document, Snapshot},
};

/// Tests that are asked for where nobody says how many.
pub const USUAL: usize = 3;

/// Times that a test must pass in a row.
const REPEATS: usize = 5;

/// Broken targets that a test is run on at the most; each is compiled.
const MUTANTS: usize = 8;

const SYSTEM: &str = "You write unit tests. You get an item of a file and see how its module is tested. \
    Answer with one test function in one fenced code block and nothing else: no module around it, no \
    explanation, no further tests. It asserts the exact results that the code gives for inputs that \
    it names itself, and depends on nothing else: no time, no chance, no files, no network. If it \
    needs imports, put their lines in front of it in the same block.";

/// What a user asks for.
#[derive(Debug, Clone)]
pub struct Request {
    pub document: Arc<Document>,
    /// The document when the user asked.
    pub snapshot: Snapshot,
    /// Bytes of the snapshot; empty for a cursor.
    pub selection: Range<usize>,
    /// How many tests.
    pub count: usize,
}

/// Writes tests. Dropping the future stops the model and the trials.
pub async fn test(ground: &Ground, request: &Request, progress: Progress<'_>) -> Outcome {
    let refused = |why: &str| Outcome::Refused(why.to_owned());
    let Some(source) = Source::of(&request.snapshot) else {
        return refused("there is no grammar for this language");
    };
    let Some(target) = source.target(request.selection.clone()) else {
        return refused("there is no item here; select inside of one");
    };
    let Some(subject) = Subject::of(&source, &target) else {
        return refused("only functions, and types with functions, are tested");
    };
    let place = match Place::find(&ground.session, &request.snapshot, &source, &subject) {
        Ok(place) => place,
        Err(why) => return Outcome::Refused(why),
    };
    let tally = Mutex::default();
    Work { ground, request, progress, source, subject, place, tally }.run().await
}

/// A test that held.
struct Kept {
    written: Written,
    why: String,
}

/// What was tried.
#[derive(Default)]
struct Tally {
    tried: usize,
    /// Name and reason of each answer that was not kept.
    dropped: Vec<(String, String)>,
    /// The last test that could be read, and why it fell.
    last: Option<(Edit, String)>,
}

/// Why there is no further test.
enum Stopped {
    /// The model did not manage; it may manage another one.
    Dropped,
    /// There is no use in going on.
    For(String),
}

struct Work<'a> {
    ground: &'a Ground,
    request: &'a Request,
    progress: Progress<'a>,
    source: Source,
    subject: Subject,
    place: Place,
    tally: Mutex<Tally>,
}

impl Work<'_> {
    async fn run(self) -> Outcome {
        let mut kept: Vec<Kept> = Vec::new();
        let mut stopped = None;
        for n in 1..=self.request.count {
            let name = "a test".to_owned();
            (self.progress)(Stage::Part { n, of: self.request.count, name });
            match self.one(&kept).await {
                Ok(test) => kept.push(test),
                // Who did not manage one in all those tries will not manage the next.
                Err(Stopped::Dropped) if kept.is_empty() => break,
                Err(Stopped::Dropped) => {}
                Err(Stopped::For(why)) => {
                    stopped = Some(why);
                    break;
                }
            }
        }
        let notes = self.notes(&kept);
        if kept.is_empty() {
            let last = self.tally().last.take();
            return match (last, stopped) {
                (Some((attempt, why)), stopped) => {
                    let attempt = Box::new(Edit { notes, ..attempt });
                    Outcome::Fell { why: stopped.unwrap_or(why), attempt }
                }
                (None, Some(why)) => Outcome::Refused(why),
                (None, None) => Outcome::Refused(notes.join("\n")),
            };
        }
        let written: Vec<&Written> = kept.iter().map(|test| &test.written).collect();
        let edit = self.edit(&written);
        let report = self.ground.climb(&edit, self.progress).await;
        if let Some((rung, failure)) = report.failure() {
            let why = super::ground::told(rung, failure);
            return Outcome::Fell { why, attempt: Box::new(Edit { notes, ..edit }) };
        }
        let mut edit = Edit { notes, ..edit.checked(&report) };
        edit.notes.extend(stopped);
        self.settle(edit).await
    }

    /// Checks tests that stand in another file once more, where what they test has changed meanwhile.
    async fn settle(&self, edit: Edit) -> Outcome {
        let now = self.request.document.snapshot();
        let mut edit = edit;
        if self.place.beside.is_some() && now.text != self.request.snapshot.text {
            edit.proposal.buffers = self.buffers(&edit, now.text.to_string());
            let report = self.ground.climb(&edit, self.progress).await;
            if let Some((rung, failure)) = report.failure() {
                let why = super::ground::told(rung, failure);
                let why = format!("it does not fit what was typed meanwhile: {why}");
                return Outcome::Fell { why, attempt: Box::new(edit) };
            }
            edit = edit.checked(&report);
        }
        self.ground.settle(edit, self.progress).await
    }

    /// What is open beside the file of the tests, with this text of what they test.
    fn buffers(&self, edit: &Edit, text: String) -> Vec<Buffer> {
        let mut all = buffers(&self.ground.session, &edit.proposal.file);
        if let Some(path) = self.request.snapshot.path.as_deref() {
            all.retain(|open| open.path != path);
            all.push(Buffer { path: path.to_owned(), text });
        }
        all
    }

    /// One more test.
    async fn one(&self, kept: &[Kept]) -> Result<Kept, Stopped> {
        let talk = Talk::open(self.ground, self.progress, self.question(kept)).await;
        let talk = talk.map_err(|unasked| Stopped::For(unasked.to_string()))?;
        let retries = self.ground.retries();
        let ask = async |attempt: Attempt| {
            if attempt.number > 1 {
                let (n, of) = (attempt.number, retries.max + 1);
                (self.progress)(Stage::Again { n, of, rung: Rung::TestsPass });
            }
            talk.ask(&attempt).await.map_err(|unasked| Setback::Final(Ended::Unasked(unasked)))
        };
        let check = async |said: Said| self.judge(kept, said).await;
        match retry(retries, ask, check).await {
            Ok(test) => Ok(test),
            Err(GaveUp::Wrong { .. }) => Err(Stopped::Dropped),
            Err(GaveUp::Failed(Ended::Unasked(unasked))) => Err(Stopped::For(unasked.to_string())),
            Err(GaveUp::Failed(Ended::NotTried(why))) => Err(Stopped::For(why)),
        }
    }

    /// Puts one answer on trial.
    async fn judge(&self, kept: &[Kept], said: Said) -> Result<Kept, Setback<Ended>> {
        let mistake =
            |why, witness| Setback::Mistake(Mistake { answer: said.text.clone(), why, witness });
        self.tally().tried += 1;
        let mut taken = self.place.taken.clone();
        taken.extend(kept.iter().map(|test| test.written.name.clone()));
        let written = match answer::read(
            &said.text,
            said.stop,
            self.source.language,
            &taken,
            &self.place.indent,
        ) {
            Ok(written) => written,
            Err(malformed) => {
                let why = malformed.to_string();
                self.tally().dropped.push(("an answer".to_owned(), "it is no test".to_owned()));
                return Err(mistake(why, Witness::Hearth));
            }
        };
        let all: Vec<&Written> =
            kept.iter().map(|test| &test.written).chain(std::iter::once(&written)).collect();
        let edit = self.edit(&all);
        let trial = Trial {
            proposal: edit.proposal.clone(),
            test: written.name.clone(),
            target: trial::Target {
                file: self.request.snapshot.path.as_deref().unwrap_or(Path::new("")).to_owned(),
                range: self.subject.broken.clone(),
            },
            repeats: REPEATS,
            mutants: MUTANTS,
        };
        let step = |step: Step| (self.progress)(Stage::Checking(step));
        let judgement = self.ground.checker.judge(&trial, self.ground.rights, &step).await;
        match judgement.ruling {
            Ruling::Kills(mutant) => {
                let why = format!(
                    "passed {REPEATS} times, and fails with `{}` instead of `{}`",
                    on_one_line(&mutant.new),
                    on_one_line(&mutant.old)
                );
                Ok(Kept { written, why })
            }
            Ruling::Covers { lines } => {
                let why = format!(
                    "passed {REPEATS} times, and runs {lines} lines that no other test runs"
                );
                Ok(Kept { written, why })
            }
            Ruling::Dropped(dropped) => {
                let mut tally = self.tally();
                let name = format!("`{}`", written.name);
                let failure = dropped.failure().message;
                let why = format!("No test held; the last, {name}: {dropped}.\n{failure}");
                tally.last = Some((edit, why));
                tally.dropped.push((name, dropped.to_string()));
                Err(mistake(failure, witness(&dropped)))
            }
            Ruling::NotTried(skip) => {
                let why = format!("a test is kept only after it has run, and it was not: {skip}");
                self.tally().last = Some((edit, why.clone()));
                Err(Setback::Final(Ended::NotTried(why)))
            }
        }
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The report: what was kept and why, what was dropped and why.
    fn notes(&self, kept: &[Kept]) -> Vec<String> {
        let tally = self.tally();
        let mut notes = vec![format!("{} written, {} kept", tally.tried, kept.len())];
        notes.extend(kept.iter().map(|test| format!("`{}` {}", test.written.name, test.why)));
        for (idx, (name, why)) in tally.dropped.iter().enumerate() {
            let same = |at: &&(String, String)| at.0 == *name && at.1 == *why;
            if tally.dropped.iter().position(|at| same(&at)) != Some(idx) {
                continue;
            }
            let times = match tally.dropped.iter().filter(same).count() {
                1 => String::new(),
                times => format!(" ({times} times)"),
            };
            notes.push(format!("dropped {name}: {why}{times}"));
        }
        notes
    }

    fn edit(&self, tests: &[&Written]) -> Edit {
        let Place { beside, range, .. } = &self.place;
        let (source, snapshot) = match beside {
            Some(beside) => (&beside.source, &beside.snapshot),
            None => (&self.source, &self.request.snapshot),
        };
        let Filled { replacement, lead, imports } = self.place.filled(source, tests);
        let title = format!("Tests for `{}`", self.subject.name);
        let change = Change { range: range.clone(), replacement, lead, imports };
        let mut edit = Edit::new(&self.ground.session, snapshot, title, change, Keeps::Nothing);
        if let Some(beside) = beside {
            edit.standing = beside.standing;
            edit.proposal.buffers = self.buffers(&edit, self.source.text.clone());
        }
        edit
    }

    fn question(&self, kept: &[Kept]) -> Question {
        let (source, Subject { name, target, shown, .. }) = (&self.source, &self.subject);
        let language = source.language.id;
        let imports = match source.language.id {
            "rust" => imports::declared(source.root(), &source.text, target.range.start),
            _ => import_lines::declared(source.root(), &source.text, source.language),
        };
        let place = target
            .holder
            .as_ref()
            .map_or(String::new(), |holder| format!(", which stands in `{}`", holder.head));
        let shown: Vec<String> = shown.iter().map(|range| source.shown(range)).collect();
        let noun = target.noun();
        let mut about_it = vec![format!(
            "\nThe {noun} to test{place}:\n```{language}\n{}\n```\n",
            shown.join("\n\n")
        )];
        if !self.place.samples.is_empty() {
            about_it.push(format!(
                "\nThis is how the module is tested today:\n```{language}\n{}\n```\n",
                self.place.samples.join("\n\n")
            ));
        }
        let known = self.place.tests.iter().chain(kept.iter().map(|test| &test.written.name));
        let there: Vec<String> = known.map(|name| format!("`{name}`")).collect();
        let beside = if there.is_empty() {
            String::new()
        } else {
            format!(
                " These tests are there already: {}. Test something that they do not.",
                there.join(", ")
            )
        };
        let file = match &self.place.beside {
            Some(beside) => format!("the file {}", beside.snapshot.relative_path),
            None => "this file".to_owned(),
        };
        let custom = Custom::of(source.language);
        let (module, uses) = (&self.place.module, self.place.uses.join(" "));
        let instruction = match custom {
            None => format!(
                "Write one unit test for the {noun} `{name}`. It will stand in the module `{module}` of \
                 {file}, which has `{uses}`.{beside}"
            ),
            Some(custom) => format!(
                "Write one unit test for the {noun} `{name}`: {}. It will stand in {file}, which has:\n\
                 ```{language}\n{}\n```\n{beside}",
                custom.asked(),
                self.place.uses.join("\n")
            ),
        };
        let there = |beside: &&Beside| beside.standing != Standing::Missing;
        let also = self.place.beside.as_ref().filter(there).and_then(|beside| {
            let (path, lines) = question::place(&beside.snapshot);
            Some((path?, lines))
        });
        let (path, lines) = question::place(&self.request.snapshot);
        Question {
            work: Kind::TestGeneration,
            form: Output::Edits,
            path,
            lines,
            also: also.into_iter().collect(),
            system: SYSTEM,
            about: about(&self.request.snapshot.relative_path, language, &imports),
            language,
            others: source.others(target),
            output: 800,
            subject: about_it.concat(),
            instruction,
            closing: format!(
                "Answer with {} in one ```{language} block and nothing else.",
                custom.map_or("one `#[test]` function", Custom::asked)
            ),
        }
    }
}

/// Whose words say why a test was dropped.
fn witness(dropped: &Dropped) -> Witness {
    match dropped {
        Dropped::DoesNotCompile(_) => Witness::Compiler,
        Dropped::Fails(_) | Dropped::Flaky { .. } => Witness::Program,
        Dropped::Malformed(_)
        | Dropped::NotFound
        | Dropped::Hangs
        | Dropped::NoMutants
        | Dropped::KillsNothing { .. } => Witness::Hearth,
    }
}

fn on_one_line(code: &str) -> String {
    let line = code.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(40) {
        Some((at, _)) => format!("{} …", &line[..at]),
        None => line,
    }
}

/// Why the loop for one test ends early.
#[derive(Debug)]
enum Ended {
    Unasked(Unasked),
    NotTried(String),
}
