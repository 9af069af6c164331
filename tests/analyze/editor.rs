//! The command as an editor gives it.

use std::fs;

use expect_test::expect;
use serde_json::{Value as Json, json};

use crate::{
    support::{
        client::{Client, Setup},
        fake_model::FakeModel,
    },
    world::{FILES, plays, write},
};

const ANSWER: &str = "- A `Door` is opened by `turn` (src/door.rs:8).\n";

struct Editor {
    client: Client,
    model: FakeModel,
    _folder: tempfile::TempDir,
}

/// An editor that may ask for the text of documents that are no files.
async fn editor(asks_for_text: bool) -> Editor {
    let model = FakeModel::llama_server().await;
    let folder = tempfile::tempdir().unwrap();
    let base = fs::canonicalize(folder.path()).unwrap();
    write(&base.join("work"), FILES);
    let workspace = if asks_for_text { json!({ "textDocumentContent": {} }) } else { json!({}) };
    let client = Setup {
        folders: vec![url::Url::from_file_path(base.join("work")).unwrap().into()],
        initialization_options: json!({
            "router": { "local_endpoint": model.url().as_str() },
            "completion": { "enabled": false },
        }),
        ignored: vec!["window/logMessage", "hearth/status"],
        answered_by_test: vec!["window/showDocument", "window/workDoneProgress/create"],
        capabilities: json!({
            "workspace": workspace,
            "window": { "workDoneProgress": true, "showDocument": { "support": true } },
        }),
        options: hearth::server::Options {
            cache: Some(base.join("cache")),
            state: Some(base.join("state")),
            ..hearth::server::Options::default()
        },
        ..Setup::default()
    };
    let client = client.start().await;
    client.status(|status| status.state == hearth::lsp::ext::StatusState::Warm).await;
    Editor { client, model, _folder: folder }
}

impl Editor {
    fn command(&self, argument: &Json) -> crate::support::client::Pending {
        let params = json!({ "command": "hearth.analyzeCodebase", "arguments": [argument] });
        self.client.send_raw("workspace/executeCommand", params)
    }

    /// Asks, and says which document was opened and what the command answered.
    async fn report(&self, argument: &Json) -> (Json, Json) {
        let pending = self.command(argument);
        let created = self.client.asked().await;
        self.client.answer(&created, &Json::Null);
        plays(&self.model, &[], ANSWER).await;
        let shown = self.client.asked().await;
        self.client.answer(&shown, &json!({ "success": true }));
        let answer = pending.answer().await.expect("an answer");
        (shown.params["uri"].clone(), answer)
    }

    /// What was said of the progress.
    fn progress(&self) -> Vec<String> {
        let all = self.client.take("$/progress").into_iter();
        let told = all.map(|it| {
            let value = &it["value"];
            let said = value["title"].as_str().or(value["message"].as_str()).unwrap_or_default();
            format!("{}: {said}", value["kind"].as_str().unwrap_or_default())
        });
        told.collect()
    }
}

#[tokio::test]
async fn a_report_is_a_document_of_the_server_s_own() {
    let editor = editor(true).await;
    let question = json!({ "question": "How is the door opened?" });
    let (uri, answer) = editor.report(&question).await;
    assert_eq!(uri, "hearth:/analysis/1.md");
    assert_eq!(answer, json!({ "uri": uri }));
    let asked = |uri: &str| {
        editor.client.send_raw("workspace/textDocumentContent", json!({ "uri": uri })).answer()
    };
    let text = asked("hearth:/analysis/1.md").await.expect("its text");
    let text = text["text"].as_str().unwrap();
    assert!(text.starts_with("# Analysis: How is the door opened?\n"), "{text}");
    assert!(text.contains(ANSWER), "{text}");
    let gone = asked("hearth:/analysis/7.md").await.expect_err("no such report");
    assert_eq!(gone.message, "there is no such report, or not any more");
    expect![[r#"
        begin: Hearth: Analyze the codebase
        report: drawing the map
        report: the model reads
        report: the model writes: 1 line
        report: checking citations
        end: the report is open"#]]
    .assert_eq(&editor.progress().join("\n"));
    let (uri, _) = editor.report(&json!({ "kind": "architecture" })).await;
    assert_eq!(uri, "hearth:/analysis/2.md");
    editor.progress();
    editor.client.shutdown().await;
}

#[tokio::test]
async fn elsewhere_it_is_a_file() {
    let editor = editor(false).await;
    let (uri, answer) = editor.report(&json!({ "kind": "onboarding", "path": "src" })).await;
    assert_eq!(answer, json!({ "uri": uri }));
    let path = url::Url::parse(uri.as_str().unwrap()).unwrap().to_file_path().unwrap();
    let text = fs::read_to_string(path).unwrap();
    assert!(text.starts_with("# Onboarding: Where does somebody begin"), "{text}");
    editor.progress();
    editor.client.shutdown().await;
}

#[tokio::test]
async fn cancelling_its_progress_stops_the_model() {
    let editor = editor(true).await;
    let pending = editor.command(&json!({ "question": "How is the door opened?" }));
    let created = editor.client.asked().await;
    editor.client.answer(&created, &Json::Null);
    let mut generation = editor.model.generation().await;
    generation.send("- It is");
    let token = created.params["token"].clone();
    editor.client.notify_raw("window/workDoneProgress/cancel", json!({ "token": token }));
    generation.disconnected().await;
    assert_eq!(pending.answer().await.expect("an answer"), Json::Null);
    assert_eq!(editor.progress().last().map(String::as_str), Some("end: cancelled"));
    editor.client.shutdown().await;
}

#[tokio::test]
async fn cancelling_the_request_stops_the_model() {
    let editor = editor(true).await;
    let pending = editor.command(&json!({ "question": "How is the door opened?" }));
    let created = editor.client.asked().await;
    editor.client.answer(&created, &Json::Null);
    let mut generation = editor.model.generation().await;
    editor.client.cancel(&pending);
    generation.disconnected().await;
    assert!(pending.answer().await.is_err());
    editor.progress();
    editor.client.shutdown().await;
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused_at_once() {
    let editor = editor(true).await;
    let refused = async |argument: Json| {
        editor.command(&argument).answer().await.expect_err("an error").message.clone()
    };
    expect!["there is no kind 'magic'; there are architecture, risks, dead-code, where-is, impact and onboarding"]
        .assert_eq(&refused(json!({ "kind": "magic" })).await);
    expect!["no folder is open that the path is in"]
        .assert_eq(&refused(json!({ "kind": "risks", "path": "/etc" })).await);
    editor.client.shutdown().await;
}
