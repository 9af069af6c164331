//! Positions as editors count them, and bytes of the text.
//!
//! An editor may send any position at any time: nothing here fails. A position that does not exist
//! becomes the nearest one before it that does.

use ropey::{Rope, RopeSlice};

/// What one `character` of a position is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// A byte.
    Utf8,
    /// A UTF-16 code unit: what LSP means unless something else was agreed.
    #[default]
    Utf16,
    /// A Unicode scalar value.
    Utf32,
}

/// A place between two characters, counted from 0. Lines end at `\n`, `\r\n` and `\r`, nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Point {
    pub line: u32,
    pub character: u32,
}

/// The byte at `point`.
///
/// Behind the end of a line it is the end of that line's text, before the line break; behind the
/// last line the end of the document; inside a character that character's start.
pub fn offset(text: &Rope, point: Point, encoding: Encoding) -> usize {
    let (line_idx, character) = (point.line as usize, point.character as usize);
    if line_idx >= text.len_lines() {
        return text.len_bytes();
    }
    let line = without_break(text.line(line_idx));
    let char_idx = match encoding {
        Encoding::Utf8 => line.byte_to_char(character.min(line.len_bytes())),
        Encoding::Utf16 => line.utf16_cu_to_char(character.min(line.len_utf16_cu())),
        Encoding::Utf32 => character.min(line.len_chars()),
    };
    text.line_to_byte(line_idx) + line.char_to_byte(char_idx)
}

/// The position of the byte `offset`.
///
/// Behind the end of the document it is the document's end; inside a character that character's
/// start; between `\r` and `\n` the place before both.
pub fn point(text: &Rope, offset: usize, encoding: Encoding) -> Point {
    let char_idx = text.byte_to_char(offset.min(text.len_bytes()));
    let line_idx = text.char_to_line(char_idx);
    let line = without_break(text.line(line_idx));
    let column = (char_idx - text.line_to_char(line_idx)).min(line.len_chars());
    let character = match encoding {
        Encoding::Utf8 => line.char_to_byte(column),
        Encoding::Utf16 => line.char_to_utf16_cu(column),
        Encoding::Utf32 => column,
    };
    Point { line: saturating(line_idx), character: saturating(character) }
}

fn without_break(line: RopeSlice<'_>) -> RopeSlice<'_> {
    let mut end = line.len_chars();
    if end > 0 && line.char(end - 1) == '\n' {
        end -= 1;
        if end > 0 && line.char(end - 1) == '\r' {
            end -= 1;
        }
    } else if end > 0 && line.char(end - 1) == '\r' {
        end -= 1;
    }
    line.slice(..end)
}

fn saturating(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Whether the line at byte `offset`, or the one above it, ends with `\r\n`.
pub fn ends_in_crlf(text: &Rope, offset: usize) -> bool {
    let line_idx = text.byte_to_line(offset);
    let lines = line_idx.saturating_sub(1)..=line_idx;
    lines.into_iter().any(|line_idx| {
        let mut ends = text.line(line_idx).chars_at(text.line(line_idx).len_chars());
        (ends.prev(), ends.prev()) == (Some('\n'), Some('\r'))
    })
}

/// What stands on the line in front of byte `offset` and behind it, with the line break: as far as it
/// matters to a key. A line may have megabytes.
pub fn line_around(text: &Rope, offset: usize) -> (String, String) {
    const FAR: usize = 4 << 10;
    let line_idx = text.byte_to_line(offset);
    let line = text.line_to_byte(line_idx);
    let end = line + text.line(line_idx).len_bytes();
    let boundary = |byte: usize| text.char_to_byte(text.byte_to_char(byte));
    let (from, to) = (offset.saturating_sub(FAR).max(line), (offset + FAR).min(end));
    let text = |from: usize, to: usize| text.byte_slice(from..to).to_string();
    (text(boundary(from), offset), text(offset, boundary(to)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Encoding; 3] = [Encoding::Utf8, Encoding::Utf16, Encoding::Utf32];

    #[track_caller]
    fn check(text: &str, (line, character): (u32, u32), encoding: Encoding, expected: usize) {
        let found = offset(&Rope::from_str(text), Point { line, character }, encoding);
        assert_eq!(found, expected, "{line}:{character} of {text:?} in {encoding:?}");
    }

    #[test]
    fn the_middle_of_a_character_is_its_start() {
        // A two-byte, a four-byte (astral) and a combining character.
        for (character, byte) in
            [(0, 0), (1, 0), (2, 2), (3, 2), (5, 2), (6, 6), (7, 7), (8, 7), (9, 9)]
        {
            check("é🦀e\u{301}", (0, character), Encoding::Utf8, byte);
        }
        for (character, byte) in [(0, 0), (1, 2), (2, 2), (3, 6), (4, 7), (5, 9)] {
            check("é🦀e\u{301}", (0, character), Encoding::Utf16, byte);
        }
        for (character, byte) in [(0, 0), (1, 2), (2, 6), (3, 7), (4, 9)] {
            check("é🦀e\u{301}", (0, character), Encoding::Utf32, byte);
        }
    }

    #[test]
    fn behind_a_line_is_before_its_break() {
        for encoding in ALL {
            for line_break in ["\n", "\r\n", "\r"] {
                let text = format!("ab{line_break}cd");
                check(&text, (0, 2), encoding, 2);
                check(&text, (0, 99), encoding, 2);
                check(&text, (0, u32::MAX), encoding, 2);
                check(&text, (1, 0), encoding, 2 + line_break.len());
                check(&text, (1, 99), encoding, text.len());
            }
        }
    }

    #[test]
    fn behind_the_document_is_its_end() {
        for encoding in ALL {
            check("", (0, 0), encoding, 0);
            check("", (7, 7), encoding, 0);
            check("a\n", (1, 0), encoding, 2);
            check("a\n", (2, 0), encoding, 2);
            check("a\nb", (u32::MAX, u32::MAX), encoding, 3);
        }
    }

    #[test]
    fn other_separators_of_unicode_are_text() {
        check("a\u{2028}b\u{85}c\u{b}d\n", (0, 4), Encoding::Utf32, 7);
        check("a\u{2028}b\n", (1, 0), Encoding::Utf16, 6);
    }

    #[test]
    fn an_offset_without_a_position_moves_back() {
        let text = Rope::from_str("a🦀\r\nb");
        let at = |byte| {
            let point = point(&text, byte, Encoding::Utf16);
            (point.line, point.character)
        };
        assert_eq!(at(3), (0, 1), "inside of the crab");
        assert_eq!(at(5), (0, 3));
        assert_eq!(at(6), (0, 3), "between \\r and \\n");
        assert_eq!(at(7), (1, 0));
        assert_eq!(at(99), (1, 1));
    }

    proptest::proptest! {
        #[test]
        fn there_and_back(text in "[a\u{e9}\u{301}🦀\r\n]{0,40}") {
            let rope = Rope::from_str(&text);
            for (byte, _) in text.char_indices() {
                let splits_a_break = byte > 0 && text.as_bytes()[byte - 1..].starts_with(b"\r\n");
                for encoding in ALL {
                    let back = offset(&rope, point(&rope, byte, encoding), encoding);
                    proptest::prop_assert_eq!(back, byte - usize::from(splits_a_break));
                }
            }
        }
    }
}
