//! How a model is asked: templates, token counts, wire formats, a file a provider.
//!
//! Everything here speaks to model servers on this machine and on the private network, or to the
//! engine in this process, but for [`cloud`], which takes a permit. It never sees an LSP type or a
//! task, and never decides *which* model answers: that is `route`.

pub mod budget;
pub mod built_in;
pub mod cloud;
pub mod control;
mod count;
mod embedding;
mod filter;
pub mod fim;
pub mod http;
mod llama_server;
mod ndjson;
mod ollama;
mod openai;
mod refusal;
mod render;
mod segment;
mod sse;
mod stream;
mod tier;

use std::{fmt, sync::Arc, time::Duration};

use futures::{future::BoxFuture, stream::BoxStream};
use serde::Serialize;

pub use budget::{Budget, Form, Prompt};
pub use built_in::BuiltIn;
pub use count::TokenCounter;
pub use http::{Client, Endpoint, Patience};
pub use llama_server::LlamaServer;
pub use ollama::Ollama;
pub use openai::OpenAi;
pub use segment::Segment;
pub use tier::Tier;

/// The ways in which Hearth asks a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Ollama's native API.
    Ollama,
    /// llama.cpp's own server.
    LlamaServer,
    /// Any server with `/v1/completions`: LM Studio, vLLM, …
    #[serde(rename = "openai")]
    OpenAi,
    /// No server: the engine in this process.
    BuiltIn,
}

impl fmt::Display for Kind {
    /// As the settings spell it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ollama => "ollama",
            Self::LlamaServer => "llama-server",
            Self::OpenAi => "openai",
            Self::BuiltIn => "built-in",
        })
    }
}

/// What a server says of one model.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ModelFacts {
    /// The name that requests carry.
    pub name: String,
    /// The file it was loaded from, where the server says: a name may be an alias.
    pub file: Option<String>,
    /// Whether it is in memory now; `None` where the server does not say.
    pub loaded: Option<bool>,
    /// Tokens of the loaded context (one slot's), prompt and output together.
    pub context: Option<usize>,
    /// Tokens of context the model was trained for.
    pub trained_context: Option<usize>,
    /// Weights, in parameters.
    pub parameters: Option<u64>,
    /// `Q4_K_M`, `Q8_0`, …
    pub quantization: Option<String>,
    /// `qwen2`, `llama`, …
    pub architecture: Option<String>,
    /// The server says that it fills in the middle; `None` where it does not say.
    pub inserts: Option<bool>,
    /// The chat or prompt template, where the server shows it.
    pub template: Option<String>,
    /// The server only relays this model: text sent to it leaves the machine.
    pub relayed: bool,
    /// What is known of how a model in this process may be used; `None` of a server's.
    pub card: Option<Card>,
}

/// What a model file says of its own worth, from the metadata that Hearth's training writes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Card {
    /// `hearth.layout_version`: the prompt layout it was trained on.
    pub layout_version: Option<u64>,
    /// `hearth.show_above`: a completion is shown unasked when the probability that the model gives it,
    /// all of its tokens together, is at least this. Chosen on held-out data so that half of what is
    /// shown is kept.
    pub show_above: f32,
    /// `hearth.ghost_text`, `true` where the file does not say: it beats simple baselines, so it is
    /// worth being shown unasked.
    pub ghost_text: bool,
    /// The user chose this file; else it came with Hearth.
    pub chosen: bool,
}

/// What one look at a server found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sighting {
    pub kind: Kind,
    /// As the server calls itself.
    pub version: Option<String>,
    /// Requests it can work on at once; `None` where it does not say.
    pub slots: Option<usize>,
    /// Those that write text; a server's embedding models are left out.
    pub models: Vec<ModelFacts>,
}

/// One generation to be made.
#[derive(Debug, Clone)]
pub struct Job {
    pub model: String,
    pub prompt: Arc<Prompt>,
    /// 0 is greedy.
    pub temperature: f32,
    /// At most four.
    pub stop: Vec<String>,
    /// Context window in tokens to load the model with (Ollama); the same for every role, as a
    /// different value makes the server load the model again.
    pub num_ctx: usize,
    /// How long the server keeps the model in memory afterwards, in Ollama's notation (`30m`).
    pub keep_alive: String,
    /// The server's slot to run in, where it has slots.
    pub slot: Option<usize>,
}

/// A piece of a running generation.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Before a text, where the server says it: how likely the model found it, the natural logarithm
    /// of the probability that it gave to all of its tokens together.
    Odds(f32),
    /// How much of the prompt the server has to evaluate, where it says so before it starts: the
    /// prompt's tokens, and those of them that it has in its cache.
    Evaluating { tokens: usize, cached: usize },
    /// More text. Never contains a stop string or a control token.
    Text(String),
    /// The last event of a generation that ended by itself.
    Done(Usage),
}

/// Why a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// End of text or a stop string.
    Complete,
    /// The output limit.
    Limit,
    /// The server closed the stream without saying why.
    Unsaid,
}

/// What a generation cost, as far as the server said.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Usage {
    /// Tokens of the prompt as the server counted them, cached ones included.
    pub prompt_tokens: Option<usize>,
    /// Those of them that it did not have to evaluate.
    pub cached_tokens: Option<usize>,
    pub output_tokens: Option<usize>,
    pub stop: Stop,
    /// How sure the model was: the probability it gave to all of its output together, 0 to 1.
    pub confidence: Option<f32>,
}

