//! Generated tests on trial: which stay, which are dropped, and what they are told.

use std::{sync::Mutex, time::Duration};

use expect_test::{Expect, expect};
use hearth::{
    check::{Dropped, Judgement, Keeps, Limits, Progress, Ruling, Skip, Step, Target, Trial},
    config::{RunTests, Toolchains},
};

use crate::house::{House, MANIFEST, all_rights, limits, masked, rights};

const LIB: &str = r#"//! Sums.

/// Adds, up to a limit.
pub fn add(a: u32, b: u32) -> u32 {
    if a > 100 { 100 } else { a + b }
}

/// The last one.
pub fn last(all: &[u32]) -> u32 {
    all[all.len() - 1]
}

/// Nothing to break.
pub fn nothing(a: &u32) -> &u32 {
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds() {
        assert_eq!(add(1, 2), 3);
    }
    // More.
}
"#;
const ADD: &str = "pub fn add(a: u32, b: u32) -> u32 {\n    if a > 100 { 100 } else { a + b }\n}";

fn sums(limits: Limits) -> House {
    House::with(&[("Cargo.toml", MANIFEST), ("src/lib.rs", LIB)], limits)
}

/// A trial of a test with this body for the function that reads `target`.
fn trial(house: &House, body: &str, target: &str) -> Trial {
    trial_in(house, "src/lib.rs", body, target)
}

fn trial_in(house: &House, file: &str, body: &str, target: &str) -> Trial {
    let test = format!("#[test]\n    fn generated() {{\n        {body}\n    }}");
    let mut proposal = house.proposal(file, "// More.", &test);
    proposal.keeps = Keeps::Nothing;
    let start = proposal.text.find(target).expect("a function");
    let target = Target { file: proposal.file.clone(), range: start..start + target.len() };
    Trial { proposal, test: "generated".to_owned(), target, repeats: 5, mutants: 8 }
}

async fn judge(house: &House, trial: &Trial, progress: Progress<'_>) -> Judgement {
    let judgement = house.checker.judge(trial, all_rights(), progress).await;
    house.untouched();
    judgement
}

fn ruled(judgement: &Judgement) -> String {
    match &judgement.ruling {
        Ruling::Kills(mutant) => format!(
            "kept: fails with `{}` for `{}` in line {}\n",
            mutant.new, mutant.old, mutant.line
        ),
        Ruling::Covers { lines } => format!("kept: runs {lines} lines\n"),
        Ruling::Dropped(dropped) => {
            format!("dropped, as {dropped}\n{}\n", masked(&dropped.failure().message))
        }
        Ruling::NotTried(skip) => format!("not tried: {skip}\n"),
    }
}

async fn check(body: &str, expected: Expect) {
    let house = sums(limits());
    let judgement = judge(&house, &trial(&house, body, ADD), &|_| {}).await;
    expected.assert_eq(&ruled(&judgement));
}

