//! What is to be checked: a new text for one item of one file, beside everything else that differs
//! from the disk.

use std::{ops::Range, path::PathBuf};

/// A new text for one item.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// The folder that the editor has opened, absolute. Checks look at nothing above it but for what
    /// its build needs: a workspace around it, path dependencies, `.cargo/config.toml`.
    pub root: PathBuf,
    /// The file, absolute.
    pub file: PathBuf,
    /// The file's text before the edit, as the editor has it.
    pub text: String,
    /// The bytes of `text` that are replaced: an item with its attributes and documentation. Empty
    /// where something is added.
    pub range: Range<usize>,
    /// What stands there instead.
    pub replacement: String,
    /// What is added elsewhere in the file: imports, as whole lines.
    pub imports: Vec<Insertion>,
    /// Texts of other files that differ from the disk: unsaved buffers.
    pub buffers: Vec<Buffer>,
    pub keeps: Keeps,
}

/// A text put into a file, replacing nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Insertion {
    /// The byte of [`Proposal::text`] before which it stands; outside of [`Proposal::range`].
    pub at: usize,
    pub text: String,
}

/// A file as an editor has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buffer {
    /// Absolute.
    pub path: PathBuf,
    pub text: String,
}

/// What of an item must survive its replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// One item, of the same kind and name, with the same signature as others see it.
    Signature,
    /// One item, of the same kind and name.
    Name,
    /// The item with its signature, and new items beside it: an extracted function.
    SignatureAmongOthers,
    /// Nothing was there, or nothing of it has to stay.
    Nothing,
}

/// A proposal whose ranges do not lie in its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the edit lies outside of the file's text")]
pub struct Misplaced;

impl Proposal {
    /// The file's text after the edit, and where the replacement stands in it.
    pub fn applied(&self) -> Result<(String, Range<usize>), Misplaced> {
        self.applied_as(&self.replacement)
    }

    /// As [`Self::applied`], with another replacement.
    pub fn applied_as(&self, replacement: &str) -> Result<(String, Range<usize>), Misplaced> {
        let mut edits: Vec<(Range<usize>, &str)> =
            self.imports.iter().map(|added| (added.at..added.at, added.text.as_str())).collect();
        let inside = |at: usize| self.range.start < at && at < self.range.end;
        if edits.iter().any(|(range, _)| inside(range.start)) {
            return Err(Misplaced);
        }
        edits.push((self.range.clone(), replacement));
        // An import at the item's first byte stands before it, one at its end behind it.
        edits.sort_by_key(|(range, _)| (range.start, range.end));
        let mut text = String::with_capacity(self.text.len() + replacement.len());
        let (mut copied, mut place) = (0, 0..0);
        for (range, new) in edits {
            text.push_str(self.text.get(copied..range.start).ok_or(Misplaced)?);
            self.text.get(range.clone()).ok_or(Misplaced)?;
            if std::ptr::eq(new, replacement) {
                place = text.len()..text.len() + new.len();
            }
            text.push_str(new);
            copied = range.end;
        }
        text.push_str(self.text.get(copied..).ok_or(Misplaced)?);
        Ok((text, place))
    }

    /// Where `range` of the text before the edit stands after it. `None` if the edit touches it.
    pub fn shifted(&self, range: &Range<usize>) -> Option<Range<usize>> {
        let touches = |edit: &Range<usize>| edit.start < range.end && range.start < edit.end;
        if touches(&self.range) || self.imports.iter().any(|added| touches(&(added.at..added.at))) {
            return None;
        }
        let added: usize = self
            .imports
            .iter()
            .filter(|added| added.at <= range.start)
            .map(|added| added.text.len())
            .sum();
        let (grown, gone) = if self.range.end <= range.start {
            (self.replacement.len(), self.range.len())
        } else {
            (0, 0)
        };
        Some(range.start + added + grown - gone..range.end + added + grown - gone)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn proposal(text: &str, range: Range<usize>, new: &str, imports: &[(usize, &str)]) -> Proposal {
        Proposal {
            root: PathBuf::from("/p"),
            file: PathBuf::from("/p/a.rs"),
            text: text.to_owned(),
            range,
            replacement: new.to_owned(),
            imports: imports
                .iter()
                .map(|(at, text)| Insertion { at: *at, text: (*text).to_owned() })
                .collect(),
            buffers: Vec::new(),
            keeps: Keeps::Signature,
        }
    }

    #[test]
    fn edits_meet_in_order() {
        let made = proposal("use a;\nfn f() {}\n", 7..16, "fn g() {}", &[(7, "use b;\n")]);
        let (text, place) = made.applied().expect("well placed");
        assert_eq!(text, "use a;\nuse b;\nfn g() {}\n");
        assert_eq!(&text[place], "fn g() {}");
    }

    #[test]
    fn what_lies_outside_is_refused() {
        assert_eq!(proposal("ä", 1..2, "", &[]).applied(), Err(Misplaced));
        assert_eq!(proposal("a", 0..9, "", &[]).applied(), Err(Misplaced));
        assert_eq!(proposal("abc", 0..3, "", &[(1, "x")]).applied(), Err(Misplaced));
    }

    proptest! {
        #[test]
        fn what_is_not_touched_is_found_again(
            before in "[a-c]{0,6}", kept in "[d-f]{1,6}", after in "[g-i]{0,6}",
            new in "[x-z]{0,9}", import in "[0-9]{0,5}", first in any::<bool>(),
        ) {
            let text = format!("{before}{kept}{after}");
            let kept_range = before.len()..before.len() + kept.len();
            let range = if first { 0..before.len() } else { kept_range.end..text.len() };
            let made = proposal(&text, range, &new, &[(0, &import)]);
            let (applied, place) = made.applied().expect("well placed");
            let shifted = made.shifted(&kept_range).expect("not touched");
            prop_assert_eq!(&applied[shifted], kept.as_str());
            prop_assert_eq!(&applied[place], new.as_str());
        }
    }
}
