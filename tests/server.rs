//! The server on real streams: order, cancellation, floods, panics, the end.

mod support;

use std::{
    process::Stdio,
    sync::{Arc, Mutex},
};

use expect_test::{Expect, expect};
use hearth::{
    config::{Layer, Layers},
    server::{self, Connection, End, Options, ReceiptOrder},
    session::Session,
};
use serde_json::{Value as Json, json};
use support::{
    client::{Client, Setup},
    random::Random,
};
use tokio::{
    process::{Child, Command},
    sync::oneshot,
};
use tower::Service;
use tower_lsp::{
    ClientSocket, LanguageServer, LspService,
    gen_lsp_types::{
        ConfigurationItem, ConfigurationParams, ConfigurationRequest, InitializeParams,
        InitializeResult,
    },
    jsonrpc::{Error, Request, Result},
};

/// A server whose handlers do what the rules of the layer allow, and one panics.
struct Probe {
    client: tower_lsp::Client,
    text: Arc<Mutex<String>>,
    /// Dropped with the future of a `hang`.
    owned: Mutex<Vec<oneshot::Sender<()>>>,
}

impl LanguageServer for Probe {
    async fn initialize(&self, _: InitializeParams) -> Result<InitializeResult> {
        Ok(InitializeResult::default())
    }

    async fn shutdown(&self) -> Result<()> {
        Ok(())
    }
}

#[expect(clippy::unused_async, reason = "the framework takes futures")]
impl Probe {
    async fn edit(&self, (start, end, text): (usize, usize, String)) {
        self.text.lock().unwrap().replace_range(start..end, &text);
    }

    async fn read(&self) -> Result<String> {
        let snapshot = self.text.lock().unwrap().clone();
        tokio::task::yield_now().await;
        Ok(snapshot)
    }

    async fn hang(&self) -> Result<()> {
        let _owned = self.owned.lock().unwrap().pop();
        std::future::pending().await
    }

    async fn ask(&self) -> Result<usize> {
        let params = ConfigurationParams { items: vec![ConfigurationItem::default()] };
        Ok(self.client.send_request::<ConfigurationRequest>(params).await?.len())
    }

    async fn panic(&self) -> Result<()> {
        let nothing: Option<()> = None;
        nothing.ok_or(Error::internal_error()).unwrap();
        Ok(())
    }

    async fn panic_silently(&self) {
        let _ = self.panic().await;
    }
}

fn probe_service(owned: Vec<oneshot::Sender<()>>) -> (LspService<Probe>, ClientSocket) {
    LspService::build_with_lifecycle_methods(|client| Probe {
        client,
        text: Arc::default(),
        owned: Mutex::new(owned),
    })
    .custom_method("probe/edit", Probe::edit)
    .custom_method("probe/read", Probe::read)
    .custom_method("probe/hang", Probe::hang)
    .custom_method("probe/ask", Probe::ask)
    .custom_method("probe/panic", Probe::panic)
    .custom_method("probe/panicSilently", Probe::panic_silently)
    .finish()
}

/// A client of a [`Probe`], and what tells that the future of a `hang` was dropped.
async fn probe(hangs: usize) -> (Client, Vec<oneshot::Receiver<()>>) {
    let (owned, dropped): (Vec<_>, Vec<_>) = (0..hangs).map(|_| oneshot::channel()).unzip();
    let setup = Setup { configuration: Some(json!({})), ..Setup::default() };
    let client = setup.start_with(|reader, writer| {
        let (service, socket) = probe_service(owned);
        server::serve(reader, writer, service, socket, Connection::default())
    });
    (client.await, dropped)
}

