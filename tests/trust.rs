//! Trust and consent in an editor: its own word, its dialogs, and what is kept of the answers.

mod support;

use std::path::Path;

use hearth::{
    config::Settings,
    egress::{Border, Content, Decisions, Destination, Parcel, Piece, Role, Trust, Turn},
    handlers::EditorUser,
    lsp::Outbox,
    server::{self, Connection, Options},
};
use serde_json::{Value as Json, json};
use support::client::{Answer, Client, Setup};
use tempfile::TempDir;
use tower_lsp::{
    LanguageServer, LspService,
    gen_lsp_types::{InitializeParams, InitializeResult, InitializedParams},
    jsonrpc::{Error, Result as Served},
};

const DIALOG: &str = "window/showMessageRequest";

fn folders() -> (TempDir, TempDir) {
    (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"))
}

fn setup(root: &Path, state: &Path) -> Setup {
    Setup {
        folders: vec![url::Url::from_directory_path(root).expect("a path").to_string()],
        answered_by_test: vec![DIALOG],
        options: Options { state: Some(state.to_owned()), ..Options::default() },
        ..Setup::default()
    }
}

async fn ask_for_trust(client: &Client, choice: Json) -> Answer {
    let command = json!({ "command": "hearth.trust" });
    let pending = client.send_raw("workspace/executeCommand", command);
    let asked = client.asked().await;
    assert_eq!(asked.method, DIALOG);
    client.answer(&asked, &choice);
    pending.answer().await
}

#[tokio::test]
async fn a_dialog_trusts_a_folder_and_takes_it_back() {
    let (root, state) = folders();
    let client = setup(root.path(), state.path()).start().await;
    let decided = || Decisions::new(state.path()).trusted(root.path()).expect("readable");
    ask_for_trust(&client, Json::Null).await.expect("closed");
    assert_eq!(decided(), None);
    let answer = ask_for_trust(&client, json!({ "title": "Trust this folder" })).await;
    let shown = format!("{}/", root.path().display());
    assert_eq!(answer, Ok(json!({ "trusted": [shown] })));
    assert_eq!(decided(), Some(true));
    ask_for_trust(&client, json!({ "title": "Don't trust it" })).await.expect("answered");
    assert_eq!(decided(), Some(false));
    client.shutdown().await;
}

#[tokio::test]
async fn an_editor_that_decides_itself_is_not_asked() {
    let (root, state) = folders();
    for word in [json!(true), json!(false), json!("yes")] {
        let options = json!({ "workspaceTrust": word });
        let setup = Setup { initialization_options: options, ..setup(root.path(), state.path()) };
        let client = setup.start().await;
        let command = json!({ "command": "hearth.trust" });
        let refused = client.send_raw("workspace/executeCommand", command).answer().await;
        assert_eq!(
            refused.expect_err("refused").message,
            "this editor decides itself what is trusted"
        );
        client.shutdown().await;
    }
    assert_eq!(Decisions::new(state.path()).folders().expect("readable").len(), 0);
}

/// A server that does nothing but ask whether a file may leave.
struct Asking {
    outbox: Outbox,
    border: Border,
}

impl LanguageServer for Asking {
    async fn initialize(&self, _: InitializeParams) -> Served<InitializeResult> {
        Ok(InitializeResult::default())
    }

    async fn initialized(&self, _: InitializedParams) {
        self.outbox.start();
    }

    async fn shutdown(&self) -> Served<()> {
        Ok(())
    }
}

async fn may_leave(server: &Asking, _: Json) -> Served<String> {
    let endpoint = "https://cloud.example".parse().expect("a URL");
    let piece = Content::Piece(Piece::file("main.rs", "fn main() {}\n"));
    let parcel = Parcel {
        destination: Destination::new(&endpoint, "large-1").map_err(|_| Error::internal_error())?,
        system: "",
        turns: vec![Turn { role: Role::User, contents: vec![piece] }],
        tools: Vec::new(),
        answer_schema: None,
        max_output_tokens: 100,
        private: false,
    };
    let user = EditorUser::new(server.outbox.clone());
    Ok(match server.border.clear(parcel, str::len, &user).await {
        Ok(_) => "it may".to_owned(),
        Err(refusal) => refusal.to_string(),
    })
}

#[tokio::test]
async fn a_dialog_shows_what_would_leave_before_it_does() {
    let (root, state) = folders();
    let border = Border::new(root.path(), &Settings::default(), state.path(), Trust::Editor(true));
    let border = border.expect("a workspace");
    let editor = Setup { ignored: Vec::new(), ..setup(root.path(), state.path()) };
    let client = editor
        .start_with(async move |reader, writer| {
            let connection = Connection::default();
            let (service, socket) =
                LspService::build(|client| Asking { outbox: Outbox::new(client), border })
                    .custom_method("test/mayLeave", may_leave)
                    .finish();
            server::serve(reader, writer, service, socket, connection).await
        })
        .await;
    let ask = async |choice: Json| {
        let pending = client.send_raw("test/mayLeave", json!({}));
        let asked = client.asked().await;
        // What is shown in full stands in the log before the question is on the screen.
        let logged = client.received("window/logMessage").await;
        assert!(logged["message"].as_str().expect("text").contains("main.rs:1-1"), "{logged}");
        let message = asked.params["message"].as_str().expect("text").to_owned();
        client.answer(&asked, &choice);
        (message, pending.answer().await.expect("an answer"))
    };
    let (message, answer) = ask(Json::Null).await;
    assert_eq!(
        message,
        "Hearth: May 25 tokens with parts of main.rs be sent to https://cloud.example (large-1)?"
    );
    assert_eq!(answer, "sending to https://cloud.example was declined");
    assert_eq!(ask(json!({ "title": "Send it once" })).await.1, "it may");
    assert_eq!(ask(json!({ "title": "Always from this workspace" })).await.1, "it may");
    // From now on nobody is asked.
    let answer = client.send_raw("test/mayLeave", json!({})).answer().await;
    assert_eq!(answer, Ok(json!("it may")));
    client.shutdown().await;
    let log = hearth::egress::audit::Log::new(state.path());
    let reasons: Vec<String> =
        log.entries().expect("a log").into_iter().map(|entry| entry.reason).collect();
    assert_eq!(reasons, ["declined", "once", "workspace", "workspace"]);
}
