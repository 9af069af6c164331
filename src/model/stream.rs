//! One running generation: bytes from a socket to events that may be seen.
//!
//! Bytes are split into messages ([`Split`]), messages are read by the server's format ([`Wire`]),
//! text goes through the [`Filter`]. Dropping the stream drops the connection with it.

use std::{collections::VecDeque, time::Duration};

use futures::{StreamExt, stream};

use super::{Event, Events, ModelError, Stop, Usage, filter::Filter, http::Body};

/// The largest message that is read. The longest honest one is the last event of an old
/// llama-server, which repeats the prompt.
pub(super) const MAX_MESSAGE: usize = 4 << 20;

/// How long the end of a response may take to follow its last message. Both are written at once.
const ENDING: Duration = Duration::from_millis(20);

/// A message grew beyond the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message of more than {limit} bytes")]
pub(super) struct Oversized {
    pub(super) limit: usize,
}

/// Cuts a byte stream into messages.
pub(super) trait Split: Send {
    fn push(&mut self, chunk: &[u8]);

    fn next_message(&mut self) -> Result<Option<Vec<u8>>, Oversized>;

    /// What is left at the end of the stream: a message without its end, or half of one.
    fn rest(&mut self) -> Option<Vec<u8>>;
}

/// Reads one server's messages.
pub(super) trait Wire: Send {
    fn read(&mut self, message: &[u8]) -> Result<Step, Fault>;

    /// What is known when the stream ends without saying so.
    fn unsaid(&self) -> Usage {
        Usage::unknown(Stop::Unsaid)
    }
}

/// What one message says.
#[derive(Debug)]
pub(super) enum Step {
    /// Progress without text is empty text.
    Text(String),
    /// Text, and the natural logarithm of the probability of its tokens.
    Likely(String, f32),
    /// Tokens of the prompt, and those of them that are cached.
    Evaluating(usize, usize),
    /// The last text and what it cost.
    Done(String, Usage),
}

/// What is wrong with a message.
#[derive(Debug)]
pub(super) enum Fault {
    /// It is not what the format says.
    Malformed(serde_json::Error),
    /// The server says that it failed: the whole message, as in the body of a refusal.
    Failed(Vec<u8>),
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::Malformed(error)
    }
}

/// The events of a generation.
pub(super) fn events(
    body: Body,
    split: impl Split + 'static,
    wire: impl Wire + 'static,
    filter: Filter,
) -> Events {
    let running = Running {
        body,
        split,
        wire,
        filter,
        ready: VecDeque::new(),
        odds: None,
        over: false,
        complete: false,
    };
    stream::unfold(running, |mut running| async move {
        let event = running.next().await?;
        Some((event, running))
    })
    .boxed()
}

struct Running<S, W> {
    body: Body,
    split: S,
    wire: W,
    filter: Filter,
    ready: VecDeque<Result<Event, ModelError>>,
    /// Of the text that the filter holds.
    odds: Option<f32>,
    over: bool,
    /// The server has said its last message: nothing but the end of the response follows.
    complete: bool,
}

impl<S: Split, W: Wire> Running<S, W> {
    async fn next(&mut self) -> Option<Result<Event, ModelError>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.over {
                self.keep_connection().await;
                return None;
            }
            match self.body.chunk().await {
                Ok(Some(chunk)) => {
                    self.split.push(&chunk);
                    self.read_messages();
                }
                Ok(None) => self.end(),
                Err(error) => self.fail(error),
            }
        }
    }

    /// Reads to the very end of the response, which leaves the connection to the next request.
    async fn keep_connection(&mut self) {
        if std::mem::take(&mut self.complete) {
            let end = async { while let Ok(Some(_)) = self.body.chunk().await {} };
            let _ = tokio::time::timeout(ENDING, end).await;
        }
    }

    fn read_messages(&mut self) {
        while !self.over {
            match self.split.next_message() {
                Ok(Some(message)) => self.read(&message, true),
                Ok(None) => return,
                Err(oversized) => {
                    let error = self.body.endpoint().malformed("a stream of JSON", &oversized);
                    self.fail(error);
                }
            }
        }
    }

    /// Reads a message; one that is not `whole` may be cut off.
    fn read(&mut self, message: &[u8], whole: bool) {
        match self.wire.read(message) {
            Ok(Step::Text(text)) => self.show(&text),
            Ok(Step::Likely(text, logprob)) => {
                *self.odds.get_or_insert_default() += logprob;
                self.show(&text);
            }
            Ok(Step::Evaluating(tokens, cached)) if !self.over => {
                self.ready.push_back(Ok(Event::Evaluating { tokens, cached }));
            }
            Ok(Step::Evaluating(..)) => {}
            Ok(Step::Done(text, usage)) => {
                self.show(&text);
                self.complete = !self.over;
                self.finish(usage);
            }
            Err(Fault::Malformed(error)) if whole => {
                let error = self.body.endpoint().malformed("a stream of JSON", &error);
                self.fail(error);
            }
            Err(Fault::Malformed(_)) => {
                let error = self.body.endpoint().broken("it ends in the middle of a message");
                self.fail(error);
            }
            Err(Fault::Failed(body)) => {
                let error = self.body.failed(&body);
                self.fail(error);
            }
        }
    }

    fn show(&mut self, text: &str) {
        if self.over || text.is_empty() {
            return;
        }
        let passed = self.filter.push(text);
        self.queue(passed.text);
        if passed.ended {
            let usage = Usage { stop: Stop::Complete, ..self.wire.unsaid() };
            self.finish(usage);
        }
    }

    fn finish(&mut self, usage: Usage) {
        if !self.over {
            let held = self.filter.finish();
            self.queue(held);
            self.ready.push_back(Ok(Event::Done(usage)));
            self.over = true;
        }
    }

    fn end(&mut self) {
        if let Some(rest) = self.split.rest() {
            self.read(&rest, false);
        }
        self.finish(self.wire.unsaid());
    }

    fn fail(&mut self, error: ModelError) {
        self.ready.push_back(Err(error));
        self.over = true;
    }

    fn queue(&mut self, text: String) {
        if !text.is_empty() {
            self.ready.extend(self.odds.take().map(|odds| Ok(Event::Odds(odds))));
            self.ready.push_back(Ok(Event::Text(text)));
        }
    }
}

/// Cuts bytes at places that a test drew.
#[cfg(test)]
pub(super) fn pieces<'a>(bytes: &'a [u8], cuts: &[proptest::sample::Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect()
}

/// All messages that a splitter finds in chunks.
#[cfg(test)]
pub(super) fn collect(mut split: impl Split, chunks: Vec<&[u8]>) -> Result<Vec<String>, Oversized> {
    let mut messages = Vec::new();
    for chunk in chunks {
        split.push(chunk);
        while let Some(message) = split.next_message()? {
            messages.push(message);
        }
    }
    messages.extend(split.rest());
    Ok(messages.into_iter().map(|message| String::from_utf8_lossy(&message).into_owned()).collect())
}
