//! What the ladder costs over what a developer pays anyway: the second check of a change of one
//! function, beside a plain incremental `cargo check` of the same change, in turns.
//!
//! `cargo test --test check -- --ignored --nocapture overhead` prints both.

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use hearth::{
    check::{Limits, Rung},
    config::RunTests,
};

use crate::house::{House, MANIFEST, limits, rights, shown};

const MODULES: usize = 250;
const FUNCTIONS: usize = 10;
/// Changes that are timed, after a first one that builds everything.
const ROUNDS: usize = 9;

/// A module of some 200 lines: data, an implementation, functions with loops, closures and matches,
/// and calls of the module before.
fn module(n: usize) -> String {
    let mut text = String::from(
        "use std::collections::BTreeMap;\n\n#[derive(Debug, Clone, Default, PartialEq)]\npub struct Record {\n    pub name: String,\n    pub values: Vec<u64>,\n    pub index: BTreeMap<String, usize>,\n}\n\n",
    );
    for f in 0..FUNCTIONS {
        let before = match n {
            0 => "seed.wrapping_add(1)".to_owned(),
            _ => format!("crate::m{}::work_{f}(seed, &[])", n - 1),
        };
        // Not called; like everything here it is there to be compiled.
        write!(
            text,
            "/// Sums what is left of the values.\npub fn work_{f}(seed: u64, values: &[u64]) -> u64 {{\n    let mut sum = {f};\n    for (at, value) in values.iter().enumerate() {{\n        sum += match value % 3 {{\n            0 => value.wrapping_mul(at as u64),\n            1 if at > {f} => value.rotate_left(3),\n            _ => seed,\n        }};\n    }}\n    if sum == seed {{ {before} }} else {{ sum }}\n}}\n\nimpl Record {{\n    pub fn step_{f}(&mut self, name: &str) -> Option<&u64> {{\n        let at = self.values.len();\n        self.index.insert(name.to_owned(), at);\n        self.values.push(work_{f}(at as u64, &self.values));\n        self.values.iter().filter(|value| **value > {f}).max()\n    }}\n}}\n\n",
        )
        .expect("a string takes all");
    }
    text
}

fn plain_check(root: &Path) -> Duration {
    let begun = Instant::now();
    let ran = Command::new("cargo").args(["check", "--quiet"]).current_dir(root).output();
    let ran = ran.expect("cargo");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    begun.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[tokio::test]
#[ignore = "takes minutes; see the module"]
#[expect(clippy::print_stdout, reason = "the figures are what this is for")]
async fn a_second_check_costs_little_more_than_cargo() {
    let names: Vec<String> = (0..MODULES).map(|n| format!("src/m{n}.rs")).collect();
    let texts: Vec<String> = (0..MODULES).map(module).collect();
    let lib: String = (0..MODULES)
        .flat_map(|n| ["pub mod m".to_owned(), n.to_string(), ";\n".to_owned()])
        .collect();
    let lines: usize = texts.iter().map(|text| text.lines().count()).sum();
    assert!(lines >= 50_000, "{lines} lines");
    let mut files = vec![("Cargo.toml", MANIFEST), ("src/lib.rs", lib.as_str())];
    files.extend(names.iter().zip(&texts).map(|(name, text)| (name.as_str(), text.as_str())));
    let house = House::with(&files, Limits { compile: Duration::from_mins(20), ..limits() });
    let plain = tempfile::tempdir().expect("a folder");
    for (name, text) in &files {
        let path = plain.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    let function = &texts[MODULES / 2][texts[MODULES / 2].find("pub fn work_7").expect("there")..];
    let function = &function[..function.find("\n}\n").expect("an end") + 2];
    let file = &names[MODULES / 2];
    let (mut plainly, mut checked) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let new = function.replace("let mut sum = 7;", &format!("let mut sum = 7 * {round};"));
        let text = texts[MODULES / 2].replace(function, &new);
        fs::write(plain.path().join(file), text).expect("a file");
        let plain_time = plain_check(plain.path());
        let proposal = house.proposal(file, function, &new);
        let begun = Instant::now();
        let report = house.checker.climb(&proposal, rights(true, RunTests::Never), &|_| {}).await;
        let time = begun.elapsed();
        assert!(report.held(Rung::Compiles), "{}", shown(&report));
        let rungs: Vec<String> = report
            .outcomes
            .iter()
            .map(|outcome| format!("{} {} ms", outcome.rung.label(), outcome.took.as_millis()))
            .collect();
        println!(
            "{}: cargo check {} ms, the ladder {} ms ({})",
            if round == 0 { "first".to_owned() } else { format!("change {round}") },
            plain_time.as_millis(),
            time.as_millis(),
            rungs.join(", ")
        );
        if round > 0 {
            plainly.push(plain_time);
            checked.push(time);
        }
    }
    house.untouched();
    let (plainly, checked) = (median(plainly), median(checked));
    let ratio = checked.as_secs_f64() / plainly.as_secs_f64();
    println!(
        "{lines} lines; medians of {ROUNDS}: cargo check {} ms, the ladder {} ms, ratio {ratio:.2}",
        plainly.as_millis(),
        checked.as_millis(),
    );
    assert!(ratio <= 1.5, "ratio {ratio:.2}");
}
