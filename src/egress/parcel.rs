//! What a task would like to send, and where to.
//!
//! Text gets in here as pieces that know their origin, as words that the user wrote, as what the
//! model itself said before, or as text that is compiled into Hearth. There is no other way in.

use std::net::IpAddr;

use serde::Serialize;
use url::{Host, Url};

use super::{Piece, Refusal};

/// A request that has not been examined.
#[derive(Debug, Clone)]
pub struct Parcel {
    pub destination: Destination,
    /// The system prompt. Compiled in, so that nothing of the workspace is in it.
    pub system: &'static str,
    /// The conversation, oldest first.
    pub turns: Vec<Turn>,
    /// What the model may call.
    pub tools: Vec<Tool>,
    /// JSON Schema that the answer has to follow.
    pub answer_schema: Option<serde_json::Value>,
    /// The most that the answer may be, in tokens; the cost is estimated with it.
    pub max_output_tokens: usize,
    /// The user said that this task stays at home (`--private`).
    pub private: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    User,
    Assistant,
}

/// One turn of a conversation.
#[derive(Debug, Clone)]
pub struct Turn {
    pub role: Role,
    pub contents: Vec<Content>,
}

/// A part of a turn.
#[derive(Clone)]
pub enum Content {
    /// Text that is compiled in: headings, what is asked.
    Framing(&'static str),
    /// What the user wrote: a question, an instruction.
    Words(String),
    /// Text of the workspace.
    Piece(Piece),
    /// What the model answered in an earlier turn.
    Said(String),
    /// A call that the model made in an earlier turn.
    Call(ToolCall),
    /// What a call brought: pieces, and words that are compiled in ("no such symbol").
    Outcome { call_id: String, note: &'static str, pieces: Vec<Piece> },
}

impl std::fmt::Debug for Content {
    /// Without text, so that none reaches a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Framing(text) => write!(f, "Framing({} bytes)", text.len()),
            Self::Words(text) => write!(f, "Words({} bytes)", text.len()),
            Self::Piece(piece) => piece.fmt(f),
            Self::Said(text) => write!(f, "Said({} bytes)", text.len()),
            Self::Call(call) => write!(f, "Call({})", call.name),
            Self::Outcome { pieces, .. } => write!(f, "Outcome({pieces:?})"),
        }
    }
}

/// A call as the model made it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ToolCall {
    pub id: String,
    pub name: String,
    pub input: serde_json::Value,
}

/// Something the model may call.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tool {
    pub name: &'static str,
    pub description: &'static str,
    /// JSON Schema of the input.
    pub input_schema: serde_json::Value,
}

/// US dollars for a million tokens, as the cloud's price list has them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Price {
    pub input: f64,
    pub output: f64,
}

/// Where a request goes: a base URL and a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Destination {
    endpoint: Url,
    model: String,
    price: Option<Price>,
}

impl Destination {
    /// Only `https`, but for a loopback address, which plain `http` may reach. Credentials, query
    /// and fragment of the URL are refused: a key belongs into a header.
    pub fn new(endpoint: &Url, model: &str) -> Result<Self, Refusal> {
        let loopback = match endpoint.host() {
            Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
            Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
            Some(Host::Domain(_)) | None => false,
        };
        let secure = endpoint.scheme() == "https" || (endpoint.scheme() == "http" && loopback);
        let bare = endpoint.username().is_empty()
            && endpoint.password().is_none()
            && endpoint.query().is_none()
            && endpoint.fragment().is_none();
        if secure && bare && endpoint.has_host() && !model.is_empty() {
            Ok(Self { endpoint: endpoint.clone(), model: model.to_owned(), price: None })
        } else {
            Err(Refusal::Destination)
        }
    }

    #[must_use]
    pub fn with_price(mut self, price: Price) -> Self {
        self.price = Some(price);
        self
    }

    /// The base URL, without credentials.
    pub fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    pub fn model(&self) -> &str {
        &self.model
    }

    pub fn price(&self) -> Option<Price> {
        self.price
    }

    /// Scheme, host and port: what consent is given for.
    pub fn host(&self) -> String {
        self.endpoint.origin().ascii_serialization()
    }

    /// Whether `url` has the same scheme, host and port.
    pub fn covers(&self, url: &Url) -> bool {
        self.endpoint.origin() == url.origin()
    }
}
