//! Messages off the wire, made safe for the framework.
//!
//! The framework's reader stops for good at the first message that it cannot decode. Editors do send
//! such messages: half of a surrogate pair when a binary file is opened or an emoji is typed, or
//! headers that it does not know. So each message is looked at before: what can be repaired is, what
//! cannot is dropped with a warning. Message bodies are never logged.

use std::{borrow::Cow, io};

use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem;
use serde::{Deserialize, de::IgnoredAny};
use tokio_util::codec::Decoder;
use tower_lsp::jsonrpc::Id;

/// Bytes that a message may have. Editors send whole documents, and nothing larger.
const LARGEST: usize = 256 << 20;

/// Bytes that a header may have.
const LARGEST_HEADER: usize = 8 << 10;

/// Bytes to make room for at once: a length that is announced is not yet sent.
const ROOM: usize = 64 << 10;

/// Decodes frames of any headers into frames with a `Content-Length` and a body that is JSON-RPC.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// Of the message whose header has been read.
    content_length: Option<usize>,
}

impl Decoder for Frames {
    type Item = Bytes;
    type Error = io::Error;

    fn decode(&mut self, buffer: &mut BytesMut) -> io::Result<Option<Bytes>> {
        loop {
            let Some(length) = self.content_length else {
                let Some(end) = memmem::find(buffer, b"\r\n\r\n") else {
                    if buffer.len() > LARGEST_HEADER {
                        tracing::warn!("dropped bytes that are no header");
                        // It may begin in the last of them.
                        buffer.advance(buffer.len() - 3);
                    }
                    return Ok(None);
                };
                self.content_length = content_length(&buffer.split_to(end + 4));
                if self.content_length.is_none() {
                    tracing::warn!("dropped bytes without a Content-Length");
                }
                continue;
            };
            if length > LARGEST {
                tracing::warn!(length, "dropped a message that is too large");
                // What comes of it is no header, and is dropped as such.
                self.content_length = None;
                continue;
            }
            if buffer.len() < length {
                buffer.reserve((length - buffer.len()).min(ROOM));
                return Ok(None);
            }
            self.content_length = None;
            let body = buffer.split_to(length);
            let text = repaired(&body);
            match serde_json::from_str::<Envelope>(&text) {
                Ok(_) => {
                    let header = format!("Content-Length: {}\r\n\r\n", text.len());
                    return Ok(Some([header.as_bytes(), text.as_bytes()].concat().into()));
                }
                Err(error) => {
                    // The error's own text may quote the message.
                    let (kind, bytes, column) = (error.classify(), length, error.column());
                    tracing::warn!(?kind, bytes, column, "dropped a message that is not JSON-RPC");
                }
            }
        }
    }

    /// What stands before the end of the input and is no message is nothing.
    fn decode_eof(&mut self, buffer: &mut BytesMut) -> io::Result<Option<Bytes>> {
        let frame = self.decode(buffer)?;
        if frame.is_none() {
            buffer.clear();
        }
        Ok(frame)
    }
}

/// What the framework needs to find in a message to take it.
#[derive(Deserialize)]
#[expect(dead_code, reason = "deserializing is the check")]
struct Envelope {
    jsonrpc: Version,
    #[serde(default)]
    id: Option<Id>,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    params: IgnoredAny,
}

#[derive(Deserialize)]
enum Version {
    #[serde(rename = "2.0")]
    Two,
}

fn content_length(header: &[u8]) -> Option<usize> {
    std::str::from_utf8(header).ok()?.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        // Garbage before the name is what is left of a broken message.
        let is_it = name.to_ascii_lowercase().ends_with("content-length");
        is_it.then(|| value.trim().parse().ok())?
    })
}

/// `body` as text in which every escaped surrogate is one of a pair; others become U+FFFD.
fn repaired(body: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(body);
    let suspicious = memmem::find(body, br"\ud").is_some() || memmem::find(body, br"\uD").is_some();
    if suspicious { Cow::Owned(without_lone_surrogates(&text)) } else { text }
}

fn without_lone_surrogates(text: &str) -> String {
    let mut repaired = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        repaired.push_str(&rest[..at]);
        rest = &rest[at..];
        let taken = match (escaped_unit(rest), rest.get(6..).and_then(escaped_unit)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 12,
            (Some(0xD800..=0xDFFF), _) => {
                repaired.push('\u{FFFD}');
                rest = &rest[6..];
                continue;
            }
            (Some(_), _) => 6,
            // Another escape, of which the second character may be a backslash as well.
            (None, _) => rest.char_indices().nth(2).map_or(rest.len(), |(byte, _)| byte),
        };
        repaired.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    repaired.push_str(rest);
    repaired
}

