//! Fast typing against the whole server: an editor at the one end, a llama-server with one slot played on
//! a real socket at the other, a file of 1,000 lines.
//!
//! First `hearth serve` as a process of its own over a slow model that is always wrong, 150 ms to its
//! first token and 20 ms a token, at a key every 100 ms, with the settings as they are by default and
//! with a request for every key: how long an overtaken generation goes on, from the moment when what is
//! typed and what is said disagree to the disconnect that the model sees; for how long two ran at once
//! in the one slot; how many answers came for an older text; and what share of a core the server took.
//!
//! Then the server in this process, with a runtime and threads of its own, over a model that knows what
//! will be typed: how long a typed-along answer takes in the server, from the first byte of the key that
//! it reads to the answer that it writes, and as the editor sees it. Beside both, from the same run, the
//! floor: a request to which there is nothing to do.
//!
//! `cargo bench --bench fast_typing`

#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    os::unix::net::UnixStream,
    pin::Pin,
    process::Stdio,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use hearth::{
    lsp::ext::StatusState,
    server::{self, Options},
    session::task::OwnedTask,
};
use serde_json::json;
use support::{
    client::{Answer, Client, Pending, Setup},
    fake_model::{Ending, FakeModel, Generation, Reply},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
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

/// Each of so many of them is taken back and pressed once more.
const BACK: usize = 10;

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
    known.write(&mut page);
    std::io::stdout().write_all(page.as_bytes()).expect("stdout");
}

fn row(page: &mut String, name: &str, mut all: Vec<Duration>) {
    all.sort();
    let at = |percent: usize| all.get(all.len().saturating_sub(1) * percent / 100);
    let ms = |percent| at(percent).map_or(0.0, |time| time.as_secs_f64() * 1_000.0);
    let (name, count) = (format!("  {name}"), all.len());
    let _ = writeln!(page, "{name:<24}{:>8.3}{:>8.3}{:>8.3}  ({count})", ms(50), ms(99), ms(100));
}

/// A model server with one slot.
async fn model() -> FakeModel {
    let model = FakeModel::llama_server().await;
    let props = json!({
        "default_generation_settings": { "n_ctx": 8192 },
        "total_slots": 1,
        "model_path": "/models/qwen2.5-coder-1.5b-Q8_0.gguf",
        "build_info": "b11669",
        "is_sleeping": false,
    });
    model.reply("GET /props", Reply::json(200, &props));
    model
}

/// A server process, and the editor and the model at its ends.
struct Stage {
    model: FakeModel,
    server: tokio::process::Child,
    client: Client,
    at: Position,
    _home: tempfile::TempDir,
}

