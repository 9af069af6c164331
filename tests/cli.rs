//! The commands as processes: what they print where, and how they exit.

mod support;

use std::{path::Path, process::Output};

use expect_test::{Expect, expect};
use serde_json::json;
use support::fake_model::{FakeModel, Reply};

/// Runs `hearth` beside a file `a.rs`, with the model server at `model`.
async fn hearth(arguments: &[&str], model: &url::Url) -> Output {
    let home = tempfile::tempdir().expect("a folder");
    std::fs::write(home.path().join("a.rs"), "fn a() {\n    let x = \n}\n").expect("writable");
    hearth_in(home.path(), home.path(), arguments, model).await
}

/// The same in a folder of a user's home.
async fn hearth_in(folder: &Path, home: &Path, arguments: &[&str], model: &url::Url) -> Output {
    tokio::process::Command::new(env!("CARGO_BIN_EXE_hearth"))
        .args(arguments)
        .args(["--set", &format!("router.local_endpoint={model}")])
        .current_dir(folder)
        .env("XDG_CONFIG_HOME", home)
        .env("XDG_STATE_HOME", home)
        .env("HOME", home)
        .kill_on_drop(true)
        .output()
        .await
        .expect("hearth starts")
}

fn shown(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn a_suggestion_is_all_that_stdout_gets() {
    let model = FakeModel::llama_server().await;
    model.script_completion(["b(", "1);"]);
    let (code, out, about) = shown(&hearth(&["complete", "a.rs:2:13"], &model.url()).await);
    assert_eq!((code, &*out), (Some(0), "b(1);\n"), "{about}");
    assert!(about.starts_with("coder at http://127.0.0.1:"), "{about}");
}

#[tokio::test]
async fn nothing_to_suggest_is_a_failure_with_its_reason() {
    let model = FakeModel::llama_server().await;
    model.script_completion([]);
    let (code, out, about) = shown(&hearth(&["complete", "a.rs:2:13"], &model.url()).await);
    assert_eq!((code, &*out), (Some(1), ""), "{about}");
    assert!(about.starts_with("no suggestion: the model had nothing to add"), "{about}");
}

#[tokio::test]
async fn no_server_is_a_failure_at_once() {
    let nobody = "http://127.0.0.1:1".parse().expect("a URL");
    for command in [&["complete", "a.rs:2:13"][..], &["status"]] {
        let (code, out, about) = shown(&hearth(command, &nobody).await);
        assert_eq!(code, Some(1));
        assert!((out + &about).contains("no model server answers at http://127.0.0.1:1"));
    }
}

#[tokio::test]
async fn a_model_that_could_not_be_loaded_beforehand_is_asked() {
    let model = FakeModel::open_ai().await;
    let full = json!({ "error": "out of memory" });
    model.reply("POST /v1/completions", Reply::json(500, &full));
    // It does not say what is loaded.
    model.reply("GET /api/v0/models", Reply::json(404, &json!({})));
    let (code, out, about) = shown(&hearth(&["complete", "a.rs:2:13"], &model.url()).await);
    assert_eq!((code, &*out), (Some(1), ""), "{about}");
    assert!(about.contains("out of memory"), "{about}");
    let asked = |stream: bool| model.requests().iter().any(|it| it.body["stream"] == stream);
    assert!(asked(false) && asked(true), "loaded, then asked");
}

/// What `hearth route` says, with and without further arguments, beside a cloud that is set up.
async fn check_route(arguments: &[&str], expected: Expect) {
    let model = FakeModel::ollama().await;
    let more = [
        "model_routing.local.default=qwen2.5:7b",
        "router.cloud.frontier.kind=anthropic",
        "router.cloud.frontier.model=large",
    ];
    let more = more.iter().flat_map(|assignment| ["--set", assignment]);
    let all: Vec<&str> =
        ["route"].into_iter().chain(arguments.iter().copied()).chain(more).collect();
    let (_, out, about) = shown(&hearth(&all, &model.url()).await);
    let out = out.replace(model.url().as_str().trim_end_matches('/'), "OLLAMA");
    expected.assert_eq(&format!("{out}{about}"));
    let asked = model.requests();
    assert!(asked.iter().all(|it| it.path != "/api/generate"), "nothing is loaded");
}

/// Nobody has trusted the folder that these run in.
#[tokio::test]
async fn route_says_who_would_do_the_work_and_why() {
    check_route(&["summarize", "--tokens", "100"], expect![[r#"
        this machine, at once: it stays on this machine, as the workspace is not trusted (hearth trust DIR): qwen2.5:7b (Q4_K_M) at OLLAMA, which follows instructions
    "#]]).await;
    check_route(&["refactor", "--tokens", "90000", "--tools", "3", "--private"], expect![[r#"
        this machine, in parts: it stays on this machine, as it was asked for as private; 24000 tokens fit at once, so it is done in parts: qwen2.5:7b (Q4_K_M) at OLLAMA, the most precise one
    "#]])
        .await;
    check_route(&["brew_coffee", "--json"], expect![[r#"
        {
          "rule": {
            "private": "untrusted"
          },
          "role": "default",
          "why": "it stays on this machine, as the workspace is not trusted (hearth trust DIR): qwen2.5:7b (Q4_K_M) at OLLAMA, which follows instructions",
          "rungs": [
            {
              "tier": "this-machine",
              "manner": "whole",
              "place": "OLLAMA",
              "model": "qwen2.5:7b",
              "quantization": "Q4_K_M"
            }
          ]
        }
    "#]]).await;
}

#[tokio::test]
async fn route_sends_nothing_up_that_is_not_trusted() {
    let off = ["--set", "router.thresholds.privacy_enforced=false", "--cloud"];
    let arguments = [&["complex_reasoning"][..], &off].concat();
    check_route(&arguments, expect![[r#"
        this machine, at once: it stays on this machine, as the workspace is not trusted (hearth trust DIR): qwen2.5:7b (Q4_K_M) at OLLAMA, the most precise one
    "#]])
    .await;
}

#[test]
fn an_editor_is_set_up_once_and_what_was_there_is_kept() {
    let home = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_hearth"))
            .args(arguments)
            .env("XDG_CONFIG_HOME", home.path())
            .env("XDG_STATE_HOME", home.path())
            .env("XDG_DATA_HOME", home.path())
            .output()
            .expect("hearth starts");
        let (code, out, about) = shown(&output);
        assert_eq!(code, Some(0), "{about}");
        (out, about)
    };
    let file = |path: &str| home.path().join(path);
    let read = |path: &str| std::fs::read_to_string(file(path)).unwrap_or_default();
    for (editor, path, mine) in [
        (
            "helix",
            "helix/languages.toml",
            "# mine\n[[language]]\nname = \"rust\" # too\nlanguage-servers = [\"rust-analyzer\"] # and this\n",
        ),
        ("neovim", "nvim/plugin/hearth.lua", "-- mine\n"),
        (
            "vscode",
            "Code/User/settings.json",
            "{\n  // mine\n  \"editor.fontSize\": 13, /* small */\n}\n",
        ),
    ] {
        let (printed, _) = run(&["setup", editor]);
        assert!(printed.contains("hearth"), "{printed}");
        assert!(!file(path).exists(), "printing writes nothing");

        let (printed, about) = run(&["setup", editor, "--write"]);
        assert_eq!(printed, "");
        assert!(about.contains(&format!("wrote {}\n", file(path).display())), "{about}");
        assert!(run(&["setup", editor, "--write"]).1.contains("is as it should be"));

        std::fs::write(file(path), mine).expect("writable");
        let (_, about) = run(&["setup", editor, "--write"]);
        assert!(about.contains(&format!("what was there is in {}.bak\n", file(path).display())));
        assert_eq!(read(&format!("{path}.bak")), mine);
        let merged = read(path);
        assert!(merged.contains(if editor == "neovim" { "require('hearth')" } else { "mine" }));
        // Nothing is added twice, and what is as it should be needs no other copy.
        assert!(run(&["setup", editor, "--write"]).1.contains("is as it should be"));
        assert_eq!(read(path), merged);
        assert!(!file(&format!("{path}.bak1")).exists());
    }
}

#[tokio::test]
async fn the_context_is_shown_with_its_reasons() {
    let model = FakeModel::llama_server().await;
    let home = tempfile::tempdir().expect("a folder");
    let wheel = "pub struct Wheel {\n    pub spokes: u32,\n}\n";
    let ride = "use crate::b::Wheel;\n\nfn ride(wheel: &Wheel) {\n    wheel.\n}\n";
    for (name, text) in [("a.rs", ride), ("b.rs", wheel)] {
        std::fs::write(home.path().join(name), text).expect("writable");
    }
    let context = async |arguments: &[&str]| {
        let arguments = [&["context", "a.rs:4:11"], arguments].concat();
        hearth_in(home.path(), home.path(), &arguments, &model.url()).await
    };
    let (code, out, about) = shown(&context(&[]).await);
    assert_eq!(code, Some(0), "{about}");
    assert!(out.starts_with("coder, "), "{out}");
    assert!(out.contains("  b.rs\n") && out.contains("  b::Wheel  ("), "{out}");
    assert!(out.contains("  a.rs, around the cursor\n"), "{out}");
    let (_, out, _) = shown(&context(&["--json"]).await);
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    // The likeliest stands last, next to the document.
    let last = json["otherFiles"].as_array().and_then(|files| files.last()).expect("a file");
    assert_eq!((&last["text"], &last["parts"][0]["name"]), (&wheel.into(), &"b::Wheel".into()));
    assert_eq!(json["document"]["path"], "a.rs");
    let (_, out, _) = shown(&context(&["--set", "context.max_tokens=0", "--json"]).await);
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(json["otherFiles"], serde_json::json!([]));
}

/// Git reads the user's own globs from the top of each repository, wherever one stands.
#[tokio::test]
async fn the_users_own_globs_for_all_repositories_hold_from_anywhere() {
    let model = FakeModel::llama_server().await;
    let home = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = home.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
        std::fs::write(path, text).expect("writable");
    };
    write("w/src/a.rs", "use crate::b::Wheel;\n\nfn ride(wheel: &Wheel) {\n    wheel.\n}\n");
    write("w/src/b.rs", "pub struct Wheel {\n    pub spokes: u32,\n}\n");
    std::fs::create_dir(home.path().join("w/.git")).expect("writable");
    let context = async |cwd: &str| {
        let place = home.path().join("w/src/a.rs").display().to_string() + ":4:11";
        let folder = home.path().join(cwd);
        let output = hearth_in(&folder, home.path(), &["context", &place], &model.url()).await;
        let (code, out, about) = shown(&output);
        assert_eq!(code, Some(0), "{about}");
        out
    };
    assert!(context(".").await.contains("b.rs"), "it is what would be shown");
    write("git/ignore", "src/*b.rs\n");
    for cwd in [".", "w", "w/src"] {
        let out = context(cwd).await;
        assert!(!out.contains("b.rs"), "{cwd}: {out}");
    }
    write("git/ignore", "/src/nothing.rs\n");
    assert!(context("w").await.contains("b.rs"));
}
