//! Ollama's native API.
//!
//! Prompts go to `/api/generate` raw, in our own template, or to `/api/chat`. Each request carries
//! the same `num_ctx`, as another one makes Ollama load the model again, and `truncate: false`, as
//! Ollama cuts a prompt that is too long without a word otherwise.
//! Source: `docs/api.md` and `server/routes.go` of Ollama 0.33.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream};
use serde::{Deserialize, Serialize, de::IgnoredAny};

use super::{
    Endpoint, Events, Form, Job, Kind, ModelError, ModelFacts, Provider, Sighting, Stop, Usage,
    embedding::only_embeds,
    filter::Filter,
    ndjson::NdJson,
    openai, render,
    stream::{Fault, MAX_MESSAGE, Step, Wire, events},
};

/// Questions about single models that are asked at once.
const ASKED_AT_ONCE: usize = 4;

/// An Ollama server.
#[derive(Debug)]
pub struct Ollama {
    endpoint: Endpoint,
    known: Mutex<Known>,
}

/// What was learnt of its models and does not change.
#[derive(Debug, Default)]
struct Known {
    /// By the digest of a model.
    shown: HashMap<String, Arc<Shown>>,
    /// Models that run elsewhere.
    relayed: HashSet<String>,
}

impl Ollama {
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, known: Mutex::default() }
    }

    async fn sight(&self) -> Result<Sighting, ModelError> {
        let version: Version = self.endpoint.get("/api/version", "Ollama's version").await?;
        let (tags, running) = futures::try_join!(
            self.endpoint.get::<Tags>("/api/tags", "Ollama's list of models"),
            self.endpoint.get::<Running>("/api/ps", "Ollama's list of running models"),
        )?;
        let models = stream::iter(tags.models)
            .map(|tag| self.facts(tag, &running))
            .buffered(ASKED_AT_ONCE)
            .filter_map(std::future::ready)
            .collect()
            .await;
        Ok(Sighting { kind: Kind::Ollama, version: Some(version.version), slots: None, models })
    }

    /// `None` for a model that writes no text.
    async fn facts(&self, tag: Tag, running: &Running) -> Option<ModelFacts> {
        let loaded = running.models.iter().find(|model| model.name == tag.name);
        let relayed = tag.is_relayed();
        let shown = if relayed {
            self.known().relayed.insert(tag.name.clone());
            None
        } else {
            self.show(&tag).await
        };
        let shown = shown.as_deref();
        let info = shown.map(|shown| &shown.model_info);
        let architecture = info.and_then(|info| info.architecture.clone()).or(tag.details.family);
        let facts = ModelFacts {
            loaded: Some(loaded.is_some()),
            context: loaded.and_then(|model| model.context_length),
            trained_context: info.and_then(Info::context_length).or(tag.details.context_length),
            parameters: info
                .and_then(|info| info.parameter_count)
                .or_else(|| tag.details.parameter_size.as_deref().and_then(parameters)),
            quantization: tag.details.quantization_level,
            architecture,
            inserts: shown.map(Shown::inserts),
            template: shown.map(|shown| shown.template.clone()),
            relayed,
            name: tag.name,
            ..ModelFacts::default()
        };
        let writes = shown.and_then(Shown::writes).unwrap_or_else(|| !only_embeds(&facts));
        writes.then_some(facts)
    }

    /// What the server shows of a model, asked once for each digest. A model that cannot be shown
    /// is listed with less.
    async fn show(&self, tag: &Tag) -> Option<Arc<Shown>> {
        if let Some(shown) = self.known().shown.get(&tag.digest) {
            return Some(Arc::clone(shown));
        }
        let asked = Named { model: &tag.name };
        let shown = self.endpoint.ask("/api/show", &asked, &tag.name, "a model's description");
        match shown.await {
            Ok(shown) => {
                let shown: Arc<Shown> = Arc::new(shown);
                if !tag.digest.is_empty() {
                    self.known().shown.insert(tag.digest.clone(), Arc::clone(&shown));
                }
                Some(shown)
            }
            Err(error) => {
                tracing::debug!(model = tag.name, %error, "a model could not be shown");
                None
            }
        }
    }

    async fn start(&self, job: Job) -> Result<Events, ModelError> {
        self.refuse_relayed(&job.model)?;
        let options = Options {
            num_ctx: job.num_ctx,
            num_predict: Some(job.prompt.output()),
            temperature: Some(job.temperature),
            stop: &job.stop,
        };
        let text = render::text(job.prompt.segments());
        let (path, ask) = match job.prompt.form() {
            Form::Raw => {
                ("/api/generate", Ask::Raw { prompt: &text.prompt, raw: true, logprobs: true })
            }
            Form::Chat { system } => {
                let messages = [
                    Message { role: "system", content: system },
                    Message { role: "user", content: &text.prompt },
                ];
                ("/api/chat", Ask::Chat { messages, think: false })
            }
        };
        let request = Request {
            model: &job.model,
            ask,
            stream: true,
            truncate: false,
            keep_alive: &job.keep_alive,
            options,
            format: job.prompt.schema(),
        };
        let body = self.endpoint.stream(path, &request, &job.model).await?;
        let filter = Filter::new(&job.stop, job.prompt.segments(), text.broken);
        Ok(events(body, NdJson::new(MAX_MESSAGE), Generated, filter))
    }

    fn refuse_relayed(&self, model: &str) -> Result<(), ModelError> {
        if named_relayed(model) || self.known().relayed.contains(model) {
            let endpoint = self.endpoint.as_str().to_owned();
            return Err(ModelError::Relayed { endpoint, model: model.to_owned() });
        }
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Provider for Ollama {
    fn kind(&self) -> Kind {
        Kind::Ollama
    }

    fn endpoint(&self) -> &str {
        self.endpoint.as_str()
    }

    fn look(&self) -> BoxFuture<'_, Result<Sighting, ModelError>> {
        self.sight().boxed()
    }

    fn preload(
        &self,
        model: &str,
        num_ctx: usize,
        keep_alive: &str,
    ) -> BoxFuture<'_, Result<(), ModelError>> {
        let (model, keep_alive) = (model.to_owned(), keep_alive.to_owned());
        async move {
            self.refuse_relayed(&model)?;
            let request = Request {
                model: &model,
                ask: Ask::Raw { prompt: "", raw: false, logprobs: false },
                stream: false,
                truncate: false,
                keep_alive: &keep_alive,
                format: None,
                options: Options { num_ctx, num_predict: None, temperature: None, stop: &[] },
            };
            let loaded = self.endpoint.post("/api/generate", &request, &model, "JSON");
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

/// Models that run elsewhere, at a server that may be Ollama whatever format it is spoken to in: a name
/// of the user's own says nothing of that.
pub(super) async fn relayed(endpoint: &Endpoint) -> impl Iterator<Item = String> + use<> {
    let tags = endpoint.get::<Tags>("/api/tags", "Ollama's list of models").await;
    let models = tags.map(|tags| tags.models).unwrap_or_default();
    models.into_iter().filter(Tag::is_relayed).map(|tag| tag.name)
}

/// Models of ollama.com by their names, which end in `:cloud` or `-cloud`. Any other end of that
/// kind is taken for one too: to refuse a local model is the smaller mistake.
pub(super) fn named_relayed(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with("cloud")
}

/// `1.5B`, `494.03M`: weights.
fn parameters(size: &str) -> Option<u64> {
    let (number, unit) = size.trim().split_at_checked(size.trim().len().checked_sub(1)?)?;
    let scale = match unit {
        "T" => 1e12,
        "B" => 1e9,
        "M" => 1e6,
        "K" => 1e3,
        _ => return None,
    };
    let weights = number.parse::<f64>().ok()? * scale;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "casting saturates, and a negative size is none"
    )]
    (weights > 0.0).then_some(weights as u64)
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    #[serde(flatten)]
    ask: Ask<'a>,
    stream: bool,
    truncate: bool,
    keep_alive: &'a str,
    options: Options<'a>,
    /// JSON Schema of the answer, which becomes a grammar.
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'a serde_json::Value>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Ask<'a> {
    Raw {
        prompt: &'a str,
        raw: bool,
        /// Versions below 0.12.11 ignore it.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        logprobs: bool,
    },
    Chat {
        messages: [Message<'a>; 2],
        think: bool,
    },
}

#[derive(Serialize)]
pub(super) struct Message<'a> {
    pub(super) role: &'static str,
    pub(super) content: &'a str,
}

#[derive(Serialize)]
struct Options<'a> {
    num_ctx: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_predict: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop: &'a [String],
}

