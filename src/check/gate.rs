//! The syntax gate: a suggestion that adds errors to the item it stands in is not shown.
//!
//! Half-written code has errors before anything is suggested, so the two are compared: what brackets
//! are open on the cursor's line are closed for both, what the suggestion opens is closed for it.
//! Only the enclosing item is parsed, once for all that is shown there. Where that is not closed yet,
//! the items below look like a part of it: then what stands above the cursor is asked too.

use std::sync::{OnceLock, atomic::AtomicBool};

use ropey::Rope;
use tree_sitter::{InputEdit, Point, Tree};

use super::Place;
use crate::syntax::{Language, borders, errors::error_bytes, lexer::Brackets};

/// An item larger than this is checked in the largest part around the cursor that is not, in bytes.
/// At some 4 MB/s the first parse then takes at most 8 ms: while the model thinks, or, where what is
/// shown is in memory already, in front of the user.
const LARGEST_ITEM: usize = 32 << 10;

/// The item around a cursor, parsed.
#[derive(Debug)]
pub(super) struct Gate(Option<Parsed>);

#[derive(Debug)]
struct Parsed {
    language: &'static Language,
    /// The item's text up to the cursor.
    before: String,
    /// The item's text from the cursor on.
    after: String,
    /// Something that the item opens is closed nowhere in it: it is being written.
    open: bool,
    tree: Tree,
    errors: usize,
    /// Errors of what is begun above the cursor alone, counted when they are first asked for.
    begun: OnceLock<usize>,
}

impl Gate {
    /// Parses the item around `place`. Without a grammar the gate is open.
    pub(super) fn prepare(place: &Place<'_>) -> Self {
        Self(Parsed::of(place))
    }

    /// Whether the item has no more errors with `suggestion` at the cursor than without.
    pub(super) fn admits(&self, suggestion: &str) -> bool {
        self.0.as_ref().is_none_or(|parsed| {
            parsed.errors_with(suggestion) <= parsed.errors
                || parsed.open && parsed.begun_with(suggestion) <= parsed.begun()
        })
    }

    /// Bytes of the item that do not parse with `suggestion` at the cursor; 0 without a grammar.
    pub(super) fn errors_with(&self, suggestion: &str) -> usize {
        self.0.as_ref().map_or(0, |parsed| parsed.errors_with(suggestion))
    }
}

impl Parsed {
    fn of(place: &Place<'_>) -> Option<Self> {
        let language = place.language?;
        let item = place
            .tree
            .and_then(|tree| borders::enclosing(tree, language, place.offset, LARGEST_ITEM))
            .filter(|item| item.contains(&place.offset) || item.end == place.offset)
            // Not parsed yet, or nothing of a checkable size around the cursor.
            .unwrap_or_else(|| lines_around(place.text, place.offset));
        let end = item.end.min(place.text.len_bytes());
        let text = |from: usize, to: usize| {
            let slice = place.text.get_byte_slice(from..to);
            slice.map(|slice| slice.to_string())
        };
        let before = text(item.start, place.offset)?;
        let after = text(place.offset, end)?;
        let mut closed = close_line(&before, "", &after);
        let unclosed = unclosed(&closed);
        closed.push_str(&unclosed);
        let tree = parse(language, &closed, None)?;
        let errors = error_bytes(tree.root_node());
        Some(Self {
            language,
            before,
            after,
            open: !unclosed.is_empty(),
            tree,
            errors,
            begun: OnceLock::new(),
        })
    }