/// The code unit of the `\uXXXX` that `text` starts with.
fn escaped_unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// The bodies that come out when `input` arrives in pieces of three bytes.
    fn check(input: &[u8], expected: Expect) {
        let (mut frames, mut buffer, mut bodies) =
            (Frames::default(), BytesMut::new(), String::new());
        let mut take = |frame: Option<Bytes>| {
            let Some(frame) = frame else { return false };
            let text = String::from_utf8(frame.to_vec()).unwrap();
            let (header, body) = text.split_once("\r\n\r\n").unwrap();
            assert_eq!(header, format!("Content-Length: {}", body.len()));
            serde_json::from_str::<serde_json::Value>(body).unwrap();
            bodies.push_str(body);
            bodies.push('\n');
            true
        };
        for piece in input.chunks(3) {
            buffer.extend_from_slice(piece);
            while take(frames.decode(&mut buffer).unwrap()) {}
        }
        while take(frames.decode_eof(&mut buffer).unwrap()) {}
        expected.assert_eq(&bodies);
    }

    fn framed(bodies: &[&str]) -> Vec<u8> {
        let frame = |body: &&str| format!("Content-Length: {}\r\n\r\n{body}", body.len());
        bodies.iter().map(frame).collect::<String>().into_bytes()
    }

    #[test]
    fn half_a_surrogate_pair_becomes_the_replacement_character() {
        check(
            &framed(&[
                r#"{"jsonrpc":"2.0","method":"a","params":"\ud83e\udd80 \ud83e \udd80\uD83E"}"#,
                r#"{"jsonrpc":"2.0","method":"b","params":"\\ud83e \\\ud83e\u00e9"}"#,
            ]),
            expect![[r#"
                {"jsonrpc":"2.0","method":"a","params":"\ud83e\udd80 � ��"}
                {"jsonrpc":"2.0","method":"b","params":"\\ud83e \\�\u00e9"}
            "#]],
        );
    }

    #[test]
    fn what_is_not_json_rpc_is_dropped_and_the_next_message_arrives() {
        check(
            &framed(&[
                r#"{"jsonrpc":"2.0","method":"#,
                r#"{"jsonrpc":"1.0","method":"a"}"#,
                r#"[{"jsonrpc":"2.0","method":"a"}]"#,
                r#"{"jsonrpc":"2.0","id":{},"method":"a"}"#,
                r#"{"jsonrpc":"2.0","id":1,"result":null}"#,
                r#"{"jsonrpc":"2.0","method":"a"}"#,
            ]),
            expect![[r#"
                {"jsonrpc":"2.0","id":1,"result":null}
                {"jsonrpc":"2.0","method":"a"}
            "#]],
        );
    }

    #[test]
    fn a_length_that_nobody_sends_takes_no_memory() {
        let body = r#"{"jsonrpc":"2.0","method":"a"}"#;
        for length in [usize::MAX, LARGEST + 1] {
            let mut input = format!("Content-Length: {length}\r\n\r\n").into_bytes();
            input.extend(std::iter::repeat_n(b'x', 3 * LARGEST_HEADER));
            input.extend(framed(&[body]));
            check(
                &input,
                expect![[r#"
                {"jsonrpc":"2.0","method":"a"}
            "#]],
            );
        }
    }

    #[test]
    fn what_was_never_sent_takes_no_room() {
        let mut frames = Frames::default();
        let mut buffer = BytesMut::from(format!("Content-Length: {LARGEST}\r\n\r\n{{").as_bytes());
        assert_eq!(frames.decode(&mut buffer).unwrap(), None);
        assert!(buffer.capacity() < 4 * ROOM, "{}", buffer.capacity());
    }

    #[test]
    fn other_headers_and_garbage_do_no_harm() {
        let body = r#"{"jsonrpc":"2.0","method":"a"}"#;
        let mut input = b"noise\r\n\r\n".to_vec();
        input.extend(
            format!(
                "A: b\r\ncontent-length: {}\r\nContent-Type: x\r\nB: c\r\n\r\n{body}",
                body.len()
            )
            .into_bytes(),
        );
        input.extend(b"Content-Length: 7\r\n\r\n{\"json");
        check(
            &input,
            expect![[r#"
                {"jsonrpc":"2.0","method":"a"}
            "#]],
        );
    }

    #[test]
    fn bytes_that_are_not_utf8_are_replaced() {
        let body = b"{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"params\":\"\xff\"}";
        let input = [format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat();
        check(
            &input,
            expect![[r#"
                {"jsonrpc":"2.0","method":"a","params":"�"}
            "#]],
        );
    }
}
