//! A keystroke, from the editor's pipe to the model's socket and back.

mod support;

use expect_test::{Expect, expect};
use hearth::lsp::ext::StatusState;
use serde_json::{Value as Json, json};
use support::{
    client::{Client, Pending, Setup},
    fake_model::{FakeModel, Generation, Reply},
};
use tower_lsp::gen_lsp_types::Position;

const FILE: &str = "file:///w/src/a.rs";
const INLINE: &str = "textDocument/inlineCompletion";
const POPUP: &str = "textDocument/completion";
const CANCELLED: i64 = -32_800;

fn setup(endpoint: &url::Url) -> Setup {
    Setup {
        initialization_options: json!({
            "router": { "local_endpoint": endpoint.as_str() },
            "completion": { "debounce_ms": 0 },
        }),
        ..Setup::default()
    }
}

/// An editor whose model is warm.
async fn editor(model: &FakeModel) -> Client {
    let client = setup(&model.url()).start().await;
    client.status(|status| status.state == StatusState::Warm).await;
    client
}

fn ask(client: &Client, method: &str, at: Position) -> Pending {
    let params = json!({
        "textDocument": { "uri": FILE },
        "position": at,
        "context": { "triggerKind": 2 },
    });
    client.send_raw(method, params)
}

/// A model that says `text` whatever it is asked.
async fn says(model: &FakeModel, text: &str) -> Generation {
    let generation = model.generation().await;
    generation.send(text);
    generation.finish();
    generation
}

/// Opens `fixture`, asks at `$0`, lets the model say `produced`, and shows the items.
async fn check(fixture: &str, produced: &str, expected: Expect) {
    let model = FakeModel::llama_server().await;
    let mut client = editor(&model).await;
    let at = client.open(FILE, fixture);
    let pending = ask(&client, INLINE, at);
    let _generation = says(&model, produced).await;
    let answer = pending.answer().await.expect("no error");
    expected.assert_eq(&shown(&answer));
    client.shutdown().await;
}

