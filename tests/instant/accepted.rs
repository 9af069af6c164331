//! What an editor's user does with suggestions: takes them whole, by words and by lines, and what is
//! counted of that.

use std::{path::Path, process::Stdio, time::Duration};

use hearth::{
    metrics::{self, Counts},
    server::Options,
};
use serde_json::{Value as Json, json};
use tower_lsp::gen_lsp_types::Position;

use super::{
    FILE, ask, editor, offered, shown,
    support::{
        client::{Client, Setup},
        fake_model::FakeModel,
    },
};
use hearth::lsp::ext::StatusState;

async fn counting(model: &FakeModel, state: &Path) -> Client {
    let options = json!({
        "router": { "local_endpoint": model.url().as_str() },
        "completion": { "debounce_ms": 0 },
    });
    let setup = Setup {
        initialization_options: options,
        options: Options { state: Some(state.to_owned()), ..Options::default() },
        ..Setup::default()
    };
    let client = setup.start().await;
    client.status(|status| status.state == StatusState::Warm).await;
    client
}

/// Asks at `at`, which is behind `before`, has the model say `says`, and returns the one item.
async fn suggested(
    client: &Client,
    model: &FakeModel,
    (at, before): (Position, &str),
    says: &str,
) -> Json {
    let pending = ask(client, at);
    loop {
        let generation = model.generation().await;
        // Not what is asked for in advance.
        if shown(&generation).0.ends_with(before) {
            generation.send(says);
            generation.finish();
            break;
        }
    }
    let answer = pending.answer().await.expect("no error");
    answer["items"][0].clone()
}

/// Does what VS Code does with an item: the edit of its range, then its command.
async fn accept(client: &mut Client, item: &Json) {
    let change = json!([{ "range": item["range"], "text": item["insertText"] }]);
    client.change_raw(FILE, change);
    run(client, item).await;
}

async fn run(client: &Client, item: &Json) {
    let command = &item["command"];
    let params = json!({ "command": command["command"], "arguments": command["arguments"] });
    client.send_raw("workspace/executeCommand", params).answer().await.expect("it is taken");
}

/// Half a minute passes.
async fn later() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(30)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn what_becomes_of_suggestions_is_counted() {
    let state = tempfile::tempdir().expect("a folder");
    let model = FakeModel::llama_server().await;
    let mut client = counting(&model, state.path()).await;
    let counted = || metrics::recent(state.path(), 1).expect("it can be read");

    // Accepted whole by an edit that replaces the word, and by the command after it: once.
    let at = client.open(FILE, "fn a() {\n    let x = fo$0\n}\n");
    let item = suggested(&client, &model, (at, "let x = fo"), "und_it(1);").await;
    assert_eq!(item["insertText"], "found_it(1);");
    accept(&mut client, &item).await;
    // Of its ten characters two do not last.
    client.change(FILE, (1, 22), (1, 24), "");

    // Typed out by hand: shown, not accepted.
    client.change(FILE, (1, 0), (1, 22), "    let y = ");
    let at = Position { line: 1, character: 12 };
    let item = suggested(&client, &model, (at, "let y = "), "ab(1);").await;
    assert_eq!(item["insertText"], "ab(1);");
    let mut here = at;
    for key in "ab(1);".chars() {
        here = client.type_at(FILE, here, &key.to_string());
    }

    // So short that only the command tells it from two keys.
    client.change(FILE, (1, 0), (1, 18), "    let z = ");
    let item = suggested(&client, &model, (at, "let z = "), "9;").await;
    accept(&mut client, &item).await;

    // A line of two, without any command; then the other one.
    client.change(FILE, (1, 0), (1, 14), "    $");
    client.change(FILE, (1, 0), (1, 5), "    if z {");
    let at = Position { line: 1, character: 10 };
    let says = "\n        call_this();\n        and_that();\n    }\n";
    let item = suggested(&client, &model, (at, "if z {"), says).await;
    let text = item["insertText"].as_str().expect("plain text");
    let first = text.find("\n        and").expect("two lines");
    let here = client.type_at(FILE, at, &text[..first]);
    client.type_at(FILE, here, &text[first..]);

    client.notify_raw("hearth/didShow", json!({ "milliseconds": 1_200 }));
    client.settle().await;
    later().await;
    client.shutdown().await;
    let expected = Counts { shown: 4, accepted: 2, accepted_in_part: 1, looked_at: 4, ..counted() };
    let counts = counted();
    assert_eq!(counts, expected);
    assert_eq!((counts.timed, counts.on_screen_ms), (1, 1_200));
    assert!(counts.kept_bytes < counts.accepted_bytes, "{counts:?}");
    let whole = text.len() as u64;
    assert_eq!(
        (counts.unchanged, counts.kept_bytes),
        (2, whole),
        "what came last stands: {counts:?}"
    );
}

