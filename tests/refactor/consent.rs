//! Compiling and running are asked about once.

use expect_test::expect;
use serde_json::json;

use crate::{
    editor::{Editor, Scene},
    hold::SUM,
    support::client::Asked,
};

const GOOD: &str = "```rust\npub fn sum(all: &[u32]) -> u32 {\n    all.iter().sum()\n}\n```";
const BETTER: &str =
    "```rust\npub fn sum(all: &[u32]) -> u32 {\n    all.iter().copied().sum()\n}\n```";

/// Everything is left open.
async fn undecided() -> Editor {
    let mut scene = Scene::new(SUM).await;
    scene.settings = json!({});
    scene.start().await
}

/// The next question, and its buttons.
async fn question(editor: &Editor) -> (Asked, String) {
    let asked = editor.client.asked().await;
    assert_eq!(asked.method, "window/showMessageRequest");
    let root = editor.tree.root.display().to_string();
    let text = asked.params["message"].as_str().expect("a question").replace(&root, "ROOT");
    let titles: Vec<_> = asked.params["actions"]
        .as_array()
        .expect("buttons")
        .iter()
        .map(|it| &it["title"])
        .collect();
    let shown = format!("{text}\n{titles:?}");
    (asked, shown)
}

#[tokio::test]
async fn each_answer_holds() {
    let mut editor = undecided().await;
    let pending = editor.rewrite("Use an iterator.");
    let (asked, shown) = question(&editor).await;
    expect![[""]].assert_eq(&shown);
    editor.client.answer(&asked, &json!({ "title": "Trust this folder" }));
    let (asked, shown) = question(&editor).await;
    expect![[""]].assert_eq(&shown);
    editor.client.answer(&asked, &json!({ "title": "Only compile" }));
    editor.model_says(GOOD).await;
    expect![[""]].assert_eq(&editor.until_done(pending).await);
    // Nothing is asked again.
    let pending = editor.rewrite("Copy them.");
    editor.model_says(BETTER).await;
    expect![[""]].assert_eq(&editor.until_done(pending).await);
    editor.close().await;
}

#[tokio::test]
async fn a_dismissed_question_allows_nothing_and_comes_again() {
    let mut editor = undecided().await;
    for answer in [GOOD, BETTER] {
        let pending = editor.rewrite("Use an iterator.");
        let (asked, _) = question(&editor).await;
        editor.client.answer(&asked, &json!(null));
        editor.model_says(answer).await;
        let seen = editor.until_done(pending).await;
        assert!(seen.contains("not compiled (this workspace is not trusted)"), "{seen}");
    }
    editor.close().await;
}

#[tokio::test]
async fn cancelled_while_the_question_is_open() {
    let mut editor = undecided().await;
    let pending = editor.rewrite("Use an iterator.");
    let (_, _) = question(&editor).await;
    editor.client.cancel(&pending);
    assert_eq!(pending.answer().await.expect_err("cancelled").code, -32_800);
    editor.ended().await;
    editor.close().await;
}