#[tokio::test]
async fn a_handler_begins_at_receipt() {
    let (service, _socket) = probe_service(Vec::new());
    let text = Arc::clone(&service.inner().text);
    let mut service = ReceiptOrder::new(service, Connection::default());
    let initialize = Request::build("initialize").params(json!({ "capabilities": {} }));
    drop(service.call(initialize.id(1).finish()));
    let edit = Request::build("probe/edit").params(json!([0, 0, "now"])).finish();
    // Nobody polls what is returned.
    let _handler = service.call(edit);
    assert_eq!(*text.lock().unwrap(), "now");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_sees_the_text_at_its_send_point() {
    for seed in Random::seeds() {
        let mut random = Random::new(seed);
        let (client, _) = probe(0).await;
        let mut text = String::new();
        let mut reads = Vec::new();
        for number in 0..10_000 {
            let start = random.within(0..text.len() + 1);
            let end = (start + random.below(3)).min(text.len());
            let inserted = if text.len() < 500 { random.pick(&["a", "bc", "def", ""]) } else { "" };
            text.replace_range(start..end, inserted);
            client.notify_raw("probe/edit", json!([start, end, inserted]));
            if random.below(7) == 0 {
                reads.push((number, text.clone(), client.send_raw("probe/read", Json::Null)));
            }
        }
        for (number, expected, read) in reads {
            let seen = read.answer().await.unwrap();
            assert_eq!(seen, json!(expected), "seed {seed}, after edit {number}");
        }
        client.shutdown().await;
    }
}

#[tokio::test]
async fn a_cancel_drops_what_the_request_owns() {
    let (client, dropped) = probe(500).await;
    let hangs: Vec<_> = dropped.iter().map(|_| client.send_raw("probe/hang", Json::Null)).collect();
    for hang in &hangs {
        client.cancel(hang);
    }
    for hang in hangs {
        assert_eq!(hang.answer().await.unwrap_err().code, -32800);
    }
    for dropped in dropped {
        assert!(dropped.await.is_err(), "the sender went with the future");
    }
    client.shutdown().await;
}

#[tokio::test]
async fn hung_requests_do_not_block() {
    let (client, dropped) = probe(900).await;
    let hangs: Vec<_> = dropped.iter().map(|_| client.send_raw("probe/hang", Json::Null)).collect();
    assert_eq!(client.send_raw("probe/read", Json::Null).answer().await.unwrap(), "");
    client.shutdown().await;
    for hang in hangs {
        assert_eq!(hang.answer().await.unwrap_err().code, -32800, "answered on the way out");
    }
}

#[tokio::test]
async fn the_clients_reply_arrives_behind_a_flood() {
    let (client, _) = probe(0).await;
    let asks: Vec<_> = (0..200).map(|_| client.send_raw("probe/ask", Json::Null)).collect();
    for _ in 0..5_000 {
        client.notify_raw("probe/edit", json!([0, 0, "a"]));
    }
    for ask in asks {
        assert_eq!(ask.answer().await.unwrap(), 1);
    }
    client.shutdown().await;
}

#[tokio::test]
async fn a_panic_is_contained() {
    let (client, _) = probe(0).await;
    client.notify_raw("probe/edit", json!([0, 0, "still here"]));
    let error = client.send_raw("probe/panic", Json::Null).answer().await.unwrap_err();
    assert_eq!((error.code, &*error.message), (-32603, "Internal error"));
    client.notify_raw("probe/panicSilently", Json::Null);
    assert_eq!(client.send_raw("probe/read", Json::Null).answer().await.unwrap(), "still here");
    client.shutdown().await;
}

#[tokio::test]
async fn a_client_that_vanishes_ends_everything() {
    let (client, dropped) = probe(1).await;
    let hang = client.send_raw("probe/hang", Json::Null);
    assert_eq!(client.send_raw("probe/read", Json::Null).answer().await.unwrap(), "");
    assert_eq!(client.vanish().await, Some(End::Abrupt));
    assert_eq!(hang.answer().await.unwrap_err().code, -32800);
    for dropped in dropped {
        assert!(dropped.await.is_err());
    }
}

#[tokio::test]
async fn exit_without_shutdown_is_abrupt() {
    assert_eq!(Setup::default().start().await.exit().await, Some(End::Abrupt));
}

#[tokio::test]
async fn unknown_requests_are_refused_and_unknown_notifications_ignored() {
    let client = Setup::default().start().await;
    client.notify_raw("$/setTrace", json!({ "value": "verbose" }));
    client.notify_raw("$/nonsense", json!({}));
    client.notify_raw("textDocument/didSave", json!({ "textDocument": { "uri": "file:///a" } }));
    client.notify_raw("workspace/nonsense", json!([1]));
    for method in ["workspace/nonsense", "$/nonsense", "textDocument/hover"] {
        let error = client.send_raw(method, json!({})).answer().await.unwrap_err();
        assert_eq!(error.code, -32601, "{method}");
    }
    let params = json!({ "command": "nonsense" });
    let error = client.send_raw("workspace/executeCommand", params).answer().await.unwrap_err();
    assert_eq!((error.code, &*error.message), (-32602, "unknown command 'nonsense'"));
    client.shutdown().await;
}

#[tokio::test]
async fn messages_that_are_none_do_not_end_the_server() {
    let session = Arc::new(Session::default());
    let options = Options { session: Arc::clone(&session), ..Options::default() };
    let mut client = Setup { options, ..Setup::default() }.start().await;
    client.open("file:///w/a.rs", "// \n");
    client.send_bytes(b"{");
    client.send_bytes(br#"["jsonrpc"]"#);
    client.send_bytes(b"\xff\xfe");
    client.send_bytes(
        br#"{"jsonrpc":"2.0","method":"textDocument/didChange","params":{"textDocument":{
        "uri":"file:///w/a.rs","version":7},"contentChanges":[{"range":{"start":{"line":0,"character":3},
        "end":{"line":0,"character":3}},"text":"\ud83e"}]}}"#,
    );
    client.settle().await;
    let snapshot = session.snapshot("file:///w/a.rs").unwrap();
    assert_eq!((snapshot.text.to_string(), snapshot.version), ("// \u{fffd}\n".to_owned(), 7));
    client.shutdown().await;
}