impl Usage {
    /// Nothing is known but why it ended.
    pub const fn unknown(stop: Stop) -> Self {
        Self {
            prompt_tokens: None,
            cached_tokens: None,
            output_tokens: None,
            stop,
            confidence: None,
        }
    }
}

/// Text as it is generated. Dropping it closes the connection, which stops the model; reading it to
/// its end, past [`Event::Done`], leaves the connection to the next request.
pub type Events = BoxStream<'static, Result<Event, ModelError>>;

/// The provider that speaks `kind` with the server at `endpoint`. Connects to nothing.
pub fn provider(kind: Kind, endpoint: Endpoint) -> Arc<dyn Provider> {
    match kind {
        Kind::Ollama => Arc::new(Ollama::new(endpoint)),
        Kind::LlamaServer => Arc::new(LlamaServer::new(endpoint)),
        Kind::OpenAi => Arc::new(OpenAi::new(endpoint)),
        // The one that has no server.
        Kind::BuiltIn => Arc::new(BuiltIn::recorded()),
    }
}

/// A model server, or the model in the box.
pub trait Provider: Send + Sync + fmt::Debug {
    fn kind(&self) -> Kind;

    /// Where it is, for people: a URL without credentials.
    fn endpoint(&self) -> &str;

    /// Asks the server what it is and which models it has. Must not load a model or reset an idle timer.
    fn look(&self) -> BoxFuture<'_, Result<Sighting, ModelError>>;

    /// Loads `model` and keeps it loaded.
    fn preload(
        &self,
        model: &str,
        num_ctx: usize,
        keep_alive: &str,
    ) -> BoxFuture<'_, Result<(), ModelError>>;

    /// Starts a generation; the answer is the stream once the server has accepted the request.
    fn generate(&self, job: Job) -> BoxFuture<'_, Result<Events, ModelError>>;

    /// How many tokens `text` is, none of them control tokens; `None` where the server cannot count.
    fn count(&self, model: &str, text: &str) -> BoxFuture<'_, Result<Option<usize>, ModelError>>;

    /// Another model answers from now on: gives back what this process holds for this one. What a
    /// server holds is the server's affair.
    fn release(&self) {}
}

/// Why a model did not answer. Each message says what was wrong and, where one can, what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    #[error("no model server answers at {endpoint}: {detail}")]
    Unreachable { endpoint: String, detail: String },
    #[error("the server at {endpoint} does not have the model '{model}': {detail}")]
    NoModel { endpoint: String, model: String, detail: String },
    #[error("the server at {endpoint} is loading its model")]
    Loading { endpoint: String },
    #[error("the server at {endpoint} is busy: {detail}")]
    Busy { endpoint: String, detail: String },
    #[error("the prompt{} is larger than the context{} at {endpoint}", of(*prompt_tokens), of(*context))]
    TooLong { endpoint: String, prompt_tokens: Option<usize>, context: Option<usize> },
    #[error("the server at {endpoint} refused: {status} {detail}")]
    Refused { endpoint: String, status: u16, detail: String },
    #[error("the server at {endpoint} sent something that is not {expected}: {detail}")]
    Malformed { endpoint: String, expected: &'static str, detail: String },
    #[error("the stream from {endpoint} broke off: {detail}")]
    BrokenStream { endpoint: String, detail: String },
    #[error("the server at {endpoint} sent nothing for {} s", waited.as_secs_f32())]
    Silent { endpoint: String, waited: Duration },
    #[error(
        "the model '{model}' at {endpoint} runs elsewhere; Hearth sends code to this machine only"
    )]
    Relayed { endpoint: String, model: String },
    #[error(
        "{endpoint} is not on this machine; Hearth sends code to loopback addresses, to \
         router.private_hosts and, behind the border, to router.cloud only"
    )]
    NotLocal { endpoint: String },
    #[error("the built-in model {model} cannot be used: {detail}")]
    BuiltIn { model: String, detail: String },
}

impl ModelError {
    /// Whether the server is at fault or out of reach, so that another one may do better.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::NoModel { .. }
            | Self::Loading { .. }
            | Self::Busy { .. }
            | Self::Malformed { .. }
            | Self::BrokenStream { .. }
            | Self::Silent { .. }
            | Self::BuiltIn { .. } => true,
            Self::Refused { status, .. } => *status >= 500 || matches!(status, 401 | 403 | 404),
            Self::TooLong { .. } | Self::Relayed { .. } | Self::NotLocal { .. } => false,
        }
    }

    /// The same for a log: without a server's own words, which may quote what it was sent.
    #[must_use]
    pub fn unquoted(&self) -> Self {
        let mut error = self.clone();
        if let Self::NoModel { detail, .. }
        | Self::Busy { detail, .. }
        | Self::Refused { detail, .. }
        | Self::Malformed { detail, .. }
        | Self::BrokenStream { detail, .. } = &mut error
        {
            "…".clone_into(detail);
        }
        error
    }
}

fn of(tokens: Option<usize>) -> String {
    tokens.map(|tokens| format!(" of {tokens} tokens")).unwrap_or_default()
}
