//! A replay of typing against the whole program: `hearth serve` as a process of its own, an editor on
//! its pipes, a llama-server played on a real socket.
//!
//! Two parts of each keystroke are measured: from the key on the server's stdin to the whole request
//! on the model's socket, and from the model's last byte to the answer. The model's text never agrees
//! with the next key, so that every key asks. After them, how long the model goes on for nothing: from
//! a key that its text disagrees with, and from a cancel without an edit (Escape), to the disconnect
//! seen at its socket. Beside all of it, in the same run, stands the floor: one byte through a pipe and
//! back (`cat`) and one over a loopback socket and back.
//!
//! `cargo bench --bench replay`

#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    fmt::Write as _,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use hearth::{lsp::ext::StatusState, session::task::OwnedTask};
use serde_json::json;
use support::{
    client::{Client, Pending, Setup},
    fake_model::{Ending, FakeModel, Generation},
};
use tower_lsp::gen_lsp_types::Position;

const KEYS: usize = 400;

/// What the model offers: nobody types it, and it stands in no file.
const OFFERED: &str = "\u{b5}_never_typed";

/// A pause while typing.
const REST: Duration = Duration::from_secs(2);

/// Generations that are stopped each way.
const STOPS: usize = 100;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let mut page = String::from("milliseconds            median     p90     p99     max\n");
    let floor = floor();
    row(&mut page, "floor: pipe + socket", floor.clone());
    let mut resident = (0.0, 0.0);
    for lines in [1_000, 10_000] {
        // A key goes out on the thread that pressed it: it would wake another one first from here.
        let replayed = OwnedTask::spawn(replay(lines)).join().await.expect("a replay");
        let parts = replayed.to_model.iter().zip(&replayed.to_editor);
        let both: Vec<_> = parts.map(|(a, b)| *a + *b).collect();
        row(&mut page, &format!("{lines} lines: key to model"), replayed.to_model);
        row(&mut page, "  model to answer", replayed.to_editor);
        let (median, base) = (percentile(both.clone(), 50), percentile(floor.clone(), 50));
        row(&mut page, "  both", both);
        let _ = writeln!(
            page,
            "  ratio to the floor     {:.1}",
            median.as_secs_f64() / base.as_secs_f64()
        );
        row(&mut page, "  other key to stop", replayed.disagreed);
        row(&mut page, "  cancel to stop", replayed.cancelled);
        if lines == 1_000 {
            resident = replayed.resident;
        }
    }
    let _ = writeln!(
        page,
        "resident after {KEYS} keys in 1,000 lines: {:.1} MiB, after a rest: {:.1} MiB",
        resident.0 / 1024.0,
        resident.1 / 1024.0
    );
    std::io::stdout().write_all(page.as_bytes()).expect("stdout");
}

/// What was measured in one file.
struct Replayed {
    /// From each key to the request at the model.
    to_model: Vec<Duration>,
    /// From the model's last byte to each answer.
    to_editor: Vec<Duration>,
    /// From a key that the model's text disagrees with to the disconnect.
    disagreed: Vec<Duration>,
    /// From a cancel without an edit to the disconnect.
    cancelled: Vec<Duration>,
    /// The server's memory in KiB: in the moment of the last key, and after a rest.
    resident: (f64, f64),
}

