//! The model in the box: from a file on the disk to a suggestion, with nothing else on the machine.
//!
//! The model is the one of `real/bigram.rs`, whose answers are known beforehand: after any text it
//! says ` total += 1;` and a new line, for ever, and is nearly certain of each token.

mod support;

#[path = "real/write_gguf.rs"]
mod write_gguf;

use std::{
    fs::File,
    io::BufWriter,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::Arc,
    time::Instant,
};

use expect_test::{Expect, expect};
use futures::StreamExt;
use hearth::{
    config::Layers,
    context::layout::Order,
    lsp::ext::StatusState,
    model::{
        Budget, BuiltIn, Card, Event, Job, ModelError, ModelFacts, Provider, Segment, Stop,
        TokenCounter, Usage,
        built_in::{Chosen, ModelFile},
    },
    route::Serving,
};
use serde_json::{Value as Json, json};
use support::client::{Client, Setup};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tower_lsp::gen_lsp_types::Position;
use write_gguf::Value;

/// A machine on which there is nothing: an empty home, an empty folder to stand in, and models.
struct Machine {
    home: TempDir,
    here: TempDir,
    models: TempDir,
}

impl Machine {
    fn new() -> Self {
        let folder = || TempDir::new().expect("a folder");
        Self { home: folder(), here: folder(), models: folder() }
    }

