//! Work that goes up, work that may not, and what it says of that: over real sockets, from the editor
//! and from the command line.

use expect_test::{Expect, expect};
use hearth::egress::audit::{Decision, Log};
use serde_json::{Value as Json, json};

use crate::{
    command_line::{hearth_with, shown},
    editor::{Editor, Scene, Tree, finish},
    hold::SUM,
    support::{
        client::Asked,
        fake_cloud::{Api, FakeCloud, Says},
        fake_model::{FakeModel, Reply},
    },
};

const GOOD: &str = "```rust\npub fn sum(all: &[u32]) -> u32 {\n    all.iter().sum()\n}\n```";

/// An editor in a trusted folder, with a cloud set up.
async fn editor(cloud: &FakeCloud) -> Editor {
    let mut scene = Scene::new(SUM).await;
    scene.settings = json!({
        "workspaceTrust": true,
        "check": { "compile": false },
        "router": {
            "local_endpoint": scene.model.url().as_str(),
            "cloud": { "frontier":
                { "kind": "anthropic", "endpoint": cloud.url(), "model": "frontier-1" } },
        },
    });
    scene.start().await
}

/// The question, with its place for the cloud's.
async fn question(editor: &Editor, cloud: &FakeCloud) -> (Asked, String) {
    let asked = editor.client.asked().await;
    assert_eq!(asked.method, "window/showMessageRequest");
    let text = asked.params["message"].as_str().expect("a question");
    let shown = text.replace(&cloud.url(), "CLOUD");
    (asked, shown)
}

/// Who said what in a request to an Anthropic cloud.
fn said(request: &Json) -> String {
    let turns = request["messages"].as_array().expect("turns").iter();
    let turn = |turn: &Json| {
        let contents = turn["content"].as_array().expect("contents").iter();
        let texts: Vec<&str> = contents.filter_map(|content| content["text"].as_str()).collect();
        format!("{}:\n{}\n", turn["role"].as_str().expect("a role"), texts.concat())
    };
    turns.map(turn).collect()
}

