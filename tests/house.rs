//! The invariants of `src/lib.rs` that can be read off the sources.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Rooms from the top down. A room may import those that stand further down, and its neighbours on
/// the same line may not import each other.
const FLOORS: &[&[&str]] = &[
    &["cli"],
    &["server"],
    &["handlers"],
    &["lsp", "task"],
    &["route", "check"],
    &["context"],
    &["index", "model"],
    &["egress"],
    &["session"],
    &["syntax", "engine"],
    &["metrics"],
    &["config"],
];

/// Files that may import a room above them, and why.
const EXCEPTIONS: &[(&str, &str, &str)] =
    &[("model/fim.rs", "context", "its tests lay prompts out")];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Path below `src`, and text without comments.
fn all() -> Vec<(String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&src, &mut found);
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a source");
        let code: Vec<&str> =
            text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let name = path.strip_prefix(&src).expect("below src").to_string_lossy().replace('\\', "/");
        (name, code.join("\n"))
    };
    found.into_iter().map(read).collect()
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// The rooms that `code` names after `crate::`, in a path or in a group.
fn imported(code: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for rest in code.split("crate::").skip(1) {
        let group = rest.starts_with('{');
        let end = if group { rest.find("};").unwrap_or(rest.len()) } else { rest.len().min(40) };
        let end = (0..=end).rev().find(|end| rest.is_char_boundary(*end)).unwrap_or(0);
        let names = rest[..end].trim_start_matches('{');
        let word = |text: &str| -> String {
            text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
        };
        rooms.push(word(names));
        if group {
            let mut depth = 0;
            for (at, c) in names.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 0 => rooms.push(word(&names[at + 1..])),
                    _ => {}
                }
            }
        }
    }
    rooms.retain(|room| floor(room).is_some());
    rooms
}

#[test]
fn imports_run_downwards() {
    let mut wrong = Vec::new();
    for (name, code) in all() {
        let Some(room) = name.split('/').next().filter(|room| floor(room).is_some()) else {
            continue;
        };
        for other in imported(&code) {
            let down = floor(&other) > floor(room) || other == room;
            let excepted = EXCEPTIONS.iter().any(|(file, to, _)| *file == name && *to == other);
            if !down && !excepted {
                wrong.push(format!("{name} imports {other}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn protocol_types_stay_at_the_edge() {
    for (name, code) in all() {
        let edge = ["lsp/", "handlers/", "server/"].iter().any(|room| name.starts_with(room));
        assert!(edge || !code.contains("tower_lsp"), "{name} knows the protocol");
    }
}

#[test]
fn a_task_never_names_a_provider() {
    let names =
        ["ollama", "llama_server", "llamaserver", "openai", "anthropic", "builtin", "built_in"];
    for (name, code) in all().into_iter().filter(|(name, _)| name.starts_with("task/")) {
        let code = code.to_lowercase();
        for provider in names.into_iter().chain(["providersetting", "cloudkind"]) {
            assert!(!code.contains(provider), "{name} knows of {provider}");
        }
    }
}

/// Where threads are started or borrowed: what parses, reads files, waits for a lock or computes.
/// Everything else stays on the one thread that reads what the editor sends.
const ASIDE: &[(&str, &str)] = &[
    ("check/compile.rs", "reads manifests"),
    ("check/ladder.rs", "parses an edit"),
    ("check/trial.rs", "parses a test"),
    ("check/workshop.rs", "copies a workspace"),
    ("egress/border.rs", "reads files and writes the audit log"),
    ("egress/consent.rs", "waits for a lock and for the disk"),
    ("engine/worker.rs", "the built-in model"),
    ("handlers/hearth.rs", "looks at every known file when what belongs to the workspace changes"),
    ("handlers/tally.rs", "writes what became of suggestions"),
    ("index/mod.rs", "reads the workspace"),
    ("model/built_in/mod.rs", "loads a model"),
    ("session/mod.rs", "parses a document"),
    ("session/task.rs", "work that parses and reads between its waits"),
    ("task/analyze/mod.rs", "reads the index and files"),
    ("task/complete.rs", "parses around a cursor, asks what is off limits"),
    ("task/generation.rs", "builds a prompt"),
];

#[test]
fn threads_are_started_where_it_is_known_why() {
    let starts = ["spawn_blocking(", "thread::spawn(", "thread::Builder", "block_in_place("];
    let mut found: Vec<String> = all()
        .into_iter()
        .filter(|(_, code)| starts.iter().any(|start| code.contains(start)))
        .map(|(name, _)| name)
        .collect();
    found.sort();
    let known: Vec<&str> = ASIDE.iter().map(|(name, _)| *name).collect();
    assert_eq!(found, known);
}

/// That a notification's handler is no future, and a request's reply owns what it works on, is said by
/// the types in `server/routes.rs`.
#[test]
fn no_handler_holds_the_read_loop_up() {
    for (name, code) in all().into_iter().filter(|(name, _)| name.starts_with("handlers/")) {
        for waits in ["block_on(", "thread::sleep(", "blocking_lock(", "blocking_recv(", ".parse("]
        {
            assert!(!code.contains(waits), "{name}: {waits}");
        }
    }
}

#[test]
fn nothing_runs_unowned_and_nothing_prints() {
    for (name, code) in all() {
        let owned = name == "session/task.rs"
            || ["tokio::spawn(", "task::spawn(", "rt::spawn("].iter().all(|it| !code.contains(it));
        assert!(owned, "{name} spawns a task that nobody owns");
        for macro_name in ["println!(", "eprintln!(", "print!(", "dbg!("] {
            assert!(
                !code.replace("println!(\\\"", "").contains(&format!("    {macro_name}")),
                "{name}: {macro_name}"
            );
        }
    }
}

#[test]
fn every_invariant_names_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = include_str!("../src/lib.rs");
    let named: Vec<&str> =
        text.split('`').filter(|word| word.starts_with("tests/") && word.contains(".rs")).collect();
    assert!(named.len() > 5);
    for file in named {
        let exists =
            root.join(file).exists() || root.join(file.replace(".rs", "/main.rs")).exists();
        assert!(exists, "{file} does not exist");
    }
}
