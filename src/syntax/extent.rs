//! How much to suggest: the rest of a line, or a block; and when what arrives is complete.
//!
//! Decided from the text around the cursor alone, so that a tree that lags some keys behind does not
//! matter. In doubt it is a line: a suggestion that is too short costs a key, one that is too long
//! costs reading it.

use ropey::{Rope, RopeSlice};

use super::lexer::Brackets;

/// A block ends after this many lines, whatever it says.
const MAX_BLOCK_LINES: usize = 24;

/// What is farther away than this many blank lines says nothing of the place.
const MAX_BLANK_LINES: usize = 200;

/// How much to suggest at a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The rest of the line. `begun`: something stands on the line already, so that a line break as
    /// the first thing means that there is nothing to add.
    Line { begun: bool },
    /// What follows an opening bracket, up to its closing one. `indent`: of the line that opened it,
    /// in bytes; `closed`: the closing bracket is in the file already.
    Body { indent: usize, closed: bool },
    /// One item, after its comments or attributes.
    Item { indent: usize },
}

impl Extent {
    /// The extent at byte `offset` of `text`. Copies nothing: a line may be megabytes long.
    pub fn at(text: &Rope, offset: usize) -> Self {
        let line_idx = text.byte_to_line(offset);
        let line = text.line(line_idx);
        let cut = line.byte_to_char((offset - text.line_to_byte(line_idx)).min(line.len_bytes()));
        let (before, after) = (line.slice(..cut), line.slice(cut..));
        if !blank(after) {
            return Self::Line { begun: true };
        }
        let rows = (line_idx + 1).min(text.len_lines());
        let below = || text.lines_at(rows).take(MAX_BLANK_LINES).find(|line| !blank(*line));
        if !blank(before) {
            let indent = indentation(before);
            return if opens(before) {
                Self::Body { indent, closed: below().is_some_and(|line| closes(line, indent)) }
            } else {
                Self::Line { begun: true }
            };
        }
        let mut above = text.lines_at(line_idx).reversed().take(MAX_BLANK_LINES);
        let Some(above) = above.find(|line| !blank(*line)) else {
            return Self::Line { begun: false };
        };
        let indent = indentation(above);
        if starts(above, "///") || (starts(above, "#[") && last(above) == Some(']')) {
            return Self::Item { indent };
        }
        let closed = below().is_some_and(|line| closes(line, indent));
        let empty = closed || below().is_none_or(|line| indentation(line) <= indent);
        if opens(above) && empty {
            Self::Body { indent, closed }
        } else {
            Self::Line { begun: false }
        }
    }

    /// The rest of the line and nothing else, whatever stands around.
    pub fn within_line(text: &Rope, offset: usize) -> Self {
        let line = text.line(text.byte_to_line(offset));
        Self::Line { begun: !blank(line) }
    }

    /// Whether more than one line may be suggested.
    pub const fn is_block(self) -> bool {
        !matches!(self, Self::Line { .. })
    }
}

fn blank(line: RopeSlice<'_>) -> bool {
    line.chars().all(char::is_whitespace)
}

fn opens(line: RopeSlice<'_>) -> bool {
    !starts(line, "//") && matches!(last(line), Some('{' | ':'))
}

fn closes(line: RopeSlice<'_>, indent: usize) -> bool {
    let first = line.chars().find(|c| !c.is_whitespace());
    indentation(line) == indent && matches!(first, Some('}' | ')' | ']'))
}

/// Whether `line` starts with `code` behind its indentation.
fn starts(line: RopeSlice<'_>, code: &str) -> bool {
    let mut chars = line.chars().skip_while(|c| c.is_whitespace());
    code.chars().all(|c| chars.next() == Some(c))
}

/// The last character of `line` that is no space.
fn last(line: RopeSlice<'_>) -> Option<char> {
    line.chars_at(line.len_chars()).reversed().find(|c| !c.is_whitespace())
}

/// In bytes.
fn indentation(line: RopeSlice<'_>) -> usize {
    line.chars().take_while(|c| matches!(c, ' ' | '\t')).count()
}

