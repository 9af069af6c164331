//! Servers that speak OpenAI's wire format: LM Studio, vLLM and others.
//!
//! Prompts go to `/v1/completions` in our own template, as `suffix` means something else or nothing
//! on each of them, or to `/v1/chat/completions`. LM Studio says more of its models in a list of
//! its own. Sources: OpenAI's API reference, vLLM's `protocol.py`, LM Studio's REST API v0.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::{FutureExt, future::BoxFuture};
use serde::{Deserialize, Serialize, de::IgnoredAny};

use super::{
    Endpoint, Events, Form, Job, Kind, ModelError, ModelFacts, Provider, Sighting, Stop, Usage,
    embedding::only_embeds,
    filter::Filter,
    http::Body,
    ollama::{self, Message, named_relayed},
    render,
    sse::Sse,
    stream::{Fault, MAX_MESSAGE, Step, Wire, events},
};

/// A server with `/v1/completions`.
#[derive(Debug)]
pub struct OpenAi {
    endpoint: Endpoint,
    /// It has refused to say how likely its tokens are.
    keeps_odds: AtomicBool,
    /// Models that run elsewhere: Ollama speaks this format too, and relays.
    relayed: Mutex<HashSet<String>>,
}

impl OpenAi {
    /// The server at `endpoint`, whose URL may end in `/v1` or not.
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint: endpoint.without("/v1"),
            keeps_odds: AtomicBool::new(false),
            relayed: Mutex::default(),
        }
    }

    async fn sight(&self) -> Result<Sighting, ModelError> {
        let listed: Listed = self.endpoint.get("/v1/models", "a list of models").await?;
        let more = self.endpoint.get::<Studio>("/api/v0/models", "LM Studio's list of models");
        let mut more: HashMap<String, StudioModel> = more
            .await
            .map(|list| list.data.into_iter().map(|model| (model.id.clone(), model)).collect())
            .unwrap_or_default();
        let relayed = ollama::relayed(&self.endpoint).await;
        self.relayed().extend(relayed);
        let models = listed.data.into_iter().filter_map(|model| {
            let studio = more.remove(&model.id).unwrap_or_default();
            let facts = ModelFacts {
                loaded: studio
                    .state
                    .map(|state| state == "loaded")
                    .or(model.max_model_len.is_some().then_some(true)),
                context: studio.loaded_context_length.or(model.max_model_len),
                trained_context: studio.max_context_length,
                quantization: studio.quantization,
                architecture: studio.arch,
                relayed: self.is_relayed(&model.id),
                name: model.id,
                ..ModelFacts::default()
            };
            // LM Studio says what a model is for.
            let embeds = studio.kind.map_or_else(|| only_embeds(&facts), |it| it == "embeddings");
            (!embeds).then_some(facts)
        });
        Ok(Sighting { kind: Kind::OpenAi, version: None, slots: None, models: models.collect() })
    }

    fn is_relayed(&self, model: &str) -> bool {
        named_relayed(model) || self.relayed().contains(model)
    }

    fn relayed(&self) -> MutexGuard<'_, HashSet<String>> {
        self.relayed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuse_relayed(&self, model: &str) -> Result<(), ModelError> {
        if self.is_relayed(model) {
            let endpoint = self.endpoint.as_str().to_owned();
            return Err(ModelError::Relayed { endpoint, model: model.to_owned() });
        }
        Ok(())
    }

    /// Asks for text; once more, and from then on, without the odds where it is them that a server
    /// refuses.
    async fn complete(&self, mut request: Completion<'_>, model: &str) -> Result<Body, ModelError> {
        let refused = match self.endpoint.stream("/v1/completions", &request, model).await {
            Err(error @ ModelError::Refused { status: 400 | 422, .. }) => error,
            answer => return answer,
        };
        if request.logprobs.take().is_none() {
            return Err(refused);
        }
        let body = self.endpoint.stream("/v1/completions", &request, model).await?;
        self.keeps_odds.store(true, Ordering::Relaxed);
        Ok(body)
    }

    async fn start(&self, job: Job) -> Result<Events, ModelError> {
        self.refuse_relayed(&job.model)?;
        let text = render::text(job.prompt.segments());
        match job.prompt.form() {
            Form::Raw => {
                let request = Completion {
                    model: &job.model,
                    prompt: &text.prompt,
                    max_tokens: job.prompt.output(),
                    temperature: job.temperature,
                    stop: &job.stop,
                    stream: true,
                    stream_options: Some(StreamOptions::default()),
                    logprobs: (!self.keeps_odds.load(Ordering::Relaxed)).then_some(1),
                };
                let body = self.complete(request, &job.model).await?;
                let filter = Filter::new(&job.stop, job.prompt.segments(), text.broken);
                Ok(events(body, Sse::new(MAX_MESSAGE), Chunks::default(), filter))
            }
            Form::Chat { system } => {
                let request = Chat::new(&job, system, &text.prompt);
                chat(&self.endpoint, &job, &request, text.broken).await
            }
        }
    }
}

