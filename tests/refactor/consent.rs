//! Compiling and running are asked about once.

use expect_test::expect;
use serde_json::json;

use crate::{editor::Scene, hold::SUM};

const GOOD: &str = "```rust\npub fn sum(all: &[u32]) -> u32 {\n    all.iter().sum()\n}\n```";
const BETTER: &str =
    "```rust\npub fn sum(all: &[u32]) -> u32 {\n    all.iter().copied().sum()\n}\n```";

#[tokio::test]
async fn the_answer_holds_for_the_folder() {
    let mut scene = Scene::new(SUM).await;
    scene.settings = json!({});
    let mut editor = scene.start().await;
    let pending = editor.rewrite("Use an iterator.");
    let asked = editor.client.asked().await;
    let root = editor.tree.root.display().to_string();
    let question = asked.params["message"].as_str().expect("a question").replace(&root, "ROOT");
    expect!["Hearth checks what a model wrote before you get it, in a copy of ROOT. Compiling it runs the build scripts and macros of this folder. Do you trust it?"].assert_eq(&question);
    expect![[r#"[{"title":"Compile and run tests"},{"title":"Compile only"},{"title":"No"}]"#]]
        .assert_eq(&asked.params["actions"].to_string());
    editor.client.answer(&asked, &json!({ "title": "No" }));
    editor.model_says(GOOD).await;
    expect![[r#"
        edit of version Some(0) "Hearth: Rewrite `sum`: parsed, formatted; not compiled (this workspace is not trusted)":
        4:4-8:9 "all.iter().sum()" (to be confirmed)
        end: parsed, formatted; not compiled (this workspace is not trusted)
    "#]].assert_eq(&editor.until_done(pending).await);
    // Not asked again.
    let pending = editor.rewrite("Copy them.");
    editor.model_says(BETTER).await;
    expect![[r#"
        edit of version Some(1) "Hearth: Rewrite `sum`: parsed, formatted; not compiled (this workspace is not trusted)":
        4:15-4:15 "copied()." (to be confirmed)
        end: parsed, formatted; not compiled (this workspace is not trusted)
    "#]].assert_eq(&editor.until_done(pending).await);
    editor.close().await;
}

#[tokio::test]
async fn a_dismissed_question_allows_nothing_and_comes_again() {
    let mut scene = Scene::new(SUM).await;
    scene.settings = json!({});
    let mut editor = scene.start().await;
    for answer in [GOOD, BETTER] {
        let pending = editor.rewrite("Use an iterator.");
        let asked = editor.client.asked().await;
        assert_eq!(asked.method, "window/showMessageRequest");
        editor.client.answer(&asked, &json!(null));
        editor.model_says(answer).await;
        let seen = editor.until_done(pending).await;
        assert!(seen.contains("not compiled (this workspace is not trusted)"), "{seen}");
    }
    editor.close().await;
}

#[tokio::test]
async fn a_workspace_cannot_allow_itself() {
    let mut scene = Scene::new(SUM).await;
    scene.settings = json!({ "check": { "run_tests": "never" } });
    let mut editor = scene.start().await;
    let config = json!({ "settings": { "hearth": { "check": { "trust": "always" } } } });
    editor.client.notify_raw("workspace/didChangeConfiguration", config);
    editor.client.take("window/showMessage");
    let pending = editor.rewrite("Use an iterator.");
    let asked = editor.client.asked().await;
    expect![[r#"[{"title":"Compile only"},{"title":"No"}]"#]]
        .assert_eq(&asked.params["actions"].to_string());
    editor.client.answer(&asked, &json!({ "title": "No" }));
    editor.model_says(GOOD).await;
    editor.until_done(pending).await;
    editor.close().await;
}
