//! What the user did last to a document, as far as it says whether a suggestion is welcome.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// An insertion of more characters than this was not typed.
const LONGEST_TYPED: usize = 40;

/// Deletions that are remembered, to know their text again when it comes back.
const REMEMBERED: usize = 16;

/// A pause that is longer than this says nothing of how fast somebody types.
const PAUSE: Duration = Duration::from_secs(1);

/// The kind of an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Touch {
    /// Nothing was edited yet.
    #[default]
    None,
    /// A key, or what an editor adds to it; or a suggestion was accepted.
    Typed,
    /// Text went, and none came.
    Deleted,
    /// A good deal of text came at once.
    Pasted,
    /// Text came back that had been deleted: an undo.
    Restored,
}

/// The last edits of one document.
#[derive(Debug, Default)]
pub(super) struct Touches {
    pub(super) last: Touch,
    removed: VecDeque<String>,
    last_key: Option<Instant>,
    last_edit: Option<Instant>,
    rhythm: Option<Duration>,
}

impl Touches {
    /// Takes an edit. `along`: it agrees with what is suggested.
    pub(super) fn push(&mut self, removed: &str, inserted: &str, along: bool) {
        if removed == inserted {
            return;
        }
        let restored = inserted.len() > 1 && self.removed.iter().any(|removed| removed == inserted);
        self.last_edit = Some(Instant::now());
        self.last = match (removed.is_empty(), inserted.is_empty()) {
            (_, false) if along => Touch::Typed,
            (_, true) => Touch::Deleted,
            (_, false) if restored => Touch::Restored,
            (_, false) if many(inserted) => Touch::Pasted,
            (_, false) => Touch::Typed,
        };
        if removed.len() > 1 && !removed.trim().is_empty() {
            self.removed.push_front(removed.to_owned());
            self.removed.truncate(REMEMBERED);
        }
        if self.last == Touch::Typed {
            self.key();
        }
    }

    /// Time since the last edit.
    pub(super) fn rest(&self) -> Option<Duration> {
        self.last_edit.map(|edit| edit.elapsed())
    }

    /// Time between two keys while one types without a pause; `None` before there were any.
    pub(super) fn rhythm(&self) -> Option<Duration> {
        self.rhythm
    }

    fn key(&mut self) {
        let now = Instant::now();
        let since = self.last_key.replace(now).map(|before| now - before);
        if let Some(since) = since.filter(|since| *since < PAUSE) {
            // A third of the news: a few keys show a new rhythm, one slip does not.
            self.rhythm = Some(self.rhythm.map_or(since, |rhythm| (rhythm * 2 + since) / 3));
        }
    }
}

/// Whether this is more than a key writes, its brackets and indentation included.
fn many(inserted: &str) -> bool {
    let lines = inserted.lines().filter(|line| line.contains(char::is_alphanumeric)).count();
    lines > 1 || inserted.trim().chars().count() > LONGEST_TYPED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(edits: &[(&str, &str)], last: Touch) {
        let mut touches = Touches::default();
        for (removed, inserted) in edits {
            touches.push(removed, inserted, false);
        }
        assert_eq!(touches.last, last, "{edits:?}");
    }

    #[test]
    fn edits_are_told_apart() {
        check(&[("", "a")], Touch::Typed);
        check(&[("", "{\n    \n}")], Touch::Typed);
        check(&[("foo", "bar")], Touch::Typed);
        check(&[("a", "")], Touch::Deleted);
        check(&[("", "let a = 1;\nlet b = 2;\n")], Touch::Pasted);
        check(&[("", &"word ".repeat(9))], Touch::Pasted);
        check(&[("let x = 1;", ""), ("", "let x = 1;")], Touch::Restored);
        check(&[("let x = 1;", ""), ("", "let y")], Touch::Typed);
    }

    #[tokio::test(start_paused = true)]
    async fn the_rhythm_is_that_of_the_keys() {
        let mut touches = Touches::default();
        for _ in 0..10 {
            touches.push("", "a", false);
            tokio::time::advance(Duration::from_millis(120)).await;
        }
        tokio::time::advance(Duration::from_secs(5)).await;
        touches.push("", "a", false);
        assert_eq!(touches.rhythm(), Some(Duration::from_millis(120)));
    }
}