#[tokio::test]
async fn the_user_sends_one_up_and_is_asked_once() {
    let cloud = FakeCloud::start(Api::Anthropic).await;
    let mut editor = editor(&cloud).await;
    for answer in ["I cannot.", GOOD] {
        cloud.says(Says::text([answer]));
    }
    let more = json!({ "instruction": "Use an iterator.", "cloud": true });
    let pending = editor.command("hearth.refactor", &more);
    let (asked, shown) = question(&editor, &cloud).await;
    expect!["Hearth: May 253 tokens with parts of src/lib.rs be sent to CLOUD (frontier-1)?"]
        .assert_eq(&shown);
    assert_eq!(cloud.connections(), 0, "before the user has agreed");
    editor.client.answer(&asked, &json!({ "title": "Send it once" }));
    expect![[r#"
        edit of version Some(0) "Hearth: Rewrite `sum`: parsed, formatted; not compiled (`check.compile` is off)":
        4:4-8:9 "all.iter().sum()" (to be confirmed)
        end: parsed, formatted; not compiled (`check.compile` is off)
    "#]].assert_eq(&editor.until_done(pending).await);
    let requests = cloud.requests();
    assert_eq!(requests.len(), 2);
    expect![[r#"
        user:
        File: src/lib.rs

        Other items of the file, without bodies; they stay as they are:
        ```rust
        pub fn far() -> u32;
        ```

        The item:
        ```rust
        /// Adds them up.
        pub fn sum(all: &[u32]) -> u32 {
            let mut total = 0;
            for n in all {
                total += n;
            }
            total
        }
        ```

        Rewrite the function `sum`: Use an iterator.

        Answer with the whole new item in one ```rust block and nothing else.

        assistant:
        I cannot.
        user:
        That was wrong.
        Your answer has no code block. Answer with one code block.
        Answer again, with this put right.

    "#]]
    .assert_eq(&said(&requests[1].body));
    let asked = editor.model.requests();
    assert!(asked.iter().all(|request| request.body["stream"] != true), "nobody here was asked");
    let entries = Log::new(&editor.tree.cache.join("state")).entries().expect("a log");
    let sent = entries.iter().map(|entry| (entry.decision, entry.reason.as_str()));
    assert_eq!(sent.collect::<Vec<_>>(), [(Decision::Sent, "once"), (Decision::Sent, "once")]);
    editor.close().await;
}

#[tokio::test]
async fn what_the_user_does_not_send_is_done_here() {
    let cloud = FakeCloud::start(Api::Anthropic).await;
    let mut editor = editor(&cloud).await;
    for (asks, answer) in [(true, "Never from this workspace"), (false, "")] {
        let more = json!({ "instruction": "Use an iterator.", "cloud": true });
        let pending = editor.command("hearth.refactor", &more);
        if asks {
            let (asked, _) = question(&editor, &cloud).await;
            editor.client.answer(&asked, &json!({ "title": answer }));
        }
        let generation = editor.model.generation().await;
        generation.send(GOOD);
        finish(&generation, false);
        let seen = editor.until_done(pending).await;
        assert!(seen.contains("all.iter().sum()"), "{seen}");
        editor.replace(SUM.replace("$0", ""));
    }
    assert_eq!(cloud.connections(), 0);
    editor.close().await;
}

#[tokio::test]
async fn an_explanation_and_tests_go_the_same_way() {
    let cloud = FakeCloud::start(Api::Anthropic).await;
    let mut editor = editor(&cloud).await;
    let test = "```rust\n#[test]\nfn sums() {\n    assert_eq!(sum(&[1, 2]), 3);\n}\n```";
    for (command, says) in [("hearth.explain", "It adds them up."), ("hearth.test", test)] {
        cloud.says(Says::text([says]));
        let pending = editor.command(command, &json!({ "cloud": true }));
        let (asked, _) = question(&editor, &cloud).await;
        editor.client.answer(&asked, &json!({ "title": "Send it once" }));
        let seen = editor.until_done(pending).await;
        // A test is kept only after it has run; what was written is shown all the same.
        assert!(seen.contains("It adds them up.") || seen.contains("fn sums()"), "{seen}");
    }
    assert_eq!(cloud.requests().len(), 2);
    editor.close().await;
}

#[tokio::test]
async fn each_action_is_offered_for_the_cloud_too() {
    let cloud = FakeCloud::start(Api::Anthropic).await;
    let editor = editor(&cloud).await;
    let params = json!({
        "textDocument": { "uri": editor.uri() },
        "range": { "start": editor.cursor, "end": editor.cursor },
        "context": { "diagnostics": [], "triggerKind": 1 },
    });
    let answer = editor.client.send_raw("textDocument/codeAction", params).answer().await;
    let answer = answer.expect("a list");
    let up: Vec<String> = answer
        .as_array()
        .expect("a list")
        .iter()
        .filter(|action| action["command"]["arguments"][0]["cloud"] == true)
        .map(|action| format!("{} -> {}", action["title"], action["command"]["command"]))
        .collect();
    expect![[r#"
        "Hearth: simplify the function `sum` (send this one up to frontier)" -> "hearth.refactor"
        "Hearth: add error handling to the function `sum` (send this one up to frontier)" -> "hearth.refactor"
        "Hearth: document the function `sum` (send this one up to frontier)" -> "hearth.refactor"
        "Hearth: explain the function `sum` (send this one up to frontier)" -> "hearth.explain"
        "Hearth: generate tests for the function `sum` (send this one up to frontier)" -> "hearth.test""#]]
    .assert_eq(&up.join("\n"));
    editor.close().await;
}

/// A crate on disk, a model here that is broken, and a cloud that consent stands for.
struct Run {
    tree: Tree,
    model: FakeModel,
    cloud: FakeCloud,
}

impl Run {
    async fn new() -> Self {
        let (model, cloud) =
            (FakeModel::llama_server().await, FakeCloud::start(Api::Anthropic).await);
        let broken = Reply::json(500, &json!({ "error": { "message": "out of memory" } }));
        model.reply("POST /v1/chat/completions", broken);
        let lib = SUM.replace("$0", "");
        let tree = Tree::new(&[("src/lib.rs", &lib)]);
        let run = Self { tree, model, cloud };
        run.hearth(&["trust", "."]).await;
        run.hearth(&["egress", "allow", "frontier"]).await;
        run
    }

    async fn hearth(&self, arguments: &[&str]) -> String {
        self.hearth_with("check.compile=false", arguments).await
    }

    async fn hearth_with(&self, setting: &str, arguments: &[&str]) -> String {
        let endpoint = format!("router.cloud.frontier.endpoint={}", self.cloud.url());
        let settings = [
            &*endpoint,
            "router.cloud.frontier.model=frontier-1",
            "router.cloud.frontier.kind=anthropic",
            "check.compile=false",
            setting,
        ];
        let output = hearth_with(&self.tree, &self.model, &settings, arguments).await;
        let shown = shown(&output, &self.model).replace(&self.cloud.url(), "CLOUD");
        // The log has the time in it.
        let of_log = |line: &&str| !line.contains(" WARN ");
        shown.lines().filter(of_log).flat_map(|line| [line, "\n"]).collect()
    }

    /// Runs it with one more setting, and nothing goes anywhere: not a request, not a look.
    async fn check_stays(&self, setting: &str, arguments: &[&str], expected: Expect) {
        let before = self.cloud.connections();
        expected.assert_eq(&self.hearth_with(setting, arguments).await);
        assert_eq!(self.cloud.connections(), before);
        self.tree.untouched();
    }
}

/// The naive router sends up whatever fails here. Ours cannot.
#[tokio::test]
async fn a_failure_here_goes_up_with_consent_and_never_in_private() {
    let run = Run::new().await;
    run.cloud.says(Says::text([GOOD]));
    let refactor = &["refactor", "src/lib.rs:6", "Use an iterator."][..];
    expect![[r#"
        --- a/src/lib.rs
        +++ b/src/lib.rs
        @@ -2,11 +2,7 @@

         /// Adds them up.
         pub fn sum(all: &[u32]) -> u32 {
        -    let mut total = 0;
        -    for n in all {
        -        total += n;
        -    }
        -    total
        +    all.iter().sum()
         }

         pub fn far() -> u32 {
        --- 0
        refactor is routine work: coder (Q8_0) at MODEL, the most precise one, as the output is strict
        the model reads
        the server at MODEL refused: 500 out of memory; so frontier-1 at frontier is asked
        the model reads
        frontier-1 at frontier: 1000 tokens in, 600 of them cached, 50 out; the price is not known
        parsing
        formatting
        compiling
        Rewrite `sum`: parsed, formatted; not compiled (`check.compile` is off)
    "#]].assert_eq(&run.hearth(refactor).await);
    assert_eq!(run.cloud.requests().len(), 1);

    let usual = "completion.enabled=true";
    let asked = &["refactor", "--private", "src/lib.rs:6", "Use an iterator."];
    run.check_stays(usual, asked, expect![[r#"
        --- 1
        it stays on this machine, as it was asked for as private: coder (Q8_0) at MODEL, the most precise one, as the output is strict
        the model reads
        hearth: the server at MODEL refused: 500 out of memory; nobody else is asked, as it was asked for as private
    "#]]).await;
    run.check_stays(usual, &["test", "--private", "src/lib.rs:6"], expect![[r#"
        --- 1
        a test (1 of 3)
        it stays on this machine, as it was asked for as private: coder (Q8_0) at MODEL, the most precise one, as the output is strict
        the model reads
        hearth: the server at MODEL refused: 500 out of memory; nobody else is asked, as it was asked for as private
    "#]]).await;
    run.check_stays("privacy.local_only=true", refactor, expect![[r#"
        --- 1
        it stays on this machine, as every task is private (privacy.local_only): coder (Q8_0) at MODEL, the most precise one, as the output is strict
        the model reads
        hearth: the server at MODEL refused: 500 out of memory; nobody else is asked, as every task is private (privacy.local_only)
    "#]]).await;
    run.check_stays("privacy.private=['src/']", refactor, expect![[r#"
        --- 1
        it stays on this machine, as src/lib.rs is private (privacy.private): coder (Q8_0) at MODEL, the most precise one, as the output is strict
        the model reads
        hearth: the server at MODEL refused: 500 out of memory; nobody else is asked, as src/lib.rs is private (privacy.private)
    "#]]).await;
    run.check_stays(
        "privacy.exclude=['src/']",
        refactor,
        expect![[r#"
        --- 1
        hearth: src/lib.rs is excluded (privacy.exclude)
    "#]],
    )
    .await;
    // What is private stays, though the user sends it up.
    let up = &["refactor", "--cloud", "src/lib.rs:6", "Use an iterator."];
    run.check_stays("privacy.private=['src/']", up, expect![[r#"
        --- 1
        it stays on this machine, as src/lib.rs is private (privacy.private): coder (Q8_0) at MODEL, the most precise one, as the output is strict
        the model reads
        hearth: the server at MODEL refused: 500 out of memory; nobody else is asked, as src/lib.rs is private (privacy.private)
    "#]]).await;
    run.hearth(&["trust", "--revoke", "."]).await;
    run.check_stays(usual, refactor, expect![[r#"
        --- 1
        it stays on this machine, as the workspace is not trusted (hearth trust DIR): coder (Q8_0) at MODEL, the most precise one, as the output is strict
        the model reads
        hearth: the server at MODEL refused: 500 out of memory; nobody else is asked, as the workspace is not trusted (hearth trust DIR)
    "#]]).await;
    run.hearth(&["trust", "."]).await;
    // Without consent, and nobody there to be asked.
    run.hearth(&["egress", "forget"]).await;
    run.check_stays(usual, refactor, expect![[r#"
        --- 1
        refactor is routine work: coder (Q8_0) at MODEL, the most precise one, as the output is strict
        the model reads
        hearth: the server at MODEL refused: 500 out of memory
    "#]]).await;
    run.check_stays(
        usual,
        up,
        expect![[r#"
        --- 1
        it was sent up for this run: frontier-1 at frontier
        the model reads
        sending to CLOUD was declined; so coder at MODEL is asked
        the model reads
        hearth: sending to CLOUD was declined; then the server at MODEL refused: 500 out of memory
    "#]],
    )
    .await;
    assert_eq!(run.cloud.requests().len(), 1);
}

/// What a compiler says may quote another file, which may have to stay.
#[tokio::test]
async fn what_a_compiler_quotes_leaves_only_if_its_file_may() {
    let cloud = FakeCloud::start(Api::Anthropic).await;
    let lib = "mod secret;\n\npub fn f() -> u8 {$0\n    secret::canary()\n}\n";
    let secret = "pub fn canary() -> u8 {\n    7\n}\n";
    let bad = "```rust\npub fn f() -> u8 {\n    secret::canary(1)\n}\n```";
    let good = "```rust\npub fn f() -> u8 {\n    secret::canary().min(9)\n}\n```";
    for (exclude, quoted) in [(json!([]), true), (json!(["secret.rs"]), false)] {
        let mut scene = Scene::trusted(lib).await;
        scene.others = vec![("src/secret.rs", secret)];
        scene.settings["privacy"] = json!({ "exclude": exclude });
        scene.settings["router"] = json!({
            "local_endpoint": scene.model.url().as_str(),
            "cloud": { "frontier":
                { "kind": "anthropic", "endpoint": cloud.url(), "model": "frontier-1" } },
        });
        let mut editor = scene.start().await;
        let seen_before = cloud.requests().len();
        for answer in [bad, good] {
            cloud.says(Says::text([answer]));
        }
        let more = json!({ "instruction": "Be careful.", "cloud": true });
        let pending = editor.command("hearth.refactor", &more);
        // Another file's lines are another question.
        for _ in 0..=usize::from(quoted) {
            let (asked, _) = question(&editor, &cloud).await;
            editor.client.answer(&asked, &json!({ "title": "Send it once" }));
        }
        let seen = editor.until_done(pending).await;
        assert!(seen.contains("min(9)"), "{seen}");
        let second = said(&cloud.requests()[seen_before + 1].body);
        assert_eq!(second.contains("pub fn canary()"), quoted, "{second}");
        assert!(second.contains("That was wrong."), "{second}");
        editor.close().await;
        assert!(!second.contains(std::env::temp_dir().to_str().expect("UTF-8")), "{second}");
    }
}
