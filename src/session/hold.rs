//! Where the prompt's window of a document stays put while one types in it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::ByteEdit;

/// A window of a document that edits inside of it do not move: a model server keeps what it has
/// computed of a prompt only as long as the prompt's start stays the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// Bytes from the start of the document to the window.
    pub start: usize,
    /// Bytes from the end of the window to the document's end.
    pub end_from_end: usize,
}

/// The hold of one document, as one snapshot sees it.
///
/// A snapshot whose text is outdated reads nothing and writes nothing.
#[derive(Debug, Clone, Default)]
pub struct HoldCell {
    held: Arc<Mutex<Held>>,
    revision: u64,
}

#[derive(Debug, Default)]
struct Held {
    /// Of the text that `hold` is right for.
    revision: u64,
    hold: Option<Hold>,
}

impl HoldCell {
    /// The window that is held.
    pub fn get(&self) -> Option<Hold> {
        let held = self.lock();
        held.hold.filter(|_| held.revision == self.revision)
    }

    /// Holds a window from now on.
    pub fn set(&self, window: Hold) {
        let mut held = self.lock();
        if held.revision == self.revision {
            held.hold = Some(window);
        }
    }

    /// A copy that goes its own way: for a text that is not the document's yet.
    pub(super) fn detached(&self) -> Self {
        let held = Held { revision: self.revision, hold: self.get() };
        Self { held: Arc::new(Mutex::new(held)), revision: self.revision }
    }

    /// The document has been edited: lets go of the window unless the edit lies inside of it.
    pub(super) fn edited(&mut self, edit: ByteEdit, old_len: usize) {
        self.revision += 1;
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.revision = self.revision;
        held.hold = held.hold.filter(|hold| {
            edit.start >= hold.start && edit.old_end.saturating_add(hold.end_from_end) <= old_len
        });
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The window is bytes 10..90 of 100.
    #[track_caller]
    fn check(start: usize, old_end: usize, new_end: usize, stays: bool) {
        let mut document = HoldCell::default();
        document.set(Hold { start: 10, end_from_end: 10 });
        document.edited(ByteEdit { start, old_end, new_end }, 100);
        let expected = stays.then_some(Hold { start: 10, end_from_end: 10 });
        assert_eq!(document.get(), expected, "{start}..{old_end} -> {new_end}");
    }

    #[test]
    fn an_edit_inside_keeps_the_window() {
        check(10, 10, 11, true);
        check(50, 60, 50, true);
        check(90, 90, 95, true);
        check(10, 90, 10, true);
    }

    #[test]
    fn an_edit_outside_lets_go() {
        check(9, 9, 10, false);
        check(9, 50, 9, false);
        check(90, 91, 90, false);
        check(95, 95, 96, false);
    }

    #[test]
    fn an_outdated_snapshot_has_no_say() {
        let mut document = HoldCell::default();
        let outdated = document.clone();
        document.edited(ByteEdit { start: 0, old_end: 0, new_end: 1 }, 0);
        outdated.set(Hold { start: 5, end_from_end: 5 });
        assert_eq!(document.get(), None);
        document.set(Hold { start: 0, end_from_end: 0 });
        assert_eq!(outdated.get(), None);
    }
}