#[tokio::test]
async fn what_is_counted_is_in_the_users_own_file_and_in_the_status() {
    let home = tempfile::tempdir().expect("a folder");
    let model = FakeModel::llama_server().await;
    let hearth = |arguments: &[&str]| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_hearth"));
        command
            .args(arguments)
            .args(["--set", "completion.debounce_ms=0", "--set"])
            .arg(format!("router.local_endpoint={}", model.url()))
            .env("XDG_CONFIG_HOME", home.path())
            .env("XDG_STATE_HOME", home.path())
            .kill_on_drop(true);
        command
    };
    let mut server = hearth(&["serve", "--stdio"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("hearth starts");
    let stdin = server.stdin.take().expect("a pipe");
    let stdout = server.stdout.take().expect("a pipe");
    let mut client = Setup::default().over(stdout, stdin).await;
    client.status(|status| status.state == StatusState::Warm).await;
    let at = client.open(FILE, "fn secret_name() {\n    let x = $0\n}\n");
    let item = suggested(&client, &model, (at, "let x = "), "secret_text();").await;
    accept(&mut client, &item).await;
    client.shutdown().await;

    let file = home.path().join("hearth").join("suggestions.json");
    let kept = std::fs::read_to_string(&file).expect("it is there");
    assert!(kept.contains(r#""shown":1,"accepted":1"#), "{kept}");
    assert!(!kept.contains("secret"), "{kept}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&file).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let shown = hearth(&["status"]).output().await.expect("hearth starts");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    let words = "suggestions of the last 30 days: 1 shown, 1 accepted and 0 in part (100 %)";
    assert!(shown.contains(words), "{shown}");
    let shown = hearth(&["status", "--json"]).output().await.expect("hearth starts");
    let shown: Json = serde_json::from_slice(&shown.stdout).expect("JSON");
    assert_eq!(shown["suggestions"]["accepted"], 1, "{shown}");
}

/// Accepts what a model says by words and by lines, as an editor with this encoding does in a file
/// with these line breaks, and asks after each part: the rest is there, and the model is asked no more
/// than twice, for the text itself and in advance for what follows it.
async fn in_parts(encoding: &'static str, line_break: &str) {
    let model = FakeModel::llama_server().await;
    let options = json!({
        "router": { "local_endpoint": model.url().as_str() },
        "completion": { "debounce_ms": 0 },
    });
    let setup =
        Setup { encodings: vec![encoding], initialization_options: options, ..Setup::default() };
    let mut client = setup.start().await;
    client.status(|status| status.state == StatusState::Warm).await;
    let source = "fn größe() {\n    // 🦀 é\n    let 🦀é = µ(\"🦀\") + $0\n}\n";
    let mut at = client.open(FILE, &source.replace('\n', line_break));
    let first_line = "größe(\"🦀é\", µ) + 1;";
    let second_line = "    ähnlich(größe);";
    let pending = ask(&client, at);
    let generation = model.generation().await;
    generation.send(&format!("{first_line}\n{second_line}\n"));
    generation.finish();
    let answer = pending.answer().await.expect("no error");
    assert_eq!(offered(&answer), [first_line]);

    let mut rest = first_line;
    for word in ["größe", "(\"🦀é\"", ", µ)"] {
        at = client.type_at(FILE, at, word);
        rest = rest.strip_prefix(word).expect("the next word");
        let answer = ask(&client, at).answer().await.expect("no error");
        let item = &answer["items"][0];
        let text = item["insertText"].as_str().unwrap_or_else(|| panic!("{encoding}: {answer}"));
        assert!(text.ends_with(rest), "{encoding}: {text:?} instead of {rest:?}");
        // What the editor would replace ends at the cursor, in its own units.
        assert_eq!(item["range"]["end"], json!(at), "{encoding}");
    }
    // The line, as VS Code accepts it: with the word in front of it once more.
    let answer = ask(&client, at).answer().await.expect("no error");
    let item = &answer["items"][0];
    client.change_raw(FILE, json!([{ "range": item["range"], "text": item["insertText"] }]));
    at = Position { line: at.line, character: at.character + units(encoding, rest) };
    at = client.type_at(FILE, at, &format!("{line_break}    "));
    let answer = ask(&client, at).answer().await.expect("no error");
    assert_eq!(offered(&answer), [second_line.trim()], "{encoding}");
    let asked = model.requests().iter().filter(|request| request.body["stream"] == true).count();
    assert!(asked <= 2, "{encoding}: {asked}");
    client.shutdown().await;
}

fn units(encoding: &str, text: &str) -> u32 {
    let units = match encoding {
        "utf-8" => text.len(),
        "utf-16" => text.encode_utf16().count(),
        _ => text.chars().count(),
    };
    u32::try_from(units).expect("a short line")
}

#[tokio::test]
async fn what_is_accepted_in_parts_leaves_the_rest() {
    for encoding in ["utf-8", "utf-16", "utf-32"] {
        for line_break in ["\n", "\r\n"] {
            in_parts(encoding, line_break).await;
        }
    }
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_neither_kept_nor_gone() {
    let state = tempfile::tempdir().expect("a folder");
    let model = FakeModel::llama_server().await;
    let mut client = counting(&model, state.path()).await;
    let at = client.open(FILE, "fn a() {\n    let x = $0\n}\n");
    let item = suggested(&client, &model, (at, "let x = "), "compute(1);").await;
    accept(&mut client, &item).await;
    client.close(FILE);
    // The editor goes while this one is open.
    let at = client.open(FILE, "fn a() {\n    let x = $0\n}\n");
    let item = suggested(&client, &model, (at, "let x = "), "compute(2);").await;
    accept(&mut client, &item).await;
    client.settle().await;
    client.shutdown().await;
    let counts = metrics::recent(state.path(), 1).expect("it can be read");
    let expected = Counts { shown: 2, accepted: 2, lost_sight: 2, ..Counts::default() };
    assert_eq!(counts, expected);
    assert_eq!(counts.kept_rate(), None);
}

#[tokio::test]
async fn nothing_is_counted_where_nothing_can_be_kept() {
    let model = FakeModel::llama_server().await;
    let mut client = editor(&model, json!({ "debounce_ms": 0 })).await;
    let at = client.open(FILE, "fn a() {\n    let x = $0\n}\n");
    let item = suggested(&client, &model, (at, "let x = "), "compute(1);").await;
    accept(&mut client, &item).await;
    client.shutdown().await;
}
