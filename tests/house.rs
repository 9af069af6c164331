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
    let names = ["ProviderSetting", "Kind::Ollama", "Kind::LlamaServer", "Kind::OpenAi", "BuiltIn"];
    for (name, code) in all().into_iter().filter(|(name, _)| name.starts_with("task/")) {
        for provider in names {
            assert!(!code.contains(provider), "{name} knows of {provider}");
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
