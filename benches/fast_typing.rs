//! Fast typing against the whole program: `hearth serve` as a process of its own, an editor on its
//! pipes, a llama-server with one slot played on a real socket, a file of 1,000 lines.
//!
//! First over a slow model that is always wrong, 150 ms to its first token and 20 ms a token, at a key
//! every 100 ms, with the settings as they are by default and with a request for every key: how long an
//! overtaken generation goes on, from the key or the token with which the two disagree to the
//! disconnect that the model sees; for how long two ran at once in the one slot; how many answers came
//! for an older text; and what share of a core the server took. Then over a model that knows what will
//! be typed: how long a typed-along answer takes, from the key on the server's stdin to the whole
//! answer on its stdout, and beside it an answer to which there is nothing to do.
//!
//! `cargo bench --bench fast_typing`

#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    fmt::Write as _,
    io::Write as _,
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use hearth::{lsp::ext::StatusState, session::task::OwnedTask};
use serde_json::json;
use support::{
    client::{Answer, Client, Pending, Setup},
    fake_model::{Ending, FakeModel, Generation, Reply},
};
use tower_lsp::gen_lsp_types::Position;

const FILE: &str = "file:///w/src/typed.rs";

const LINES: usize = 1_000;

/// Keys over the slow model, each time.
const SLOW_KEYS: usize = 300;

const EVERY: Duration = Duration::from_millis(100);

const FIRST_TOKEN: Duration = Duration::from_millis(150);

const TOKEN: Duration = Duration::from_millis(20);

/// Keys over the model that knows.
const KNOWN_KEYS: usize = 2_000;

/// As VS Code waits after a key.
const BEFORE_ASKING: Duration = Duration::from_millis(40);

#[tokio::main(worker_threads = 2)]
async fn main() {
    let mut page = String::from("milliseconds              median     p99     max\n");
    for (name, settings) in [
        ("as it is by default", &[][..]),
        ("a request for every key", &["completion.debounce_ms=0"][..]),
    ] {
        let slow = OwnedTask::spawn(slow(settings)).join().await.expect("a replay");
        let _ = writeln!(page, "slow model, {name}");
        slow.write(&mut page);
    }
    let known = OwnedTask::spawn(known()).join().await.expect("a replay");
    let _ = writeln!(page, "a model that knows");
    row(&mut page, "nothing to do", known.nothing);
    row(&mut page, "typed along", known.along);
    std::io::stdout().write_all(page.as_bytes()).expect("stdout");
}

fn row(page: &mut String, name: &str, mut all: Vec<Duration>) {
    all.sort();
    let at = |percent: usize| all.get(all.len().saturating_sub(1) * percent / 100);
    let ms = |percent| at(percent).map_or(0.0, |time| time.as_secs_f64() * 1_000.0);
    let (name, count) = (format!("  {name}"), all.len());
    let _ = writeln!(page, "{name:<24}{:>8.3}{:>8.3}{:>8.3}  ({count})", ms(50), ms(99), ms(100));
}

/// A server, and the editor and the model at its ends.
struct Stage {
    model: FakeModel,
    server: tokio::process::Child,
    client: Client,
    _home: tempfile::TempDir,
}

