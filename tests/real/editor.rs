//! The program itself, as a process, between an editor on its pipes and the real server.

use std::{process::Stdio, time::Duration};

use expect_test::{Expect, expect};
use hearth::lsp::ext::StatusState;
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tower_lsp::gen_lsp_types::Position;
use url::Url;

use crate::{
    server::{pass_on, url},
    support::{
        client::{Client, Setup},
        fake_model::FakeModel,
    },
};

const FILE: &str = "file:///w/src/a.rs";
const FIXTURE: &str = "fn add(left: i64, right: i64) -> i64 {\n    $0\n}\n";

/// `hearth` with `arguments`, the server at `place` and nobody's settings, in the folder `home`.
fn hearth(arguments: &[&str], place: &Url, home: &tempfile::TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearth"));
    command
        .args(arguments)
        .args(["--set", &format!("router.local_endpoint={place}")])
        .args(["--set", "completion.debounce_ms=0"])
        .current_dir(home.path())
        .env("XDG_CONFIG_HOME", home.path())
        .env("XDG_STATE_HOME", home.path())
        .kill_on_drop(true);
    command
}

/// What `hearth … --json` prints beside a file `a.rs`, without what differs from run to run.
async fn check_printed(arguments: &[&str], expected: Expect) {
    let home = tempfile::tempdir().expect("a folder");
    std::fs::write(home.path().join("a.rs"), FIXTURE.replace("$0", "")).expect("writable");
    let output = hearth(arguments, &url(), &home).output().await.expect("hearth starts");
    assert!(output.status.success(), "{output:?}");
    let mut printed: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    plain(&mut printed);
    expected
        .assert_eq(&format!("{printed:#}\n").replace(url().as_str().trim_end_matches('/'), "URL"));
}

fn plain(value: &mut Value) {
    if let Some(fields) = value.as_object_mut() {
        for name in [
            "file",
            "template",
            "quantization",
            "version",
            "cachedTokens",
            "firstTextMs",
            "totalMs",
        ] {
            fields.remove(name);
        }
        fields.values_mut().for_each(plain);
    }
    value.as_array_mut().into_iter().flatten().for_each(plain);
}

#[tokio::test]
async fn discovery_takes_the_server() {
    check_printed(&["status", "--json"], expect![[r#"
        {
          "choice": {
            "provider": "llama-server",
            "endpoint": "URL",
            "model": {
              "name": "qwen2.5-coder-bigram",
              "card": null,
              "loaded": true,
              "context": 8192,
              "trained_context": 32768,
              "parameters": 654080,
              "relayed": false,
              "architecture": null,
              "inserts": null
            },
            "mode": "fill-in-the-middle (qwen-coder)",
            "why": "qwen2.5-coder-bigram at URL (llama-server): it is loaded and fills in the middle"
          },
          "seen": [
            {
              "place": "URL/",
              "sighting": {
                "kind": "llama-server",
                "models": [
                  {
                    "name": "qwen2.5-coder-bigram",
                    "card": null,
                    "loaded": true,
                    "context": 8192,
                    "trained_context": 32768,
                    "parameters": 654080,
                    "relayed": false,
                    "architecture": null,
                    "inserts": null
                  }
                ],
                "slots": 2
              }
            }
          ],
          "builtIn": null,
          "suggestions": {
            "shown": 0,
            "accepted": 0,
            "acceptedInPart": 0,
            "lookedAt": 0,
            "unchanged": 0,
            "lostSight": 0,
            "acceptedBytes": 0,
            "keptBytes": 0,
            "timed": 0,
            "onScreenMs": 0
          }
        }
    "#]]).await;
}

#[tokio::test]
async fn a_completion_on_the_command_line() {
    check_printed(
        &["complete", "--json", "a.rs:2:5"],
        expect![[r#"
            {
              "completion": "left + right",
              "reason": null,
              "provider": "llama-server",
              "endpoint": "URL",
              "model": "qwen2.5-coder-bigram",
              "why": "qwen2.5-coder-bigram at URL (llama-server): it is loaded and fills in the middle",
              "mode": "fill-in-the-middle (qwen-coder)",
              "promptTokens": 53,
              "promptTokensAreExact": true,
              "evaluatedTokens": 53,
              "prompt": null,
              "outputTokens": 4,
              "confidence": null,
              "withheld": null
            }
        "#]],
    )
    .await;
}

/// A running `hearth serve`, and the folder it runs in.
struct Served {
    process: Child,
    _home: tempfile::TempDir,
}

/// An editor at `hearth serve`, once the model at `place` is warm.
async fn editor(place: &Url, inline_completion: bool) -> (Client, Served) {
    let home = tempfile::tempdir().expect("a folder");
    let mut process = hearth(&["serve", "--stdio"], place, &home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("hearth starts");
    let (stdin, stdout) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
    let setup = Setup { inline_completion, ..Setup::default() };
    let client = setup.over(stdout, stdin).await;
    client.status(|status| status.state == StatusState::Warm).await;
    (client, Served { process, _home: home })
}

async fn leave(client: Client, mut served: Served) {
    client.shutdown().await;
    assert!(served.process.wait().await.expect("it ends").success());
}

async fn ask(client: &Client, method: &str, at: Position) -> Value {
    let params = json!({
        "textDocument": { "uri": FILE },
        "position": at,
        "context": { "triggerKind": 2 },
    });
    client.send_raw(method, params).answer().await.expect("no error")
}

#[tokio::test]
async fn ghost_text() {
    let (mut client, served) = editor(&url(), true).await;
    let at = client.open(FILE, FIXTURE);
    let answer = ask(&client, "textDocument/inlineCompletion", at).await;
    assert_eq!(answer["items"][0]["insertText"], "left + right");
    // A key along the suggestion, and one that it disagrees with: the latter asks anew.
    let at = client.type_at(FILE, at, "left");
    let answer = ask(&client, "textDocument/inlineCompletion", at).await;
    assert_eq!(answer["items"][0]["insertText"], "left + right");
    let at = client.type_at(FILE, at, "-");
    let answer = ask(&client, "textDocument/inlineCompletion", at).await;
    assert_eq!(answer["items"][0]["insertText"], "left + right");
    assert_eq!(answer["items"][0]["range"]["start"], json!({ "line": 1, "character": 9 }));
    leave(client, served).await;
}

#[tokio::test]
async fn a_popup() {
    let (mut client, served) = editor(&url(), false).await;
    let at = client.open(FILE, FIXTURE);
    // It answers within an editor's patience: with nothing yet, if the model was slower.
    let answered = async {
        loop {
            let answer = ask(&client, "textDocument/completion", at).await;
            if let Some(item) = answer["items"].get(0) {
                return item.clone();
            }
            assert_eq!(answer["isIncomplete"], true);
        }
    };
    let item = tokio::time::timeout(Duration::from_secs(20), answered).await.expect("an item");
    assert_eq!(item["textEdit"]["newText"], "left + right");
    leave(client, served).await;
}

#[tokio::test]
async fn ghost_text_through_a_played_ollama_and_lm_studio() {
    for played in [FakeModel::ollama().await, FakeModel::open_ai().await] {
        let (mut client, served) = editor(&played.url(), true).await;
        let at = client.open(FILE, FIXTURE);
        let (answer, ()) =
            tokio::join!(ask(&client, "textDocument/inlineCompletion", at), pass_on(&played));
        assert_eq!(answer["items"][0]["insertText"], "left + right");
        leave(client, served).await;
    }
}