/// Says when what a model produces is complete.
#[derive(Debug)]
pub struct Judge {
    extent: Extent,
    text: String,
    brackets: Brackets,
    /// Bytes that have been looked at.
    seen: usize,
    lines: usize,
    /// Where the line that is being looked at starts.
    line_start: usize,
    /// End of the last complete line, without its line break.
    whole: usize,
    /// The block is closed: it ends with this line.
    ending: bool,
}

impl Judge {
    pub fn new(extent: Extent) -> Self {
        Self {
            extent,
            text: String::new(),
            brackets: Brackets::default(),
            seen: 0,
            lines: 0,
            line_start: 0,
            whole: 0,
            ending: false,
        }
    }

    /// Takes more text. `Some(keep)` when the first `keep` bytes of all are what to show: the model
    /// can stop.
    pub fn push(&mut self, text: &str) -> Option<usize> {
        self.text.push_str(text);
        match self.extent {
            Extent::Line { begun } => self.line(begun),
            Extent::Body { indent, closed } => {
                self.block(|judge, at, byte| judge.body(at, byte, indent, closed))
            }
            Extent::Item { indent } => self.block(|judge, at, byte| judge.item(at, byte, indent)),
        }
    }

    /// The model has ended by itself (`complete`) or at its limit: how many bytes to show.
    pub fn finish(&self, complete: bool) -> usize {
        match self.extent {
            Extent::Line { .. } => self.text.trim_end().len(),
            _ if complete => self.text.trim_end().len(),
            // A line that the limit cut is worse than none.
            _ => self.whole,
        }
    }

    fn line(&self, begun: bool) -> Option<usize> {
        let leading = self.text.len() - self.text.trim_start().len();
        if begun && self.text[..leading].contains('\n') {
            return Some(0);
        }
        self.text[leading..].find('\n').map(|end| self.text[..leading + end].trim_end().len())
    }

    fn block(&mut self, complete: impl Fn(&mut Self, usize, u8) -> Option<usize>) -> Option<usize> {
        while let Some(&byte) = self.text.as_bytes().get(self.seen) {
            let at = self.seen;
            self.seen += 1;
            if let Some(keep) = complete(self, at, byte) {
                return Some(keep);
            }
            if byte == b'\n' {
                let blank = self.text[self.line_start..at].trim().is_empty();
                if blank && self.text[..self.line_start].ends_with("\n\n") {
                    return Some(self.text[..at].trim_end().len());
                }
                self.line_start = at + 1;
                if !blank {
                    self.whole = self.text[..at].trim_end().len();
                    self.lines += 1;
                    if self.lines == MAX_BLOCK_LINES {
                        return Some(self.whole);
                    }
                }
            }
        }
        None
    }

    fn body(&mut self, at: usize, byte: u8, indent: usize, closed: bool) -> Option<usize> {
        if self.ending {
            return (byte == b'\n').then(|| self.text[..at].trim_end().len());
        }
        if self.brackets.push(byte).is_some() {
            // What closes it may close more: `});`.
            self.ending = !closed;
            return closed.then(|| self.text[..at].trim_end().len());
        }
        self.dedented(at, byte, indent)
    }

    fn item(&mut self, at: usize, byte: u8, indent: usize) -> Option<usize> {
        if self.brackets.push(byte).is_some() {
            return Some(self.text[..at].trim_end().len());
        }
        if byte == b'\n' && self.brackets.depth() == 0 {
            let line = self.text[self.line_start..at].trim_end();
            if line.ends_with(['}', ';', ',']) {
                return Some(self.text[..at].trim_end().len());
            }
        }
        self.dedented(at, byte, indent)
    }