impl Provider for OpenAi {
    fn kind(&self) -> Kind {
        Kind::OpenAi
    }

    fn endpoint(&self) -> &str {
        self.endpoint.as_str()
    }

    fn look(&self) -> BoxFuture<'_, Result<Sighting, ModelError>> {
        self.sight().boxed()
    }

    /// Generates one token: the format has no other way to have a model loaded.
    fn preload(
        &self,
        model: &str,
        _num_ctx: usize,
        _keep_alive: &str,
    ) -> BoxFuture<'_, Result<(), ModelError>> {
        let model = model.to_owned();
        async move {
            self.refuse_relayed(&model)?;
            let request = Completion {
                model: &model,
                prompt: " ",
                max_tokens: 1,
                temperature: 0.0,
                stop: &[],
                stream: false,
                stream_options: None,
                logprobs: None,
            };
            let loaded = self.endpoint.post("/v1/completions", &request, &model, "JSON");
            loaded.await.map(|_: IgnoredAny| ())
        }
        .boxed()
    }

    fn generate(&self, job: Job) -> BoxFuture<'_, Result<Events, ModelError>> {
        self.start(job).boxed()
    }

    fn count(&self, _model: &str, _text: &str) -> BoxFuture<'_, Result<Option<usize>, ModelError>> {
        async { Ok(None) }.boxed()
    }
}

/// Starts a chat at a server that has `/v1/chat/completions`.
pub(super) async fn chat(
    endpoint: &Endpoint,
    job: &Job,
    request: &Chat<'_>,
    broken: bool,
) -> Result<Events, ModelError> {
    let body = endpoint.stream("/v1/chat/completions", request, &job.model).await?;
    let filter = Filter::new(&job.stop, job.prompt.segments(), broken);
    Ok(events(body, Sse::new(MAX_MESSAGE), Chunks::default(), filter))
}

#[derive(Serialize)]
struct Completion<'a> {
    model: &'a str,
    prompt: &'a str,
    max_tokens: usize,
    temperature: f32,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop: &'a [String],
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    /// How likely each token was, beside this many others.
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<usize>,
}

/// A chat's request.
#[derive(Serialize)]
pub(super) struct Chat<'a> {
    model: &'a str,
    messages: [Message<'a>; 2],
    max_tokens: usize,
    temperature: f32,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop: &'a [String],
    stream: bool,
    stream_options: StreamOptions,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<ResponseFormat<'a>>,
    #[serde(flatten)]
    own: Option<LlamaServers>,
}

impl<'a> Chat<'a> {
    pub(super) fn new(job: &'a Job, system: &'a str, user: &'a str) -> Self {
        Self {
            model: &job.model,
            messages: [
                Message { role: "system", content: system },
                Message { role: "user", content: user },
            ],
            max_tokens: job.prompt.output(),
            temperature: job.temperature,
            stop: &job.stop,
            stream: true,
            stream_options: StreamOptions::default(),
            response_format: job.prompt.schema().map(|schema| ResponseFormat::JsonSchema {
                json_schema: NamedSchema { name: "answer", schema },
            }),
            own: None,
        }
    }

    /// With the fields that llama-server alone knows.
    pub(super) fn at_llama_server(mut self, slot: Option<usize>) -> Self {
        self.own = Some(LlamaServers {
            cache_prompt: true,
            return_progress: true,
            id_slot: slot,
            chat_template_kwargs: NoThinking { enable_thinking: false },
        });
        self
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ResponseFormat<'a> {
    JsonSchema { json_schema: NamedSchema<'a> },
}

#[derive(Serialize)]
struct NamedSchema<'a> {
    name: &'static str,
    schema: &'a serde_json::Value,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self { include_usage: true }
    }
}

/// As in its `/completion`.
#[derive(Serialize)]
struct LlamaServers {
    cache_prompt: bool,
    return_progress: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_slot: Option<usize>,
    chat_template_kwargs: NoThinking,
}

