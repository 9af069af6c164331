//! Reuse, what is asked for in advance, one queue, and when to be quiet: whole traces of typing against
//! the server, with a model that knows what will be typed, one that is slow, and one that always has
//! something to say.

#![expect(clippy::print_stdout, reason = "figures to be read beside the assertions")]

mod accepted;
#[path = "../support/mod.rs"]
mod support;
mod sure;
mod timing;

use std::time::{Duration, Instant};

use hearth::lsp::ext::StatusState;
use serde_json::{Value as Json, json};
use support::{
    client::{Client, Pending, Setup},
    fake_model::{Ending, FakeModel, Generation},
};
use tower_lsp::gen_lsp_types::Position;

const FILE: &str = "file:///w/src/a.rs";
const CANCELLED: i64 = -32_800;

/// Real lines to type: of a file of this crate, from its first function on.
const SOURCE: &str = include_str!("../../src/session/hold.rs");

async fn editor(model: &FakeModel, completion: Json) -> Client {
    let options = json!({
        "router": { "local_endpoint": model.url().as_str() },
        "completion": completion,
    });
    let client = Setup { initialization_options: options, ..Setup::default() }.start().await;
    client.status(|status| status.state == StatusState::Warm).await;
    client
}

fn ask_as(client: &Client, at: Position, kind: u8) -> Pending {
    let params = json!({
        "textDocument": { "uri": FILE },
        "position": at,
        "context": { "triggerKind": kind },
    });
    client.send_raw("textDocument/inlineCompletion", params)
}

fn ask(client: &Client, at: Position) -> Pending {
    ask_as(client, at, 2)
}

/// The texts that are offered, each without what stands in its range already: `typed` characters.
fn offered(answer: &Json) -> Vec<String> {
    let items = answer["items"].as_array().expect("a list");
    let text = |item: &Json| item["insertText"].as_str().expect("plain text").to_owned();
    items.iter().map(text).collect()
}

/// What the model was shown in front of the cursor, and behind it.
fn shown(generation: &Generation) -> (String, String) {
    let prompt = generation.request.body["prompt"].as_str().expect("text");
    let (before, after) = prompt.split_once("<|fim_suffix|>").expect("a place to fill");
    let before = before.rsplit_once("<|fim_prefix|>").expect("a place to fill").1;
    (before.to_owned(), after.split("<|fim_middle|>").next().unwrap_or_default().to_owned())
}

/// What follows `before` in `whole`, up to some 48 tokens.
fn what_follows(whole: &str, before: &str) -> String {
    let last: String = before.lines().rev().take(8).collect::<Vec<_>>().into_iter().rev().fold(
        String::new(),
        |text, line| {
            if text.is_empty() { line.to_owned() } else { text + "\n" + line }
        },
    );
    let last = if before.ends_with('\n') { last + "\n" } else { last };
    let at = whole.find(&last).map_or(whole.len(), |at| at + last.len());
    whole[at..].chars().take(160).collect()
}

/// The body of a function to type, key by key, below the start of a file.
fn lines_to_type() -> (String, String) {
    let at = SOURCE.find("impl HoldCell {").expect("it has methods");
    (SOURCE[..at].to_owned(), SOURCE[at..].lines().take(40).collect::<Vec<_>>().join("\n"))
}

#[tokio::test]
async fn a_model_that_knows_is_asked_little_and_its_text_is_there_after_every_key() {
    let model = FakeModel::llama_server().await;
    let mut client = editor(&model, json!({ "debounce_ms": 0 })).await;
    let (begun, typed) = lines_to_type();
    let whole = format!("{begun}{typed}\n");
    let mut at = client.open(FILE, &format!("{begun}$0"));
    let oracle = async {
        loop {
            let generation = model.generation().await;
            let (before, after) = shown(&generation);
            let text = what_follows(&whole, &before);
            generation.send(&text);
            let prompt_tokens = (before.len() + after.len()) / 3;
            let limit = text.len() > 100;
            generation.finish_as(Ending { prompt_tokens, limit, ..Ending::default() });
        }
    };
    let typing = async {
        let (mut keys, mut seen) = (0, 0);
        for (line, text) in typed.lines().enumerate() {
            let body = text.trim_start();
            // An editor indents by itself.
            let indent = &text[..text.len() - body.len()];
            let start = if line == 0 { indent.to_owned() } else { format!("\n{indent}") };
            let mut written = String::new();
            for key in std::iter::once(start).chain(body.chars().map(String::from)) {
                if key.is_empty() {
                    continue;
                }
                at = client.type_at(FILE, at, &key);
                if !key.starts_with('\n') {
                    written.push_str(&key);
                }
                keys += 1;
                let answer = ask(&client, at).answer().await.expect("no error");
                let rest = &body[written.trim_start().len()..];
                if rest.is_empty() {
                    continue;
                }
                let finished = written.trim_end().ends_with([';', '}', ',']);
                let fits = offered(&answer).iter().any(|text| {
                    text.lines().next().is_some_and(|text| text.ends_with(rest.trim_end()))
                });
                if !(fits || finished) {
                    let status = client.status(|status| status.last_no_suggestion.is_some()).await;
                    panic!("after {written:?}: {answer} instead of {rest:?}: {status:?}");
                }
                seen += 1;
            }
        }
        (keys, seen)
    };
    let (keys, seen) = tokio::select! {
        done = typing => done,
        () = oracle => unreachable!("it never ends"),
    };
    let asked = model.requests().iter().filter(|request| request.body["stream"] == true).count();
    println!("{asked} requests for {keys} keys; {seen} times text was there");
    assert!(seen > 700, "{seen}");
    assert!(asked * 100 <= keys * 15, "{asked} requests for {keys} keys");
    client.shutdown().await;
}