    /// Writes a model with `more` in its metadata.
    fn model(&self, more: &[(&str, Value<'_>)]) -> PathBuf {
        let path = self.models.path().join("bigram.gguf");
        let mut file = BufWriter::new(File::create(&path).expect("a file"));
        write_gguf::write(&mut file, more).expect("it is written");
        path
    }

    /// A model of Hearth's own, as `training/` writes them.
    fn own(&self, show_above: f32) -> PathBuf {
        self.model(&[
            ("hearth.layout_version", Value::U32(1)),
            ("hearth.show_above", Value::F32(show_above)),
        ])
    }

    fn hearth(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hearth"));
        // No server that happens to run on this machine shall answer.
        command.args(["--set", "local.provider=built-in"]).args(arguments);
        command.env_clear().env("HOME", self.home.path()).current_dir(self.here.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        command
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        self.hearth(arguments).output().await.expect("it runs")
    }

    /// As if `hearth model use` had been run, which takes its time to measure.
    fn has_chosen(&self, path: &Path) {
        let chosen = Chosen { path: path.to_owned(), prefill_speed: 1.0, decode_speed: 1.0 };
        std::fs::create_dir_all(self.kept().parent().expect("a folder")).expect("a folder");
        std::fs::write(self.kept(), toml::to_string(&chosen).expect("TOML")).expect("a file");
    }

    /// Where the choice is kept.
    fn kept(&self) -> PathBuf {
        self.home.path().join(".local/share/hearth/model.toml")
    }

    /// Writes a file into the folder and completes it at `$0`.
    async fn completes(&self, fixture: &str) -> Output {
        let (before, after) = fixture.split_once("$0").expect("a cursor");
        std::fs::write(self.here.path().join("a.rs"), format!("{before}{after}")).expect("a file");
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        self.run(&["complete", &format!("a.rs:{line}:{column}")]).await
    }

    /// An editor whose server is a process of its own.
    async fn editor(&self) -> (Client, Child) {
        let mut child = self.hearth(&["serve"]).spawn().expect("it starts");
        let setup = Setup {
            initialization_options: json!({ "completion": { "debounce_ms": 0 } }),
            ..Setup::default()
        };
        let (reader, writer) = (child.stdout.take().unwrap(), child.stdin.take().unwrap());
        (setup.over(reader, writer).await, child)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

const FIXTURE: &str = "fn add(total: &mut u8) {\n    *$0\n}\n";

#[tokio::test]
async fn the_bare_binary_completes_in_an_empty_folder() {
    let machine = Machine::new();
    machine.has_chosen(&machine.own(0.5));
    let output = machine.completes(FIXTURE).await;
    let about = text(&output.stderr);
    assert_eq!(text(&output.stdout), " total += 1;\n", "{about}");
    assert!(output.status.success());
    assert!(about.contains("at this process (built-in), fill-in-the-middle"), "{about}");
    assert!(about.contains(" ms in all") && !about.contains("show nothing"), "{about}");
}

#[tokio::test]
async fn the_model_that_came_with_hearth_needs_no_choosing() {
    let machine = Machine::new();
    let output = machine.completes("fn main() {\n    let a = $0\n}\n").await;
    let about = text(&output.stderr);
    assert!(about.contains("at this process (built-in), fill-in-the-middle"), "{about}");
    assert!(about.contains(" tokens in ("), "{about}");
    let size = ModelFile::Shipped.size().expect("it is in memory");
    assert!(size <= 64 << 20, "{size} bytes are too many for a repository");
}

#[test]
fn the_model_that_came_with_hearth_says_of_itself_what_its_card_says() {
    let card = include_str!("../models/README.md");
    let facts = ModelFile::Shipped.facts().expect("it can be used");
    let own = facts.card.expect("it is in this process");
    assert_eq!(Order::of(&facts), Order::Begun, "it was trained on another layout");
    let millions = facts.parameters.unwrap_or_default() as f64 / 1e6;
    assert!(card.contains(&format!("{millions:.2} M parameters")), "{millions}");
    assert_eq!(card.contains("so editors show nothing of it"), !own.ghost_text);
    if own.ghost_text {
        assert!(card.contains(&format!("its answer is {} or more", own.show_above)), "{own:?}");
    }
}

#[tokio::test]
async fn a_model_of_hearths_own_gets_begun_prompts_and_any_other_plain_ones() {
    let machine = Machine::new();
    let prompt = async |model: &Path| {
        machine.has_chosen(model);
        std::fs::write(machine.here.path().join("a.rs"), "fn a() {\n    b\n}\n").unwrap();
        let output = machine.run(&["complete", "--json", "a.rs:2:6"]).await;
        let explained = machine.run(&["complete", "--json", "--explain", "a.rs:2:6"]).await;
        assert_eq!(output.status, explained.status);
        let object: Json = serde_json::from_slice(&explained.stdout).expect("JSON");
        object["prompt"].as_str().expect("a prompt").to_owned()
    };
    expect![[r#"
        <|file_sep|>a.rs
        <|fim_prefix|>fn a() {
        <|fim_suffix|>
        }
        <|fim_middle|>    b"#]]
    .assert_eq(&prompt(&machine.own(0.5)).await);
    expect![[r#"
        <|file_sep|>a.rs
        <|fim_prefix|>fn a() {
            b<|fim_suffix|>
        }
        <|fim_middle|>"#]]
    .assert_eq(&prompt(&machine.model(&[])).await);
}

const INLINE: &str = "textDocument/inlineCompletion";

fn ask(client: &Client, uri: &str, at: Position) -> support::client::Pending {
    let params = json!({
        "textDocument": { "uri": uri },
        "position": at,
        "context": { "triggerKind": 2 },
    });
    client.send_raw(INLINE, params)
}

fn inserted(answer: &Json) -> Vec<&str> {
    let items = answer["items"].as_array().expect("a list");
    items.iter().map(|item| item["insertText"].as_str().expect("text")).collect()
}

#[tokio::test]
async fn two_documents_at_once_in_an_editor() {
    let machine = Machine::new();
    machine.has_chosen(&machine.own(0.5));
    let (mut client, _server) = machine.editor().await;
    let status = client.status(|status| status.state == StatusState::Warm).await;
    assert_eq!(status.provider.as_deref(), Some("built-in"));
    let one = client.open("file:///w/one.rs", FIXTURE);
    let two = client.open("file:///w/two.rs", &FIXTURE.replace("add", "other"));
    let (first, second) =
        (ask(&client, "file:///w/one.rs", one), ask(&client, "file:///w/two.rs", two));
    for pending in [second, first] {
        let answer = pending.answer().await.expect("no error");
        assert_eq!(inserted(&answer), [" total += 1;"]);
    }
    // A key that disagrees stops one and starts another.
    let notes = "file:///w/notes.txt";
    let at = client.open(notes, "one$0");
    let overtaken = ask(&client, notes, at);
    let next = client.type_at(notes, at, "x");
    let newer = ask(&client, notes, next);
    assert!(overtaken.answer().await.is_err_and(|error| error.code == -32_800));
    assert_eq!(inserted(&newer.answer().await.expect("no error")), ["onex total += 1;"]);
    client.shutdown().await;
}

#[tokio::test]
async fn what_the_model_is_not_sure_of_is_shown_to_nobody_but_who_asks() {
    let machine = Machine::new();
    machine.has_chosen(&machine.own(1.5));
    let (mut client, _server) = machine.editor().await;
    client.status(|status| status.state == StatusState::Warm).await;
    let at = client.open("file:///w/a.rs", FIXTURE);
    let answer = ask(&client, "file:///w/a.rs", at).answer().await.expect("no error");
    assert!(inserted(&answer).is_empty());
    let status = client.status(|status| status.last_no_suggestion.is_some()).await;
    expect!["the model was not sure enough: 1.00, and what it says is shown from 1.50"]
        .assert_eq(&status.last_no_suggestion.unwrap_or_default());
    client.shutdown().await;

    let output = machine.completes(FIXTURE).await;
    assert_eq!(text(&output.stdout), " total += 1;\n");
    let about = text(&output.stderr);
    assert!(about.contains("an editor would show nothing here: the model was not sure"), "{about}");
}

#[test]
fn ghost_text_is_for_a_model_that_is_worth_it_or_a_user_who_wants_it() {
    let shown = |ghost_text: bool, chosen: bool, provider: &str| {
        let card = Card { layout_version: Some(1), show_above: 0.5, ghost_text, chosen };
        let serving = Serving {
            provider: Arc::new(BuiltIn::of(ModelFile::Shipped)),
            model: ModelFacts { card: Some(card), ..ModelFacts::default() },
            slots: None,
            why: String::new(),
        };
        let mut layers = Layers::default();
        layers.assign(&[format!("local.provider={provider}")]).expect("a setting");
        serving.unasked(&layers.resolve().0).is_none()
    };
    assert!(!shown(false, false, "auto"), "no better than its baselines");
    assert!(shown(true, false, "auto"), "better than its baselines");
    assert!(shown(false, true, "auto"), "the user chose the file");
    assert!(shown(false, false, "built-in"), "the user chose the provider");
}

async fn refuses(bytes: &[u8], expected: Expect) {
    let machine = Machine::new();
    let path = machine.models.path().join("bad.gguf");
    std::fs::write(&path, bytes).expect("a file");
    let output = machine.run(&["model", "use", &path.display().to_string()]).await;
    assert!(!output.status.success());
    let said = text(&output.stderr).replace(&path.display().to_string(), "FILE");
    expected.assert_eq(&said);
    assert_eq!(std::fs::read_dir(machine.home.path()).expect("a folder").count(), 0);
}

#[tokio::test]
async fn bad_files_are_refused_and_nothing_is_kept() {
    refuses(b"PK\x03\x04 not a model", expect![[r#"
        hearth: FILE cannot be used: this is not a GGUF file: it does not begin with the letters GGUF
    "#]]).await;
    let machine = Machine::new();
    let good = std::fs::read(machine.own(0.5)).expect("a file");
    refuses(&good[..good.len() / 2], expect![[r#"
        hearth: FILE cannot be used: the model file is cut short or damaged: tensor 'blk.0.attn_k.weight' needs 409600 bytes, 167296 are left
    "#]]).await;
    let with = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let mut bytes = good.clone();
        for at in 0..bytes.len() - from.len() {
            if bytes[at..].starts_with(from.as_bytes()) {
                bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
            }
        }
        bytes
    };
    refuses(&with("qwen2", "gemma"), expect![[r#"
        hearth: FILE cannot be used: the architecture 'gemma' is not one of those the built-in engine runs: qwen2, llama; a program built with the feature llama-cpp knows more, and so does any model server
    "#]]).await;
    refuses(&with("<|fim_middle|>", "<|fim_muddle|>"), expect![[r#"
        hearth: FILE cannot be used: there is no control token named '<|fim_middle|>' in this model's vocabulary
    "#]]).await;
    let output = machine.run(&["model", "use", "nowhere.gguf"]).await;
    expect![[r#"
        hearth: cannot find nowhere.gguf: No such file or directory (os error 2)
    "#]]
    .assert_eq(&text(&output.stderr));
}

#[tokio::test]
async fn a_choice_is_kept_shown_and_forgotten() {
    let machine = Machine::new();
    let model = machine.own(0.5);
    let output = machine.run(&["model", "use", &model.display().to_string()]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let shown = text(&machine.run(&["model"]).await.stdout);
    assert!(shown.contains(&model.display().to_string()), "{shown}");
    assert!(shown.contains("version 1 of Hearth's prompt layout"), "{shown}");
    assert!(shown.contains("tokens/s read"), "{shown}");
    let kept = machine.kept();
    assert!(kept.exists());
    machine.run(&["model", "reset"]).await;
    assert!(!kept.exists());
    // A choice whose file is gone is an error, not another model.
    machine.has_chosen(&model);
    std::fs::remove_file(&model).expect("it is there");
    let output = machine.completes(FIXTURE).await;
    let about = text(&output.stderr);
    assert!(about.contains("cannot be used: No such file"), "{about}");
}

/// A job whose output may be `output` tokens long.
fn job(segments: Vec<Segment>, output: usize, stop: &[&str]) -> Job {
    let budget = Budget::new(24_000, None, output, TokenCounter::default());
    Job {
        model: "bigram".to_owned(),
        prompt: Arc::new(budget.seal(segments).expect("it fits")),
        temperature: 0.0,
        stop: stop.iter().map(|&stop| stop.to_owned()).collect(),
        num_ctx: 4096,
        keep_alive: "30m".to_owned(),
        slot: None,
    }
}

async fn says(provider: &BuiltIn, job: Job) -> (String, Usage) {
    let mut events = provider.generate(job).await.expect("it starts");
    let mut all = String::new();
    while let Some(event) = events.next().await {
        match event.expect("no error") {
            Event::Odds(_) | Event::Evaluating { .. } => {}
            Event::Text(text) => all.push_str(&text),
            Event::Done(usage) => return (all, usage),
        }
    }
    panic!("it ended without a word")
}

async fn loaded(machine: &Machine) -> BuiltIn {
    let provider = BuiltIn::of(ModelFile::At(machine.own(0.5)));
    provider.preload("bigram", 4096, "30m").await.expect("it loads");
    provider
}

#[tokio::test]
async fn control_tokens_come_from_control_segments_alone() {
    let machine = Machine::new();
    let provider = loaded(&machine).await;
    let middle = "<|fim_middle|>";
    let meant = job(vec![Segment::text("fn a"), Segment::control(middle)], 24, &[]);
    let (text, usage) = says(&provider, meant).await;
    assert_eq!((&*text, usage.stop), ("left + right", Stop::Complete));
    let spelled = job(vec![Segment::text(format!("fn a{middle}"))], 24, &["\n"]);
    let (text, usage) = says(&provider, spelled).await;
    assert_eq!((&*text, usage.stop), (" total += 1;", Stop::Complete));
    assert!(usage.confidence.expect("it is known") > 0.99);
    let count = provider.count("bigram", middle).await.expect("it counts").expect("a number");
    assert_eq!(count, middle.len() - 1, "a token a byte, but for `le`, which is merged");
}

#[tokio::test]
async fn a_newer_request_takes_over_what_was_computed() {
    let machine = Machine::new();
    let provider = loaded(&machine).await;
    let of = |text: &str| job(vec![Segment::text(text)], 8, &["\n"]);
    let (_, first) = says(&provider, of("let a = bcd")).await;
    assert_eq!(first.cached_tokens, Some(0));
    let (_, second) = says(&provider, of("let a = bcde")).await;
    let tokens = first.prompt_tokens.expect("it is known");
    assert_eq!((second.prompt_tokens, second.cached_tokens), (Some(tokens + 1), Some(tokens)));
}

#[tokio::test]
async fn a_dropped_stream_stops_the_engine() {
    let machine = Machine::new();
    let provider = loaded(&machine).await;
    let of = |output| job(vec![Segment::text("fn a")], output, &[]);
    let began = Instant::now();
    let (_, usage) = says(&provider, of(200)).await;
    assert_eq!((usage.output_tokens, usage.stop), (Some(200), Stop::Limit));
    let for_200 = began.elapsed();
    let mut endless = provider.generate(of(4000)).await.expect("it starts");
    assert!(matches!(endless.next().await, Some(Ok(Event::Odds(_)))));
    drop(endless);
    let began = Instant::now();
    says(&provider, of(1)).await;
    assert!(began.elapsed() < for_200 * 5, "it waited for 4,000 tokens that nobody wants");
}

#[tokio::test]
async fn what_is_released_is_not_in_memory() {
    let machine = Machine::new();
    let provider = loaded(&machine).await;
    let facts = async || provider.look().await.expect("a model").models.remove(0);
    assert_eq!(facts().await.loaded, Some(true));
    provider.release();
    assert_eq!(facts().await.loaded, Some(false));
    let error = provider.generate(job(vec![Segment::text("a")], 1, &[])).await.err();
    assert!(matches!(error, Some(ModelError::BuiltIn { .. })), "{error:?}");
    provider.preload("bigram", 4096, "30m").await.expect("it loads again");
    assert_eq!(says(&provider, job(vec![Segment::text("a")], 3, &[])).await.0, " total += 1;");
}

#[tokio::test]
async fn a_prompt_beyond_the_context_says_how_much_fits() {
    let machine = Machine::new();
    let provider = loaded(&machine).await;
    let error = provider.generate(job(vec![Segment::text("(".repeat(5000))], 1, &[])).await.err();
    let Some(ModelError::TooLong { prompt_tokens, context, .. }) = error else {
        panic!("{error:?}")
    };
    assert_eq!((prompt_tokens, context), (Some(5000), Some(4096)));
}