#[derive(Serialize)]
struct Named<'a> {
    model: &'a str,
}

#[derive(Deserialize)]
struct Version {
    version: String,
}

#[derive(Deserialize)]
struct Tags {
    #[serde(default)]
    models: Vec<Tag>,
}

#[derive(Deserialize)]
struct Tag {
    name: String,
    #[serde(default)]
    digest: String,
    #[serde(default)]
    details: Details,
    #[serde(default)]
    remote_model: Option<String>,
    #[serde(default)]
    remote_host: Option<String>,
}

impl Tag {
    fn is_relayed(&self) -> bool {
        named_relayed(&self.name) || self.remote_host.is_some() || self.remote_model.is_some()
    }
}

#[derive(Default, Deserialize)]
struct Details {
    #[serde(default)]
    family: Option<String>,
    #[serde(default)]
    parameter_size: Option<String>,
    #[serde(default)]
    quantization_level: Option<String>,
    #[serde(default)]
    context_length: Option<usize>,
}

#[derive(Deserialize)]
struct Running {
    #[serde(default)]
    models: Vec<Loaded>,
}

#[derive(Deserialize)]
struct Loaded {
    name: String,
    #[serde(default)]
    context_length: Option<usize>,
}

#[derive(Debug, Deserialize)]
struct Shown {
    #[serde(default)]
    template: String,
    #[serde(default)]
    capabilities: Vec<String>,
    #[serde(default)]
    model_info: Info,
}

