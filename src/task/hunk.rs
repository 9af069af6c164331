//! What an edit changes: as little of a text as does the same, and where an untouched part of it is
//! found again in a later version.

use std::ops::Range;

use similar::{Algorithm, DiffOp, TextDiff, capture_diff_slices};

use crate::check::Proposal;

/// Bytes of the old text that become `text`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunk {
    pub range: Range<usize>,
    pub text: String,
}

/// What of the proposal's file changes, in the order of the file, lines that stay left out.
pub fn hunks(proposal: &Proposal) -> Vec<Hunk> {
    let mut hunks: Vec<Hunk> = proposal
        .imports
        .iter()
        .map(|added| Hunk { range: added.at..added.at, text: added.text.clone() })
        .collect();
    let old = proposal.text.get(proposal.range.clone()).unwrap_or_default();
    hunks.extend(between(old, &proposal.replacement).into_iter().map(|hunk| Hunk {
        range: hunk.range.start + proposal.range.start..hunk.range.end + proposal.range.start,
        text: hunk.text,
    }));
    hunks.sort_by_key(|hunk| (hunk.range.start, hunk.range.end));
    hunks.dedup_by(|next, hunk| {
        let touches = next.range.start == hunk.range.end;
        if touches {
            hunk.range.end = next.range.end;
            hunk.text.push_str(&next.text);
        }
        touches
    });
    hunks
}

/// What turns `old` into `new`: lines, without what their ends have in common.
pub fn between(old: &str, new: &str) -> Vec<Hunk> {
    let (old_lines, new_lines) = (lines(old), lines(new));
    let diff = TextDiff::from_slices(&old_lines, &new_lines);
    let (olds, news) = (starts(old), starts(new));
    diff.ops()
        .iter()
        .filter(|op| !matches!(op, DiffOp::Equal { .. }))
        .map(|op| {
            let (from, to) = (op.old_range(), op.new_range());
            let range = olds[from.start]..olds[from.end];
            let text = &new[news[to.start]..news[to.end]];
            trimmed(&old[range.clone()], text, range.start)
        })
        .collect()
}

fn trimmed(old: &str, new: &str, at: usize) -> Hunk {
    let same = |(a, b): &(char, char)| a == b;
    let front: usize =
        old.chars().zip(new.chars()).take_while(same).map(|(a, _)| a.len_utf8()).sum();
    let (old_rest, new_rest) = (&old[front..], &new[front..]);
    let back: usize = old_rest
        .chars()
        .rev()
        .zip(new_rest.chars().rev())
        .take_while(same)
        .map(|(a, _)| a.len_utf8())
        .sum();
    // Between `\r` and `\n` there is no position that an editor knows.
    let splits = |text: &str, at: usize| text[..at].ends_with('\r') && text[at..].starts_with('\n');
    let front = if splits(old, front) || splits(new, front) { front - 1 } else { front };
    let cut = |back: usize| splits(old, old.len() - back) || splits(new, new.len() - back);
    let back = if cut(back) { back - 1 } else { back };
    Hunk { range: at + front..at + old.len() - back, text: new[front..new.len() - back].to_owned() }
}

/// Lines with their ends; a lone `\r` ends none.
fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// Where each line starts, and the end.
fn starts(text: &str) -> Vec<usize> {
    let mut starts = vec![0];
    for line in lines(text) {
        starts.push(starts.last().unwrap_or(&0) + line.len());
    }
    starts
}

/// Where the bytes `range` of `old` stand in `new`; `None` when they, or their lines, were changed.
pub fn shifted(old: &str, new: &str, range: &Range<usize>) -> Option<Range<usize>> {
    if old == new {
        return Some(range.clone());
    }
    let (old_lines, new_lines) = (lines(old), lines(new));
    let (olds, news) = (starts(old), starts(new));
    let ops = capture_diff_slices(Algorithm::Myers, &old_lines, &new_lines);
    ops.iter().find_map(|op| {
        let DiffOp::Equal { old_index, new_index, len } = *op else { return None };
        let same = olds[old_index]..olds[old_index + len];
        if range.start < same.start || same.end < range.end {
            return None;
        }
        let start = news[new_index] + (range.start - same.start);
        Some(start..start + range.len())
    })
}

/// The difference as people read it, with three lines around it.
pub fn unified(old: &str, new: &str, path: &str) -> String {
    TextDiff::from_lines(old, new)
        .unified_diff()
        .context_radius(3)
        .header(&format!("a/{path}"), &format!("b/{path}"))
        .to_string()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;

    fn applied(old: &str, hunks: &[Hunk]) -> String {
        let mut text = old.to_owned();
        for hunk in hunks.iter().rev() {
            text.replace_range(hunk.range.clone(), &hunk.text);
        }
        text
    }

    fn check(old: &str, new: &str, expected: Expect) {
        let hunks = between(old, new);
        assert_eq!(applied(old, &hunks), new);
        let shown: Vec<String> =
            hunks.iter().map(|hunk| format!("{:?} {:?}\n", hunk.range, hunk.text)).collect();
        expected.assert_eq(&shown.concat());
    }

    #[test]
    fn as_little_as_possible() {
        check(
            "a\nb\nc\n",
            "a\nx\nc\n",
            expect![[r#"
            2..3 "x"
        "#]],
        );
        check(
            "a(1);\nb\n",
            "a(2);\nb\nc\n",
            expect![[r#"
            2..3 "2"
            8..8 "c\n"
        "#]],
        );
        check(
            "a\r\nb\r\n",
            "a\nb\r\n",
            expect![[r#"
            1..3 "\n"
        "#]],
        );
        check("same", "same", expect![[""]]);
    }

    #[test]
    fn a_range_is_found_again_or_not() {
        let old = "a\nfn f() {\n}\nb\n";
        assert_eq!(shifted(old, "x\na\nfn f() {\n}\nb\n", &(2..12)), Some(4..14));
        assert_eq!(shifted(old, "fn f() {\n}\n", &(2..12)), Some(0..10));
        assert_eq!(shifted(old, "a\nfn f() {1\n}\nb\n", &(2..12)), None);
        assert_eq!(shifted(old, "a\nfn f() {\n1\n}\nb\n", &(2..12)), None);
        assert_eq!(shifted(old, "", &(2..12)), None);
    }

    proptest! {
        #[test]
        fn hunks_make_the_new_text(old in "[ab\r\n]{0,12}", new in "[ab\r\n]{0,12}") {
            let hunks = between(&old, &new);
            prop_assert_eq!(applied(&old, &hunks), new.clone());
            for hunk in &hunks {
                let at = |at: usize| old[..at].ends_with('\r') && old[at..].starts_with('\n');
                prop_assert!(!at(hunk.range.start) && !at(hunk.range.end), "inside a line break");
            }
        }

        #[test]
        fn what_is_found_again_is_the_same(old in "[ab\n]{1,12}", new in "[ab\n]{0,12}", a in 0..12_usize, b in 0..12_usize) {
            let (a, b) = (a.min(old.len()), b.min(old.len()));
            let range = a.min(b)..a.max(b);
            if let Some(shifted) = shifted(&old, &new, &range) {
                prop_assert_eq!(&new[shifted], &old[range]);
            }
        }
    }
}
