//! The part of the current file that a prompt shows: from a border above the cursor to a border
//! below it.
//!
//! The window stays put while one types: a model server keeps what it has computed of a prompt only
//! as long as the prompt's start is the same. It moves when the prefix has outgrown its share, and
//! then by a good part of it, so that it stays put again. It never begins or ends inside a line,
//! unless one line alone is larger than its share.

use std::ops::Range;

use ropey::Rope;
use tree_sitter::Tree;

use crate::{
    session::{Hold, HoldCell, Snapshot},
    syntax::{Language, borders},
};

/// The document around a cursor.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    pub text: &'a Rope,
    /// The last tree, shifted by the edits since.
    pub tree: Option<&'a Tree>,
    pub language: Option<&'static Language>,
    /// Relative to the workspace, with `/`.
    pub path: &'a str,
    /// The cursor, in bytes.
    pub offset: usize,
    pub hold: &'a HoldCell,
}

/// How many bytes the two sides may have at the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    pub prefix: usize,
    pub suffix: usize,
}

/// When the window moves, the prefix is left with this part of its share, in percent.
const AFTER_MOVING: usize = 60;

/// A held suffix that is less than this part of its share is looked at anew.
const LEAST_LEFT: usize = 4;

impl<'a> View<'a> {
    /// A document at byte `offset`.
    pub fn of(snapshot: &'a Snapshot, offset: usize) -> Self {
        Self {
            text: &snapshot.text,
            tree: snapshot.tree.as_ref(),
            language: snapshot.language,
            path: &snapshot.relative_path,
            offset,
            hold: &snapshot.hold,
        }
    }

    /// The cursor, moved to the nearest place before it that exists: none is inside a character or
    /// a line break.
    pub fn cursor(&self) -> usize {
        let char_idx = self.text.byte_to_char(self.offset.min(self.text.len_bytes()));
        let before = char_idx.checked_sub(1).and_then(|before| self.text.get_char(before));
        let in_break = (before, self.text.get_char(char_idx)) == (Some('\r'), Some('\n'));
        self.text.char_to_byte(char_idx - usize::from(in_break))
    }

    /// The window in bytes. It contains the cursor and is held from now on.
    pub fn window(&self, share: Share) -> Range<usize> {
        let offset = self.cursor();
        let line_idx = self.text.byte_to_line(offset);
        let line = self.text.line_to_byte(line_idx);
        let held = self.hold.get();
        let start = held
            .map(|hold| hold.start)
            .filter(|start| *start <= offset && offset - start <= share.prefix)
            .filter(|start| self.may_start(*start, line, offset - line > share.prefix))
            .unwrap_or_else(|| self.start(line, offset, share.prefix));
        let held_end = held
            .and_then(|hold| self.text.len_bytes().checked_sub(hold.end_from_end))
            .filter(|end| *end >= self.line_end(line_idx) && end - offset <= share.suffix)
            .filter(|end| self.may_end(*end));
        let end = match held_end {
            Some(end) if end - offset >= share.suffix / LEAST_LEFT => end,
            // What is typed leaves the suffix as long as it was: the cursor has moved down.
            held => self.end(line_idx, offset, share.suffix).max(held.unwrap_or(offset)),
        };
        self.hold.set(Hold { start, end_from_end: self.text.len_bytes() - end });
        start..end
    }

    fn start(&self, line: usize, offset: usize, share: usize) -> usize {
        if offset <= share {
            return 0;
        }
        let target = offset - share * AFTER_MOVING / 100;
        if target > line {
            // The line alone is larger than what is left of the share after moving.
            return if offset - line <= share { line } else { self.char_boundary_after(target) };
        }
        // A border soon after the target; what is farther would throw too much away.
        let soon = target + share / 5;
        borders::first(self.text, self.tree, self.language, target..soon.min(line + 1))
            .unwrap_or_else(|| {
                // A long line stands there.
                self.text.line_to_byte(self.text.byte_to_line(target) + 1).min(line)
            })
    }

    fn end(&self, line_idx: usize, offset: usize, share: usize) -> usize {
        let farthest = offset + share;
        if farthest >= self.text.len_bytes() {
            return self.text.len_bytes();
        }
        let line_end = self.line_end(line_idx);
        if line_end > farthest {
            return self.text.char_to_byte(self.text.byte_to_char(farthest)).max(offset);
        }
        // A border that leaves little is passed by: it would be looked for again with every key.
        let next = (line_end + 1).max(offset + share / LEAST_LEFT)..farthest + 1;
        borders::last(self.text, self.tree, self.language, next).unwrap_or_else(|| {
            // A long line stands there.
            self.text.line_to_byte(self.text.byte_to_line(farthest)).max(line_end)
        })
    }

    /// Whether a held `start` still is one: edits inside the window may have joined lines. Inside a
    /// line it is one while that is the cursor's `line` and alone larger than the share.
    fn may_start(&self, start: usize, line: usize, line_too_long: bool) -> bool {
        if start > line {
            return line_too_long && self.char_boundary_after(start) == start;
        }
        self.text.line_to_byte(self.text.byte_to_line(start)) == start
    }

    /// Whether a held `end` still cuts no line.
    fn may_end(&self, end: usize) -> bool {
        let line_idx = self.text.byte_to_line(end);
        end == self.text.line_to_byte(line_idx) || end == self.line_end(line_idx)
    }

    /// Where the line's text ends, before its line break.
    fn line_end(&self, line_idx: usize) -> usize {
        let line = self.text.line(line_idx);
        let line_break =
            line.chars_at(line.len_chars()).reversed().take_while(|c| matches!(c, '\n' | '\r'));
        self.text.line_to_byte(line_idx) + line.len_bytes() - line_break.count()
    }

    fn char_boundary_after(&self, offset: usize) -> usize {
        let char_idx = self.text.byte_to_char(offset);
        let at = self.text.char_to_byte(char_idx);
        if at == offset { at } else { self.text.char_to_byte(char_idx + 1) }
    }
}