#[tokio::test]
async fn a_test_that_notices_is_kept() {
    let house = sums(limits());
    let steps = Mutex::new(Vec::new());
    let note = |step| steps.lock().expect("no panic").push(step);
    let judgement = judge(&house, &trial(&house, "assert_eq!(add(2, 3), 5);", ADD), &note).await;
    expect![[r#"
        kept: fails with `{ 0 }` for `{
            if a > 100 { 100 } else { a + b }
        }` in line 4
    "#]]
    .assert_eq(&ruled(&judgement));
    assert_eq!(judgement.mutants, 1);
    let repeats = (1..=5).map(|n| Step::Repeat { n, of: 5 });
    let steps = steps.into_inner().expect("no panic");
    assert_eq!(steps, repeats.chain([Step::Mutant { n: 1, of: 8 }]).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_test_that_always_passes_is_dropped() {
    check(
        "assert!(add(2, 3) == add(2, 3));",
        expect![[r#"
        dropped, as it passes on each of 8 broken targets
        The test still passes when the function is broken: for example with `{ 0 }` instead of `{
            if a > 100 { 100 } else { a + b }
        }`. Assert the function's exact result.
    "#]],
    )
    .await;
}

#[tokio::test]
async fn a_test_that_calls_and_asserts_nothing_is_dropped() {
    check(
        "let _ = add(101, 3);",
        expect![[r#"
        dropped, as it passes on each of 8 broken targets
        The test still passes when the function is broken: for example with `{ 0 }` instead of `{
            if a > 100 { 100 } else { a + b }
        }`. Assert the function's exact result.
    "#]],
    )
    .await;
}

#[tokio::test]
async fn a_test_that_fails_as_the_broken_function_panics_is_dropped() {
    let house = sums(limits());
    let target = "pub fn last(all: &[u32]) -> u32 {\n    all[all.len() - 1]\n}";
    let blind = trial(&house, "let _ = last(&[1, 2]);", target);
    let judgement = judge(&house, &blind, &|_| {}).await;
    assert!(
        matches!(judgement.ruling, Ruling::Dropped(Dropped::KillsNothing { .. })),
        "{judgement:?}"
    );
    let sees = trial(&house, "assert_eq!(last(&[1, 2]), 2);", target);
    let judgement = judge(&house, &sees, &|_| {}).await;
    assert!(matches!(judgement.ruling, Ruling::Kills(_)), "{judgement:?}");
}

#[tokio::test]
async fn a_test_that_expects_a_panic_or_returns_an_error_is_kept() {
    let house = sums(limits());
    let target = "pub fn last(all: &[u32]) -> u32 {\n    all[all.len() - 1]\n}";
    let mut panics = trial(&house, "last(&[]);", target);
    let marked = panics.proposal.replacement.replace("#[test]", "#[test]\n    #[should_panic]");
    panics.proposal.replacement = marked;
    let judgement = judge(&house, &panics, &|_| {}).await;
    assert!(matches!(judgement.ruling, Ruling::Kills(_)), "{judgement:?}");
    let mut returns = trial(&house, "if last(&[1, 2]) == 2 { Ok(()) } else { Err(3) }", target);
    let returned =
        returns.proposal.replacement.replace("generated()", "generated() -> Result<(), u8>");
    returns.proposal.replacement = returned;
    let judgement = judge(&house, &returns, &|_| {}).await;
    assert!(matches!(judgement.ruling, Ruling::Kills(_)), "{judgement:?}");
}

#[tokio::test]
async fn a_test_that_fails_is_dropped() {
    check(
        "assert_eq!(add(2, 3), 6);",
        expect![[r#"
        dropped, as it fails
        ---- tests::generated stdout ----

        thread 'tests::generated' panicked at src/lib.rs:28:9:
        assertion `left == right` failed
          left: 5
         right: 6
        note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
    "#]],
    )
    .await;
}

#[tokio::test]
async fn a_test_that_does_not_compile_is_dropped() {
    let house = sums(limits());
    let judgement = judge(&house, &trial(&house, "assert_eq!(add(2), 5);", ADD), &|_| {}).await;
    let ruled = ruled(&judgement);
    assert!(ruled.starts_with("dropped, as it does not compile\nerror[E0061]"), "{ruled}");
    assert!(ruled.contains("--> src/lib.rs:28:20\n"), "{ruled}");
}

#[tokio::test]
async fn a_test_that_does_not_parse_is_dropped() {
    check(
        "assert_eq!(add(2, 3), 5;",
        expect![[r#"
        dropped, as it does not parse
        The answer does not parse: `)` is missing at its line 3: `assert_eq!(add(2, 3), 5;`
    "#]],
    )
    .await;
}

#[tokio::test]
async fn a_flaky_test_is_dropped() {
    // Passes on the first two runs.
    check(
        r#"let note = std::env::temp_dir().join("runs");
        let runs = std::fs::read_to_string(&note).unwrap_or_default() + "I";
        std::fs::write(&note, &runs).unwrap();
        assert!(runs.len() < 3, "unlucky");
        assert_eq!(add(2, 3), 5);"#,
        expect![[r#"
            dropped, as it passed, and failed on run 3
            The test passed, and failed on run 3, so its result depends on time, order or chance:
            ---- tests::generated stdout ----

            thread 'tests::generated' panicked at src/lib.rs:31:9:
            unlucky
            note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_test_that_does_not_end_is_dropped() {
    let house = sums(Limits { run: Duration::from_secs(2), ..limits() });
    let endless = "while add(2, 3) == 5 { std::thread::yield_now(); }";
    let judgement = judge(&house, &trial(&house, endless, ADD), &|_| {}).await;
    assert_eq!(judgement.ruling, Ruling::Dropped(Dropped::Hangs));
}

#[tokio::test]
async fn a_test_that_writes_without_end_is_dropped() {
    let house = sums(Limits { output: 1 << 20, ..limits() });
    let endless =
        "loop { std::io::Write::write_all(&mut std::io::stderr(), &[b'x'; 9999]).unwrap(); }";
    let judgement = judge(&house, &trial(&house, endless, ADD), &|_| {}).await;
    expect![[r#"
        dropped, as it fails
        The test writes without end.
    "#]]
    .assert_eq(&ruled(&judgement));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_test_that_takes_all_memory_is_dropped() {
    let house = sums(Limits { memory: 1 << 30, ..limits() });
    let greedy = "let all: Vec<u8> = Vec::with_capacity(2 << 30);\n        assert_eq!(add(2, 3) as usize + all.len(), 5);";
    let judgement = judge(&house, &trial(&house, greedy, ADD), &|_| {}).await;
    let ruled = ruled(&judgement);
    assert!(ruled.starts_with("dropped, as it fails\n"), "{ruled}");
    assert!(ruled.contains("memory allocation of 2147483648 bytes failed"), "{ruled}");
}

#[tokio::test]
async fn a_test_that_is_not_marked_or_ignored_is_dropped() {
    let house = sums(limits());
    let mut unmarked = trial(&house, "assert_eq!(add(2, 3), 5);", ADD);
    unmarked.proposal.replacement = unmarked.proposal.replacement.replace("#[test]", "");
    let judgement = judge(&house, &unmarked, &|_| {}).await;
    assert_eq!(judgement.ruling, Ruling::Dropped(Dropped::NotFound));
    let mut ignored = trial(&house, "assert_eq!(add(2, 3), 5);", ADD);
    ignored.proposal.replacement =
        ignored.proposal.replacement.replace("#[test]", "#[test]\n    #[ignore]");
    let judgement = judge(&house, &ignored, &|_| {}).await;
    expect![[r#"
        dropped, as it fails
        The test is ignored.
    "#]]
    .assert_eq(&ruled(&judgement));
}

/// What is written goes into the copy, and is gone with the next trial.
#[tokio::test]
async fn what_a_test_writes_never_reaches_the_user() {
    let house = sums(limits());
    let writes = r#"assert_eq!(add(2, 3), 5);
        for path in ["src/lib.rs", "Cargo.toml", "new.txt"] {
            std::fs::write(path, "gone").unwrap();
        }
        std::fs::remove_dir_all("src").unwrap();"#;
    let judgement = judge(&house, &trial(&house, writes, ADD), &|_| {}).await;
    // The first run has removed what the second would be built from.
    expect![[r#"
        dropped, as it passed, and failed on run 2
        The test passed, and failed on run 2, so its result depends on time, order or chance:

        error: key with no value, expected `=`
         --> Cargo.toml:1:5
          |
        1 | gone
          |     ^
    "#]]
    .assert_eq(&ruled(&judgement));
    let judgement = judge(&house, &trial(&house, "assert_eq!(add(2, 3), 5);", ADD), &|_| {}).await;
    assert!(matches!(judgement.ruling, Ruling::Kills(_)), "{judgement:?}");
}

#[tokio::test]
async fn a_function_with_nothing_to_break_needs_coverage() {
    let house = sums(limits());
    let target = "pub fn nothing(a: &u32) -> &u32 {\n    a\n}";
    let good = trial(&house, "assert_eq!(nothing(&3), &3);", target);
    let judgement = judge(&house, &good, &|_| {}).await;
    if Toolchains::of_environment().find("cargo-llvm-cov").is_some() {
        assert_eq!(judgement.ruling, Ruling::Covers { lines: 3 });
        let elsewhere = trial(&house, "assert_eq!(add(2, 3), 5);", target);
        let judgement = judge(&house, &elsewhere, &|_| {}).await;
        assert_eq!(judgement.ruling, Ruling::Dropped(Dropped::NoMutants));
    } else {
        assert_eq!(judgement.ruling, Ruling::Dropped(Dropped::NoMutants));
    }
}

#[tokio::test]
async fn a_programs_tests_are_found_beside_a_library() {
    let house = House::new(&[
        ("src/lib.rs", ""),
        ("src/main.rs", "mod sums;\nfn main() {\n    println!(\"{}\", sums::add(1, 2));\n}\n"),
        ("src/sums.rs", LIB),
    ]);
    let trial = trial_in(&house, "src/sums.rs", "assert_eq!(add(2, 3), 5);", ADD);
    let judgement = judge(&house, &trial, &|_| {}).await;
    assert!(matches!(judgement.ruling, Ruling::Kills(_)), "{}", ruled(&judgement));
}

#[tokio::test]
async fn without_permission_nothing_is_tried() {
    let house = sums(limits());
    let trial = trial(&house, "assert_eq!(add(2, 3), 5);", ADD);
    let judgement = house.checker.judge(&trial, rights(true, RunTests::Ask), &|_| {}).await;
    expect![[r#"
        not tried: running tests needs an answer first
    "#]]
    .assert_eq(&ruled(&judgement));
    assert!(!house.cache.exists(), "nothing was copied");
    assert!(matches!(judgement.ruling, Ruling::NotTried(Skip::Refused(_))));
}

#[tokio::test]
async fn cancel_at_each_stage_leaves_nothing_behind() {
    let house = sums(limits());
    let trial = trial(&house, "assert_eq!(add(2, 3), 5);", ADD);
    for stage in
        [Step::Repeat { n: 1, of: 5 }, Step::Repeat { n: 3, of: 5 }, Step::Mutant { n: 1, of: 8 }]
    {
        let (reached, mut wait) = tokio::sync::watch::channel(false);
        let note = |step| {
            if step == stage {
                reached.send_replace(true);
            }
        };
        tokio::select! {
            biased;
            seen = wait.wait_for(|seen| *seen) => drop(seen.expect("the stage begins")),
            judgement = house.checker.judge(&trial, all_rights(), &note) => {
                panic!("over before {stage:?}: {judgement:?}");
            }
        }
        house.untouched();
        house.nothing_runs().await;
    }
    let judgement = judge(&house, &trial, &|_| {}).await;
    assert!(matches!(judgement.ruling, Ruling::Kills(_)), "{judgement:?}");
}
