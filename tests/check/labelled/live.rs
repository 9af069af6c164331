//! The same tasks put to a real model: how many of its answers build, pass and hold.
//!
//! `cargo test --test check -- --ignored --nocapture labelled::live` asks the model that the user's settings
//! name or that is found on this machine, and fails where there is none.

use std::{
    fs,
    sync::{Arc, Mutex, PoisonError},
};

use hearth::{
    check::{Rung, Step},
    config::Layers,
    model::Client,
    session::{Opened, Session},
    task::{
        self, Desk, Ground, Outcome, Reach, Stage,
        refactor::{self, Action},
    },
};
use tokio::sync::watch;

use super::{
    house,
    set::{self, Kind, Task},
};
use crate::house::{House, all_rights};

/// How far the last answer to a task came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reached {
    Nothing,
    Answered,
    Built,
    Passed,
    Held,
}

impl Reached {
    /// What has been reached when this step begins.
    fn before(step: Step) -> Self {
        match step {
            Step::Rung(Rung::TestsPass) | Step::Repeat { .. } => Self::Built,
            Step::Mutant { .. } => Self::Passed,
            Step::Rung(_) => Self::Answered,
        }
    }
}

async fn ask(ground: &Ground, house: &House, task: &Task) -> (Reached, String) {
    let path = house.root.join(format!("src/{}.rs", task.module));
    let text = fs::read_to_string(&path).expect("a source");
    let at = set::find(&text, &task.function).start;
    let uri: Arc<str> = path.to_string_lossy().into();
    ground.session.open(Opened {
        uri: Arc::clone(&uri),
        path: Some(path.as_path().into()),
        language_id: "rust".into(),
        version: 0,
        text,
    });
    let document = ground.session.document(&uri).expect("just opened");
    document.parsed().await;
    let snapshot = document.snapshot();
    let reached = Mutex::new(Reached::Nothing);
    let note = |stage| {
        let mut reached = reached.lock().unwrap_or_else(PoisonError::into_inner);
        match stage {
            Stage::Asking => *reached = Reached::Nothing,
            Stage::Checking(step) => *reached = Reached::before(step).max(*reached),
            Stage::Decided(_)
            | Stage::Answered(_)
            | Stage::Writing(_)
            | Stage::Again { .. }
            | Stage::Part { .. } => {}
        }
    };
    let selection = at..at;
    let outcome = match task.kind {
        Kind::Refactor => {
            let action = Action::Rewrite(task.ask.clone());
            let request =
                refactor::Request { document, snapshot, selection, action, free_signature: false };
            task::refactor(ground, &request, &note).await
        }
        Kind::Test => {
            let request = task::test::Request { document, snapshot, selection, count: 1 };
            task::test(ground, &request, &note).await
        }
    };
    ground.session.close(&uri);
    let reached = *reached.lock().unwrap_or_else(PoisonError::into_inner);
    match outcome {
        Outcome::Held(edit) => (Reached::Held, edit.checks),
        Outcome::Fell { why, .. } | Outcome::Refused(why) => (reached, why),
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "asks a model; see the module"]
#[expect(clippy::print_stdout, reason = "the figures are what this is for")]
async fn live() {
    let mut layers = Layers::default();
    assert_eq!(layers.read_user_file(), None);
    let settings = Arc::new(layers.resolve().0);
    let (_settings, subscription) = watch::channel(Arc::clone(&settings));
    let house = house();
    let session = Session::default();
    session.change_roots(|roots| roots.push(house.root.clone()));
    let client = Client::new().expect("a client");
    let ground = Ground {
        desk: Arc::new(Desk::open(client, subscription, Arc::default())),
        settings,
        session: Arc::new(session),
        checker: Arc::clone(&house.checker),
        rights: all_rights(),
        reach: Reach::here(),
    };
    let mut all: [Vec<Reached>; 2] = Default::default();
    for task in set::tasks() {
        let (reached, why) = ask(&ground, &house, &task).await;
        println!("{} ({:?}): {reached:?} — {}", task.function, task.kind, super::first_line(&why));
        all[usize::from(task.kind == Kind::Test)].push(reached);
    }
    house.untouched();
    for (what, reached) in ["refactors", "tests"].into_iter().zip(&all) {
        let share = |least: Reached| {
            let count = reached.iter().filter(|reached| **reached >= least).count();
            format!("{count} ({:.0} %)", 100.0 * count as f64 / reached.len() as f64)
        };
        println!(
            "of {} {what} the last answers: {} are well-formed, {} build, {} pass, {} hold",
            reached.len(),
            share(Reached::Answered),
            share(Reached::Built),
            share(Reached::Passed),
            share(Reached::Held)
        );
    }
    assert!(all.iter().flatten().any(|reached| *reached > Reached::Nothing), "no model answered");
}
