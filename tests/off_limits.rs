//! Of a file that `privacy.exclude` names no model is shown a word, wherever it runs, also while it is
//! the very document that one works in.

mod support;

use std::{fs, path::Path};

use expect_test::{Expect, expect};
use hearth::lsp::ext::StatusState;
use serde_json::{Value as Json, json};
use support::{
    client::{Client, Setup},
    fake_model::FakeModel,
};
use tempfile::TempDir;
use tower_lsp::gen_lsp_types::Position;

/// Stands in the file that is off limits, and nowhere else.
const CANARY: &str = "salary_of_the_board";

const FIXTURE: &str = "pub fn pay() -> u32 {\n    let salary_of_the_board = 1;\n    $0\n}\n";

const PLAIN: &str = "pub fn plain() -> u32 {\n    $0\n}\n";

/// A workspace on disk, a model, and an editor.
struct World {
    folder: TempDir,
    model: FakeModel,
    client: Client,
}

impl World {
    async fn new(exclude: &Json) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("work");
        fs::create_dir_all(root.join("payroll")).expect("a folder");
        fs::write(root.join("payroll/pay.rs"), FIXTURE.replace("$0", "0")).expect("a file");
        fs::write(root.join("plain.rs"), PLAIN.replace("$0", "0")).expect("a file");
        #[cfg(unix)]
        std::os::unix::fs::symlink(root.join("payroll/pay.rs"), root.join("link.rs")).unwrap();
        let model = FakeModel::llama_server().await;
        let setup = Setup {
            folders: vec![uri(&root)],
            initialization_options: json!({
                "router": { "local_endpoint": model.url().as_str() },
                "completion": { "debounce_ms": 0 },
                "check": { "compile": false },
                "privacy": { "exclude": exclude },
                "workspaceTrust": true,
            }),
            ignored: vec!["window/logMessage", "hearth/status", "window/showMessage"],
            ..Setup::default()
        };
        let client = setup.start().await;
        client.status(|status| status.state == StatusState::Warm).await;
        Self { folder, model, client }
    }

    fn uri(&self, name: &str) -> String {
        uri(&self.folder.path().join("work").join(name))
    }

    /// Asks for suggestions at a place in every way that there is, and has every task done there.
    async fn ask_for_everything(&self, file: &str, at: Position) {
        let document = json!({ "uri": file });
        for kind in [1, 2] {
            for method in ["textDocument/inlineCompletion", "textDocument/completion"] {
                let context = json!({ "triggerKind": kind });
                let params =
                    json!({ "textDocument": document, "position": at, "context": context });
                let answer = self.client.send_raw(method, params).answer().await;
                assert_eq!(answer.expect("no error")["items"], json!([]), "{method} ({kind})");
            }
        }
        for command in ["hearth.explain", "hearth.refactor", "hearth.test"] {
            let place = json!({ "uri": file, "range": { "start": at, "end": at },
                "instruction": "Make it shorter." });
            let params = json!({ "command": command, "arguments": [place] });
            // Some say it as an error, some in a message.
            let _ = self.client.send_raw("workspace/executeCommand", params).answer().await;
        }
    }

    /// How often the model was asked for text. Fails where it was shown what is off limits.
    fn asked(&self) -> usize {
        let requests = self.model.requests();
        for request in &requests {
            let body = String::from_utf8_lossy(&request.bytes);
            assert!(!body.contains(CANARY), "{} {}", request.path, request.body);
        }
        requests.iter().filter(|request| request.body["stream"] == true).count()
    }
}

fn uri(path: &Path) -> String {
    url::Url::from_file_path(path).expect("absolute").to_string()
}

