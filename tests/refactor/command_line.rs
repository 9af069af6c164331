//! `hearth refactor` and `hearth test`, as processes.

use std::{
    fs,
    process::{Output, Stdio},
};

use expect_test::expect;

use crate::{
    editor::{Tree, finish},
    hold::SUM,
    support::fake_model::FakeModel,
};

/// Runs `hearth` in the crate's folder, with nobody at the terminal.
async fn hearth(tree: &Tree, model: &FakeModel, arguments: &[&str]) -> Output {
    tokio::process::Command::new(env!("CARGO_BIN_EXE_hearth"))
        .args(arguments)
        .args(["--set", &format!("router.local_endpoint={}", model.url())])
        .args(["--set", "check.run_tests=always"])
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

fn shown(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().expect("it was not killed");
    format!("{}--- {code}\n{}", text(&output.stdout), text(&output.stderr))
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
    expect![[""]].assert_eq(&shown(&output));
    tree.untouched();

    hearth(&tree, &model, &["trust", "."]).await;
    let command = &["refactor", place, "Use an iterator.", "--apply"];
    let (output, ()) = tokio::join!(hearth(&tree, &model, command), says(&model, &[GOOD]));
    expect![[""]].assert_eq(&shown(&output));
    let now = fs::read_to_string(tree.root.join("src/lib.rs")).expect("a file");
    assert!(now.contains("    all.iter().sum()\n}\n\npub fn far"), "{now}");
}

#[tokio::test]
async fn what_does_not_hold_is_shown_aside_and_is_a_failure() {
    let model = FakeModel::llama_server().await;
    let tree = Tree::new(&[("src/lib.rs", &SUM.replace("$0", ""))]);
    let command = &["refactor", "src/lib.rs:6", "Use an iterator.", "--apply"];
    let (output, ()) = tokio::join!(hearth(&tree, &model, command), says(&model, &[BAD; 4]));
    expect![[""]].assert_eq(&shown(&output));
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
    expect![[""]].assert_eq(&shown(&output));
    tree.untouched();
}
