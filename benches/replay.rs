//! A replay of typing against the whole program: `hearth serve` as a process of its own, an editor on
//! its pipes, a llama-server played on a real socket.
//!
//! Two parts of each keystroke are measured: from the key on the server's stdin to the whole request
//! on the model's socket, and from the model's last byte to the answer. The model's text never agrees
//! with the next key, so that every key asks. Beside them, in the same run, stands the floor: one byte
//! through a pipe and back (`cat`) and one over a loopback socket and back.
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

use hearth::lsp::ext::StatusState;
use serde_json::json;
use support::{
    client::Setup,
    fake_model::{Ending, FakeModel},
};
use tower_lsp::gen_lsp_types::Position;

const KEYS: usize = 400;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let mut page = String::from("milliseconds            median     p90     p99     max\n");
    let floor = floor();
    row(&mut page, "floor: pipe + socket", floor.clone());
    let mut resident = 0;
    for lines in [1_000, 10_000] {
        let (to_model, to_editor, memory) = replay(lines).await;
        let both: Vec<_> = to_model.iter().zip(&to_editor).map(|(a, b)| *a + *b).collect();
        row(&mut page, &format!("{lines} lines: key to model"), to_model);
        row(&mut page, "  model to answer", to_editor);
        let (median, base) = (percentile(both.clone(), 50), percentile(floor.clone(), 50));
        row(&mut page, "  both", both);
        let _ = writeln!(
            page,
            "  ratio to the floor     {:.1}",
            median.as_secs_f64() / base.as_secs_f64()
        );
        if lines == 1_000 {
            resident = memory;
        }
    }
    let _ = writeln!(
        page,
        "resident after {KEYS} keys in 1,000 lines: {:.1} MiB",
        resident as f64 / 1024.0
    );
    std::io::stdout().write_all(page.as_bytes()).expect("stdout");
}

/// Types real lines into the middle of a file of `lines` lines. The two parts of each key, and the
/// server's resident memory in KiB.
async fn replay(lines: usize) -> (Vec<Duration>, Vec<Duration>, usize) {
    let model = FakeModel::llama_server().await;
    let home = tempfile::tempdir().expect("a folder");
    let mut server = tokio::process::Command::new(env!("CARGO_BIN_EXE_hearth"))
        .args(["serve", "--stdio", "--set", "completion.debounce_ms=0", "--set"])
        .arg(format!("router.local_endpoint={}", model.url()))
        .env("XDG_CONFIG_HOME", home.path())
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

    let file = "file:///w/src/replayed.rs";
    let source = include_str!("../src/model/llama_server.rs");
    let text: String = source.lines().cycle().take(lines).flat_map(|line| [line, "\n"]).collect();
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
        client.change(file, (line, 0), (line, 0), "\n");
        let mut at = Position { line, character: 0 };
        for key in new.chars().filter(char::is_ascii) {
            if to_model.len() == KEYS {
                break 'typing;
            }
            let began = Instant::now();
            at = client.type_at(file, at, &key.to_string());
            let params = json!({ "textDocument": { "uri": file }, "position": at, "context": { "triggerKind": 2 } });
            let pending = client.send_raw("textDocument/inlineCompletion", params);
            let generation = loop {
                let generation = model.generation().await;
                if generation.request.body["stream"] == true {
                    break generation;
                }
            };
            to_model.push(generation.request.body_at - began);
            generation.accept();
            // A model thinks for a while; meanwhile the server prepares.
            tokio::time::sleep(Duration::from_millis(15)).await;
            let last_byte = Instant::now();
            generation.send("\u{b5}_never_typed");
            generation.finish_as(Ending { prompt_tokens: 4_000, ..Ending::default() });
            pending.answer().await.expect("an answer");
            to_editor.push(last_byte.elapsed());
        }
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id().expect("running")));
    let resident = status.unwrap_or_default();
    let resident = resident.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident = resident.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
    client.shutdown().await;
    (to_model, to_editor, resident.unwrap_or_default())
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
