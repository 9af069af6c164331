//! What stands on the user's screen, as far as one can know, and what of it was accepted.
//!
//! No editor says that a suggestion was taken, but for a command after all of one; so it is read off
//! the edits: one that puts in at once what a key cannot. Whoever types a suggestion out by hand has
//! not accepted it.

use super::{ByteEdit, added_at};

/// What is shorter than this, in characters, may have been typed between two of the editor's reports.
const AT_ONCE: usize = 4;

/// A suggestion that was handed to the editor.
#[derive(Debug)]
pub(super) struct Offer {
    /// The cursor, in bytes.
    at: usize,
    /// What is left of it. Lines end in a line feed alone.
    text: String,
    /// What of it stands in front of the cursor, likewise.
    typed: String,
    /// The file's lines do not.
    crlf: bool,
    /// A part of it was accepted before.
    in_part: bool,
}

/// What an edit did with an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// All that was left went in at once; `in_part`: not the first of it.
    Whole { in_part: bool },
    /// The same, of so little that it may have been typed.
    WholeOrTyped,
    /// A word or a line of it; `first`: nothing of it was accepted before.
    Part { first: bool },
    /// A key that agrees with it, or takes a part of it back.
    Typed,
    /// Something else: it is gone.
    Gone,
}

impl Offer {
    pub(super) fn new(at: usize, text: &str) -> Self {
        let crlf = text.contains("\r\n");
        let text = text.replace("\r\n", "\n");
        Self { at, text, typed: String::new(), crlf, in_part: false }
    }

    /// Takes an edit of the document.
    pub(super) fn edited(&mut self, edit: ByteEdit, removed: &str, inserted: &str) -> Taken {
        if inserted.is_empty() {
            return if self.taken_back(edit, removed) { Taken::Typed } else { Taken::Gone };
        }
        let added = added_at(self.at, edit, removed, inserted);
        let Some(added) = added.filter(|added| !added.is_empty()) else { return Taken::Gone };
        let text = added.replace("\r\n", "\n");
        let Some(left) = self.text.strip_prefix(text.as_str()) else { return Taken::Gone };
        let at_once = text.trim().chars().count() >= AT_ONCE;
        let in_word = |c: char| c.is_alphanumeric() || c == '_';
        let border = !(text.ends_with(in_word) && left.starts_with(in_word));
        let taken = match (left.is_empty(), at_once) {
            (true, true) => Taken::Whole { in_part: self.in_part },
            (true, false) => Taken::WholeOrTyped,
            (false, true) if border => Taken::Part { first: !self.in_part },
            (false, _) => Taken::Typed,
        };
        self.in_part |= matches!(taken, Taken::Part { .. });
        self.at += added.len();
        self.text = left.to_owned();
        self.typed.push_str(&text);
        taken
    }

    /// Takes a deletion in front of the cursor. `false` where it is none of what was typed along.
    fn taken_back(&mut self, edit: ByteEdit, removed: &str) -> bool {
        let whole = removed.len() == edit.old_end - edit.start;
        let removed = removed.replace("\r\n", "\n");
        let typed = self.typed.strip_suffix(removed.as_str()).map(str::len);
        let Some(typed) = typed.filter(|_| whole && edit.old_end == self.at) else { return false };
        self.typed.truncate(typed);
        self.text.insert_str(0, &removed);
        self.at = edit.start;
        true
    }

    /// What is left of it, in the file's line breaks.
    pub(super) fn left(&self) -> String {
        if self.crlf { self.text.replace('\n', "\r\n") } else { self.text.clone() }
    }

    /// Where the user stands in it, in bytes of the document.
    pub(super) fn at(&self) -> usize {
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: Taken = Taken::Whole { in_part: false };

    /// `let x = foo(1);` is offered at `|` of a document, and an edit replaces what is between `[` and
    /// `]`.
    #[track_caller]
    fn check(document: &str, inserted: &str, expected: Taken) {
        let bare: String = document.chars().filter(|c| !"[]|".contains(*c)).collect();
        let at = |mark| {
            let before = document.split(mark).next().expect("a mark");
            before.chars().filter(|c| !"[]|".contains(*c)).map(char::len_utf8).sum::<usize>()
        };
        let (start, old_end) = (at('['), at(']'));
        let edit = ByteEdit { start, old_end, new_end: start + inserted.len() };
        let mut offer = Offer::new(at('|'), "let x = foo(1);\r\nbar();");
        assert_eq!(offer.edited(edit, &bare[start..old_end], inserted), expected, "{inserted:?}");
    }

    #[test]
    fn all_of_it_at_once() {
        check("a [|] b", "let x = foo(1);\nbar();", WHOLE);
        check("a [|] b", "let x = foo(1);\r\nbar();", WHOLE);
        check("[a |]", "a let x = foo(1);\nbar();", WHOLE);
        check("a [µ|) b]", "µlet x = foo(1);\nbar();) b", WHOLE);
    }

    #[test]
    fn a_word_or_a_line_of_it() {
        let part = Taken::Part { first: true };
        check("a [|] b", "let x", part);
        check("a [|] b", "let x = foo(1);", part);
        check("[a |] b", "a let x =", part);
    }

    #[test]
    fn what_keys_can_do() {
        check("[|]", "l", Taken::Typed);
        check("[|]", "let", Taken::Typed);
        check("[|]", "let x = fo", Taken::Typed);
        let mut offer = Offer::new(0, "x;");
        let edit = ByteEdit { start: 0, old_end: 0, new_end: 2 };
        assert_eq!(offer.edited(edit, "", "x;"), Taken::WholeOrTyped);
    }

    #[test]
    fn what_is_taken_back_is_offered_again() {
        let mut offer = Offer::new(2, "let x;\r\nbar();");
        let mut edit = |start: usize, removed: &str, inserted: &str| {
            let old_end = start + removed.len();
            let edit = ByteEdit { start, old_end, new_end: start + inserted.len() };
            (offer.edited(edit, removed, inserted), offer.at(), offer.left())
        };
        let left = |text: &str| text.to_owned();
        assert_eq!(edit(2, "", "let"), (Taken::Typed, 5, left(" x;\r\nbar();")));
        assert_eq!(edit(4, "t", ""), (Taken::Typed, 4, left("t x;\r\nbar();")));
        assert_eq!(edit(2, "le", ""), (Taken::Typed, 2, left("let x;\r\nbar();")));
        assert_eq!(edit(2, "", "let x;\r\n").1, 10);
        assert_eq!(edit(8, "\r\n", ""), (Taken::Typed, 8, left("\r\nbar();")));
        assert_eq!(edit(1, "a", "").0, Taken::Gone, "in front of it");
    }

    #[test]
    fn something_else() {
        check("[|]", "var", Taken::Gone);
        check("[a]|", "", Taken::Gone);
        check("[a] |", "b", Taken::Gone);
        check("| [a]", "let x", Taken::Gone);
        check("[a |]", "b let x", Taken::Gone);
    }

    #[test]
    fn a_part_counts_once() {
        let mut offer = Offer::new(0, "first second third");
        let mut type_in = |start: usize, text: &str| {
            let edit = ByteEdit { start, old_end: start, new_end: start + text.len() };
            offer.edited(edit, "", text)
        };
        assert_eq!(type_in(0, "first"), Taken::Part { first: true });
        assert_eq!(type_in(5, " second"), Taken::Part { first: false });
        assert_eq!(type_in(12, " third"), Taken::Whole { in_part: true });
    }
}
