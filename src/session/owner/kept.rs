//! How much of what was accepted still stands half a minute later, without a copy of any of it.

use std::{ops::Range, time::Duration};

use tokio::time::Instant;

use super::ByteEdit;

/// The field's usual time (Copilot's "still in the code after 30 seconds").
const LATER: Duration = Duration::from_secs(30);

/// Acceptances that are followed at once; the oldest goes.
const FOLLOWED: usize = 64;

/// What of one acceptance still stands.
#[derive(Debug)]
struct Stretch {
    accepted: usize,
    /// Its pieces, in bytes of the document.
    pieces: Vec<Range<usize>>,
    since: Instant,
}

/// The acceptances of the last half minute.
#[derive(Debug, Default)]
pub(super) struct Kept(Vec<Stretch>);

impl Kept {
    /// Follows the bytes `accepted` from now on. `true` if that loses sight of an older one.
    #[must_use]
    pub(super) fn follow(&mut self, accepted: Range<usize>) -> bool {
        let full = self.0.len() == FOLLOWED;
        if full {
            self.0.remove(0);
        }
        self.0.push(Stretch {
            accepted: accepted.len(),
            pieces: vec![accepted],
            since: Instant::now(),
        });
        full
    }

    /// Loses sight of all of them, and says how many.
    pub(super) fn lose(&mut self) -> usize {
        std::mem::take(&mut self.0).len()
    }

    /// Takes out what is half a minute old: bytes accepted, and bytes of them that stood then. To be
    /// called before every edit: until then nothing has changed.
    pub(super) fn settle(&mut self) -> Vec<(usize, usize)> {
        let now = Instant::now();
        let old = self.0.extract_if(.., |stretch| now.duration_since(stretch.since) >= LATER);
        old.map(|stretch| (stretch.accepted, stretch.pieces.iter().map(Range::len).sum())).collect()
    }

    /// Takes an edit of the document.
    pub(super) fn edited(&mut self, edit: ByteEdit, removed: &str, inserted: &str) {
        let edit = narrowed(edit, removed, inserted);
        for stretch in &mut self.0 {
            stretch.pieces = stretch.pieces.drain(..).flat_map(|piece| cut(piece, edit)).collect();
        }
    }
}

/// What of `piece` stands after `edit`, in bytes of the text after it.
fn cut(piece: Range<usize>, edit: ByteEdit) -> impl Iterator<Item = Range<usize>> {
    let shift = |at: usize| at - edit.old_end + edit.new_end;
    let before = piece.start..piece.end.min(edit.start);
    let after = piece.start.max(edit.old_end)..piece.end;
    let after = (!after.is_empty()).then(|| shift(after.start)..shift(after.end));
    [Some(before), after].into_iter().flatten().filter(|left| !left.is_empty())
}

/// `edit` without what it puts back as it was: editors replace a word by itself with more behind it.
pub(super) fn narrowed(edit: ByteEdit, removed: &str, inserted: &str) -> ByteEdit {
    if removed.len() != edit.old_end - edit.start {
        return edit;
    }
    let same = |a: &[u8], b: &[u8]| a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let start = same(removed.as_bytes(), inserted.as_bytes());
    let (removed, inserted) = (&removed.as_bytes()[start..], &inserted.as_bytes()[start..]);
    let end = removed.iter().rev().zip(inserted.iter().rev()).take_while(|(a, b)| a == b).count();
    ByteEdit { start: edit.start + start, old_end: edit.old_end - end, new_end: edit.new_end - end }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes 10..20 were accepted; how many of them stand after each edit, half a minute later.
    async fn check(edits: &[(Range<usize>, &str, &str)], kept: usize) {
        let mut all = Kept::default();
        assert!(!all.follow(10..20));
        for (replaced, removed, inserted) in edits {
            let Range { start, end } = *replaced;
            let edit = ByteEdit { start, old_end: end, new_end: start + inserted.len() };
            all.edited(edit, removed, inserted);
        }
        assert_eq!(all.settle(), [], "not yet");
        tokio::time::advance(LATER).await;
        assert_eq!(all.settle(), [(10, kept)], "{edits:?}");
        assert_eq!(all.settle(), [], "once");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_taken_away_is_not_kept() {
        check(&[], 10).await;
        check(&[(12..15, "abc", "")], 7).await;
        check(&[(5..12, "abcdefg", "")], 8).await;
        check(&[(18..30, "abcdefghijkl", "")], 8).await;
        check(&[(0..40, &"a".repeat(40), "")], 0).await;
        check(&[(12..15, "abc", ""), (10..12, "ab", "x")], 5).await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_lost_sight_of_is_not_kept_and_not_gone() {
        let mut all = Kept::default();
        for _ in 0..FOLLOWED {
            assert!(!all.follow(10..20));
        }
        assert!(all.follow(10..20), "the oldest");
        assert_eq!((all.lose(), all.lose()), (FOLLOWED, 0));
        tokio::time::advance(LATER).await;
        assert_eq!(all.settle(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_added_takes_nothing_away() {
        check(&[(0..0, "", "more"), (14..14, "", "x"), (15..15, "", "y")], 10).await;
        check(&[(15..15, "", "abc"), (15..18, "abc", "")], 10).await;
        check(&[(5..25, &"a".repeat(20), &"a".repeat(30))], 10).await;
        check(&[(18..20, "ab", "abc")], 10).await;
    }
}
