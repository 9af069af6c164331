//! What it costs to make a suggestion fit to be shown: how much to ask for, when that is there, the
//! cursor's surroundings surveyed while the model thinks, and the filters and the syntax gate once it
//! has answered.
//!
//! There is a key between any two iterations, so that the tree lags behind as it does in an editor.
//!
//! `cargo bench --bench fit`
#![allow(missing_docs)]

mod typing;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use hearth::{
    check::{Place, Surroundings, Unfit},
    session::Snapshot,
    syntax::{Extent, Judge},
};
use typing::Typist;

const LINE: &str = "snapshot.text.byte_slice(window.start..offset).len_bytes();";

const BLOCK: &str = "if window.end < offset {
            let text = snapshot.text.byte_slice(window.end..offset).to_string();
            for (number, line) in text.lines().enumerate() {
                println!(\"{number}: {}\", line.trim_end());
            }
        }";

fn place((snapshot, offset): &(Snapshot, usize)) -> Place<'_> {
    Place {
        text: &snapshot.text,
        tree: snapshot.tree.as_ref(),
        language: snapshot.language,
        offset: *offset,
        extent: Extent::at(&snapshot.text, *offset),
    }
}

fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fit");
    for (lines, with_tree) in [(1_000, true), (10_000, true), (10_000, false), (200_000, false)] {
        let mut typist = Typist::new(lines, with_tree);
        let tree = if with_tree { "tree" } else { "no tree" };
        let id = |what: &str| BenchmarkId::new(what, format!("{lines} lines, {tree}"));
        group.bench_function(id("extent"), |bencher| {
            bencher.iter_batched_ref(
                || typist.key(),
                |(snapshot, offset)| Extent::at(&snapshot.text, *offset),
                BatchSize::PerIteration,
            );
        });
        group.bench_function(id("surroundings"), |bencher| {
            bencher.iter_batched_ref(
                || typist.key(),
                |here| Surroundings::of(&place(here)),
                BatchSize::PerIteration,
            );
        });
        for (name, raw) in [("a line fitted", LINE), ("a block fitted", BLOCK)] {
            group.bench_function(id(name), |bencher| {
                bencher.iter_batched_ref(
                    || Surroundings::of(&place(&typist.key())),
                    |surroundings| {
                        let shown = surroundings.fit(raw);
                        // The gate is the last filter: all of them have been at work.
                        assert!(matches!(shown, Ok(_) | Err(Unfit::SyntaxError)), "{shown:?}");
                        shown
                    },
                    BatchSize::PerIteration,
                );
            });
        }
    }
    group.bench_function("a block judged, four characters at a time", |bencher| {
        let body = format!("\n        {BLOCK}\n    }}\n");
        let pieces: Vec<&str> =
            body.as_bytes().chunks(4).map(|piece| str::from_utf8(piece).expect("ASCII")).collect();
        bencher.iter(|| {
            let mut judge = Judge::new(Extent::Body { indent: 4, closed: true });
            pieces.iter().find_map(|piece| judge.push(piece)).expect("it ends")
        });
    });
    group.finish();
}

criterion_group!(fits, benches);
criterion_main!(fits);