    /// A further line that stands left of where the block began does not belong to it.
    fn dedented(&self, at: usize, byte: u8, indent: usize) -> Option<usize> {
        // `None` inside a character, which is not its line's first byte then.
        let line = self.text.get(self.line_start..at)?;
        let first = self.line_start > 0 && line.trim().is_empty() && !byte.is_ascii_whitespace();
        let closing = matches!(byte, b'}' | b')' | b']');
        let outside = first && !closing && line.len() < indent;
        outside.then(|| self.text[..self.line_start].trim_end().len())
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// `$0` is the cursor. The model's text arrives byte by byte.
    fn check(file: &str, produced: &str, expected: Expect) {
        let offset = file.find("$0").expect("a cursor");
        let text = Rope::from_str(&file.replacen("$0", "", 1));
        let extent = Extent::at(&text, offset);
        let mut judge = Judge::new(extent);
        let mut early = None;
        for (at, _) in produced.char_indices() {
            let next = produced[at..].chars().next().map_or(0, char::len_utf8);
            early = judge.push(&produced[at..at + next]);
            if early.is_some() {
                break;
            }
        }
        let how = if early.is_some() { "early" } else { "at the end" };
        let keep = early.unwrap_or_else(|| judge.finish(true));
        expected.assert_eq(&format!("{extent:?} {how}\n{}", &produced[..keep]));
    }

    #[test]
    fn lines() {
        check(
            "fn a() {\n    let x = $0\n}",
            "foo(1);\n    let y",
            expect![[r#"
            Line { begun: true } early
            foo(1);"#]],
        );
        check(
            "foo($0)",
            "a, b)\nx",
            expect![[r#"
            Line { begun: true } early
            a, b)"#]],
        );
        check(
            "    done();$0\n",
            "\n    more();",
            expect![[r#"
            Line { begun: true } early
        "#]],
        );
        check(
            "fn a() {\n    b();\n    $0\n    c();\n}",
            "d();",
            expect![[r#"
            Line { begun: false } at the end
            d();"#]],
        );
    }

    #[test]
    fn bodies() {
        check(
            "fn a() {\n    $0\n}\n",
            "let x = 1;\n    if x {\n        y();\n    }\n}\n\nfn b",
            expect![[r#"
            Body { indent: 0, closed: true } early
            let x = 1;
                if x {
                    y();
                }"#]],
        );
        check(
            "fn a() {$0\n\nfn b() {}\n",
            "\n    c('}');\n}\n\nfn d",
            expect![[r#"
            Body { indent: 0, closed: false } early

                c('}');
            }"#]],
        );
        check(
            "fn a() {\n    b(|| {\n        $0",
            "c();\n    });\n}\n",
            expect![[r#"
                Body { indent: 4, closed: false } early
                c();
                    });"#]],
        );
        check(
            "def f():\n    $0\n",
            "return 1\n\n\nprint()",
            expect![[r#"
            Body { indent: 0, closed: false } early
            return 1"#]],
        );
        check(
            "mod m {\n    fn a() {\n        $0\n    }\n}",
            "b();\n    c();\n  d();\n",
            expect![[r#"
            Body { indent: 4, closed: true } early
            b();
                c();"#]],
        );
    }

    #[test]
    fn items() {
        check(
            "/// Adds.\n$0\n",
            "fn add(a: u8) -> u8 {\n    a\n}\n\nfn other",
            expect![[r#"
            Item { indent: 0 } early
            fn add(a: u8) -> u8 {
                a
            }"#]],
        );
        check(
            "#[derive(Debug)]\n$0",
            "struct S;\nstruct T;\n",
            expect![[r#"
            Item { indent: 0 } early
            struct S;"#]],
        );
    }

    #[test]
    fn characters_of_several_bytes() {
        check(
            "fn a() {\n    $0\n}\n",
            "µ();\n    é(\"🦀\");\n}\n",
            expect![[r#"
            Body { indent: 0, closed: true } early
            µ();
                é("🦀");"#]],
        );
        check(
            "/// Adds.\n$0\n",
            "fn µ() {\n    🦀\n}\n",
            expect![[r#"
            Item { indent: 0 } early
            fn µ() {
                🦀
            }"#]],
        );
    }

    #[test]
    fn a_block_that_the_limit_cut_ends_with_a_whole_line() {
        let mut judge = Judge::new(Extent::Body { indent: 0, closed: true });
        assert_eq!(judge.push("a();\n    b("), None);
        assert_eq!(judge.finish(false), 4);
    }
}
