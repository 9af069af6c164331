//! What it costs to build a prompt with what it needs of other files, in a workspace of 400,000 lines:
//! sources of Hearth's own dependencies, as `cargo metadata` names them. The index is warm.
//!
//! *moved*: the cursor has come to another place, so that all is ranked and chosen anew; the usual
//! room for other files. *a key*: the cursor is where it was, and what is shown is held. Positions are
//! spread over all files; the percentiles printed at the end are over the same ones, a build each.
//!
//! `cargo bench --bench context`
#![allow(missing_docs, clippy::missing_docs_in_private_items)]

use std::{
    fs,
    hint::black_box,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use criterion::{Criterion, criterion_group, criterion_main};
use futures::executor::block_on;
use hearth::{
    context::{
        layout::Order,
        prompt::{Built, Plan, build},
        shelf::{Shelf, Workspace},
        window::View,
    },
    index::{Index, Scope},
    model::{
        Budget, TokenCounter,
        fim::{Mode, QWEN},
    },
    session::HoldCell,
    syntax::Language,
};
use ropey::Rope;
use serde_json::Value as Json;
use tree_sitter::Tree;

const LINES: usize = 400_000;

const POSITIONS: usize = 400;

/// The usual `context.max_tokens`.
const MOST_TOKENS: usize = 2_000;

/// A file with a cursor.
struct Position {
    path: PathBuf,
    text: Rope,
    tree: Option<Tree>,
    offset: usize,
}

/// Folders of dependencies with at least `LINES` lines together.
fn workspace() -> (Vec<PathBuf>, Vec<PathBuf>) {
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo metadata");
    let metadata: Json = serde_json::from_slice(&cargo.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages").iter();
    let mut folders: Vec<PathBuf> = packages
        .filter(|package| !package["source"].is_null())
        .filter_map(|package| Some(Path::new(package["manifest_path"].as_str()?).parent()?.into()))
        .collect();
    folders.sort();
    let (mut roots, mut files, mut lines) = (Vec::new(), Vec::new(), 0);
    for folder in folders {
        if lines >= LINES {
            break;
        }
        let (mut here, mut found) = (0, Vec::new());
        for entry in ignore::WalkBuilder::new(&folder).build().filter_map(Result::ok) {
            let path = entry.into_path();
            if path.extension().is_some_and(|extension| extension == "rs")
                && let Ok(text) = fs::read_to_string(&path)
                && text.len() < 1 << 20
            {
                here += text.lines().count();
                found.push(path);
            }
        }
        // None is so large that the workspace is mostly that.
        if here <= LINES / 10 {
            lines += here;
            files.append(&mut found);
            roots.push(folder);
        }
    }
    (roots, files)
}

fn positions(files: &[PathBuf]) -> Vec<Position> {
    let rust = Language::by_id("rust").expect("Rust is built in");
    let every = files.len() / POSITIONS + 1;
    let position = |(number, path): (usize, &PathBuf)| {
        let text = Rope::from_str(&fs::read_to_string(path).ok()?);
        let line = text.len_lines() * (number * 37 % 100) / 100;
        let offset = text.line_to_byte(line);
        let tree = rust.parse(&text, None, &AtomicBool::new(false));
        Some(Position { path: path.clone(), text, tree, offset })
    };
    files.iter().step_by(every).enumerate().filter_map(position).collect()
}

fn prompt(
    index: &Index,
    position: &Position,
    counter: &TokenCounter,
    shelf: &Shelf,
    hold: &HoldCell,
) -> Option<Built> {
    let path = position.path.to_string_lossy();
    let workspace =
        Workspace { index, file: Some(&position.path), most_tokens: MOST_TOKENS, shelf };
    let view = View {
        text: &position.text,
        tree: position.tree.as_ref(),
        language: Language::by_id("rust"),
        path: &path,
        offset: position.offset,
        hold,
    };
    let budget = Budget::new(24_000, Some(16_384), 48, counter.clone());
    build(&view, Some(&workspace), Plan::new(Mode::Fim(&QWEN), Order::Plain), &budget)
}

fn benches(criterion: &mut Criterion) {
    let (roots, files) = workspace();
    let index = Arc::new(Index::start(Scope { roots, ..Scope::default() }));
    block_on(index.settled());
    let positions = positions(&files);
    let counter = TokenCounter::default();
    let mut group = criterion.benchmark_group("context");
    let mut next = positions.iter().cycle();
    group.bench_function("moved", |bencher| {
        bencher.iter(|| {
            let position = next.next().expect("a cycle has no end");
            let (shelf, hold) = (Shelf::default(), HoldCell::default());
            black_box(prompt(&index, position, &counter, &shelf, &hold))
        });
    });
    let position = &positions[positions.len() / 2];
    let (shelf, hold) = (Shelf::default(), HoldCell::default());
    group.bench_function("a key", |bencher| {
        bencher.iter(|| black_box(prompt(&index, position, &counter, &shelf, &hold)));
    });
    group.finish();
    let mut took: Vec<Duration> = Vec::new();
    for position in &positions {
        let (shelf, hold) = (Shelf::default(), HoldCell::default());
        let began = Instant::now();
        black_box(prompt(&index, position, &counter, &shelf, &hold));
        took.push(began.elapsed());
    }
    took.sort_unstable();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100].as_secs_f64() * 1_000.0;
    let lines = index.read().totals().lines;
    let page = format!(
        "moved, {} positions in {lines} lines: {:.1} ms at the median, {:.1} at p95, {:.1} at most\n",
        took.len(),
        at(50),
        at(95),
        at(100)
    );
    std::io::stdout().write_all(page.as_bytes()).expect("stdout");
}

criterion_group!(all, benches);
criterion_main!(all);