    fn errors_with(&self, suggestion: &str) -> usize {
        let closed = |suggestion| {
            let mut text = close_line(&self.before, suggestion, &self.after);
            if self.open {
                text.push_str(&unclosed(&text));
            }
            text
        };
        let (with, without) = (closed(suggestion), closed(""));
        let mut tree = self.tree.clone();
        // What differs: the suggestion and the brackets closed behind it.
        let start = self.before.len();
        let same_end =
            with.bytes().rev().zip(without.bytes().rev()).take_while(|(a, b)| a == b).count();
        let same_end = same_end.min(without.len() - start).min(with.len() - start);
        tree.edit(&InputEdit {
            start_byte: start,
            old_end_byte: without.len() - same_end,
            new_end_byte: with.len() - same_end,
            start_position: point(&without, start),
            old_end_position: point(&without, without.len() - same_end),
            new_end_position: point(&with, with.len() - same_end),
        });
        parse(self.language, &with, Some(&tree)).map_or(0, |tree| error_bytes(tree.root_node()))
    }

    fn begun(&self) -> usize {
        *self.begun.get_or_init(|| self.begun_with(""))
    }

    /// Bytes that do not parse of what is begun above the cursor, as if nothing stood below its line.
    fn begun_with(&self, suggestion: &str) -> usize {
        let begun = &self.before[margin(&self.before)..];
        let rest = self.after.find('\n').unwrap_or(self.after.len());
        let text = [begun, suggestion, &self.after[..rest]].concat();
        let closers = unclosed(&text);
        // Some items end with the bracket, others with what follows it.
        let ends = ["", ";"].map(|end| [&text, &*closers, end].concat());
        let errors = ends.iter().filter_map(|text| parse(self.language, text, None));
        errors.map(|tree| error_bytes(tree.root_node())).min().unwrap_or_default()
    }
}

/// Where the last line of `text` begins that begins at the margin and closes nothing: that of the outermost
/// item which is being written.
fn margin(text: &str) -> usize {
    let lines = text.split_inclusive('\n').scan(0, |at, line| {
        *at += line.len();
        Some((*at - line.len(), line))
    });
    let begins = |line: &str| line.starts_with(|c: char| !c.is_whitespace() && !")]}".contains(c));
    lines.filter(|(_, line)| begins(line)).last().map_or(0, |(at, _)| at)
}

/// `before`, `suggestion` and `after`, with what is open at the end of the cursor's line closed there.
///
/// Of a suggestion of several lines only what it opens itself counts: what the line opened before it
/// is closed further down.
fn close_line(before: &str, suggestion: &str, after: &str) -> String {
    let rest = after.find('\n').unwrap_or(after.len());
    let mut brackets = Brackets::default();
    let line = before.rfind('\n').map_or(0, |line_break| line_break + 1);
    let opened = if suggestion.contains('\n') { "" } else { &before[line..] };
    for byte in opened.bytes().chain(suggestion.bytes()).chain(after[..rest].bytes()) {
        brackets.push(byte);
    }
    let closers = brackets.closers();
    format!("{before}{suggestion}{}{closers}{}", &after[..rest], &after[rest..])
}

/// What closes the brackets that `text` leaves open, on a line of its own.
fn unclosed(text: &str) -> String {
    let mut brackets = Brackets::default();
    for byte in text.bytes() {
        brackets.push(byte);
    }
    let closers = brackets.closers();
    if closers.is_empty() { closers } else { format!("\n{closers}") }
}

fn parse(language: &Language, text: &str, old: Option<&Tree>) -> Option<Tree> {
    language.parse(&Rope::from_str(text), old, &AtomicBool::new(false))
}

fn point(text: &str, byte: usize) -> Point {
    let before = &text.as_bytes()[..byte];
    let row = memchr::memchr_iter(b'\n', before).count();
    let line = memchr::memrchr(b'\n', before).map_or(0, |line_break| line_break + 1);
    Point::new(row, byte - line)
}

/// The whole of a short text, else the lines close around the cursor.
fn lines_around(text: &Rope, offset: usize) -> std::ops::Range<usize> {
    if text.len_bytes() <= LARGEST_ITEM {
        return 0..text.len_bytes();
    }
    let line = text.byte_to_line(offset);
    let start = text.line_to_byte(line.saturating_sub(20));
    let end = text.line_to_byte((line + 20).min(text.len_lines()));
    if end - start <= LARGEST_ITEM { start..end } else { offset..offset }
}