#[tokio::test]
async fn a_slow_model_is_asked_once_at_a_time_and_never_answers_for_an_older_text() {
    let model = FakeModel::llama_server().await;
    let mut client = editor(&model, json!({ "debounce_ms": 0 })).await;
    let mut at = client.open(FILE, "fn a() {\n    let x = 1;\n    $0\n}\n");
    let slow = async {
        let mut running: Vec<Generation> = Vec::new();
        let mut most = 0;
        loop {
            let generation = model.generation().await;
            // The one before has been left by now, or is being left.
            for before in &mut running {
                before.disconnected().await;
            }
            running.clear();
            running.push(generation);
            most = most.max(running.len());
            let generation = &running[0];
            tokio::time::sleep(Duration::from_millis(15)).await;
            for piece in ["wrong", "(1", ");\n"] {
                generation.send(piece);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    };
    let typing = async {
        let mut overtaken = 0;
        let mut before: Option<Pending> = None;
        for key in "compute_everything_at_once".chars().cycle().take(120) {
            at = client.type_at(FILE, at, &key.to_string());
            let pending = ask(&client, at);
            if let Some(before) = before.replace(pending) {
                match before.answer().await {
                    Err(error) => {
                        assert_eq!(error.code, CANCELLED);
                        overtaken += 1;
                    }
                    Ok(answer) => assert_eq!(answer, json!({ "items": [] }), "for an older text"),
                }
            }
            tokio::time::sleep(Duration::from_millis(8)).await;
        }
        let last = before.expect("a key").answer().await.expect("no error");
        assert_eq!(
            last["items"][0]["insertText"].as_str().map(|text| text.ends_with("wrong(1);")),
            Some(true),
            "{last}"
        );
        overtaken
    };
    let overtaken = tokio::select! {
        overtaken = typing => overtaken,
        () = slow => unreachable!("it never ends"),
    };
    assert!(overtaken > 100, "{overtaken} of 119");
    client.shutdown().await;
}

#[tokio::test]
async fn two_documents_share_a_slot() {
    let model = FakeModel::ollama().await;
    let mut client = editor(&model, json!({ "debounce_ms": 0 })).await;
    let at = client.open(FILE, "fn a() {\n    let x = $0\n}\n");
    let first = ask(&client, at);
    let mut running = model.generation().await;
    running.send("f");
    let other = "file:///w/src/b.rs";
    let there = client.open(other, "fn b() {\n    let y = $0\n}\n");
    let params = json!({
        "textDocument": { "uri": other }, "position": there, "context": { "triggerKind": 2 },
    });
    let asked = Instant::now();
    let second = client.send_raw("textDocument/inlineCompletion", params);
    running.disconnected().await;
    println!("stopped after {:?}", asked.elapsed());
    let generation = model.generation().await;
    assert!(shown(&generation).0.ends_with("let y = "));
    generation.send("g();");
    generation.finish();
    assert_eq!(offered(&second.answer().await.expect("no error")), ["g();"]);
    drop(first);
    client.shutdown().await;
}

#[tokio::test]
async fn what_was_turned_down_is_not_offered_again_unless_asked_for() {
    let model = FakeModel::llama_server().await;
    let mut client = editor(&model, json!({ "debounce_ms": 0 })).await;
    let at = client.open(FILE, "fn a() {\n    let x = $0\n}\n");
    let pending = ask(&client, at);
    let generation = model.generation().await;
    generation.send("foo();\n");
    assert_eq!(offered(&pending.answer().await.expect("no error")), ["foo();"]);
    let typed = client.type_at(FILE, at, "b");
    client.change(FILE, (at.line, at.character), (typed.line, typed.character), "");
    let answer = ask(&client, at).answer().await.expect("no error");
    assert_eq!(answer, json!({ "items": [] }));
    let status = client.status(|status| status.last_no_suggestion.is_some()).await;
    assert_eq!(status.last_no_suggestion.as_deref(), Some("this was turned down just now"));
    let pending = ask_as(&client, at, 1);
    let more = async {
        for other in ["bar();", "foo();", "baz();"] {
            let generation = model.generation().await;
            assert!(generation.request.body["temperature"].as_f64() > Some(0.1));
            generation.send(other);
            generation.finish();
        }
        std::future::pending::<()>().await;
    };
    let answer = tokio::select! {
        answer = pending.answer() => answer.expect("no error"),
        () = more => unreachable!("it never ends"),
    };
    assert_eq!(offered(&answer), ["foo();", "bar();", "baz();"], "each once");
    client.shutdown().await;
}

#[tokio::test]
async fn what_is_taken_back_is_there_again() {
    let model = FakeModel::llama_server().await;
    let mut client = editor(&model, json!({ "debounce_ms": 0 })).await;
    let start = client.open(FILE, "fn a() {\n    let x = $0\n}\n");
    let pending = ask(&client, start);
    let generation = model.generation().await;
    generation.send("found_it(1);\n");
    generation.finish();
    assert_eq!(offered(&pending.answer().await.expect("no error")), ["found_it(1);"]);
    let mut at = client.type_at(FILE, start, "found_it");
    for left in [8, 6, 3, 0] {
        let end = Position { character: start.character + left, ..start };
        client.change(FILE, (end.line, end.character), (at.line, at.character), "");
        at = end;
        let answer = ask(&client, at).answer().await.expect("no error");
        assert_eq!(offered(&answer), ["found_it(1);"], "{left} characters are left");
    }
    let behind = |request: &&support::fake_model::Request| {
        request.body["prompt"].as_str().is_some_and(|prompt| prompt.contains("let x = <|fim"))
    };
    assert_eq!(model.requests().iter().filter(behind).count(), 1);
    client.shutdown().await;
}

#[tokio::test]
async fn a_paste_and_an_undo_ask_nobody() {
    let model = FakeModel::llama_server().await;
    let mut client = editor(&model, json!({ "debounce_ms": 0 })).await;
    let at = client.open(FILE, "fn a() {\n    $0\n}\n");
    let pasted = "let a = first(1)\n        .second(2)\n        .third(3)";
    let end = client.type_at(FILE, at, pasted);
    assert_eq!(ask(&client, end).answer().await.expect("no error"), json!({ "items": [] }));
    client.change(FILE, (at.line, at.character), (end.line, end.character), "");
    assert_eq!(ask(&client, at).answer().await.expect("no error"), json!({ "items": [] }));
    let end = client.type_at(FILE, at, "let a = ");
    client.change(FILE, (at.line, at.character), (end.line, end.character), "");
    let end = client.type_at(FILE, at, "let a = ");
    assert_eq!(ask(&client, end).answer().await.expect("no error"), json!({ "items": [] }));
    assert!(!model.requests().iter().any(|request| request.body["stream"] == true));
    client.shutdown().await;
}

#[tokio::test]
async fn quiet_where_a_suggestion_would_be_wrong() {
    let model = FakeModel::llama_server().await;
    let mut client = editor(&model, json!({ "debounce_ms": 0 })).await;
    client.open(FILE, SOURCE);
    client.settle().await;
    let pushy = async {
        loop {
            let generation = model.generation().await;
            generation.send("and_more(1);");
            generation.finish();
        }
    };
    let asking = async {
        let (mut quiet, mut all) = (0, 0);
        for (line, text) in (0..).zip(SOURCE.lines()) {
            let mut places = Vec::new();
            if text.trim_end().ends_with([';', '}', ',']) {
                places.push(text.chars().count());
            }
            let in_word = |c: char| c.is_alphanumeric() || c == '_';
            let inside = text
                .find(|c: char| c.is_alphabetic())
                .filter(|at| text[at + 1..].starts_with(in_word));
            places.extend(inside.map(|at| at + 1));
            for character in places {
                let at = Position { line, character: u32::try_from(character).expect("short") };
                let answer = ask(&client, at).answer().await.expect("no error");
                all += 1;
                quiet += usize::from(answer == json!({ "items": [] }));
            }
        }
        // A comment that is deleted from its end.
        let comments: Vec<(u32, &str)> =
            (0..).zip(SOURCE.lines()).filter(|(_, text)| text.trim().starts_with("//")).collect();
        for (line, text) in comments {
            let shortest = text.len() - text.trim_start().len() + 2;
            for character in (shortest.max(text.len().saturating_sub(10))..text.len()).rev() {
                let character = u32::try_from(character).expect("short");
                client.change(FILE, (line, character), (line, character + 1), "");
                let at = Position { line, character };
                let answer = ask(&client, at).answer().await.expect("no error");
                all += 1;
                quiet += usize::from(answer == json!({ "items": [] }));
            }
        }
        (quiet, all)
    };
    let (quiet, all) = tokio::select! {
        done = asking => done,
        () = pushy => unreachable!("it never ends"),
    };
    println!("quiet {quiet} times of {all}");
    assert!(all > 150, "{all}");
    assert!(quiet * 100 >= all * 95, "{quiet} of {all}");
    client.shutdown().await;
}
