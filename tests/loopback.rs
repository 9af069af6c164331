//! With privacy on, a run of every task opens no connection but to loopback.
//!
//! Seen from below: everything runs in a network namespace of its own in which every address there is
//! leads back to this machine, so that any attempt to connect anywhere is made for real and counted by
//! the kernel. Nobody listens there but a model server on 127.0.0.1: as many connections as were begun
//! must have been accepted by it, and no datagram (a name that is looked up) may have been sent at all.
//! The same world without privacy shows that the counters count.
#![cfg(target_os = "linux")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::{Value as Json, json};
use support::{client::Setup, fake_model::FakeModel};
use tempfile::TempDir;

mod support;

/// Says to this very test that it runs inside.
const INSIDE: &str = "HEARTH_TEST_NAMESPACE";

const LIB: &str = "//! Sums.\n\n/// Adds them up.\npub fn sum(all: &[u32]) -> u32 {\n    let mut total = 0;\n    for n in all {\n        total += n;\n    }\n    total\n}\n";

const GOOD: &str = "```rust\npub fn sum(all: &[u32]) -> u32 {\n    all.iter().sum()\n}\n```";

const TEST: &str = "```rust\n#[test]\nfn sums() {\n    assert_eq!(sum(&[1, 2]), 3);\n}\n```";

const REPORT: &str = "- `sum` adds numbers up (src/lib.rs:4).";

/// Where the cloud and the team's server are: addresses for documentation, which nobody has.
const CLOUD: &str = "https://203.0.113.7:8443";
const TEAM: &str = "http://198.51.100.9:8000";

/// What the kernel has counted in this namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counted {
    /// Connections that somebody began to open, wherever to, whether or not anybody answered.
    begun: usize,
    /// Those that a listener took.
    accepted: usize,
    /// Datagrams that were sent.
    datagrams: usize,
}

fn counted() -> Counted {
    let snmp = fs::read_to_string("/proc/net/snmp").expect("the kernel's counters");
    let snmp6 = fs::read_to_string("/proc/net/snmp6").unwrap_or_default();
    let of = |table: &str, name: &str| {
        let mut lines =
            snmp.lines().filter_map(|line| line.strip_prefix(table)?.strip_prefix(": "));
        let (names, values) = (lines.next().expect("names"), lines.next().expect("values"));
        let at = names.split(' ').position(|other| other == name).expect("a counter");
        values.split(' ').nth(at).and_then(|value| value.parse::<usize>().ok()).expect("a number")
    };
    let datagrams6 = snmp6
        .lines()
        .filter_map(|line| line.strip_prefix("Udp6OutDatagrams")?.trim().parse::<usize>().ok());
    Counted {
        begun: of("Tcp", "ActiveOpens"),
        accepted: of("Tcp", "PassiveOpens"),
        datagrams: of("Udp", "OutDatagrams") + datagrams6.sum::<usize>(),
    }
}

#[test]
fn with_privacy_on_every_task_stays_on_loopback() {
    let myself = std::env::current_exe().expect("a path");
    let setup = "ip link set lo up && ip route add local default dev lo && exec \"$0\" --ignored \
        --exact --nocapture inside";
    let inside = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "sh", "-c", setup])
        .arg(&myself)
        .env(INSIDE, "1")
        .output();
    let Output { status, stdout, stderr } = inside.expect(
        "`unshare` (util-linux) starts; without it nothing was checked of where tasks connect to",
    );
    let said = [&*String::from_utf8_lossy(&stdout), &*String::from_utf8_lossy(&stderr)].concat();
    assert!(
        status.success() && said.contains("1 passed"),
        "NOT CHECKED, or not so: either this machine permits no network namespace to its users, or a \
         task connected elsewhere:\n{said}"
    );
}

/// A folder with a file, and where Hearth keeps its things.
struct World {
    folder: TempDir,
    model: FakeModel,
    settings: Json,
}