/// Types real lines into the middle of a file of `lines` lines.
async fn replay(lines: usize) -> Replayed {
    let model = FakeModel::llama_server().await;
    let home = tempfile::tempdir().expect("a folder");
    let mut server = tokio::process::Command::new(env!("CARGO_BIN_EXE_hearth"))
        .args(["serve", "--stdio", "--set", "completion.debounce_ms=0", "--set"])
        .arg(format!("router.local_endpoint={}", model.url()))
        .env("XDG_CONFIG_HOME", home.path())
        .env("XDG_STATE_HOME", home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("hearth starts");
    let (stdin, stdout) =
        (server.stdin.take().expect("a pipe"), server.stdout.take().expect("a pipe"));
    let source = include_str!("../src/model/llama_server.rs");
    let text: String = source.lines().cycle().take(lines).flat_map(|line| [line, "\n"]).collect();
    // A small project: the file itself.
    let project = tempfile::tempdir().expect("a folder");
    let path = project.path().join("replayed.rs");
    std::fs::write(&path, &text).expect("written");
    let folders = vec![format!("file://{}", project.path().display())];
    let setup = Setup { encodings: vec!["utf-8"], folders, ..Setup::default() };
    let mut client = setup.over(stdout, stdin).await;
    client.status(|status| status.state == StatusState::Warm).await;

    let file = &format!("file://{}", path.display());
    client.open(file, &text);
    client.settle().await;
    // What is typed: real code lines, one after the other, in the middle of a function's body.
    let middle = u32::try_from(lines / 2).expect("few lines");
    let typed: Vec<&str> = include_str!("../src/task/complete.rs")
        .lines()
        .filter(|line| line.trim().len() > 10)
        .collect();
    let (mut to_model, mut to_editor) = (Vec::new(), Vec::new());
    'typing: for (line, new) in (middle..).zip(typed) {
        let mut written = String::new();
        client.change(file, (line, 0), (line, 0), "\n");
        let mut at = Position { line, character: 0 };
        for key in new.chars().filter(char::is_ascii) {
            if to_model.len() == KEYS {
                break 'typing;
            }
            written.push(key);
            if written.trim_end().ends_with([';', '}', ',']) {
                // Behind a finished line nobody is asked.
                at = client.type_at(file, at, &key.to_string());
                continue;
            }
            let began = Instant::now();
            at = client.type_at(file, at, &key.to_string());
            let pending = ask(&client, file, at);
            let generation = asked_by_key(&model).await;
            to_model.push(generation.request.body_at - began);
            generation.accept();
            // A model thinks for a while; meanwhile the server prepares.
            tokio::time::sleep(Duration::from_millis(15)).await;
            let last_byte = Instant::now();
            generation.send(OFFERED);
            generation.finish_as(Ending { prompt_tokens: 4_000, ..Ending::default() });
            pending.answer().await.expect("an answer");
            to_editor.push(last_byte.elapsed());
            // What follows is asked for in advance, and given up with the next key.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let busy = resident(&server);
    // Whoever types pauses now and then.
    tokio::time::sleep(REST).await;
    let resident = (busy, resident(&server));
    let disagreed = stops(&mut client, &model, file, middle, true).await;
    let cancelled = stops(&mut client, &model, file, middle, false).await;
    client.shutdown().await;
    Replayed { to_model, to_editor, disagreed, cancelled, resident }
}

/// What a process holds in memory, in KiB.
fn resident(process: &tokio::process::Child) -> f64 {
    let status = format!("/proc/{}/status", process.id().expect("running"));
    let status = std::fs::read_to_string(status).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
    kib.unwrap_or(f64::NAN)
}

fn ask(client: &Client, file: &str, at: Position) -> Pending {
    let params =
        json!({ "textDocument": { "uri": file }, "position": at, "context": { "triggerKind": 2 } });
    client.send_raw("textDocument/inlineCompletion", params)
}

/// The generation that a key has started, not one that was asked for in advance before it: that one
/// supposes that the suggestion was accepted.
async fn asked_by_key(model: &FakeModel) -> Generation {
    loop {
        let generation = model.generation().await;
        let prompt = generation.request.body["prompt"].as_str().expect("a prompt of text");
        if !prompt.contains(OFFERED) {
            return generation;
        }
    }
}

/// Stops a generation that has said something, by a key that it disagrees with or by a cancel.
async fn stops(
    client: &mut Client,
    model: &FakeModel,
    file: &str,
    line: u32,
    by_key: bool,
) -> Vec<Duration> {
    let mut all = Vec::new();
    for _ in 0..STOPS {
        client.change(file, (line, 0), (line, 0), "\n");
        let at = Position { line, character: 0 };
        let pending = ask(client, file, at);
        let mut generation = asked_by_key(model).await;
        generation.send("let kept");
        // The text arrives, and the model thinks on.
        tokio::time::sleep(Duration::from_millis(15)).await;
        let began = Instant::now();
        if by_key {
            client.type_at(file, at, "x");
        } else {
            client.cancel(&pending);
        }
        all.push(generation.disconnected().await - began);
        pending.answer().await.expect_err("nobody waits any more");
    }
    all
}

/// What the machine itself takes for a byte through a pipe and back plus one over loopback and back.
fn floor() -> Vec<Duration> {
    let mut cat = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("cat starts");
    let (mut to, mut from) =
        (cat.stdin.take().expect("a pipe"), cat.stdout.take().expect("a pipe"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let echo = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut byte = [0];
        while stream.read(&mut byte).is_ok_and(|read| read == 1) {
            stream.write_all(&byte).expect("open");
        }
    });
    let mut socket = TcpStream::connect(address).expect("a connection");
    socket.set_nodelay(true).expect("a socket");
    let mut byte = [0];
    let round = |_| {
        let began = Instant::now();
        to.write_all(b"x").expect("open");
        from.read_exact(&mut byte).expect("open");
        socket.write_all(b"x").expect("open");
        socket.read_exact(&mut byte).expect("open");
        let took = began.elapsed();
        std::thread::sleep(Duration::from_millis(2));
        took
    };
    let rounds = (0..KEYS).map(round).collect();
    drop((to, socket));
    echo.join().expect("the echo ends");
    cat.wait().expect("cat ends");
    rounds
}

fn percentile(mut all: Vec<Duration>, percent: usize) -> Duration {
    all.sort();
    all[(all.len() - 1) * percent / 100]
}

fn row(page: &mut String, name: &str, all: Vec<Duration>) {
    let ms = |percent| percentile(all.clone(), percent).as_secs_f64() * 1_000.0;
    let _ = writeln!(
        page,
        "{name:<24}{:>6.3}  {:>6.3}  {:>6.3}  {:>6.3}",
        ms(50),
        ms(90),
        ms(99),
        ms(100)
    );
}