/// Templates that know no thinking ignore it.
#[derive(Serialize)]
struct NoThinking {
    enable_thinking: bool,
}

#[derive(Deserialize)]
struct Listed {
    data: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
    /// vLLM's: tokens of context that it serves the model with.
    #[serde(default)]
    max_model_len: Option<usize>,
}

#[derive(Deserialize)]
struct Studio {
    data: Vec<StudioModel>,
}

#[derive(Default, Deserialize)]
struct StudioModel {
    id: String,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    arch: Option<String>,
    #[serde(default)]
    quantization: Option<String>,
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    max_context_length: Option<usize>,
    #[serde(default)]
    loaded_context_length: Option<usize>,
}

/// Reads the events of both routes. Usage may come behind the reason to stop, in an event of its own.
#[derive(Debug, Default)]
struct Chunks {
    stop: Option<Stop>,
    prompt_tokens: Option<usize>,
    cached_tokens: Option<usize>,
    output_tokens: Option<usize>,
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Spent>,
    #[serde(default)]
    timings: Option<Timings>,
    #[serde(default)]
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    delta: Delta,
    #[serde(default)]
    finish_reason: Option<String>,
    #[serde(default)]
    logprobs: Option<LogProbs>,
}

/// Of a completion's tokens: OpenAI's shape, and llama-server's, which is that of a chat.
#[derive(Default, Deserialize)]
struct LogProbs {
    #[serde(default)]
    token_logprobs: Option<Vec<Option<f32>>>,
    #[serde(default)]
    content: Option<Vec<Odds>>,
}

/// How likely a token was.
#[derive(Deserialize)]
pub(super) struct Odds {
    #[serde(default)]
    pub(super) logprob: Option<f32>,
}

/// A piece of text with the odds of its tokens, where they are all known.
pub(super) fn likely(text: String, tokens: &[Odds]) -> Step {
    let sum: Option<f32> = tokens.iter().map(|token| token.logprob).sum();
    match sum.filter(|sum| !tokens.is_empty() && *sum <= 0.0) {
        Some(logprob) => Step::Likely(text, logprob),
        None => Step::Text(text),
    }
}

#[derive(Default, Deserialize)]
struct Delta {
    #[serde(default)]
    content: Option<String>,
}

#[derive(Deserialize)]
struct Spent {
    #[serde(default)]
    prompt_tokens: Option<usize>,
    #[serde(default)]
    completion_tokens: Option<usize>,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
}

#[derive(Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Option<usize>,
}

/// llama-server's.
#[derive(Deserialize)]
pub(super) struct Timings {
    #[serde(default)]
    pub(super) cache_n: Option<usize>,
}

impl Wire for Chunks {
    fn read(&mut self, message: &[u8]) -> Result<Step, Fault> {
        if message == b"[DONE]" {
            return Ok(Step::Done(String::new(), self.unsaid()));
        }
        let chunk: Chunk = serde_json::from_slice(message)?;
        if chunk.error.is_some() {
            return Err(Fault::Failed(message.to_vec()));
        }
        if let Some(spent) = chunk.usage {
            self.prompt_tokens = spent.prompt_tokens;
            self.output_tokens = spent.completion_tokens;
            self.cached_tokens = spent.prompt_tokens_details.and_then(|told| told.cached_tokens);
        }
        let cached = chunk.timings.and_then(|timings| timings.cache_n);
        self.cached_tokens = self.cached_tokens.or(cached);
        let Some(choice) = chunk.choices.into_iter().next() else {
            return Ok(Step::Text(String::new()));
        };
        if let Some(reason) = choice.finish_reason {
            self.stop = Some(if reason == "length" { Stop::Limit } else { Stop::Complete });
        }
        let LogProbs { token_logprobs, content } = choice.logprobs.unwrap_or_default();
        let bare = token_logprobs.unwrap_or_default().into_iter().map(|logprob| Odds { logprob });
        let tokens: Vec<Odds> = bare.chain(content.unwrap_or_default()).collect();
        Ok(likely(choice.text.or(choice.delta.content).unwrap_or_default(), &tokens))
    }

    fn unsaid(&self) -> Usage {
        Usage {
            prompt_tokens: self.prompt_tokens,
            cached_tokens: self.cached_tokens,
            output_tokens: self.output_tokens,
            ..Usage::unknown(self.stop.unwrap_or(Stop::Unsaid))
        }
    }
}