async fn check_capabilities(setup: Setup, expected: Expect) {
    let client = setup.start().await;
    expected.assert_eq(&serde_json::to_string_pretty(&client.initialized["capabilities"]).unwrap());
    client.shutdown().await;
}

#[tokio::test]
async fn an_editor_with_ghost_text_is_offered_no_list() {
    let setup = Setup { encodings: vec!["utf-16", "utf-8"], ..Setup::default() };
    check_capabilities(
        setup,
        expect![[r#"
            {
              "positionEncoding": "utf-8",
              "textDocumentSync": {
                "openClose": true,
                "change": 2
              },
              "codeActionProvider": {
                "codeActionKinds": [
                  "refactor.rewrite.hearth",
                  "refactor.extract.hearth",
                  "quickfix.hearth",
                  "source.hearth"
                ],
                "resolveProvider": false
              },
              "executeCommandProvider": {
                "commands": [
                  "hearth.accepted",
                  "hearth.pause",
                  "hearth.resume",
                  "hearth.cancel",
                  "hearth.trust",
                  "hearth.refactor",
                  "hearth.test",
                  "hearth.explain",
                  "hearth.install",
                  "hearth.analyzeCodebase"
                ],
                "workDoneProgress": true
              },
              "inlineCompletionProvider": true,
              "workspace": {
                "workspaceFolders": {
                  "supported": true,
                  "changeNotifications": true
                }
              }
            }"#]],
    )
    .await;
}

#[tokio::test]
async fn an_editor_without_ghost_text_is_offered_the_list() {
    let setup = Setup { encodings: vec![], inline_completion: false, ..Setup::default() };
    check_capabilities(
        setup,
        expect![[r#"
            {
              "positionEncoding": "utf-16",
              "textDocumentSync": {
                "openClose": true,
                "change": 2
              },
              "completionProvider": {
                "triggerCharacters": [
                  ".",
                  ":",
                  "(",
                  "=",
                  "{"
                ]
              },
              "codeActionProvider": {
                "codeActionKinds": [
                  "refactor.rewrite.hearth",
                  "refactor.extract.hearth",
                  "quickfix.hearth",
                  "source.hearth"
                ],
                "resolveProvider": false
              },
              "executeCommandProvider": {
                "commands": [
                  "hearth.accepted",
                  "hearth.pause",
                  "hearth.resume",
                  "hearth.cancel",
                  "hearth.trust",
                  "hearth.refactor",
                  "hearth.test",
                  "hearth.explain",
                  "hearth.install",
                  "hearth.analyzeCodebase"
                ],
                "workDoneProgress": true
              },
              "inlineCompletionProvider": true,
              "workspace": {
                "workspaceFolders": {
                  "supported": true,
                  "changeNotifications": true
                }
              }
            }"#]],
    )
    .await;
}

#[tokio::test]
async fn settings_are_asked_for_and_asked_for_again() {
    let setup = Setup { configuration: Some(json!({ "colour": 1 })), ..Setup::default() };
    let client = setup.start().await;
    let told = client.received("window/showMessage").await;
    assert_eq!(told, json!({ "type": 2, "message": "Hearth: unknown setting 'colour'" }));

    client.set_configuration(json!({ "colour": 1, "shape": 2 }));
    client.notify_raw("workspace/didChangeConfiguration", json!({ "settings": null }));
    let told = client.received("window/showMessage").await;
    assert_eq!(told["message"], "Hearth: unknown setting 'shape'", "what was told is not repeated");
    client.shutdown().await;
}

#[tokio::test]
async fn settings_are_taken_from_an_editor_that_cannot_be_asked() {
    let mut layers = Layers::default();
    layers.set(Layer::UserFile, json!({ "size": 1 }));
    let setup = Setup {
        options: Options { layers, ..Options::default() },
        initialization_options: json!({ "hearth": { "colour": 1 } }),
        ..Setup::default()
    };
    let client = setup.start().await;
    for expected in ["Hearth: unknown setting 'size'", "Hearth: unknown setting 'colour'"] {
        assert_eq!(client.received("window/showMessage").await["message"], expected);
    }
    let settings = json!({ "settings": { "hearth": { "shape": 1 } } });
    client.notify_raw("workspace/didChangeConfiguration", settings);
    let told = client.received("window/showMessage").await;
    assert_eq!(told["message"], "Hearth: unknown setting 'shape'");
    client.shutdown().await;
}

#[tokio::test]
async fn a_client_that_never_answers_does_not_hold_the_server() {
    let setup = Setup {
        configuration: Some(json!({})),
        unanswered: vec!["workspace/configuration", "client/registerCapability"],
        ..Setup::default()
    };
    let client = setup.start().await;
    client.received("workspace/configuration").await;
    client.received("client/registerCapability").await;
    client.settle().await;
    client.shutdown().await;
}

// The real program on real pipes.

fn spawn(program: &mut Command) -> Child {
    let pipes = program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    pipes.kill_on_drop(true).spawn().unwrap()
}

async fn connect(child: &mut Child, process_id: Option<u32>) -> Client {
    let setup = Setup { process_id, ..Setup::default() };
    setup.over(child.stdout.take().unwrap(), child.stdin.take().unwrap()).await
}

fn hearth() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearth"));
    command.args(["serve", "--stdio"]);
    command
}

#[tokio::test]
async fn the_exit_code_says_how_it_ended() {
    let mut child = spawn(&mut hearth());
    connect(&mut child, None).await.shutdown().await;
    assert_eq!(child.wait().await.unwrap().code(), Some(0), "shutdown, exit");

    let mut child = spawn(&mut hearth());
    connect(&mut child, None).await.exit().await;
    assert_eq!(child.wait().await.unwrap().code(), Some(1), "exit alone");

    let mut child = spawn(&mut hearth());
    connect(&mut child, None).await.vanish().await;
    assert_eq!(child.wait().await.unwrap().code(), Some(1), "the end of the input");
}

#[cfg(unix)]
#[tokio::test]
async fn the_server_ends_with_its_parent_although_its_pipes_stay_open() {
    // The shell is the editor; the server inherits its pipes, whose other ends stay open here.
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec 3<&0; \"$0\" serve --stdio <&3 & wait", env!("CARGO_BIN_EXE_hearth")]);
    let mut shell = spawn(&mut shell);
    let process_id = shell.id();
    let (reader, mut output) = tokio::io::duplex(1 << 16);
    let mut from_server = shell.stdout.take().unwrap();
    let relaying = hearth::session::task::OwnedTask::spawn(async move {
        // Ends when nobody holds the writing end any more: the server is gone.
        tokio::io::copy(&mut from_server, &mut output).await.unwrap();
    });
    let setup = Setup { process_id, ..Setup::default() };
    let client = setup.over(reader, shell.stdin.take().unwrap()).await;
    client.settle().await;
    shell.kill().await.unwrap();
    relaying.join().await.unwrap();
    client.vanish().await;
}
