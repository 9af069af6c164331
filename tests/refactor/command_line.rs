//! `hearth refactor` and `hearth test`, as processes.

use std::{
    fs,
    process::{Output, Stdio},
};

use expect_test::expect;

use crate::{
    editor::{Tree, finish, without_ends},
    hold::SUM,
    support::fake_model::FakeModel,
};

/// Runs `hearth` in the crate's folder, with nobody at the terminal.
async fn hearth(tree: &Tree, model: &FakeModel, arguments: &[&str]) -> Output {
    hearth_with(tree, model, &["check.run_tests=always"], arguments).await
}

/// The same, with other settings.
pub(crate) async fn hearth_with(
    tree: &Tree,
    model: &FakeModel,
    settings: &[&str],
    arguments: &[&str],
) -> Output {
    tokio::process::Command::new(env!("CARGO_BIN_EXE_hearth"))
        .args(arguments)
        .args(["--set", &format!("router.local_endpoint={}", model.url())])
        .args(settings.iter().flat_map(|setting| ["--set", setting]))
        .current_dir(&tree.root)
        .env("XDG_CONFIG_HOME", tree.cache.join("config"))
        .env("XDG_STATE_HOME", tree.cache.join("state"))
        .env("XDG_CACHE_HOME", tree.cache.join("cache"))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("hearth starts")
}

pub(crate) fn shown(output: &Output, model: &FakeModel) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().expect("it was not killed");
    let shown = format!("{}--- {code}\n{}", text(&output.stdout), text(&output.stderr));
    without_ends(&shown.replace(model.url().as_str().trim_end_matches('/'), "MODEL"))
}

async fn says(model: &FakeModel, answers: &[&str]) {
    for answer in answers {
        let generation = model.generation().await;
        generation.send(answer);
        finish(&generation, false);
    }
}

const GOOD: &str = "```rust\npub fn sum(all: &[u32]) -> u32 {\n    all.iter().sum()\n}\n```";
const BAD: &str = "```rust\npub fn sum(all: &[u32]) -> u64 {\n    all.iter().sum()\n}\n```";

#[tokio::test]
async fn a_change_is_printed_and_applied_when_it_is_told_to() {
    let model = FakeModel::llama_server().await;
    let tree = Tree::new(&[("src/lib.rs", &SUM.replace("$0", ""))]);
    let place = "src/lib.rs:6";
    let command = &["refactor", place, "Use an iterator."];
    let (output, ()) = tokio::join!(hearth(&tree, &model, command), says(&model, &[GOOD]));
    expect![[r#"
        --- a/src/lib.rs
        +++ b/src/lib.rs
        @@ -2,11 +2,7 @@

         /// Adds them up.
         pub fn sum(all: &[u32]) -> u32 {
        -    let mut total = 0;
        -    for n in all {
        -        total += n;
        -    }
        -    total
        +    all.iter().sum()
         }

         pub fn far() -> u32 {
        --- 0
        refactor is routine work: coder (Q8_0) at MODEL, the most precise one, as the output is strict
        the model reads
        parsing
        formatting
        compiling
        Rewrite `sum`: parsed, formatted; not compiled (this workspace is not trusted)
    "#]]
    .assert_eq(&shown(&output, &model));
    tree.untouched();

    hearth(&tree, &model, &["trust", "."]).await;
    let command = &["refactor", place, "Use an iterator.", "--apply"];
    let (output, ()) = tokio::join!(hearth(&tree, &model, command), says(&model, &[GOOD]));
    expect![[r#"
        --- a/src/lib.rs
        +++ b/src/lib.rs
        @@ -2,11 +2,7 @@

         /// Adds them up.
         pub fn sum(all: &[u32]) -> u32 {
        -    let mut total = 0;
        -    for n in all {
        -        total += n;
        -    }
        -    total
        +    all.iter().sum()
         }

         pub fn far() -> u32 {
        --- 0
        refactor is routine work: coder (Q8_0) at MODEL, the most precise one, as the output is strict
        the model reads
        parsing
        formatting
        compiling
        running this module's tests
        Rewrite `sum`: parsed, formatted, compiled; tests not run (this module has no tests)
    "#]]
    .assert_eq(&shown(&output, &model));
    let now = fs::read_to_string(tree.root.join("src/lib.rs")).expect("a file");
    assert!(now.contains("    all.iter().sum()\n}\n\npub fn far"), "{now}");
}

#[tokio::test]
async fn what_does_not_hold_is_shown_aside_and_is_a_failure() {
    let model = FakeModel::llama_server().await;
    let tree = Tree::new(&[("src/lib.rs", &SUM.replace("$0", ""))]);
    let command = &["refactor", "src/lib.rs:6", "Use an iterator.", "--apply"];
    let (output, ()) = tokio::join!(hearth(&tree, &model, command), says(&model, &[BAD; 4]));
    expect![[r#"
        --- 1
        refactor is routine work: coder (Q8_0) at MODEL, the most precise one, as the output is strict
        the model reads
        parsing
        try 2 of 4: the last was not signature kept
        the model reads
        parsing
        try 3 of 4: the last was not signature kept
        the model reads
        parsing
        try 4 of 4: the last was not signature kept
        the model reads
        parsing
        --- a/src/lib.rs
        +++ b/src/lib.rs
        @@ -1,12 +1,8 @@
         //! Sums.

         /// Adds them up.
        -pub fn sum(all: &[u32]) -> u32 {
        -    let mut total = 0;
        -    for n in all {
        -        total += n;
        -    }
        -    total
        +pub fn sum(all: &[u32]) -> u64 {
        +    all.iter().sum()
         }

         pub fn far() -> u32 {
        none of 4 answers was right; the last: The signature of `sum` must stay as it is: `pub fn sum(all: &[u32]) -> u32`, not `pub fn sum(all: &[u32]) -> u64`.
        nothing held; the best attempt is above
    "#]].assert_eq(&shown(&output, &model));
    tree.untouched();
}

#[tokio::test]
async fn a_test_for_the_line() {
    let model = FakeModel::llama_server().await;
    let tree = Tree::new(&[("src/lib.rs", &SUM.replace("$0", ""))]);
    hearth(&tree, &model, &["trust", "."]).await;
    let test = "```rust\n#[test]\nfn sums() {\n    assert_eq!(sum(&[1, 2, 3]), 6);\n}\n```";
    let command = &["test", "src/lib.rs:6", "--count", "1"];
    let answers = [test];
    let (output, ()) = tokio::join!(hearth(&tree, &model, command), says(&model, &answers));
    expect![[r#"
        --- a/src/lib.rs
        +++ b/src/lib.rs
        @@ -12,3 +12,13 @@
         pub fn far() -> u32 {
             sum(&[1, 2])
         }
        +
        +#[cfg(test)]
        +mod tests {
        +    use super::*;
        +
        +    #[test]
        +    fn sums() {
        +        assert_eq!(sum(&[1, 2, 3]), 6);
        +    }
        +}
        --- 0
        a test (1 of 1)
        test_generation is routine work: coder (Q8_0) at MODEL, the most precise one, as the output is strict
        the model reads
        running the test (1 of 5)
        running the test (2 of 5)
        running the test (3 of 5)
        running the test (4 of 5)
        running the test (5 of 5)
        running the test on a broken function (1 of 8)
        parsing
        formatting
        compiling
        running this module's tests
        Tests for `sum`: parsed, formatted, compiled, tests passed
        1 written, 1 kept
        `sums` passed 5 times, and fails with `{ 0 }` instead of `{ let mut total = 0; for n in all { tota …`
    "#]].assert_eq(&shown(&output, &model));
    tree.untouched();
}
