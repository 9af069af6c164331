//! Lines out of bytes that arrive in any pieces: newline-delimited JSON, and the lines of SSE.

use super::stream::{Oversized, Split};

/// Cuts a byte stream into lines without their `\n` or `\r\n`. Empty lines are skipped.
#[derive(Debug)]
pub(super) struct NdJson {
    lines: Lines,
}

impl NdJson {
    /// Refuses lines of more than `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { lines: Lines::new(limit) }
    }
}

impl Split for NdJson {
    fn push(&mut self, chunk: &[u8]) {
        self.lines.push(chunk);
    }

    fn next_message(&mut self) -> Result<Option<Vec<u8>>, Oversized> {
        while let Some(line) = self.lines.next_line()? {
            if !line.is_empty() {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }

    fn rest(&mut self) -> Option<Vec<u8>> {
        self.lines.rest()
    }
}

/// Lines, empty ones included.
#[derive(Debug)]
pub(super) struct Lines {
    buffer: Vec<u8>,
    /// Where the next line starts.
    start: usize,
    /// No newline stands before this.
    searched: usize,
    limit: usize,
}

impl Lines {
    pub(super) fn new(limit: usize) -> Self {
        Self { buffer: Vec::new(), start: 0, searched: 0, limit }
    }

    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.buffer.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(chunk);
    }

    pub(super) fn next_line(&mut self) -> Result<Option<Vec<u8>>, Oversized> {
        let found = memchr::memchr(b'\n', &self.buffer[self.searched..]);
        let end = found.map_or(self.buffer.len(), |at| self.searched + at);
        if end - self.start > self.limit {
            return Err(Oversized { limit: self.limit });
        }
        self.searched = end;
        if found.is_none() {
            return Ok(None);
        }
        let line = &self.buffer[self.start..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
        self.start = end + 1;
        self.searched = self.start;
        Ok(Some(line))
    }

    /// What stands behind the last newline, at the end of the stream.
    pub(super) fn rest(&mut self) -> Option<Vec<u8>> {
        let rest = self.buffer.split_off(self.start);
        *self = Self::new(self.limit);
        (!rest.is_empty()).then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::stream::{collect, pieces};

    proptest! {
        #[test]
        fn lines_do_not_depend_on_the_chunks(
            lines in prop::collection::vec("[a{}\":é\\\\]{1,12}", 0..8),
            crlf in any::<bool>(),
            ended in any::<bool>(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let end = if crlf { "\r\n" } else { "\n" };
            let mut text = lines.join(end);
            if ended {
                text.push_str(end);
            }
            let got = collect(NdJson::new(64), pieces(text.as_bytes(), &cuts));
            prop_assert_eq!(got, Ok(lines));
        }
    }

    #[test]
    fn a_line_over_the_limit_is_refused_before_it_ends() {
        let mut splitter = NdJson::new(8);
        splitter.push(b"123456789");
        assert_eq!(splitter.next_message(), Err(Oversized { limit: 8 }));
    }

    #[test]
    fn many_lines_may_be_longer_than_the_limit_together() {
        let text = b"1234567\n".repeat(100);
        assert_eq!(collect(NdJson::new(8), vec![&text]).map(|lines| lines.len()), Ok(100));
    }
}
