//! Server-sent events: `data:` lines out of bytes that arrive in any pieces.
//!
//! Follows the HTML standard's parsing rules but for two things: a lone carriage return does not
//! end a line (no model server sends one), and an event that the end of the stream cut off is given
//! out, as some servers leave away the last empty line.

use super::{
    ndjson::Lines,
    stream::{Oversized, Split},
};

/// Cuts a byte stream into the data of its events.
#[derive(Debug)]
pub(super) struct Sse {
    lines: Lines,
    data: Option<Vec<u8>>,
    limit: usize,
}

impl Sse {
    /// Refuses events of more than `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { lines: Lines::new(limit), data: None, limit }
    }

    fn field(&mut self, line: &[u8]) -> Result<(), Oversized> {
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        // llama.cpp before 2025-07 sends a failure in a field of its own.
        if name == b"data" || name == b"error" {
            let data = self.data.get_or_insert_default();
            if !data.is_empty() {
                data.push(b'\n');
            }
            data.extend_from_slice(value);
            if data.len() > self.limit {
                return Err(Oversized { limit: self.limit });
            }
        }
        Ok(())
    }
}

impl Split for Sse {
    fn push(&mut self, chunk: &[u8]) {
        self.lines.push(chunk);
    }

    fn next_message(&mut self) -> Result<Option<Vec<u8>>, Oversized> {
        while let Some(line) = self.lines.next_line()? {
            if !line.is_empty() {
                self.field(&line)?;
            } else if let Some(data) = self.data.take() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    fn rest(&mut self) -> Option<Vec<u8>> {
        if let Some(line) = self.lines.rest() {
            self.field(&line).ok()?;
        }
        self.data.take()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::stream::{collect, pieces};

    fn check(stream: &str, data: &[&str]) {
        let data = data.iter().map(|&data| data.to_owned()).collect();
        assert_eq!(collect(Sse::new(64), vec![stream.as_bytes()]), Ok(data), "{stream:?}");
    }

    #[test]
    fn fields_are_read_as_the_standard_says() {
        check("data: a\n\ndata:b\n\n", &["a", "b"]);
        check("data: a\ndata: b\n\n", &["a\nb"]);
        check(": ping\n\nevent: x\nid: 7\nretry: 1\ndata: a\n\n", &["a"]);
        check("data:  two spaces\n\n", &[" two spaces"]);
        check("error: {\"code\":500}\n\n", &["{\"code\":500}"]);
        check("\n\n\n", &[]);
        check("data\n\n", &[""]);
        check("data: [DONE]", &["[DONE]"]);
    }

    #[test]
    fn an_event_of_many_lines_over_the_limit_is_refused() {
        let stream = "data: 12345678\n".repeat(9);
        assert_eq!(collect(Sse::new(64), vec![stream.as_bytes()]), Err(Oversized { limit: 64 }));
    }

    proptest! {
        #[test]
        fn events_do_not_depend_on_the_chunks(
            events in prop::collection::vec("[a{}\":é\\[\\]]{1,12}", 0..8),
            comment in "[a: ]{0,6}",
            crlf in any::<bool>(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let end = if crlf { "\r\n" } else { "\n" };
            let events: Vec<String> = events;
            let mut stream = String::new();
            for event in &events {
                stream.extend([":", &comment, end, "data: ", event, end, end]);
            }
            let got = collect(Sse::new(64), pieces(stream.as_bytes(), &cuts));
            prop_assert_eq!(got, Ok(events));
        }
    }
}