impl Stage {
    async fn new(assignments: &[&str]) -> Self {
        let model = model().await;
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
        let at = begin(&mut client).await;
        Self { model, server, client, at, _home: home }
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

/// The file above and below the cursor: in its middle, between two items.
fn halves() -> (String, String) {
    let source = source();
    let middle: usize = source.lines().take(LINES / 2).map(|line| line.len() + 1).sum();
    let at = source[..middle].rfind("\n}\n").expect("an item ends above") + 2;
    (source[..at].to_owned(), source[at..].to_owned())
}

/// What is typed there: for each line its break with the indentation, as an editor writes it, and its
/// keys. Whole code: what leaves its brackets open for good is not what a suggestion can fit.
fn typed() -> impl Iterator<Item = (String, &'static str)> {
    include_str!("../src/task/complete.rs").lines().map(|line| {
        let keys = line.trim_start();
        (format!("\n{}", &line[..line.len() - keys.len()]), keys.trim_end())
    })
}

/// Where the cursor is first.
async fn begin(client: &mut Client) -> Position {
    let (above, below) = halves();
    let at = client.open(FILE, &format!("{above}$0{below}"));
    client.settle().await;
    at
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
    /// The cursor's line in its prompt, up to the cursor.
    line: String,
    first_token: Option<Instant>,
    ended: Instant,
    /// It ended because the server hung up.
    stopped: bool,
}

async fn say_slowly(mut generation: Generation) -> Ran {
    let prompt = generation.request.body["prompt"].as_str().unwrap_or_default();
    let before = prompt.split("<|fim_suffix|>").next().unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default().to_owned();
    let asked = generation.request.body_at;
    let mut first_token = None;
    generation.accept();
    let mut wait = FIRST_TOKEN;
    for token in ["\u{b5}", "_never", "_typed", "(", "1", ")", ";"].into_iter().cycle().take(48) {
        tokio::select! {
            ended = generation.disconnected() => {
                return Ran { asked, line, first_token, ended, stopped: true };
            }
            () = tokio::time::sleep(wait) => {}
        }
        first_token.get_or_insert_with(Instant::now);
        generation.send(token);
        wait = TOKEN;
    }
    generation.finish();
    Ran { asked, line, first_token, ended: Instant::now(), stopped: false }
}

/// What was seen over the slow model.
struct Slow {
    generations: Vec<Ran>,
    /// When each key was pressed, and the cursor's line after it.
    keys: Vec<(Instant, String)>,
    /// For the text after the key of this number.
    answers: Vec<(usize, Instant, Answer)>,
    /// Of one core, from 0 to 1.
    on_core: f64,
}

impl Slow {
    /// When what was typed and what was said came to disagree: with the first token, as something was
    /// typed by then, or with the first key after it. It agrees with every key until it says something.
    fn disagreed(&self, ran: &Ran) -> Option<Instant> {
        let before = self.keys.iter().take_while(|(at, _)| *at < ran.asked);
        // A key that was pressed while it was on its way to the model is not in its prompt.
        let key = before.enumerate().filter(|(_, (_, line))| *line == ran.line).last();
        let next = key.map_or_else(
            // Asked in advance, for a text that never came to be: nobody types along with that.
            || self.keys.iter().find(|(at, _)| *at > ran.asked),
            |(key, _)| self.keys.get(key + 1),
        );
        Some(ran.first_token?.max(next?.0))
    }

    fn write(self, page: &mut String) {
        let (mut stopped, mut at_once) = (Vec::new(), Duration::ZERO);
        for ran in self.generations.iter().filter(|ran| ran.stopped) {
            if let Some(disagreed) = self.disagreed(ran) {
                stopped.push(ran.ended.saturating_duration_since(disagreed));
            }
        }
        for two in self.generations.windows(2) {
            at_once = at_once.max(two[0].ended.saturating_duration_since(two[1].asked));
        }
        let late = self.answers.iter().filter(|(key, at, answer)| {
            let shown = answer.as_ref().is_ok_and(|list| list != &json!({ "items": [] }));
            shown && self.keys.get(key + 1).is_some_and(|(next, _)| next < at)
        });
        let (late, keys) = (late.count(), self.answers.len());
        let unsaid = self.generations.iter().filter(|ran| ran.first_token.is_none()).count();
        row(page, "overtaken to stopped", stopped);
        let _ = writeln!(
            page,
            "  {keys} keys, {} generations, {unsaid} of them stopped before a word, two at once for \
             {:.3} ms at the most, {late} answers for an older text, {:.2} % of a core",
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
    let Stage { model, client, at, .. } = &mut stage;
    let playing = async {
        loop {
            let generation = model.generation_whenever().await;
            let ran = OwnedTask::spawn(say_slowly(generation));
            generations.lock().expect("no panic").push(ran);
        }
    };
    let typing = async {
        for (start, text) in typed() {
            let mut line = String::new();
            for key in std::iter::once(start).chain(text.chars().map(String::from)) {
                if pending.len() == SLOW_KEYS {
                    return;
                }
                line.push_str(key.trim_start_matches('\n'));
                let pressed = Instant::now();
                keys.push((pressed, line.clone()));
                *at = client.type_at(FILE, *at, &key);
                tokio::time::sleep(BEFORE_ASKING).await;
                let (number, asked) = (keys.len() - 1, ask(client, *at));
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

/// When the server read the first byte since this was emptied, and when it last wrote an answer.
#[derive(Debug, Clone, Default)]
struct Stamps(Arc<Mutex<(Option<Instant>, Option<Instant>)>>);

impl Stamps {
    /// From the one to the other, once; `None` where one of them is not known.
    fn take(&self) -> Option<Duration> {
        let (read, answered) = std::mem::take(&mut *self.0.lock().expect("no panic"));
        answered?.checked_duration_since(read?)
    }
}

/// The server's end of the connection, with the time on what passes.
struct Stamped {
    stream: tokio::net::UnixStream,
    stamps: Stamps,
}

impl AsyncRead for Stamped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        self.stamps.0.lock().expect("no panic").0.get_or_insert_with(Instant::now);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stamped {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        const ANSWER: &[u8] = b"\"result\":";
        if bytes.windows(ANSWER.len()).any(|window| window == ANSWER) {
            self.stamps.0.lock().expect("no panic").1 = Some(Instant::now());
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Serves one client on a thread and a runtime of its own, like `hearth serve`.
fn serve(stream: UnixStream, stamps: Stamps) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let stream = tokio::net::UnixStream::from_std(stream).expect("a socket");
            let (reader, writer) = tokio::io::split(Stamped { stream, stamps });
            server::run(reader, writer, Options::default()).await;
        });
    })
}

/// In the server, and as the editor sees it.
#[derive(Default)]
struct Times {
    server: Vec<Duration>,
    editor: Vec<Duration>,
}

impl Times {
    fn add(&mut self, stamps: &Stamps, began: Instant) {
        self.editor.push(began.elapsed());
        self.server.extend(stamps.take());
    }
}

/// What was seen over the model that knows.
#[derive(Default)]
struct Known {
    /// A request to which there is nothing to do.
    nothing: Times,
    /// A key of a suggestion that is on the screen.
    along: Times,
    /// A key that takes back the one before.
    back: Times,
    /// The first of what was kept for the next line: it is made fit for that place.
    next: Times,
    /// A key after which the model was asked.
    asked: Times,
    /// Keys after which nothing of the line was left, or it was finished: nothing is to be shown.
    done: usize,
    /// Keys after which something was left, and nothing was shown.
    missed: Vec<String>,
}

impl Known {
    fn write(self, page: &mut String) {
        let _ = writeln!(page, "a model that knows, in the server");
        let p99 = |all: &[Duration]| {
            let mut all = all.to_vec();
            all.sort();
            all.get(all.len().saturating_sub(1) * 99 / 100).map_or(0.0, Duration::as_secs_f64)
        };
        let ratio = p99(&self.along.server) / p99(&self.nothing.server);
        row(page, "nothing to do", self.nothing.server);
        row(page, "typed along", self.along.server);
        let _ = writeln!(page, "  p99 typed along to p99 of nothing to do: {ratio:.1}");
        row(page, "taken back", self.back.server);
        row(page, "the next line", self.next.server);
        row(page, "the model asked", self.asked.server);
        let _ = writeln!(page, "a model that knows, as the editor sees it");
        row(page, "nothing to do", self.nothing.editor);
        row(page, "typed along", self.along.editor);
        let (done, missed) = (self.done, self.missed.len());
        let _ = writeln!(
            page,
            "  {KNOWN_KEYS} keys: {done} that leave nothing to show, {missed} without what is left"
        );
        for line in self.missed.iter().take(12) {
            let _ = writeln!(page, "    {line:?}");
        }
    }
}

async fn known() -> Known {
    let model = model().await;
    let stamps = Stamps::default();
    let (near, far) = UnixStream::pair().expect("two sockets");
    for end in [&near, &far] {
        end.set_nonblocking(true).expect("a socket");
    }
    let serving = serve(far, stamps.clone());
    let near = tokio::net::UnixStream::from_std(near).expect("a socket");
    let (reader, writer) = tokio::io::split(near);
    let options = json!({
        "router": { "local_endpoint": model.url().as_str() },
        "completion": { "debounce_ms": 0 },
    });
    let setup =
        Setup { encodings: vec!["utf-8"], initialization_options: options, ..Setup::default() };
    let mut client = setup.over(reader, writer).await;
    client.status(|status| status.state == StatusState::Warm).await;
    let mut at = begin(&mut client).await;
    let above = halves().0;
    let whole = typed().fold(above.clone(), |text, (start, line)| text + &start + line);
    // The places that the model was asked for, in bytes of it all, and when.
    let places: Mutex<Vec<(Instant, usize)>> = Mutex::default();
    let oracle = async {
        loop {
            let generation = model.generation_whenever().await;
            let prompt = generation.request.body["prompt"].as_str().unwrap_or_default();
            let before = prompt.split("<|fim_suffix|>").next().unwrap_or_default();
            let last: Vec<char> = before.chars().rev().take(100).collect();
            let last: String = last.into_iter().rev().collect();
            let at = whole.rfind(&last).map_or(whole.len(), |at| at + last.len());
            places.lock().expect("no panic").push((generation.request.body_at, at));
            generation.send(&whole[at..].chars().take(200).collect::<String>());
            // As many as its bytes: fewer than were counted would be warned of.
            let prompt_tokens = prompt.len();
            let limit = whole.len() - at > 200;
            generation.finish_as(Ending { prompt_tokens, limit, ..Ending::default() });
        }
    };
    let mut known = Known::default();
    let typing = async {
        let (mut keys, mut here) = (0, above.len());
        for (start, text) in typed() {
            let mut line = String::new();
            for key in std::iter::once(start).chain(text.chars().map(String::from)) {
                // What is asked for in advance does not meet the next key.
                tokio::time::sleep(Duration::from_millis(10)).await;
                let _ = stamps.take();
                let began = Instant::now();
                client.settle().await;
                known.nothing.add(&stamps, began);
                let began = Instant::now();
                at = client.type_at(FILE, at, &key);
                let answer = ask(&client, at).answer().await.expect("no error");
                let is_first = line.is_empty();
                line.push_str(&key);
                here += key.len();
                let finished = line.trim_end().ends_with([';', '}', ',']) || line.ends_with(text);
                let shown = answer != json!({ "items": [] });
                let asked_for = |(when, place): &(Instant, usize)| *when > began && *place == here;
                let asked = places.lock().expect("no panic").iter().any(asked_for);
                match (shown, asked) {
                    (true, true) => known.asked.add(&stamps, began),
                    (true, false) if is_first => known.next.add(&stamps, began),
                    (true, false) => known.along.add(&stamps, began),
                    (false, _) if finished => known.done += 1,
                    (false, _) => known.missed.push(line.clone()),
                }
                keys += 1;
                if keys == KNOWN_KEYS {
                    return;
                }
                if keys % BACK == 0 && !is_first {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    let _ = stamps.take();
                    let began = Instant::now();
                    let before = Position { character: at.character - 1, ..at };
                    client.change(FILE, (at.line, before.character), (at.line, at.character), "");
                    let answer = ask(&client, before).answer().await.expect("no error");
                    if answer != json!({ "items": [] }) {
                        known.back.add(&stamps, began);
                    }
                    client.type_at(FILE, before, &key);
                }
            }
        }
    };
    tokio::select! {
        () = typing => {}
        () = oracle => unreachable!("it never ends"),
    }
    client.shutdown().await;
    serving.join().expect("it ends");
    known
}
