//! In which order the pieces of a completion prompt stand: one versioned function, used by the
//! server for every request and by `training/` for every training text.
//!
//! What changes least stands first, so that a model server can keep what it has computed:
//! definitions, then the file. In the *begun* layout the prefix ends where the current line starts
//! and the middle begins with what is already typed of that line: a keystroke adds tokens at the
//! very end of the prompt and changes none before it. Stock models are not trained for that and get
//! the *plain* layout, unless the user wants them to have the other.
//!
//! This module never cuts, ranks or counts: whoever calls it has decided what is in the prompt.

use crate::model::{ModelFacts, Segment, fim::FimTokens};

/// Raised whenever the output of [`lay_out`] changes for the same situation. A GGUF that was trained
/// on one version says so in its metadata and is refused begun prompts of another.
pub const LAYOUT_VERSION: u32 = 1;

/// A definition that is in play at the cursor: a skeleton and the file it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Path relative to the workspace root, with `/`.
    pub path: String,
    /// Source text without bodies, whole items, ending in a newline.
    pub text: String,
}

/// Everything that a completion prompt is laid out from.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// Definitions in play, the most stable first. Neighbours from one file share a header.
    pub definitions: &'a [Definition],
    /// Path of the current file relative to the workspace root, with `/`.
    pub path: &'a str,
    /// The file's text up to the start of the cursor's line.
    pub prefix: &'a str,
    /// The cursor's line up to the cursor.
    pub begun: &'a str,
    /// The file's text after the cursor.
    pub suffix: &'a str,
}

/// Where the begun line goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The begun line ends the prefix, as stock models were trained.
    Plain,
    /// The begun line starts the middle, as Hearth's own model was trained.
    Begun,
}

impl Order {
    /// The order that a model was trained on: begun prompts are for models that name this very layout.
    pub fn of(facts: &ModelFacts) -> Self {
        match facts.card.and_then(|card| card.layout_version) {
            Some(version) if version == u64::from(LAYOUT_VERSION) => Self::Begun,
            _ => Self::Plain,
        }
    }
}

/// The longest end of a begun line that is worth holding a model to, in bytes: what is held is
/// generated, which takes longer than being read. Identifiers are mostly shorter.
const MAX_OPEN: usize = 40;

/// Where the last token of a begun line may begin that the next key can still change, in bytes from
/// its start: before the last word and the marks and space that tokenizers join to it. What stands
/// before that place is whole tokens. The end of the line where that is too long to be generated again.
pub fn open_end(begun: &str) -> usize {
    let words = begun.trim_end_matches(char::is_alphanumeric);
    let marks = words.trim_end_matches(|c: char| !c.is_alphanumeric() && !c.is_whitespace());
    let at = marks.trim_end_matches(char::is_whitespace).len();
    if begun.len() - at > MAX_OPEN { begun.len() } else { at }
}

/// Lays a situation out with the tokens of a model family.
///
/// A family without file tokens was trained on single files: for it the definitions' text, without
/// headers, is the start of the prefix. The begun line is a piece of its own in either order: it
/// alone changes with a key, so the count of what stands before it is kept.
pub fn lay_out(tokens: &FimTokens, order: Order, situation: &Situation<'_>) -> Vec<Segment> {
    let mut segments = Vec::with_capacity(9 + 2 * situation.definitions.len());
    let mut prefix = vec![Segment::control(tokens.prefix)];
    let mut header: Option<&str> = None;
    for definition in situation.definitions {
        match tokens.file_sep {
            Some(sep) if header != Some(&definition.path) => {
                segments.push(Segment::control(sep));
                segments.push(Segment::text(format!("{}\n{}", definition.path, definition.text)));
                header = Some(&definition.path);
            }
            Some(_) => segments.push(Segment::text(definition.text.as_str())),
            None => prefix.push(Segment::text(definition.text.as_str())),
        }
    }
    if let Some(sep) = tokens.file_sep {
        segments.push(Segment::control(sep));
        segments.push(Segment::text(format!("{}\n", situation.path)));
    }
    let (before, middle) = match order {
        Order::Plain => (situation.begun, ""),
        Order::Begun => ("", situation.begun),
    };
    prefix.extend([Segment::text(situation.prefix), Segment::text(before)]);
    let suffix = [Segment::control(tokens.suffix), Segment::text(situation.suffix)];
    if tokens.suffix_first {
        segments.extend(suffix);
        segments.extend(prefix);
    } else {
        segments.extend(prefix);
        segments.extend(suffix);
    }
    segments.push(Segment::control(tokens.middle));
    segments.push(Segment::text(middle));
    segments.retain(|segment| !segment.as_str().is_empty());
    segments
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(line: &str) {
        let (whole, open) = line.split_once('|').expect("a mark");
        assert_eq!(open_end(&format!("{whole}{open}")), whole.len(), "{line}");
    }

    #[test]
    fn what_the_next_key_may_change_is_open() {
        check("|");
        check("|    ");
        check("|    let");
        check("    let| ");
        check("    let kept| =");
        check("    let kept =| snap");
        check("    let kept = snapshot|.");
        check("    let kept = snapshot|.te");
        check("    let kept = snapshot.text|_of");
        check("    let kept = Vec|::<");
        check("    f(a,| &mut");
        check("    // naïve| übung");
    }

    #[test]
    fn what_is_long_is_closed() {
        check(&format!("let key = \"{}|", "0123456789abcdef".repeat(4)));
    }

    proptest! {
        #[test]
        fn a_key_takes_nothing_back(line in "[a-c_.:<>( =é]{0,20}", key in "[a-c_.:<>( =é]") {
            let before = open_end(&line);
            prop_assert!(line.is_char_boundary(before));
            let after = open_end(&format!("{line}{key}"));
            prop_assert!(after >= before);
        }
    }
}