impl World {
    async fn new(more: &Json) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let model = FakeModel::llama_server().await;
        let mut settings = json!({
            "check": { "compile": false },
            "health_check": { "interval_seconds": 1, "retry_count": 0 },
            "router": {
                "local_endpoint": model.url().as_str(),
                "cloud": { "frontier":
                    { "kind": "anthropic", "endpoint": CLOUD, "model": "frontier-1",
                      "api_key_command": ["echo", "key"] } },
            },
        });
        for (name, branch) in more.as_object().expect("an object") {
            for (key, value) in branch.as_object().expect("an object") {
                settings[name][key] = value.clone();
            }
        }
        let world = Self { folder, model, settings };
        fs::create_dir_all(world.root().join("src")).expect("a folder");
        fs::write(world.root().join("src/lib.rs"), LIB).expect("a file");
        world
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    async fn hearth(&self, arguments: &[&str]) -> Output {
        let configuration = self.folder.path().join("config/hearth");
        fs::create_dir_all(&configuration).expect("a folder");
        let toml = toml::to_string(&self.settings).expect("TOML");
        fs::write(configuration.join("config.toml"), toml).expect("a file");
        tokio::process::Command::new(env!("CARGO_BIN_EXE_hearth"))
            .args(arguments)
            .current_dir(self.root())
            .env("XDG_CONFIG_HOME", self.folder.path().join("config"))
            .env("XDG_STATE_HOME", self.folder.path().join("state"))
            .env("XDG_CACHE_HOME", self.folder.path().join("cache"))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .expect("hearth starts")
    }

    /// How often the model was asked for text.
    fn asked(&self) -> usize {
        self.model.requests().iter().filter(|request| request.body["stream"] == true).count()
    }