impl Stage {
    async fn new(assignments: &[&str]) -> Self {
        let model = FakeModel::llama_server().await;
        model.reply(
            "GET /props",
            Reply::json(
                200,
                &json!({
                    "default_generation_settings": { "n_ctx": 8192 },
                    "total_slots": 1,
                    "model_path": "/models/qwen2.5-coder-1.5b-Q8_0.gguf",
                    "build_info": "b11669",
                    "is_sleeping": false,
                }),
            ),
        );
        let home = tempfile::tempdir().expect("a folder");
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_hearth"));
        command.args(["serve", "--stdio", "--set"]);
        command.arg(format!("router.local_endpoint={}", model.url()));
        for assignment in assignments {
            command.args(["--set", assignment]);
        }
        let mut server = command
            .env("XDG_CONFIG_HOME", home.path())
            .env("XDG_STATE_HOME", home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("hearth starts");
        let (stdin, stdout) =
            (server.stdin.take().expect("a pipe"), server.stdout.take().expect("a pipe"));
        let setup = Setup { encodings: vec!["utf-8"], ..Setup::default() };
        let mut client = setup.over(stdout, stdin).await;
        client.status(|status| status.state == StatusState::Warm).await;
        client.open(FILE, &source());
        client.settle().await;
        Self { model, server, client, _home: home }
    }

    /// Time on a core so far, in hundredths of a second.
    fn on_cores(&self) -> u64 {
        let id = self.server.id().expect("it runs");
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // Behind the program's name, which may contain spaces: fields 14 and 15 of proc(5).
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
    }
}

/// The file, 1,000 lines.
fn source() -> String {
    let lines = include_str!("../src/model/llama_server.rs").lines();
    lines.cycle().take(LINES).flat_map(|line| [line, "\n"]).collect()
}

/// The lines that are typed, into the middle of the file.
fn typed() -> impl Iterator<Item = (u32, &'static str)> {
    let middle = u32::try_from(LINES / 2).expect("few lines");
    let lines = include_str!("../src/task/complete.rs").lines();
    (middle..).zip(lines.filter(|line| line.trim().len() > 10 && line.is_ascii()))
}

fn ask(client: &Client, at: Position) -> Pending {
    let params = json!({
        "textDocument": { "uri": FILE }, "position": at, "context": { "triggerKind": 2 },
    });
    client.send_raw("textDocument/inlineCompletion", params)
}

/// One generation of the slow model.
struct Ran {
    asked: Instant,
    first_token: Option<Instant>,
    /// When the server hung up; `None` of one that was said to its end.
    gone: Option<Instant>,
}

async fn say_slowly(mut generation: Generation) -> Ran {
    let mut ran = Ran { asked: generation.request.body_at, first_token: None, gone: None };
    generation.accept();
    let mut wait = FIRST_TOKEN;
    for token in ["\u{b5}", "_never", "_typed", "(", "1", ")", ";"].into_iter().cycle().take(48) {
        tokio::select! {
            gone = generation.disconnected() => {
                ran.gone = Some(gone);
                return ran;
            }
            () = tokio::time::sleep(wait) => {}
        }
        ran.first_token.get_or_insert_with(Instant::now);
        generation.send(token);
        wait = TOKEN;
    }
    generation.finish();
    ran
}

/// What was seen over the slow model.
struct Slow {
    generations: Vec<Ran>,
    /// Keys and other edits.
    keys: Vec<Instant>,
    /// For the text after the key of this number.
    answers: Vec<(usize, Instant, Answer)>,
    /// Of one core, from 0 to 1.
    on_core: f64,
}

impl Slow {
    fn write(self, page: &mut String) {
        let (mut stopped, mut at_once) = (Vec::new(), Duration::ZERO);
        for ran in &self.generations {
            let next_key = self.keys.iter().find(|key| **key > ran.asked);
            if let (Some(gone), Some(key)) = (ran.gone, next_key) {
                // It agrees with every key until it says something.
                let disagreed = ran.first_token.map_or(*key, |token| token.max(*key));
                stopped.push(gone.saturating_duration_since(disagreed));
            }
        }
        for two in self.generations.windows(2) {
            let ended = two[0].gone.unwrap_or(two[0].asked);
            at_once = at_once.max(ended.saturating_duration_since(two[1].asked));
        }
        let late = self.answers.iter().filter(|(key, at, answer)| {
            let shown = answer.as_ref().is_ok_and(|list| list != &json!({ "items": [] }));
            shown && self.keys.get(key + 1).is_some_and(|next| next < at)
        });
        let (late, keys) = (late.count(), self.answers.len());
        row(page, "overtaken to stopped", stopped);
        let _ = writeln!(
            page,
            "  {keys} keys, {} generations, two at once for {:.3} ms at the most, {late} answers for \
             an older text, {:.2} % of a core",
            self.generations.len(),
            at_once.as_secs_f64() * 1_000.0,
            self.on_core * 100.0
        );
    }
}

async fn slow(settings: &'static [&'static str]) -> Slow {
    let mut stage = Stage::new(settings).await;
    let generations: Arc<Mutex<Vec<OwnedTask<Ran>>>> = Arc::default();
    let (began, on_cores) = (Instant::now(), stage.on_cores());
    let (mut keys, mut pending) = (Vec::new(), Vec::new());
    let Stage { model, client, .. } = &mut stage;
    let playing = async {
        loop {
            let generation = model.generation_whenever().await;
            let ran = OwnedTask::spawn(say_slowly(generation));
            generations.lock().expect("no panic").push(ran);
        }
    };
    let typing = async {
        'typing: for (line, text) in typed() {
            keys.push(Instant::now());
            client.change(FILE, (line, 0), (line, 0), "\n");
            let mut at = Position { line, character: 0 };
            for key in text.chars() {
                if pending.len() == SLOW_KEYS {
                    break 'typing;
                }
                let pressed = Instant::now();
                keys.push(pressed);
                at = client.type_at(FILE, at, &key.to_string());
                tokio::time::sleep(BEFORE_ASKING).await;
                let (number, asked) = (keys.len() - 1, ask(client, at));
                pending.push(OwnedTask::spawn(async move {
                    let answer = asked.answer().await;
                    (number, Instant::now(), answer)
                }));
                tokio::time::sleep(EVERY.saturating_sub(pressed.elapsed())).await;
            }
        }
    };
    tokio::select! {
        () = typing => {}
        () = playing => unreachable!("it never ends"),
    }
    let spent = stage.on_cores() - on_cores;
    let on_core = spent as f64 / 100.0 / began.elapsed().as_secs_f64();
    let mut answers = Vec::new();
    // The last one may still be under way.
    pending.pop();
    for asked in pending {
        answers.push(asked.join().await.expect("an answer"));
    }
    stage.client.shutdown().await;
    let running = std::mem::take(&mut *generations.lock().expect("no panic"));
    let mut generations = Vec::new();
    for ran in running {
        generations.push(ran.join().await.expect("it ends"));
    }
    Slow { generations, keys, answers, on_core }
}

