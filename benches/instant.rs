//! What a key costs that is answered from memory: the lookup among all that is kept of a document, what
//! is left of a suggestion that is typed along, and what the model's own probabilities
//! decide. The filters and the syntax gate behind them are in `fit`.
//!
//! `cargo bench --bench instant`
#![allow(missing_docs)]

mod typing;

use std::sync::Arc;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use futures::FutureExt as _;
use hearth::{
    session::{
        ByteEdit, Owner, Snapshot,
        owner::{End, Outcome, Ticket},
    },
    task::unsure,
};
use tokio::runtime::{Builder, Runtime};
use typing::Typist;

/// What is kept of one document, at most.
const KEPT: u64 = 24;

/// What the model says, in tokens of five bytes: a line and the block behind it.
const LINE: &str = "let answer = compute(snapshot.text, window.start..offset, &settings)?;\n";

const LINES: usize = 16;

/// A document in which the model has said something for each of 24 contexts.
struct Kept {
    runtime: Runtime,
    owner: Arc<Owner>,
    snapshot: Snapshot,
    offset: usize,
}

impl Kept {
    fn new(lines: usize) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (snapshot, offset) = Typist::new(lines, false).key();
        let kept = Self { runtime, owner: Arc::clone(&snapshot.owner), snapshot, offset };
        for context in 0..KEPT {
            kept.say(context);
        }
        kept
    }

    fn ask(&self, context: u64) -> Ticket {
        self.owner.ask(&self.snapshot.text, self.offset, context)
    }

    fn say(&self, context: u64) {
        self.runtime.block_on(async {
            let mut ticket = self.ask(context);
            // The same text is kept once.
            let said = format!("{}// {context}\n", LINE.repeat(LINES));
            ticket.start(|sink| async move {
                for token in said.as_bytes().chunks(5) {
                    let token = str::from_utf8(token).expect("ASCII");
                    let _ = sink.push(token, Some(-0.05));
                }
                sink.end(End::Complete);
            });
            ticket.outcome(first_line, |_| None).await;
        });
    }
}

fn first_line(text: &str, _: Option<&End>) -> Option<usize> {
    text.find('\n')
}

fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("instant");
    for lines in [1_000, 10_000] {
        let kept = Kept::new(lines);
        let _runtime = kept.runtime.enter();
        let id = |what: &str| BenchmarkId::new(what, format!("{lines} lines"));
        let mut context = 0;
        group.bench_function(id("found among 24"), |bencher| {
            bencher.iter(|| {
                context = (context + 1) % KEPT;
                let ticket = kept.ask(context);
                assert!(ticket.is_served());
            });
        });
        group.bench_function(id("not among 24"), |bencher| {
            bencher.iter(|| assert!(!kept.ask(KEPT).is_served()));
        });
        let (start, text) = (kept.offset, &kept.snapshot.text);
        group.bench_function(id("typed along"), |bencher| {
            bencher.iter_batched(
                || {
                    let mut typed = text.clone();
                    typed.insert(text.byte_to_char(start), "l");
                    kept.ask(0).hand_over();
                    typed
                },
                |typed| {
                    let edit = ByteEdit { start, old_end: start, new_end: start + 1 };
                    kept.owner.edited(edit, "", "l");
                    let mut ticket = kept.owner.ask(&typed, start + 1, 0);
                    let outcome = ticket.outcome(first_line, |_| None).now_or_never();
                    assert!(matches!(outcome, Some(Outcome::Text(_))));
                },
                BatchSize::PerIteration,
            );
        });
        group.bench_function(id("confidence"), |bencher| {
            bencher.iter_batched(
                || {
                    // Never shown: what has been is not doubted any more.
                    kept.owner.stop();
                    kept.runtime.block_on(async {
                        let ticket = kept.ask(0);
                        ticket.start(|sink| async move {
                            for token in LINE.repeat(LINES).as_bytes().chunks(5) {
                                let token = str::from_utf8(token).expect("ASCII");
                                let _ = sink.push(token, Some(-0.5));
                            }
                            sink.end(End::Complete);
                        });
                        tokio::task::yield_now().await;
                        ticket
                    })
                },
                |mut ticket| {
                    let doubt = |likelihood| unsure(likelihood, 0.02);
                    let outcome = ticket.outcome(first_line, doubt).now_or_never();
                    assert!(matches!(outcome, Some(Outcome::Nothing(_))), "{outcome:?}");
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
