//! `FILE:LINE:COL` and `FILE:LINE`, as compilers print places.

use std::{path::PathBuf, str::FromStr};

use anyhow::{bail, ensure};
use ropey::Rope;

/// A place in a file. Lines and columns count from 1; a column counts characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: PathBuf,
    line: usize,
    column: usize,
}

impl FromStr for Place {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let mut parts = text.rsplitn(3, ':');
        let (column, line, file) = (parts.next(), parts.next(), parts.next());
        let number =
            |part: Option<&str>| part.and_then(|part| part.parse().ok()).filter(|n| *n > 0);
        match (file, number(line), number(column)) {
            (Some(file), Some(line), Some(column)) if !file.is_empty() => {
                Ok(Self { file: PathBuf::from(file), line, column })
            }
            _ => bail!("'{text}' is not FILE:LINE:COL, with a line and a column counted from 1"),
        }
    }
}

impl Place {
    /// The place as a byte offset into the file's text.
    pub(super) fn offset(&self, text: &Rope) -> anyhow::Result<usize> {
        let file = self.file.display();
        let lines = text.len_lines();
        ensure!(
            self.line <= lines,
            "line {} is beyond the end of {file}, which has {lines}",
            self.line
        );
        let line = text.line(self.line - 1);
        let columns = line.chars().take_while(|c| !matches!(c, '\n' | '\r')).count() + 1;
        ensure!(
            self.column <= columns,
            "column {} is beyond the end of line {} of {file}; the cursor can stand at 1 to {columns}",
            self.column,
            self.line
        );
        Ok(text.char_to_byte(text.line_to_char(self.line - 1) + self.column - 1))
    }
}

/// A line of a file, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) file: PathBuf,
    line: usize,
}

impl FromStr for Line {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let found = text.rsplit_once(':').and_then(|(file, line)| {
            let line = line.parse().ok().filter(|n| *n > 0)?;
            (!file.is_empty()).then(|| Self { file: PathBuf::from(file), line })
        });
        match found {
            Some(place) => Ok(place),
            None => bail!("'{text}' is not FILE:LINE, with a line counted from 1"),
        }
    }
}

impl Line {
    /// Where the line begins, in bytes.
    pub(super) fn offset(&self, text: &Rope) -> anyhow::Result<usize> {
        let (file, lines) = (self.file.display(), text.len_lines());
        ensure!(
            self.line <= lines,
            "line {} is beyond the end of {file}, which has {lines}",
            self.line
        );
        Ok(text.line_to_byte(self.line - 1))
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use ropey::Rope;

    use super::Place;

    fn check(place: &str, text: &str, expected: Expect) {
        let found = place.parse::<Place>().and_then(|place| place.offset(&Rope::from_str(text)));
        expected
            .assert_eq(&found.map_or_else(|error| error.to_string(), |offset| offset.to_string()));
    }

    #[test]
    fn places() {
        check("a.rs:1:1", "", expect!["0"]);
        check("a.rs:2:3", "fn a\r\nö=1\r\n", expect!["9"]);
        check("c:\\a.rs:1:2", "xy", expect!["1"]);
        check("a.rs:3:1", "one\n", expect!["line 3 is beyond the end of a.rs, which has 2"]);
        check(
            "a.rs:1:9",
            "one\n",
            expect!["column 9 is beyond the end of line 1 of a.rs; the cursor can stand at 1 to 4"],
        );
        check(
            "a.rs:0:1",
            "",
            expect!["'a.rs:0:1' is not FILE:LINE:COL, with a line and a column counted from 1"],
        );
        check(
            "a.rs",
            "",
            expect!["'a.rs' is not FILE:LINE:COL, with a line and a column counted from 1"],
        );
    }
}