/// What was seen over the model that knows.
struct Known {
    /// Until the answer to a request to which there is nothing to do.
    nothing: Vec<Duration>,
    /// Until a typed-along answer.
    along: Vec<Duration>,
}

async fn known() -> Known {
    let mut stage = Stage::new(&["completion.debounce_ms=0"]).await;
    let Stage { model, client, .. } = &mut stage;
    let above = source().lines().take(LINES / 2).collect::<Vec<_>>().join("\n") + "\n";
    let whole = typed().fold(above, |text, (_, line)| text + line + "\n");
    let oracle = async {
        loop {
            let generation = model.generation_whenever().await;
            let prompt = generation.request.body["prompt"].as_str().unwrap_or_default();
            let before = prompt.split("<|fim_suffix|>").next().unwrap_or_default();
            let last: Vec<char> = before.chars().rev().take(100).collect();
            let last: String = last.into_iter().rev().collect();
            let at = whole.rfind(&last).map_or(whole.len(), |at| at + last.len());
            generation.send(&whole[at..].chars().take(200).collect::<String>());
            // As many as its bytes: fewer than were counted would be warned of.
            let prompt_tokens = prompt.len();
            generation.finish_as(Ending { prompt_tokens, ..Ending::default() });
        }
    };
    let (mut nothing, mut along) = (Vec::new(), Vec::new());
    let typing = async {
        for (line, text) in typed() {
            client.change(FILE, (line, 0), (line, 0), "\n");
            let mut at = Position { line, character: 0 };
            for key in text.chars() {
                // What is asked for in advance does not meet the next key.
                tokio::time::sleep(Duration::from_millis(10)).await;
                let began = Instant::now();
                client.settle().await;
                nothing.push(began.elapsed());
                let began = Instant::now();
                at = client.type_at(FILE, at, &key.to_string());
                let answer = ask(client, at).answer().await;
                let took = began.elapsed();
                let shown = answer.is_ok_and(|list| list != json!({ "items": [] }));
                // The first key of a line waits for the model.
                if shown && at.character > 1 {
                    along.push(took);
                }
                if nothing.len() == KNOWN_KEYS {
                    return;
                }
            }
        }
    };
    tokio::select! {
        () = typing => {}
        () = oracle => unreachable!("it never ends"),
    }
    stage.client.shutdown().await;
    Known { nothing, along }
}
