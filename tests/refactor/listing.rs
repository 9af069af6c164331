//! What is offered, before any model is asked.

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use serde_json::{Value as Json, json};

use crate::{
    editor::{Editor, Scene},
    hold::SUM,
    support::fake_model::Reply,
};

async fn listed(editor: &Editor, end: (u32, u32), context: Json) -> String {
    let asked = editor.model.requests().len();
    let end = json!({ "line": end.0, "character": end.1 });
    let params = json!({
        "textDocument": { "uri": editor.uri() },
        "range": { "start": editor.cursor, "end": end },
        "context": context,
    });
    let answer = editor.client.send_raw("textDocument/codeAction", params).answer().await;
    let new = editor.model.requests().split_off(asked);
    let asked = new.iter().filter(|it| it.body["stream"] == true);
    assert_eq!(asked.map(|it| &it.path).collect::<Vec<_>>(), Vec::<&String>::new());
    let mut shown = String::new();
    for action in answer.expect("a list").as_array().expect("a list") {
        let tags = if action["tags"] == json!([1]) { " (written by a model)" } else { "" };
        let command = if action["command"].is_string() { action } else { &action["command"] };
        let kind = action["kind"].as_str().unwrap_or("command");
        writeln!(shown, "{kind}: {} -> {}{tags}", action["title"], command["command"])
            .expect("a string");
    }
    shown
}

async fn check(scene: Scene, end: (u32, u32), context: Json, expected: Expect) {
    let editor = scene.start().await;
    expected.assert_eq(&listed(&editor, end, context).await);
    editor.close().await;
}

fn invoked() -> Json {
    json!({ "diagnostics": [], "triggerKind": 1 })
}