fn shown(answer: &Json) -> String {
    let items = answer["items"].as_array().expect("a list");
    let show = |item: &Json| {
        let (start, end) = (&item["range"]["start"], &item["range"]["end"]);
        let at = |place: &Json| format!("{}:{}", place["line"], place["character"]);
        format!("{}-{} {}", at(start), at(end), item["insertText"])
    };
    items.iter().map(show).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn the_rest_of_a_line() {
    check(
        "fn a() {\n    let total = ad$0\n}\n",
        "d(1, 2);",
        expect![[r#"1:16-1:18 "add(1, 2);""#]],
    )
    .await;
}

#[tokio::test]
async fn text_right_of_the_cursor_stays() {
    check("fn a() {\n    foo($0);\n}\n", "1, 2)", expect![[r#"1:8-1:10 "1, 2);""#]]).await;
}

#[tokio::test]
async fn positions_count_what_the_editor_counts() {
    check("fn a() {\n    let s = \"🦀é\"; b$0\n}\n", "ar();", expect![[r#"1:19-1:20 "bar();""#]])
        .await;
}

#[tokio::test]
async fn a_block_in_a_file_of_tabs_and_crlf() {
    check(
        "fn a() {$0\r\n}\r\nfn b() {\r\n\tc();\r\n}\r\n",
        "\n    let x = 1;\n    d(x);\n}\n",
        expect![[r#"0:8-0:8 "\n\tlet x = 1;\n\td(x);""#]],
    )
    .await;
}

#[tokio::test]
async fn what_would_break_the_file_is_not_shown() {
    check("fn a() {\n    let x = $0\n}\n", "} } fn", expect![[""]]).await;
}

#[tokio::test]
async fn an_item_extends_what_the_popup_has_selected() {
    let model = FakeModel::llama_server().await;
    let mut client = editor(&model).await;
    client.open(FILE, "fn a() {\n    x.pu\n}\n");
    let ask = |selected: &str| {
        let range =
            json!({ "start": { "line": 1, "character": 6 }, "end": { "line": 1, "character": 8 } });
        client.send_raw(
            INLINE,
            json!({
                "textDocument": { "uri": FILE },
                "position": { "line": 1, "character": 8 },
                "context": { "triggerKind": 2, "selectedCompletionInfo": { "range": range, "text": selected } },
            }),
        )
    };
    let pending = ask("push");
    let _generation = says(&model, "sh(1);").await;
    let answer = pending.answer().await.expect("no error");
    assert_eq!(shown(&answer), r#"1:6-1:8 "push(1);""#);
    assert_eq!(shown(&ask("pull").answer().await.expect("no error")), "");
    client.shutdown().await;
}

#[tokio::test]
async fn typing_along_asks_the_model_once() {
    let model = FakeModel::llama_server().await;
    let mut client = editor(&model).await;
    let at = client.open(FILE, "fn a() {\n    $0\n}\n");
    let first = ask(&client, INLINE, at);
    let generation = model.generation().await;
    generation.send("let");
    let at = client.type_at(FILE, at, "l");
    let second = ask(&client, INLINE, at);
    assert_eq!(first.answer().await.map_err(|error| error.code), Err(CANCELLED));
    let at = client.type_at(FILE, at, "et x");
    client.cancel(&second);
    let third = ask(&client, INLINE, at);
    assert_eq!(second.answer().await.map_err(|error| error.code), Err(CANCELLED));
    generation.send(" x = 1;");
    generation.finish();
    assert_eq!(shown(&third.answer().await.expect("no error")), r#"1:8-1:9 "x = 1;""#);
    // And what is left of it is there for the next key without asking.
    let at = client.type_at(FILE, at, " =");
    let fourth = ask(&client, INLINE, at);
    assert_eq!(shown(&fourth.answer().await.expect("no error")), r#"1:11-1:11 " 1;""#);
    let is_generation = |request: &&support::fake_model::Request| request.body["stream"] == true;
    assert_eq!(model.requests().iter().filter(is_generation).count(), 1);
    client.shutdown().await;
}

#[tokio::test]
async fn a_disagreeing_key_reaches_the_model() {
    let model = FakeModel::llama_server().await;
    let mut client = editor(&model).await;
    let at = client.open(FILE, "fn a() {\n    $0\n}\n");
    let first = ask(&client, INLINE, at);
    let mut generation = model.generation().await;
    generation.send("foo");
    let at = client.type_at(FILE, at, "b");
    generation.disconnected().await;
    assert_eq!(first.answer().await.map_err(|error| error.code), Err(CANCELLED));
    let second = ask(&client, INLINE, at);
    let _generation = says(&model, "ar();").await;
    assert_eq!(shown(&second.answer().await.expect("no error")), r#"1:4-1:5 "bar();""#);
    client.shutdown().await;
}

#[tokio::test]
async fn escape_reaches_the_model() {
    let model = FakeModel::llama_server().await;
    let mut client = editor(&model).await;
    let at = client.open(FILE, "fn a() {\n    $0\n}\n");
    let pending = ask(&client, INLINE, at);
    let mut generation = model.generation().await;
    client.cancel(&pending);
    assert_eq!(pending.answer().await.map_err(|error| error.code), Err(CANCELLED));
    generation.disconnected().await;
    client.shutdown().await;
}

#[tokio::test]
async fn closing_the_document_reaches_the_model() {
    let model = FakeModel::llama_server().await;
    let mut client = editor(&model).await;
    let at = client.open(FILE, "fn a() {\n    $0\n}\n");
    let pending = ask(&client, INLINE, at);
    let mut generation = model.generation().await;
    client.close(FILE);
    generation.disconnected().await;
    assert_eq!(pending.answer().await.map_err(|error| error.code), Err(CANCELLED));
    client.shutdown().await;
}

#[tokio::test]
async fn a_complete_line_stops_the_model() {
    let model = FakeModel::llama_server().await;
    let mut client = editor(&model).await;
    let at = client.open(FILE, "fn a() {\n    $0\n    z();\n}\n");
    let pending = ask(&client, INLINE, at);
    let mut generation = model.generation().await;
    generation.send("b();\n");
    assert_eq!(shown(&pending.answer().await.expect("no error")), r#"1:4-1:4 "b();""#);
    generation.disconnected().await;
    client.shutdown().await;
}

/// Helix asks for no second popup while one is on its way.
#[tokio::test]
async fn a_popup_stays_good_while_one_types_along() {
    let model = FakeModel::llama_server().await;
    let mut client = Setup { inline_completion: false, ..setup(&model.url()) }.start().await;
    client.status(|status| status.state == StatusState::Warm).await;
    let at = client.open(FILE, "fn a() {\n    let x = f$0\n}\n");
    let popup = ask(&client, POPUP, at);
    let generation = model.generation().await;
    client.type_at(FILE, at, "oo");
    generation.send("oo(1);");
    generation.finish();
    let answer = popup.answer().await.expect("no error");
    expect![[r#"
        {
          "range": {
            "start": {
              "line": 1,
              "character": 12
            },
            "end": {
              "line": 1,
              "character": 13
            }
          },
          "newText": "foo(1);"
        }"#]]
    .assert_eq(&format!("{:#}", answer["items"][0]["textEdit"]));
    // Editors filter by what is typed by then.
    assert_eq!(answer["items"][0]["filterText"], "foo");
    client.shutdown().await;
}

#[tokio::test]
async fn a_popup_does_not_wait_and_the_next_key_finds_what_came_late() {
    let model = FakeModel::llama_server().await;
    let mut client = Setup { inline_completion: false, ..setup(&model.url()) }.start().await;
    client.status(|status| status.state == StatusState::Warm).await;
    let at = client.open(FILE, "fn a() {\n    let x = f$0\n}\n");
    let early = ask(&client, POPUP, at);
    let generation = model.generation().await;
    let answer = early.answer().await.expect("no error");
    assert_eq!(answer, json!({ "isIncomplete": true, "items": [] }));
    generation.send("oo(1);");
    generation.finish();
    let at = client.type_at(FILE, at, "o");
    let answer = ask(&client, POPUP, at).answer().await.expect("no error");
    expect![[r#"
        {
          "isIncomplete": true,
          "items": [
            {
              "label": "foo(1);",
              "kind": 1,
              "detail": "Hearth",
              "sortText": "\u0001",
              "filterText": "foo",
              "insertTextFormat": 1,
              "textEdit": {
                "range": {
                  "start": {
                    "line": 1,
                    "character": 12
                  },
                  "end": {
                    "line": 1,
                    "character": 14
                  }
                },
                "newText": "foo(1);"
              }
            }
          ]
        }"#]]
    .assert_eq(&format!("{answer:#}"));
    client.shutdown().await;
}

#[tokio::test]
async fn the_status_says_which_model_and_how() {
    let model = FakeModel::ollama().await;
    let client = setup(&model.url()).start().await;
    let status = client.status(|status| status.state == StatusState::Warm).await;
    assert_eq!(status.provider.as_deref(), Some("ollama"));
    assert_eq!(status.model.as_deref(), Some("qwen2.5-coder:1.5b-base"));
    assert_eq!(status.mode.as_deref(), Some("fill-in-the-middle (qwen-coder)"));
    client.shutdown().await;
}

/// The model does `fault`; the editor gets an empty list and the status a sentence.
async fn check_fault(fault: impl FnOnce(&Generation), expected: Expect) {
    let model = FakeModel::llama_server().await;
    let mut client = editor(&model).await;
    let at = client.open(FILE, "fn a() {\n    let x = $0\n}\n");
    let pending = ask(&client, INLINE, at);
    let generation = model.generation().await;
    fault(&generation);
    assert_eq!(pending.answer().await.expect("no error"), json!({ "items": [] }));
    let status = client.status(|status| status.last_no_suggestion.is_some()).await;
    let sentence = status.last_no_suggestion.unwrap_or_default();
    expected.assert_eq(&sentence.replace(&model.address().to_string(), "HOST"));
    // The server is alive and the next request is answered.
    let at = client.type_at(FILE, at, "f");
    let pending = ask(&client, INLINE, at);
    let _generation = says(&model, "oo();").await;
    assert_eq!(shown(&pending.answer().await.expect("no error")), r#"1:12-1:13 "foo();""#);
    client.shutdown().await;
}

#[tokio::test]
async fn a_busy_server() {
    let error = json!({ "error": { "code": 503, "message": "no slot available", "type": "unavailable_error" } });
    check_fault(
        |generation| generation.refuse(Reply::json(503, &error)),
        expect!["the server at http://HOST is busy: no slot available"],
    )
    .await;
}

#[tokio::test]
async fn a_missing_model() {
    let error = json!({ "error": { "code": 404, "message": "model 'x' not found", "type": "not_found_error" } });
    check_fault(
        |generation| generation.refuse(Reply::json(404, &error)),
        expect!["the server at http://HOST does not have the model 'coder': model 'x' not found"],
    )
    .await;
}

#[tokio::test]
async fn a_stream_that_breaks_off() {
    let cut = |generation: &Generation| {
        generation.send("foo");
        generation.cut();
    };
    check_fault(
        cut,
        expect!["the stream from http://HOST broke off: unexpected EOF during chunk size line"],
    )
    .await;
}

#[tokio::test]
async fn a_stream_that_is_no_json() {
    check_fault(|generation| generation.raw("data: {\"content\": nonsense\n\n"), expect!["the server at http://HOST sent something that is not a stream of JSON: expected ident at line 1 column 14"]).await;
}

#[tokio::test]
async fn no_server_at_all() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = closed.local_addr().expect("bound");
    drop(closed);
    let endpoint = format!("http://{address}").parse().expect("a URL");
    let mut client = setup(&endpoint).start().await;
    let status = client.status(|status| status.state == StatusState::Down).await;
    expect!["no model server answers at http://HOST: Connection refused (os error 111)"]
        .assert_eq(&status.message.replace(&address.to_string(), "HOST"));
    let at = client.open(FILE, "fn a() {\n    $0\n}\n");
    let answer = ask(&client, INLINE, at).answer().await.expect("no error");
    assert_eq!(answer, json!({ "items": [] }));
    client.shutdown().await;
}

#[tokio::test]
async fn an_address_that_is_not_this_machine() {
    let endpoint = "http://192.0.2.1:11434".parse().expect("a URL");
    let client = setup(&endpoint).start().await;
    let status = client.status(|status| status.state == StatusState::Down).await;
    expect!["http://192.0.2.1:11434/ is not on this machine; Hearth sends code to loopback addresses, to router.private_hosts and, behind the border, to router.cloud only"].assert_eq(&status.message);
    client.shutdown().await;
}

#[tokio::test]
async fn places_that_do_not_exist() {
    let model = FakeModel::llama_server().await;
    let mut client = editor(&model).await;
    let far = Position { line: 4_000_000, character: 4_000_000 };
    let never_opened = ask(&client, INLINE, far).answer().await.expect("no error");
    assert_eq!(never_opened, json!({ "items": [] }));
    client.open(FILE, "fn a() {}\n");
    let pending = ask(&client, INLINE, far);
    let _generation = says(&model, "fn b() {}").await;
    assert_eq!(shown(&pending.answer().await.expect("no error")), r#"1:0-1:0 "fn b() {}""#);
    client.shutdown().await;
}

#[tokio::test]
async fn documents_of_any_kind_and_size() {
    let model = FakeModel::llama_server().await;
    let mut client = editor(&model).await;
    let long_line = format!("let s = \"{}\";\n", "x".repeat(10 << 20));
    let many_lines = "fn f() { g(); }\n".repeat(200_000);
    let binary: String = (0..60_000_u32).filter_map(char::from_u32).collect();
    for (name, text) in [("long_line", long_line), ("many_lines", many_lines), ("binary", binary)] {
        let uri = format!("file:///w/{name}.rs");
        client.open(&uri, &text);
        let middle = Position { line: 100_000, character: 5 };
        let params = json!({ "textDocument": { "uri": uri }, "position": middle, "context": { "triggerKind": 2 } });
        let pending = client.send_raw(INLINE, params);
        let generation = says(&model, "y").await;
        let sent = generation.request.bytes.len();
        assert!(sent < 64 << 10, "{name}: {sent} bytes of prompt for a context of 2048 tokens");
        pending.answer().await.expect("no error");
        client.close(&uri);
    }
    client.shutdown().await;
}

#[tokio::test]
async fn switched_off_is_quiet_at_once() {
    let model = FakeModel::llama_server().await;
    let mut setup = setup(&model.url());
    setup.initialization_options["completion"]["enabled"] = json!(false);
    let mut client = setup.start().await;
    client.status(|status| status.state == StatusState::Warm).await;
    let at = client.open(FILE, "fn a() {\n    $0\n}\n");
    let answer = ask(&client, INLINE, at).answer().await.expect("no error");
    assert_eq!(answer, json!({ "items": [] }));
    client.shutdown().await;
}

#[tokio::test]
async fn paused_is_quiet_until_it_is_resumed() {
    let model = FakeModel::llama_server().await;
    let mut client = editor(&model).await;
    let at = client.open(FILE, "fn a() {\n    $0\n}\n");
    let run = |command: &str| {
        let params = json!({ "command": command });
        client.send_raw("workspace/executeCommand", params).answer()
    };
    run("hearth.pause").await.expect("no error");
    client.status(|status| status.paused).await;
    let answer = ask(&client, INLINE, at).answer().await.expect("no error");
    assert_eq!(answer, json!({ "items": [] }));
    // What the settings say meanwhile changes nothing.
    client.notify_raw(
        "workspace/didChangeConfiguration",
        json!({ "settings": { "hearth": { "completion": { "enabled": true } } } }),
    );
    let answer = ask(&client, INLINE, at).answer().await.expect("no error");
    assert_eq!(answer, json!({ "items": [] }));
    run("hearth.resume").await.expect("no error");
    client.status(|status| !status.paused).await;
    let pending = ask(&client, INLINE, at);
    let _generation = says(&model, "b();").await;
    assert_eq!(shown(&pending.answer().await.expect("no error")), r#"1:4-1:4 "b();""#);
    client.shutdown().await;
}
