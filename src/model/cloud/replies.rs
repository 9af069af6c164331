//! One answer of a cloud: bytes from a socket to replies with the secrets back in.
//!
//! A stream that ends before the service said that it ended is broken: half an answer passes for
//! none.

use std::{collections::VecDeque, time::Duration};

use futures::{StreamExt, stream};
use reqwest::Response;
use serde_json::Value as Json;

use super::{
    super::{
        ModelError, Patience,
        http::root,
        sse::Sse,
        stream::{MAX_MESSAGE, Split},
    },
    Bill, CloudError, Ending, Replies, Reply,
    bill::CacheRates,
};
use crate::egress::{Price, Restorer, ToolCall};

/// Reads one service's messages.
pub(super) trait Wire: Send {
    /// What cached tokens cost there.
    const RATES: CacheRates;

    /// Takes one message in; adds what it says.
    fn read(&mut self, message: &[u8], said: &mut Vec<Said>) -> Result<(), Fault>;

    /// What was used, and why it ended; `None` where the service did not say.
    fn end(&mut self) -> Option<End>;
}

/// What a message says.
#[derive(Debug)]
pub(super) enum Said {
    Text(String),
    /// A whole call; its input as the model wrote it.
    Call {
        id: String,
        name: String,
        input: String,
    },
    /// Nothing follows.
    Over,
}

#[derive(Debug)]
pub(super) struct End {
    pub(super) used: Bill,
    pub(super) ending: Ending,
    /// US dollars, where the service says what it charged.
    pub(super) charged: Option<f64>,
}

/// What is wrong with a message.
#[derive(Debug)]
pub(super) enum Fault {
    Malformed(serde_json::Error),
    /// The service gave up; the status that it would have answered with.
    Failed {
        status: u16,
        detail: String,
    },
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::Malformed(error)
    }
}

/// The replies of an accepted request.
pub(super) fn read<W: Wire + 'static>(
    response: Response,
    wire: W,
    restorer: Restorer,
    price: Option<Price>,
    endpoint: String,
    patience: Patience,
) -> Replies {
    let running = Running {
        response,
        split: Sse::new(MAX_MESSAGE),
        wire,
        restorer,
        price,
        endpoint,
        patience,
        begun: false,
        over: false,
        ready: VecDeque::new(),
    };
    stream::unfold(running, |mut running| async move {
        let reply = running.next().await?;
        Some((reply, running))
    })
    .boxed()
}

struct Running<W> {
    response: Response,
    split: Sse,
    wire: W,
    restorer: Restorer,
    price: Option<Price>,
    endpoint: String,
    patience: Patience,
    begun: bool,
    over: bool,
    ready: VecDeque<Result<Reply, CloudError>>,
}

impl<W: Wire> Running<W> {
    async fn next(&mut self) -> Option<Result<Reply, CloudError>> {
        loop {
            if let Some(reply) = self.ready.pop_front() {
                return Some(reply);
            }
            if self.over {
                return None;
            }
            if let Err(error) = self.more().await {
                self.over = true;
                self.ready.push_back(Err(error));
            }
        }
    }

    async fn more(&mut self) -> Result<(), CloudError> {
        let waited = if self.begun { self.patience.idle } else { self.patience.first_byte };
        let chunk = tokio::time::timeout(waited, self.response.chunk()).await;
        self.begun = true;
        match chunk {
            Err(_) => Err(self.silent(waited).into()),
            Ok(Err(error)) => Err(self.broken(root(&error)).into()),
            Ok(Ok(None)) => self.finish(),
            Ok(Ok(Some(chunk))) => {
                self.split.push(&chunk);
                while !self.over {
                    let message = self
                        .split
                        .next_message()
                        .map_err(|oversized| self.malformed("a stream of JSON", &oversized))?;
                    let Some(message) = message else { break };
                    self.take(&message)?;
                }
                Ok(())
            }
        }
    }

    fn take(&mut self, message: &[u8]) -> Result<(), CloudError> {
        let mut said = Vec::new();
        self.wire.read(message, &mut said).map_err(|fault| match fault {
            Fault::Malformed(error) => self.malformed("a stream of JSON", &error).into(),
            Fault::Failed { status, detail } => {
                let endpoint = self.endpoint.clone();
                CloudError::Busy { endpoint, status, detail, wait: None }
            }
        })?;
        for said in said {
            match said {
                Said::Text(text) => {
                    let text = self.restorer.push(&text);
                    self.text(text);
                }
                Said::Call { id, name, input } => {
                    let input = if input.trim().is_empty() { "{}" } else { &input };
                    let input: Json = serde_json::from_str(input)
                        .map_err(|error| self.malformed("a tool call in JSON", &error))?;
                    let input = self.restorer.restore_json(&input);
                    self.ready.push_back(Ok(Reply::Call(ToolCall { id, name, input })));
                }
                Said::Over => return self.finish(),
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), CloudError> {
        let Some(End { used, ending, charged }) = self.wire.end() else {
            return Err(self.broken("it ended before the answer did".to_owned()).into());
        };
        let held = self.restorer.finish();
        self.text(held);
        let bill = used.priced(charged, self.price, W::RATES);
        self.ready.push_back(Ok(Reply::Done(bill, ending)));
        self.over = true;
        Ok(())
    }

    fn text(&mut self, text: String) {
        if !text.is_empty() {
            self.ready.push_back(Ok(Reply::Text(text)));
        }
    }

    fn silent(&self, waited: Duration) -> ModelError {
        ModelError::Silent { endpoint: self.endpoint.clone(), waited }
    }

    fn broken(&self, detail: String) -> ModelError {
        ModelError::BrokenStream { endpoint: self.endpoint.clone(), detail }
    }

    fn malformed(&self, expected: &'static str, detail: &impl ToString) -> ModelError {
        let endpoint = self.endpoint.clone();
        ModelError::Malformed { endpoint, expected, detail: detail.to_string() }
    }
}