#[tokio::test]
async fn at_a_cursor() {
    check(Scene::new(SUM).await, (5, 18), invoked(), expect![[r#"
        refactor.rewrite.hearth: "Hearth: simplify the function `sum`" -> "hearth.refactor" (written by a model)
        refactor.rewrite.hearth: "Hearth: add error handling to the function `sum`" -> "hearth.refactor" (written by a model)
        refactor.rewrite.hearth: "Hearth: document the function `sum`" -> "hearth.refactor" (written by a model)
        source.hearth: "Hearth: explain the function `sum`" -> "hearth.explain" (written by a model)
        source.hearth: "Hearth: generate tests for the function `sum`" -> "hearth.test" (written by a model)
    "#]]).await;
}

#[tokio::test]
async fn over_a_selection_with_a_diagnostic() {
    let range =
        json!({ "start": { "line": 6, "character": 8 }, "end": { "line": 6, "character": 13 } });
    let context = json!({
        "diagnostics": [{ "range": range, "message": "mismatched types\nexpected `u32`" }],
        "triggerKind": 1,
    });
    check(Scene::new(SUM).await, (7, 5), context, expect![[r#"
        quickfix.hearth: "Hearth: fix \"mismatched types\"" -> "hearth.refactor" (written by a model)
        refactor.extract.hearth: "Hearth: extract the selection into a function" -> "hearth.refactor" (written by a model)
        refactor.rewrite.hearth: "Hearth: simplify the function `sum`" -> "hearth.refactor" (written by a model)
        refactor.rewrite.hearth: "Hearth: add error handling to the function `sum`" -> "hearth.refactor" (written by a model)
        refactor.rewrite.hearth: "Hearth: document the function `sum`" -> "hearth.refactor" (written by a model)
        source.hearth: "Hearth: explain the function `sum`" -> "hearth.explain" (written by a model)
        source.hearth: "Hearth: generate tests for the function `sum`" -> "hearth.test" (written by a model)
    "#]]).await;
}

#[tokio::test]
async fn one_kind_alone_and_a_prompt_of_the_users_own() {
    let mut scene = Scene::new(SUM).await;
    scene.settings = json!({ "refactor": { "prompts": [
        { "title": "make it generic", "instruction": "Make it generic over the number's type." },
    ] } });
    scene.capabilities["experimental"]["hearthAsksInstruction"] = json!(true);
    let context = json!({ "diagnostics": [], "only": ["refactor.rewrite"] });
    check(scene, (5, 18), context, expect![[r#"
        refactor.rewrite.hearth: "Hearth: rewrite the function `sum` …" -> "hearth.refactor" (written by a model)
        refactor.rewrite.hearth: "Hearth: simplify the function `sum`" -> "hearth.refactor" (written by a model)
        refactor.rewrite.hearth: "Hearth: add error handling to the function `sum`" -> "hearth.refactor" (written by a model)
        refactor.rewrite.hearth: "Hearth: document the function `sum`" -> "hearth.refactor" (written by a model)
        refactor.rewrite.hearth: "Hearth: make it generic" -> "hearth.refactor" (written by a model)
    "#]]).await;
}

#[tokio::test]
async fn a_client_that_knows_commands_alone() {
    let mut scene = Scene::new(SUM).await;
    scene.capabilities = json!({});
    check(
        scene,
        (5, 18),
        invoked(),
        expect![[r#"
        command: "Hearth: simplify the function `sum`" -> "hearth.refactor"
        command: "Hearth: add error handling to the function `sum`" -> "hearth.refactor"
        command: "Hearth: document the function `sum`" -> "hearth.refactor"
        command: "Hearth: explain the function `sum`" -> "hearth.explain"
        command: "Hearth: generate tests for the function `sum`" -> "hearth.test"
    "#]],
    )
    .await;
}

#[tokio::test]
async fn nothing_where_there_is_no_item() {
    check(Scene::new("//! About$0.\n\nfn f() {}\n").await, (0, 9), invoked(), expect![[r#"
        refactor.rewrite.hearth: "Hearth: simplify the function `f`" -> "hearth.refactor" (written by a model)
        refactor.rewrite.hearth: "Hearth: add error handling to the function `f`" -> "hearth.refactor" (written by a model)
        refactor.rewrite.hearth: "Hearth: document the function `f`" -> "hearth.refactor" (written by a model)
        source.hearth: "Hearth: explain the function `f`" -> "hearth.explain" (written by a model)
        source.hearth: "Hearth: generate tests for the function `f`" -> "hearth.test" (written by a model)
    "#]]).await;
}

#[tokio::test]
async fn a_model_that_only_completes_offers_nothing_but_what_to_install() {
    let scene = Scene::new(SUM).await;
    scene.model.reply(
        "GET /props",
        Reply::json(
            200,
            &json!({
                "default_generation_settings": { "n_ctx": 2048 },
                "total_slots": 1,
                "model_alias": "qwen2.5-coder-0.5b-base",
                "model_path": "/models/qwen2.5-coder-0.5b-base-q8_0.gguf",
                "build_info": "b11669-Debian",
            }),
        ),
    );
    scene.model.reply("GET /v1/models", Reply::json(200, &json!({
        "object": "list",
        "data": [{ "id": "qwen2.5-coder-0.5b-base", "object": "model", "owned_by": "llamacpp" }],
    })));
    let mut editor = scene.start().await;
    expect![[r#"
        refactor.rewrite.hearth: "Hearth: install a model that follows instructions" -> "hearth.install" (written by a model)
    "#]].assert_eq(&listed(&editor, (5, 18), invoked()).await);
    let automatic = json!({ "diagnostics": [], "triggerKind": 2 });
    assert_eq!(listed(&editor, (5, 18), automatic).await, "");
    let install =
        editor.client.send_raw("workspace/executeCommand", json!({ "command": "hearth.install" }));
    install.answer().await.expect("no error");
    let said = editor.client.received("window/showMessage").await;
    expect!["Hearth: none of the models on this machine follows instructions (there are: qwen2.5-coder-0.5b-base); install one that does, such as qwen2.5-coder:7b in Ollama, or name one in model_routing.local.high_precision"].assert_eq(said["message"].as_str().expect("a text"));
    let pending = editor.rewrite("Use an iterator.");
    expect![[r#"
        end: nothing done
        says: Hearth: Rewrite: none of the models on this machine follows instructions (there are: qwen2.5-coder-0.5b-base); install one that does, such as qwen2.5-coder:7b in Ollama, or name one in model_routing.local.high_precision
    "#]].assert_eq(&editor.until_done(pending).await);
    editor.close().await;
}
