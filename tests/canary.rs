//! Code, prompts and answers stay out of logs and off the disk.
//!
//! The program as it is run, at the most talkative level there is, does every task in an editor, here
//! and in a cloud. A word stands in the file, another one in what the user asks, a third one in what
//! the models answer: none of them may be in what it says to stderr, or in any file that it writes.

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use hearth::lsp::ext::StatusState;
use serde_json::{Value as Json, json};
use support::{
    client::{Client, Setup},
    fake_cloud::{Api, FakeCloud, Says},
    fake_model::{FakeModel, Reply},
};
use tempfile::TempDir;
use tokio::{io::AsyncReadExt as _, process::Command};

const IN_FILE: &str = "canary_of_the_file";
const IN_PROMPT: &str = "canary_of_the_prompt";
const IN_ANSWER: &str = "canary_of_the_answer";
const KEY: &str = "canary_of_the_key";

const LIB: &str = "//! canary_of_the_file\n\n/// Adds them up.\npub fn sum(all: &[u32]) -> u32 {\n    let mut canary_of_the_file = 0;\n    for n in all {$0\n        canary_of_the_file += n;\n    }\n    canary_of_the_file\n}\n";

const GOOD: &str = "```rust\npub fn sum(all: &[u32]) -> u32 {\n    // canary_of_the_answer\n    all.iter().sum()\n}\n```";

const TEST: &str =
    "```rust\n#[test]\nfn canary_of_the_answer() {\n    assert_eq!(sum(&[1, 2]), 3);\n}\n```";

const REPORT: &str = "- `sum` is canary_of_the_answer (src/lib.rs:4).";

/// A workspace, where Hearth keeps its things, and who it asks.
struct World {
    folder: TempDir,
    model: FakeModel,
    cloud: FakeCloud,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (model, cloud) =
            (FakeModel::llama_server().await, FakeCloud::start(Api::Anthropic).await);
        let world = Self { folder, model, cloud };
        let root = world.root();
        fs::create_dir_all(root.join("src")).expect("a folder");
        fs::write(root.join("src/lib.rs"), LIB.replace("$0", "")).expect("a file");
        fs::write(root.join("src/more.rs"), "pub fn more() {}\n").expect("a file");
        let configuration = world.folder.path().join("config/hearth");
        fs::create_dir_all(&configuration).expect("a folder");
        let settings = json!({
            // Nothing is compiled: the copy that edits are checked in is another test's.
            "check": { "compile": false },
            "completion": { "debounce_ms": 0 },
            "router": {
                "local_endpoint": world.model.url().as_str(),
                "cloud": { "frontier": {
                    "kind": "anthropic", "endpoint": world.cloud.url(), "model": "frontier-1",
                    "api_key_command": ["printf", "%s", KEY] } },
            },
        });
        let settings = toml::to_string(&settings).expect("TOML");
        fs::write(configuration.join("config.toml"), settings).expect("a file");
        for words in [&["trust", "."][..], &["egress", "allow", "frontier"]] {
            let status = world.hearth().args(words).stdout(Stdio::null()).status().await;
            assert!(status.expect("hearth runs").success(), "{words:?}");
        }
        world
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    fn hearth(&self) -> Command {
        let mut hearth = Command::new(env!("CARGO_BIN_EXE_hearth"));
        hearth
            .current_dir(self.root())
            .env("HEARTH_LOG", "trace")
            .env("HOME", self.folder.path())
            .env("XDG_CONFIG_HOME", self.folder.path().join("config"))
            .env("XDG_STATE_HOME", self.folder.path().join("state"))
            .env("XDG_CACHE_HOME", self.folder.path().join("cache"))
            .env("XDG_DATA_HOME", self.folder.path().join("data"))
            .env("XDG_RUNTIME_DIR", self.folder.path().join("runtime"))
            .env("TMPDIR", self.folder.path().join("temporary"))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        hearth
    }

    fn uri(&self, name: &str) -> String {
        let path = self.root().join(name);
        url::Url::from_file_path(path).expect("absolute").to_string()
    }