impl Shown {
    /// Whether the model writes text; `None` from servers that are older than capabilities.
    fn writes(&self) -> Option<bool> {
        let completes = || self.capabilities.iter().any(|capability| capability == "completion");
        (!self.capabilities.is_empty()).then(completes)
    }

    fn inserts(&self) -> bool {
        self.capabilities.iter().any(|capability| capability == "insert")
            || self.template.contains(".Suffix")
    }
}

/// A GGUF file's metadata, as far as it is of use.
#[derive(Debug, Default, Deserialize)]
struct Info {
    #[serde(default, rename = "general.architecture")]
    architecture: Option<String>,
    #[serde(default, rename = "general.parameter_count")]
    parameter_count: Option<u64>,
    #[serde(flatten)]
    rest: HashMap<String, serde_json::Value>,
}

impl Info {
    fn context_length(&self) -> Option<usize> {
        let key = format!("{}.context_length", self.architecture.as_deref()?);
        self.rest.get(&key)?.as_u64()?.try_into().ok()
    }
}

/// Reads the lines of `/api/generate` and `/api/chat`.
#[derive(Debug)]
struct Generated;

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    response: String,
    #[serde(default)]
    message: Said,
    #[serde(default)]
    done: bool,
    #[serde(default)]
    done_reason: Option<String>,
    #[serde(default)]
    prompt_eval_count: Option<usize>,
    #[serde(default)]
    eval_count: usize,
    #[serde(default)]
    logprobs: Vec<openai::Odds>,
    #[serde(default)]
    error: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
struct Said {
    #[serde(default)]
    content: String,
}

impl Wire for Generated {
    fn read(&mut self, message: &[u8]) -> Result<Step, Fault> {
        let line: Line = serde_json::from_slice(message)?;
        if line.error.is_some() {
            return Err(Fault::Failed(message.to_vec()));
        }
        let text = line.response + &line.message.content;
        if !line.done {
            return Ok(openai::likely(text, &line.logprobs));
        }
        let stop = match line.done_reason.as_deref() {
            Some("length") => Stop::Limit,
            Some(_) => Stop::Complete,
            None => Stop::Unsaid,
        };
        let usage = Usage {
            prompt_tokens: line.prompt_eval_count,
            output_tokens: Some(line.eval_count),
            ..Usage::unknown(stop)
        };
        Ok(Step::Done(text, usage))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        assert_eq!(parameters("1.5B"), Some(1_500_000_000));
        assert_eq!(parameters("494.03M"), Some(494_030_000));
        assert_eq!(parameters(""), None);
        assert_eq!(parameters("µ"), None);
    }
}
