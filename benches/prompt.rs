//! What the prompt costs: built anew after a key, built where the window must be found first, and
//! sealed against the budget.
//!
//! After a key the window is held and the server has counted the pieces of the last prompt, as while
//! one types. A document above `MAX_PARSED_BYTES` has no tree, so the largest is measured without.
//!
//! `cargo bench --bench prompt`
#![allow(missing_docs, clippy::missing_docs_in_private_items)]

mod typing;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use hearth::{
    context::{
        layout::Order,
        prompt::{Plan, build},
        window::View,
    },
    model::{
        Budget, Prompt, Segment, TokenCounter,
        fim::{Mode, QWEN},
    },
    session::{HoldCell, Snapshot},
};
use typing::Typist;

/// Lines of the document, and whether it has a tree.
const DOCUMENTS: [(usize, bool); 5] =
    [(1_000, true), (1_000, false), (10_000, true), (10_000, false), (200_000, false)];

fn budget(counter: &TokenCounter) -> Budget {
    Budget::new(24_000, Some(16_384), 48, counter.clone())
}

fn prompt(snapshot: &Snapshot, offset: usize, hold: &HoldCell, counter: &TokenCounter) -> Prompt {
    let view = View {
        text: &snapshot.text,
        tree: snapshot.tree.as_ref(),
        language: snapshot.language,
        path: &snapshot.relative_path,
        offset,
        hold,
    };
    build(&view, None, Plan::new(Mode::Fim(&QWEN), Order::Plain), &budget(counter))
        .expect("it fits")
        .prompt
}

/// Learns a count for every large piece of a prompt, as is done after each answer.
fn learn(counter: &TokenCounter, prompt: &Prompt) {
    for segment in prompt.segments() {
        if let Segment::Text(text) = segment
            && text.len() >= 256
        {
            counter.learn(text, text.len() / 4);
        }
    }
}

fn id(what: &str, lines: usize, with_tree: bool) -> BenchmarkId {
    BenchmarkId::new(what, format!("{lines} lines, {}", if with_tree { "tree" } else { "no tree" }))
}

fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("prompt");
    for (lines, with_tree) in DOCUMENTS {
        let mut typist = Typist::new(lines, with_tree);
        let counter = TokenCounter::default();
        let (snapshot, offset) = typist.key();
        learn(&counter, &prompt(&snapshot, offset, &snapshot.hold, &counter));
        group.bench_function(id("after a key", lines, with_tree), |bencher| {
            bencher.iter_batched(
                || typist.key(),
                |(snapshot, offset)| prompt(&snapshot, offset, &snapshot.hold, &counter),
                BatchSize::PerIteration,
            );
        });
        group.bench_function(id("window not held", lines, with_tree), |bencher| {
            bencher.iter_batched(
                || (typist.key(), TokenCounter::default()),
                |((snapshot, offset), counter)| {
                    prompt(&snapshot, offset, &HoldCell::default(), &counter)
                },
                BatchSize::PerIteration,
            );
        });
    }
    let mut typist = Typist::new(1_000, true);
    let known = TokenCounter::default();
    let (snapshot, offset) = typist.key();
    let first = prompt(&snapshot, offset, &snapshot.hold, &known);
    learn(&known, &first);
    for (name, counter) in
        [("seal, counts known", known), ("seal, counts estimated", TokenCounter::default())]
    {
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || {
                    let (snapshot, offset) = typist.key();
                    prompt(&snapshot, offset, &snapshot.hold, &counter).segments().to_vec()
                },
                |segments| budget(&counter).seal(segments).expect("it fits"),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(prompts, benches);
criterion_main!(prompts);
