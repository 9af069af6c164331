//! What is sent so that a model server has little to evaluate: a middle that begins with the line, and
//! prompts that are sent ahead while nobody types.

mod support;

use hearth::lsp::ext::StatusState;
use serde_json::{Value as Json, json};
use support::{
    client::{Client, Pending, Setup},
    fake_model::{Ending, FakeModel, Generation},
};
use tower_lsp::gen_lsp_types::Position;

const FILE: &str = "file:///w/src/a.rs";

async fn editor(model: &FakeModel, completion: Json) -> Client {
    let options = json!({
        "router": { "local_endpoint": model.url().as_str() },
        "completion": completion,
    });
    let client = Setup { initialization_options: options, ..Setup::default() }.start().await;
    client.status(|status| status.state == StatusState::Warm).await;
    client
}

fn ask(client: &Client, at: Position) -> Pending {
    let params = json!({
        "textDocument": { "uri": FILE },
        "position": at,
        "context": { "triggerKind": 2 },
    });
    client.send_raw("textDocument/inlineCompletion", params)
}

fn begun() -> Json {
    json!({ "debounce_ms": 0, "begun_middle": true })
}

/// What stands behind the last control token, and what the model is held to.
fn middle(generation: &Generation) -> (String, Option<String>) {
    let body = &generation.request.body;
    let prompt = body["prompt"].as_str().expect("text");
    let middle = prompt.rsplit_once("<|fim_middle|>").expect("it fills in the middle").1;
    (middle.to_owned(), body["grammar"].as_str().map(str::to_owned))
}

const FUNCTION: &str = "fn a() {\n    let kept = snap$0\n}\n";

#[tokio::test]
async fn a_begun_line_is_gone_on_with() {
    let model = FakeModel::llama_server().await;
    let mut client = editor(&model, begun()).await;
    let at = client.open(FILE, FUNCTION);
    let pending = ask(&client, at);
    let generation = model.generation().await;
    let whole = ("    let kept =".to_owned(), Some("root ::= \" snap\" .*".to_owned()));
    assert_eq!(middle(&generation), whole);
    generation.send(" s");
    generation.send("napshot");
    generation.send(".text;");
    generation.finish();
    let answer = pending.answer().await.expect("no error");
    assert_eq!(answer["items"][0]["insertText"], "snapshot.text;");
    client.shutdown().await;
}

#[tokio::test]
async fn what_does_not_go_on_with_it_is_not_shown() {
    let model = FakeModel::llama_server().await;
    let mut client = editor(&model, begun()).await;
    let at = client.open(FILE, FUNCTION);
    let pending = ask(&client, at);
    let generation = model.generation().await;
    generation.send(" something else;");
    generation.finish();
    assert_eq!(pending.answer().await, Ok(json!({ "items": [] })));
    client.shutdown().await;
}

#[tokio::test]
async fn a_server_that_cannot_be_held_is_shown_all_of_the_line() {
    let model = FakeModel::ollama().await;
    let mut client = editor(&model, begun()).await;
    let at = client.open(FILE, FUNCTION);
    let pending = ask(&client, at);
    let generation = model.generation().await;
    assert_eq!(middle(&generation), ("    let kept = snap".to_owned(), None));
    generation.send("shot;");
    generation.finish();
    let answer = pending.answer().await.expect("no error");
    assert_eq!(answer["items"][0]["insertText"], "snapshot;");
    client.shutdown().await;
}

/// A file that is worth being evaluated in advance.
fn long(body: &str) -> String {
    let above = "fn above() -> u32 {\n    40 + 2\n}\n\n".repeat(20);
    format!("{above}fn a() {{\n{body}\n}}\n\nfn below() {{}}\n")
}

#[tokio::test]
async fn what_was_pasted_is_evaluated_while_nobody_types() {
    let model = FakeModel::llama_server().await;
    let mut client = editor(&model, json!({ "debounce_ms": 0 })).await;
    let at = client.open(FILE, &long("    $0"));
    let pasted =
        "let pasted = [1, 2, 3, 4, 5];\n    call(pasted, with, much, more);\n    ".repeat(6);
    let at = client.type_at(FILE, at, &pasted);
    // Nothing is suggested behind it.
    assert_eq!(ask(&client, at).answer().await, Ok(json!({ "items": [] })));
    let mut ahead = model.generation().await;
    let body = &ahead.request.body;
    assert_eq!(body["n_predict"], 1);
    let stable = body["prompt"].as_str().expect("text").to_owned();
    assert!(stable.ends_with(&format!("fn a() {{\n    {pasted}")), "{stable}");
    assert!(!stable.contains("below"), "a key takes the suffix along: {stable}");
    // A key: that goes before, and finds all of it evaluated.
    let at = client.type_at(FILE, at, "x");
    let pending = ask(&client, at);
    let generation = model.generation().await;
    ahead.disconnected().await;
    let prompt = generation.request.body["prompt"].as_str().expect("text").to_owned();
    assert!(prompt.starts_with(&stable), "{prompt}");
    generation.send(" = 1;");
    generation.finish();
    pending.answer().await.expect("no error");
    client.shutdown().await;
}

#[tokio::test]
async fn where_the_user_looks_is_evaluated_in_either_order() {
    for (completion, stable) in [
        (json!({ "debounce_ms": 0 }), "fn a() {\n    let kept = "),
        (begun(), "<|fim_suffix|>1;\n}\n\nfn below() {}\n<|fim_middle|>    let kept ="),
    ] {
        let model = FakeModel::llama_server().await;
        let mut client = editor(&model, completion).await;
        let at = client.open(FILE, &long("    let kept = $01;"));
        client.settle().await;
        let params = json!({
            "textDocument": { "uri": FILE },
            "range": { "start": at, "end": at },
            "context": { "diagnostics": [], "triggerKind": 2 },
        });
        client.send_raw("textDocument/codeAction", params).answer().await.expect("no error");
        let ahead = model.generation().await;
        let prompt = ahead.request.body["prompt"].as_str().expect("text");
        assert!(prompt.ends_with(stable), "{prompt}");
        assert_eq!(ahead.request.body["n_predict"], 1);
        ahead.finish();
        client.shutdown().await;
    }
}

#[tokio::test]
async fn what_a_server_says_of_its_cache_is_added_up() {
    let model = FakeModel::llama_server().await;
    let mut client = editor(&model, json!({ "debounce_ms": 0 })).await;
    let mut at = client.open(FILE, "fn a() {\n    $0\n}\n");
    for (prompt_tokens, cached_tokens) in [(900, 0), (910, 700)] {
        at = client.type_at(FILE, at, "x");
        let pending = ask(&client, at);
        let generation = model.generation().await;
        generation.send(" += 1;");
        generation.finish_as(Ending { prompt_tokens, cached_tokens, ..Ending::default() });
        pending.answer().await.expect("no error");
    }
    client
        .status(|status| (status.prompt_tokens, status.cached_tokens) == (Some(1_810), Some(700)))
        .await;
    client.shutdown().await;
}
