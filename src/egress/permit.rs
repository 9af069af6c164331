//! The right to send one text to one place.
//!
//! A permit owns the text that was cleared. Only [`Examined::seal`](super::Examined::seal) makes
//! one; it cannot be cloned, read from a file or put together.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value as Json;
use url::Url;

use super::{
    Border, Destination, Manifest, Refusal, Restorer, Role, Tool, ToolCall,
    audit::{self, Decision},
    border,
};

/// A part of a turn, cleared.
#[derive(Clone, PartialEq)]
pub enum Cleared {
    Text(String),
    Call(ToolCall),
    Outcome { call_id: String, text: String },
}

/// A turn of the conversation, cleared.
#[derive(Clone, PartialEq)]
pub struct ClearedTurn {
    pub role: Role,
    pub contents: Vec<Cleared>,
}

/// The one thing a cloud provider sends from. Good for one request and for sending the same bytes
/// again to the same host after a 429 or a dropped connection, each time with its line in the log.
pub struct Permit {
    pub(super) border: Border,
    pub(super) destination: Destination,
    pub(super) system: String,
    pub(super) turns: Vec<ClearedTurn>,
    pub(super) tools: Vec<Tool>,
    pub(super) answer_schema: Option<Json>,
    pub(super) max_output_tokens: usize,
    pub(super) manifest: Manifest,
    pub(super) restorer: Restorer,
    /// Whether the text has left: then each further time is written down as well.
    pub(super) left: AtomicBool,
}

impl Permit {
    /// Fills in the manifest's figures and tools from what this permit owns.
    pub(super) fn measure(&mut self, count: &dyn Fn(&str) -> usize) {
        let mut texts = vec![self.system.clone()];
        for content in self.turns.iter().flat_map(|turn| &turn.contents) {
            texts.push(match content {
                Cleared::Text(text) | Cleared::Outcome { text, .. } => text.clone(),
                Cleared::Call(call) => call.input.to_string(),
            });
        }
        for tool in &self.tools {
            texts.push(format!("{}{}{}", tool.name, tool.description, tool.input_schema));
        }
        texts.extend(self.answer_schema.as_ref().map(Json::to_string));
        self.manifest.bytes = texts.iter().map(String::len).sum();
        self.manifest.tokens = texts.iter().map(|text| count(text)).sum();
        self.manifest.max_output_tokens = self.max_output_tokens;
        self.manifest.tools = self.tools.iter().map(|tool| tool.name).collect();
        self.manifest.cost = self.destination.price().map(|price| {
            let (input, output) = (self.manifest.tokens as f64, self.max_output_tokens as f64);
            (input * price.input + output * price.output) / 1e6
        });
    }

    /// The one place that this text may go to.
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// Fails unless `url` has the destination's scheme, host and port; the refusal is in the audit
    /// log then. A provider asks before it connects, and before it follows a redirect.
    pub fn check(&self, url: &Url) -> Result<(), Refusal> {
        if self.destination.covers(url) {
            return Ok(());
        }
        let refusal = Refusal::OtherHost {
            permitted: self.destination.host(),
            asked: url.origin().ascii_serialization(),
        };
        self.record(Decision::Refused, refusal.word())?;
        Err(refusal)
    }

    /// A provider says so before each time that it sends the text. The first has its line in the audit
    /// log since the permit was made, a further one gets its own here; without a line nothing is sent.
    pub async fn leaves(&self) -> Result<(), Refusal> {
        if !self.left.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let (border, manifest) = (self.border.clone(), self.manifest.clone());
        border::blocking(move || record(&border, &manifest, Decision::Sent, "again")).await
    }

    /// Whether a provider has begun to send it.
    pub fn has_left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }

    pub(super) fn record(&self, decision: Decision, reason: &str) -> Result<(), Refusal> {
        record(&self.border, &self.manifest, decision, reason)
    }

    pub fn model(&self) -> &str {
        self.destination.model()
    }

    pub fn system(&self) -> &str {
        &self.system
    }

    pub fn turns(&self) -> &[ClearedTurn] {
        &self.turns
    }

    pub fn tools(&self) -> &[Tool] {
        &self.tools
    }

    pub fn answer_schema(&self) -> Option<&Json> {
        self.answer_schema.as_ref()
    }

    pub fn max_output_tokens(&self) -> usize {
        self.max_output_tokens
    }

    /// Puts the secrets that were replaced back into the answer. One for each answer: it keeps the
    /// end of a chunk until the next one.
    pub fn restorer(&self) -> Restorer {
        self.restorer.clone()
    }

    /// What was shown to the user.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }
}

fn record(
    border: &Border,
    manifest: &Manifest,
    decision: Decision,
    reason: &str,
) -> Result<(), Refusal> {
    border.record(&audit::Request {
        destination: &manifest.destination,
        model: &manifest.model,
        manifest: Some(manifest),
        decision,
        reason,
    })
}

impl std::fmt::Debug for Permit {
    /// Without the text, so that none reaches a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Permit")
            .field("destination", &self.destination.host())
            .field("model", &self.destination.model())
            .field("bytes", &self.manifest.bytes)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ClearedTurn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClearedTurn({:?}, {} parts)", self.role, self.contents.len())
    }
}

impl std::fmt::Debug for Cleared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Call(call) => write!(f, "Call({})", call.name),
            Self::Outcome { text, .. } => write!(f, "Outcome({} bytes)", text.len()),
        }
    }
}