/// Opens the file under this name and asks for everything in it: nobody is asked, and the status says
/// why.
async fn check(exclude: Json, name: &str, expected: Expect) {
    let mut world = World::new(&exclude).await;
    let file = world.uri(name);
    let at = world.client.open(&file, FIXTURE);
    world.ask_for_everything(&file, at).await;
    let status = world.client.status(|status| status.last_no_suggestion.is_some()).await;
    let said = status.last_no_suggestion.unwrap_or_default();
    expected.assert_eq(&said.replace(&world.folder.path().display().to_string(), "FOLDER"));
    assert_eq!(world.asked(), 0);
    // One that is not off limits is completed as ever, from nothing of the other, which is open.
    if exclude[0] != json!("a{b") {
        let plain = world.uri("plain.rs");
        let at = world.client.open(&plain, PLAIN);
        world.model.script_completion(["1 + 1"]);
        let params = json!({ "textDocument": { "uri": plain }, "position": at,
            "context": { "triggerKind": 1 } });
        let answer = world.client.send_raw("textDocument/inlineCompletion", params).answer().await;
        assert_ne!(answer.expect("no error")["items"], json!([]));
        assert!(world.asked() > 0);
    }
    world.client.shutdown().await;
}

#[tokio::test]
async fn nobody_is_asked_in_a_file_that_is_off_limits() {
    check(
        json!(["payroll/"]),
        "payroll/pay.rs",
        expect!["payroll/pay.rs is excluded (privacy.exclude)"],
    )
    .await;
}

#[tokio::test]
async fn nor_in_one_that_is_not_on_disk_yet() {
    check(
        json!(["/payroll/**"]),
        "payroll/new.rs",
        expect!["payroll/new.rs is excluded (privacy.exclude)"],
    )
    .await;
}

#[tokio::test]
async fn nor_under_another_spelling() {
    check(
        json!(["PAYROLL/Pay.*"]),
        "payroll/pay.rs",
        expect!["payroll/pay.rs is excluded (privacy.exclude)"],
    )
    .await;
}

#[cfg(unix)]
#[tokio::test]
async fn nor_under_the_name_of_a_link_to_it() {
    check(json!(["payroll/"]), "link.rs", expect!["link.rs is excluded (privacy.exclude)"]).await;
}

#[tokio::test]
async fn nor_outside_of_the_workspace() {
    check(
        json!(["payroll/"]),
        "../payroll/pay.rs",
        expect!["FOLDER/payroll/pay.rs is excluded (privacy.exclude)"],
    )
    .await;
}

#[tokio::test]
async fn nor_anywhere_while_the_list_cannot_be_read() {
    check(json!(["a{b"]), "plain.rs", expect!["no model is shown any file, as the setting privacy.exclude has a pattern that cannot be read: error parsing glob 'a{b': unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)"]).await;
}

#[tokio::test]
async fn the_command_line_says_so() {
    let world = World::new(&json!([])).await;
    let endpoint = format!("router.local_endpoint='{}'", world.model.url());
    for (arguments, expected) in [
        (
            &["complete", "payroll/pay.rs:3:5"][..],
            expect![[r#"
            no suggestion: pay.rs is excluded (privacy.exclude)
        "#]],
        ),
        (
            &["context", "payroll/pay.rs:3:5"],
            expect![[r#"
            hearth: pay.rs is excluded (privacy.exclude)
        "#]],
        ),
        (
            &["refactor", "payroll/pay.rs:3", "Make it shorter."],
            expect![[r#"
            hearth: payroll/pay.rs is excluded (privacy.exclude)
        "#]],
        ),
        (
            &["test", "payroll/pay.rs:3"],
            expect![[r#"
            a test (1 of 3)
            hearth: payroll/pay.rs is excluded (privacy.exclude)
        "#]],
        ),
        (
            &["analyze", "--map", "payroll"],
            expect![[r#"
            hearth: there is no code: nothing is indexed
        "#]],
        ),
    ] {
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_hearth"))
            .args(arguments)
            .args(["--set", &endpoint, "--set", "privacy.exclude=['payroll/']"])
            .current_dir(world.folder.path().join("work"))
            .env("XDG_CONFIG_HOME", world.folder.path().join("config"))
            .env("XDG_STATE_HOME", world.folder.path().join("state"))
            .env("XDG_CACHE_HOME", world.folder.path().join("cache"))
            .stdin(std::process::Stdio::null())
            .output()
            .await
            .expect("hearth starts");
        assert!(!output.status.success(), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        expected.assert_eq(&String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(world.asked(), 0);
    world.client.shutdown().await;
}