    /// Has the model say this, to an analysis after it was asked what it wants to read; in how many
    /// answers.
    fn script(&self, analysis: bool, says: &str) -> usize {
        if analysis {
            self.model.script_completion([r#"{"tool": "answer", "argument": ""}"#]);
        }
        self.model.script_completion([says]);
        1 + usize::from(analysis)
    }

    /// Every task that there is, from the command line and in an editor, and each sent up by the user.
    async fn every_task(&self, trusted: bool) {
        let place = "src/lib.rs:6";
        for (task, says) in [
            (&["complete", "src/lib.rs:6:19"][..], "\n        total += 1;"),
            (&["refactor", place, "Use an iterator."], GOOD),
            (&["refactor", "--cloud", place, "Use an iterator."], GOOD),
            (&["refactor", "--private", place, "Use an iterator."], GOOD),
            (&["test", place, "--count", "1"], TEST),
            (&["test", "--cloud", place, "--count", "1"], TEST),
            (&["analyze", "What is added up?"], REPORT),
            (&["analyze", "--cloud", "What is added up?"], REPORT),
            (&["analyze", "--private", "--kind", "architecture"], REPORT),
        ] {
            let requests = self.script(task[0] == "analyze", says);
            let asked = self.asked();
            let Output { stderr, .. } = self.hearth(task).await;
            let said = String::from_utf8_lossy(&stderr);
            assert_eq!(self.asked(), asked + requests, "{task:?}: {said}");
        }
        let asked = self.asked();
        for task in [
            &["analyze", "--map"][..],
            &["context", "src/lib.rs:6:19"],
            &["egress", "preview", "src/lib.rs"],
            &["egress", "log"],
            &["model"],
            &["route", "large_codebase_analysis", "--tokens", "100000"],
            &["status"],
        ] {
            self.hearth(task).await;
        }
        assert_eq!(self.asked(), asked, "these ask nobody for text");
        let mut options = self.settings.clone();
        options["workspaceTrust"] = json!(trusted);
        let root = self.root();
        let uri = |path: &Path| url::Url::from_file_path(path).expect("absolute").to_string();
        let setup = Setup {
            folders: vec![uri(&root)],
            initialization_options: options,
            ignored: vec!["window/logMessage", "hearth/status", "window/showMessage", "$/progress"],
            capabilities: json!({}),
            options: hearth::server::Options {
                cache: Some(self.folder.path().join("cache")),
                state: Some(self.folder.path().join("state/hearth")),
                ..hearth::server::Options::default()
            },
            ..Setup::default()
        };
        let mut client = setup.start().await;
        client.status(|status| status.state == hearth::lsp::ext::StatusState::Warm).await;
        let file = uri(&root.join("src/lib.rs"));
        let at = client.open(&file, &LIB.replace("for n in all {", "for n in all {$0"));
        let document = json!({ "uri": file });
        self.model.script_completion(["\n        total += 1;"]);
        let ghost =
            json!({ "textDocument": document, "position": at, "context": { "triggerKind": 1 } });
        client
            .send_raw("textDocument/inlineCompletion", ghost.clone())
            .answer()
            .await
            .expect("answered");
        client.send_raw("textDocument/completion", ghost).answer().await.expect("answered");
        for method in ["textDocument/codeAction", "textDocument/codeLens"] {
            let params = json!({ "textDocument": document, "range": { "start": at, "end": at },
                "context": { "diagnostics": [], "triggerKind": 1 } });
            client.send_raw(method, params).answer().await.expect("answered");
        }
        for (command, says) in [
            ("hearth.explain", "It adds."),
            ("hearth.refactor", GOOD),
            ("hearth.test", TEST),
            ("hearth.analyzeCodebase", REPORT),
        ] {
            for cloud in [false, true] {
                let analysis = command == "hearth.analyzeCodebase";
                let requests = self.script(analysis, says);
                let asked = self.asked();
                let argument = if analysis {
                    json!({ "question": "What is added up?", "cloud": cloud })
                } else {
                    json!({ "uri": file, "range": { "start": at, "end": at },
                        "instruction": "Use an iterator.", "cloud": cloud })
                };
                let params = json!({ "command": command, "arguments": [argument] });
                let pending = client.send_raw("workspace/executeCommand", params);
                pending.answer().await.expect("answered");
                assert_eq!(self.asked(), asked + requests, "{command}");
            }
        }
        client.take("window/showMessage");
        client.shutdown().await;
    }
}

/// Run by the test above, in a namespace.
#[test]
#[ignore = "runs in a network namespace that another test makes"]
fn inside() {
    assert!(std::env::var_os(INSIDE).is_some(), "another test runs this in a namespace");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("one");
    runtime.block_on(async {
        let nowhere = json!({
            "privacy": { "local_only": true },
            "router": { "private_endpoints": [TEAM], "private_hosts": ["198.51.100.0/24"] },
        });
        let file = json!({ "privacy": { "private": ["src/"] } });
        let workspace = json!({});
        for (more, trusted) in [(&nowhere, true), (&file, true), (&workspace, false)] {
            let world = World::new(more).await;
            world.hearth(&["egress", "allow", "frontier"]).await;
            if trusted {
                world.hearth(&["trust", "."]).await;
            }
            let before = counted();
            world.every_task(trusted).await;
            let after = counted();
            let begun = after.begun - before.begun;
            assert!(begun > 0, "the model was asked");
            assert_eq!(begun, after.accepted - before.accepted, "{more}: somebody else was called");
            assert_eq!(after.datagrams, before.datagrams, "{more}: a name was looked up");
        }
        // The counters count: without privacy a task that is sent up tries to.
        let world = World::new(&json!({})).await;
        world.hearth(&["egress", "allow", "frontier"]).await;
        world.hearth(&["trust", "."]).await;
        world.model.script_completion([GOOD]);
        let before = counted();
        let counted_more = async {
            loop {
                let now = counted();
                if now.begun - before.begun > now.accepted - before.accepted {
                    return true;
                }
                tokio::task::yield_now().await;
            }
        };
        let up = &["refactor", "--cloud", "src/lib.rs:6", "Use an iterator."];
        tokio::select! {
            seen = counted_more => assert!(seen),
            _ = world.hearth(up) => panic!("nothing was counted"),
        }
    });
}