    /// Has the model of this machine say it; an analysis is asked first what it wants to read.
    fn says(&self, text: &str, analysis: bool) {
        if analysis {
            let read = r#"{"tool": "search", "argument": "canary_of_the_answer sum"}"#;
            self.model.script_completion([read]);
            self.model.script_completion([r#"{"tool": "answer", "argument": ""}"#]);
        }
        self.model.script_completion([text]);
    }

    /// Every task, here and sent up, and each once where everybody fails.
    async fn work(&self, client: &mut Client) {
        let file = self.uri("src/lib.rs");
        let mut at = client.open(&file, LIB);
        client.open(&self.uri("src/more.rs"), "pub fn more() {}\n");
        let document = json!({ "uri": file });
        for kind in [1, 2] {
            at = client.type_at(&file, at, "\n        let canary_of_the_file = ");
            for method in ["textDocument/inlineCompletion", "textDocument/completion"] {
                for _ in 0..4 {
                    self.model.script_completion(["canary_of_the_answer;"]);
                }
                let context = json!({ "triggerKind": kind });
                let params =
                    json!({ "textDocument": document, "position": at, "context": context });
                client.send_raw(method, params).answer().await.expect("no error");
            }
        }
        for (command, says) in [
            ("hearth.explain", "It is canary_of_the_answer."),
            ("hearth.refactor", GOOD),
            ("hearth.test", TEST),
            ("hearth.analyzeCodebase", REPORT),
        ] {
            let analysis = command == "hearth.analyzeCodebase";
            for cloud in [false, true] {
                if cloud || analysis {
                    if analysis {
                        let read = r#"{"words": "canary_of_the_answer sum"}"#;
                        self.cloud.says(Says::call("c1", "search", &[read]));
                    }
                    self.cloud.says(Says::text([says]));
                } else {
                    self.says(says, analysis);
                }
                self.run(client, command, cloud, false).await;
            }
            // As private: done here, whatever it is.
            self.says(says, analysis);
            self.run(client, command, false, true).await;
        }
        // Everybody says no, and quotes what it was sent.
        let quoting =
            json!({ "error": { "message": "no: canary_of_the_file canary_of_the_prompt" } });
        for route in ["POST /completion", "POST /v1/chat/completions"] {
            self.model.reply(route, Reply::json(500, &quoting));
        }
        self.cloud.says(Says::status(400, &[], "no: canary_of_the_file canary_of_the_prompt"));
        at = client.type_at(&file, at, "\n        let canary_of_the_file = ");
        let ghost =
            json!({ "textDocument": document, "position": at, "context": { "triggerKind": 2 } });
        client.send_raw("textDocument/inlineCompletion", ghost).answer().await.expect("no error");
        for cloud in [false, true] {
            self.run(client, "hearth.refactor", cloud, false).await;
        }
    }

    async fn run(&self, client: &Client, command: &str, cloud: bool, private: bool) {
        let file = self.uri("src/lib.rs");
        let at = json!({ "line": 3, "character": 10 });
        let argument = if command == "hearth.analyzeCodebase" {
            let question = format!("What is {IN_PROMPT}?");
            json!({ "question": question, "cloud": cloud, "private": private })
        } else {
            json!({ "uri": file, "range": { "start": at, "end": at },
                "instruction": format!("Call it {IN_PROMPT}."), "cloud": cloud })
        };
        let params = json!({ "command": command, "arguments": [argument] });
        let _ = client.send_raw("workspace/executeCommand", params).answer().await;
    }
}

/// Every file below a folder, and what is in it.
fn files(folder: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push((path.clone(), fs::read(path).expect("a file")));
        }
    }
}

fn canaries(text: &[u8]) -> Vec<&'static str> {
    let text = String::from_utf8_lossy(text);
    [IN_FILE, IN_PROMPT, IN_ANSWER, KEY]
        .into_iter()
        .filter(|canary| text.contains(canary))
        .collect()
}

#[tokio::test]
async fn nothing_of_code_prompts_and_answers_is_logged_or_kept() {
    let world = World::new().await;
    let mut server = world
        .hearth()
        .arg("serve")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("hearth starts");
    let (stdin, stdout) =
        (server.stdin.take().expect("piped"), server.stdout.take().expect("piped"));
    let mut stderr = server.stderr.take().expect("piped");
    let logged = hearth::session::task::OwnedTask::spawn(async move {
        let mut log = Vec::new();
        stderr.read_to_end(&mut log).await.expect("a log");
        log
    });
    let setup = Setup {
        folders: vec![world.uri("").trim_end_matches('/').to_owned()],
        ignored: vec![
            "window/logMessage",
            "hearth/status",
            "window/showMessage",
            "$/progress",
            "window/workDoneProgress/create",
            "window/showDocument",
            "workspace/applyEdit",
        ],
        progress: true,
        capabilities: json!({
            "workspace": {
                "applyEdit": true,
                "textDocumentContent": { "dynamicRegistration": true },
                "workspaceEdit": { "documentChanges": true },
            },
            "window": { "showDocument": { "support": true } },
        }),
        ..Setup::default()
    };
    let mut client = setup.over(stdout, stdin).await;
    client.status(|status| status.state == StatusState::Warm).await;
    world.work(&mut client).await;
    // All of it was said to somebody.
    let asked: Vec<u8> = world.model.requests().iter().flat_map(|it| it.bytes.clone()).collect();
    assert_eq!(canaries(&asked), [IN_FILE, IN_PROMPT, IN_ANSWER]);
    let sent: Vec<Json> = world.cloud.requests().iter().map(|it| it.body.clone()).collect();
    assert_eq!(canaries(json!(sent).to_string().as_bytes()), [IN_FILE, IN_PROMPT, IN_ANSWER]);
    client.shutdown().await;
    server.wait().await.expect("it ends");
    let log = logged.join().await.expect("a log");
    let text = String::from_utf8_lossy(&log);
    assert!(text.contains("INFO") || text.contains("DEBUG"), "it logs: {text}");
    for line in text.lines() {
        assert_eq!(canaries(line.as_bytes()), Vec::<&str>::new(), "{line}");
    }
    let mut kept = Vec::new();
    for folder in ["state", "cache", "data", "runtime", "temporary", "config"] {
        let folder = world.folder.path().join(folder);
        if folder.exists() {
            files(&folder, &mut kept);
        }
    }
    assert!(kept.iter().any(|(path, _)| path.ends_with("egress.jsonl")), "{kept:?}");
    // But for the pages that were shown, and the user's own settings.
    let shown = world.folder.path().join("cache/hearth/shown");
    kept.retain(|(path, _)| !path.starts_with(&shown) && !path.ends_with("config.toml"));
    for (path, text) in &kept {
        assert_eq!(canaries(text), Vec::<&str>::new(), "{}", path.display());
    }
}
