//! Real functions of crates that Hearth is built from, each with a task, a good answer and two bad
//! ones, all written by hand: what the checks let through, and what they don't.
//!
//! `sources/` has the functions as their crates have them, with tests beside them; `licenses/` the
//! terms of those crates, whose names and versions the sources name.
//!
//! `cargo test --test check -- --ignored --nocapture labelled` puts all answers to the checks and
//! prints what became of each.

mod set;

use std::{fs, time::Duration};

use hearth::check::{Keeps, Limits, Ruling, Rung, Target, Trial};

use self::set::{Answer, Kind, Task};
use crate::house::{House, MANIFEST, all_rights, limits, masked};

fn house() -> House {
    let mut files = vec![("Cargo.toml".to_owned(), MANIFEST.to_owned())];
    let mut lib = String::from("#![allow(dead_code)]\n");
    for entry in fs::read_dir(set::folder().join("sources")).expect("the sources") {
        let path = entry.expect("a file").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        lib += &["pub mod ", &name, ";\n"].concat();
        files.push((format!("src/{name}.rs"), fs::read_to_string(&path).expect("text")));
    }
    files.push(("src/lib.rs".to_owned(), lib));
    let files: Vec<(&str, &str)> =
        files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    House::with(&files, Limits { run: Duration::from_secs(10), ..limits() })
}

/// What came of an answer: whether it is shown as checked, and why not.
async fn put(house: &House, task: &Task, answer: &Answer) -> Result<(), String> {
    let file = format!("src/{}.rs", task.module);
    let source = fs::read_to_string(house.root.join(&file)).expect("a source");
    let function = set::find(&source, &task.function);
    match task.kind {
        Kind::Refactor => {
            let proposal = house.proposal(&file, &source[function], &answer.text);
            let report = house.climb(&proposal).await;
            match report.failure() {
                Some((rung, failure)) => {
                    Err(format!("not {}: {}", rung.label(), first_line(&failure.message)))
                }
                None if report.held(Rung::Compiles) && report.held(Rung::TestsPass) => Ok(()),
                None => Err(report.to_string()),
            }
        }
        Kind::Test => {
            let end = source.trim_end().strip_suffix('}').expect("a module of tests").len();
            let mut proposal = house.proposal(&file, &source[..1], "");
            proposal.range = end..end;
            proposal.replacement = format!("\n{}\n", answer.text);
            proposal.keeps = Keeps::Nothing;
            let name = answer.text.split_once("fn ").and_then(|(_, rest)| rest.split_once('('));
            let test = name.expect("a function").0.to_owned();
            let target = Target { file: proposal.file.clone(), range: function };
            let trial = Trial { proposal, test, target, repeats: 5, mutants: 8 };
            let judgement = house.checker.judge(&trial, all_rights(), &|_| {}).await;
            match judgement.ruling {
                Ruling::Kills(_) | Ruling::Covers { .. } => Ok(()),
                Ruling::Dropped(dropped) => {
                    Err(format!("{dropped}: {}", first_line(&dropped.failure().message)))
                }
                Ruling::NotTried(skip) => Err(skip.to_string()),
            }
        }
    }
}

fn first_line(message: &str) -> String {
    let telling = |line: &&str| !line.is_empty() && !line.starts_with("----");
    let lines = masked(message);
    lines.lines().filter(telling).take(2).collect::<Vec<_>>().join(" ")
}

/// Puts the answers of these tasks to the checks: how many good ones were accepted of how many, and
/// the same of the bad ones.
#[expect(clippy::print_stdout, reason = "what became of each answer is what one wants to read")]
async fn put_all(tasks: &[Task]) -> [(usize, usize); 2] {
    let house = house();
    let mut counts = [(0, 0); 2];
    for task in tasks {
        for answer in &task.answers {
            let outcome = put(&house, task, answer).await;
            let (accepted, all) = &mut counts[usize::from(!answer.good)];
            *accepted += usize::from(outcome.is_ok());
            *all += 1;
            println!(
                "{} {}: {}, {} — {}",
                if outcome.is_ok() == answer.good { "right" } else { "WRONG" },
                task.function,
                if answer.good { "good" } else { "bad" },
                answer.why,
                outcome.err().as_deref().unwrap_or("accepted")
            );
        }
    }
    house.untouched();
    counts
}

#[tokio::test]
async fn a_few() {
    let few = ["parse_ipv4number", "clamp", "Shlex::parse_single"];
    let tasks: Vec<Task> =
        set::tasks().into_iter().filter(|task| few.contains(&task.function.as_str())).collect();
    assert_eq!(put_all(&tasks).await, [(3, 3), (0, 6)]);
}

#[tokio::test]
#[ignore = "takes minutes; see the module"]
#[expect(clippy::print_stdout, reason = "the figures are what this is for")]
async fn all_of_them() {
    let tasks = set::tasks();
    let [(good, all_good), (bad, all_bad)] = put_all(&tasks).await;
    println!(
        "{} functions; of {all_good} good answers {good} are accepted, of {all_bad} bad ones {bad}",
        tasks.len()
    );
    assert!(tasks.len() >= 30 && all_good >= 30 && all_bad >= 60);
    assert_eq!(bad, 0, "bad answers are shown as checked");
    assert!(good * 100 >= all_good * 95, "{good} of {all_good}");
}
