//! The rungs, from good answers to endless loops.

use std::{fs, time::Duration};

use expect_test::{Expect, expect};
use hearth::{
    check::{Answer, Buffer, Insertion, Keeps, Limits, Rights, Rung, Skip, Trust},
    config::{RunTests, Settings, Toolchains},
};

use crate::house::{House, MANIFEST, all_rights, label, limits, rights, shown};

const LIB: &str = r#"//! Sums.

pub mod far;

/// Adds.
pub fn add(a: u32, b: u32) -> u32 {
    a + b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds() {
        assert_eq!(add(1, 2), 3);
    }
}
"#;
const FAR: &str = "pub fn twice(a: u32) -> u32 {\n    crate::add(a, a)\n}\n";
const ADD: &str = "/// Adds.\npub fn add(a: u32, b: u32) -> u32 {\n    a + b\n}";

fn sums() -> House {
    House::new(&[("src/lib.rs", LIB), ("src/far.rs", FAR)])
}

async fn check(new: &str, expected: Expect) {
    let house = sums();
    let report = house.climb(&house.proposal("src/lib.rs", ADD, new)).await;
    expected.assert_eq(&format!("{}\n{}", label(&report), shown(&report)));
}

#[tokio::test]
async fn a_good_answer_climbs_all_rungs_and_is_formatted() {
    let house = sums();
    let new = "/// Adds.\npub fn add(a: u32, b: u32) -> u32 {\n  let sum=a+b;\n  sum\n}";
    let report = house.climb(&house.proposal("src/lib.rs", ADD, new)).await;
    expect![[r#"
        parsed, formatted, compiled, tests passed
        well-formed
        parsed
        signature kept
        formatted
        compiled
        tests passed
    "#]]
    .assert_eq(&format!("{}\n{}", label(&report), shown(&report)));
    expect![[r#"
        /// Adds.
        pub fn add(a: u32, b: u32) -> u32 {
            let sum = a + b;
            sum
        }"#]]
    .assert_eq(&report.replacement);
    assert!(report.isolation.is_some());
}

#[tokio::test]
async fn a_type_error_is_told_in_the_compilers_words() {
    check(
        "/// Adds.\npub fn add(a: u32, b: u32) -> u32 {\n    format!(\"{a}{b}\")\n}",
        expect![[r#"
            did not hold: not compiled
            well-formed
            parsed
            signature kept
            formatted
            not compiled: error[E0308]: mismatched types
             --> src/lib.rs:7:5
              |
            6 | pub fn add(a: u32, b: u32) -> u32 {
              |                               --- expected `u32` because of return type
            7 |     format!("{a}{b}")
              |     ^^^^^^^^^^^^^^^^^ expected `u32`, found `String`
            tests passed? a check before it failed
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_broken_test_is_told_in_the_tests_words() {
    check(
        "/// Adds.\npub fn add(a: u32, b: u32) -> u32 {\n    a * b\n}",
        expect![[r#"
        did not hold: not tests passed
        well-formed
        parsed
        signature kept
        formatted
        compiled
        not tests passed: Tests that passed before now fail:
        ---- tests::adds stdout ----

        thread 'tests::adds' panicked at src/lib.rs:16:9:
        assertion `left == right` failed
          left: 2
         right: 3
        note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
    "#]],
    )
    .await;
}

#[tokio::test]
async fn rustfmt_finds_what_the_grammar_forgives() {
    let house = sums();
    let new = "/// Adds.\npub fn add(a: u32, b: u32) -> u32 {\n    a + b as u32 < 3 < 4;\n a\n}";
    let report = house.climb(&house.proposal("src/lib.rs", ADD, new)).await;
    let (rung, failure) = report.failure().expect("no Rust");
    assert_eq!(rung, Rung::Formats);
    assert!(failure.message.contains("comparison operators cannot be chained"), "{failure}");
    assert!(failure.message.contains("--> lib.rs:7:"), "{failure}");
}

#[tokio::test]
async fn an_endless_loop_ends() {
    let house = House::with(
        &[("Cargo.toml", MANIFEST), ("src/lib.rs", LIB), ("src/far.rs", FAR)],
        Limits { run: Duration::from_secs(2), ..limits() },
    );
    let new =
        "/// Adds.\npub fn add(a: u32, b: u32) -> u32 {\n    while a + b < 9 {}\n    a + b\n}";
    let report = house.climb(&house.proposal("src/lib.rs", ADD, new)).await;
    expect![[r#"
        well-formed
        parsed
        signature kept
        formatted
        compiled
        not tests passed: The tests of this module do not end within 2 seconds; before they did.
    "#]]
    .assert_eq(&shown(&report));
}

#[tokio::test]
async fn old_errors_are_not_the_answers() {
    let far = format!("{FAR}fn wrong() -> u8 {{\n    \"not a number\"\n}}\n");
    let house = House::new(&[("src/lib.rs", LIB), ("src/far.rs", &far)]);
    // The edit above it moves the old error; it stays the old error.
    let mut proposal =
        house.proposal("src/far.rs", FAR.trim_end(), &format!("// Moved.\n{}", FAR.trim_end()));
    let report = house.climb(&proposal).await;
    assert_eq!(report.skipped(Rung::Compiles), Some(&Skip::Masked { errors: 1 }));
    proposal.replacement = FAR.trim_end().replace("(a, a)", "(a, \"\")");
    let report = house.climb(&proposal).await;
    let (rung, failure) = report.failure().expect("a new error");
    assert_eq!(rung, Rung::Compiles);
    assert!(failure.message.contains("far.rs:2:"), "{failure}");
    assert!(!failure.message.contains("not a number"), "{failure}");
}

#[tokio::test]
async fn a_fix_may_end_the_last_error() {
    let wrong = "fn wrong() -> u8 {\n    \"1\"\n}";
    let house = House::new(&[("src/lib.rs", &format!("{wrong}\n"))]);
    let proposal = house.proposal("src/lib.rs", wrong, "fn wrong() -> u8 {\n    1\n}");
    let report = house.climb(&proposal).await;
    assert_eq!(
        label(&report),
        "parsed, formatted, compiled; tests not run (this module has no tests)"
    );
}

#[tokio::test]
async fn unsaved_buffers_and_imports_count() {
    let house = sums();
    let mut proposal = house.proposal(
        "src/far.rs",
        FAR.trim_end(),
        "pub fn twice(a: u32) -> u32 {\n    let all = BTreeMap::from([(a, crate::more(a))]);\n    all[&a]\n}",
    );
    let report = house.climb(&proposal).await;
    assert_eq!(report.failure().map(|(rung, _)| rung), Some(Rung::Compiles));
    proposal.imports =
        vec![Insertion { at: 0, text: "use std::collections::BTreeMap;\n\n".to_owned() }];
    let text =
        LIB.replace("#[cfg(test)]", "pub fn more(a: u32) -> u32 {\n    a * 2\n}\n\n#[cfg(test)]");
    proposal.buffers = vec![Buffer { path: house.root.join("src/lib.rs"), text }];
    let report = house.climb(&proposal).await;
    assert!(report.held(Rung::Compiles), "{}", shown(&report));
}

#[tokio::test]
async fn a_file_that_nothing_compiles_is_not_called_compiled() {
    let house = House::new(&[("src/lib.rs", ""), ("src/orphan.rs", "fn f() -> u8 {\n    1\n}\n")]);
    let proposal = house.proposal("src/orphan.rs", "1", "\"\"");
    let proposal = hearth::check::Proposal { keeps: Keeps::Nothing, ..proposal };
    let report = house.climb(&proposal).await;
    assert_eq!(report.skipped(Rung::Compiles), Some(&Skip::NotCompiled));
}

#[tokio::test]
async fn test_code_is_compiled_as_test_code() {
    let house = sums();
    let test = "fn adds() {\n        assert_eq!(add(1, 2), 3);\n    }";
    let wrong = house.proposal(
        "src/lib.rs",
        test,
        "fn adds() {\n        assert_eq!(add(1, 2), \"\");\n    }",
    );
    let report = house.climb(&wrong).await;
    assert_eq!(report.failure().map(|(rung, _)| rung), Some(Rung::Compiles), "{}", shown(&report));
}

#[tokio::test]
async fn without_permission_nothing_is_compiled_or_run() {
    let house = House::new(&[
        ("src/lib.rs", LIB),
        ("src/far.rs", FAR),
        ("build.rs", "fn main() {\n    panic!(\"must not run\");\n}\n"),
    ]);
    let proposal = house.proposal("src/lib.rs", ADD, &ADD.replace("a + b", "b + a"));
    let settings = Settings { check_run_tests: RunTests::Always, ..Settings::default() };
    let untrusted = Rights::of(Trust::Untrusted, &settings, Answer::Yes);
    for (rights, wanted) in [
        (untrusted, "parsed, formatted; not compiled (this workspace is not trusted)"),
        (
            rights(false, RunTests::Always),
            "parsed, formatted; not compiled (`check.compile` is off)",
        ),
    ] {
        let report = house.checker.climb(&proposal, rights, &|_| {}).await;
        assert_eq!(label(&report), wanted);
        assert_eq!(report.isolation, None);
        assert!(!house.cache.exists(), "nothing was copied");
    }
    house.untouched();
    let house = sums();
    let proposal = house.proposal("src/lib.rs", ADD, &ADD.replace("a + b", "b + a"));
    let report = house.checker.climb(&proposal, rights(true, RunTests::Never), &|_| {}).await;
    assert_eq!(
        label(&report),
        "parsed, formatted, compiled; tests not run (`check.run_tests` is \"never\")"
    );
}

#[tokio::test]
async fn cancel_at_each_stage_leaves_nothing_behind() {
    let house = sums();
    let proposal = house.proposal("src/lib.rs", ADD, &ADD.replace("a + b", "b + a"));
    for stage in Rung::ALL {
        let (reached, wait) = tokio::sync::watch::channel(false);
        let note = |step| {
            if step == hearth::check::Step::Rung(stage) {
                reached.send_replace(true);
            }
        };
        let mut wait = wait;
        tokio::select! {
            biased;
            seen = wait.wait_for(|seen| *seen) => {
                seen.expect("the stage begins");
            }
            report = house.checker.climb(&proposal, all_rights(), &note) => {
                // The first stages are over in one step.
                assert!(stage < Rung::Formats, "{}", shown(&report));
            }
        }
        house.untouched();
        // The checker is whole.
        if stage >= Rung::Compiles {
            let report = house.climb(&proposal).await;
            assert!(report.held(Rung::TestsPass), "{}", shown(&report));
        }
    }
}

#[tokio::test]
async fn other_languages_by_their_own_tools() {
    let house =
        House::with(&[("a.js", "function f() { return 1; }\n"), ("a.xyz", "1\n")], limits());
    let good = house.proposal("a.js", "return 1", "return 2");
    let bad = house.proposal("a.js", "return 1", "return ] 2");
    if Toolchains::of_environment().find("node").is_some() {
        let report = house.climb(&good).await;
        assert!(report.held(Rung::Compiles), "{}", shown(&report));
        let report = house.climb(&bad).await;
        let (_, failure) = report.failure().expect("a syntax error");
        assert!(failure.message.contains("SyntaxError"), "{failure}");
        assert!(failure.message.contains("a.js:1"), "{failure}");
    }
    let nothing = hearth::config::Toolchains::default();
    let checker = hearth::check::Checker::new(house.cache.clone(), nothing, limits());
    let report = checker.climb(&good, all_rights(), &|_| {}).await;
    assert_eq!(report.skipped(Rung::Compiles), Some(&Skip::NoTool("node")));
    let report = house.climb(&house.proposal("a.xyz", "1", "2")).await;
    assert_eq!(
        label(&report),
        "not checked; not compiled (no check for this language on this machine)"
    );
    assert!(!fs::exists(house.root.join("target")).expect("readable"));
}
