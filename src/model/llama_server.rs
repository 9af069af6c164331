//! llama.cpp's own server.
//!
//! Prompts go to `/completion`, in our own template and never to `/infill`, which cuts them at sizes
//! that no answer tells. It reads control tokens out of every string, so what source text spells goes
//! as token ids. Its socket is polled by results alone: `return_progress` makes a closed connection
//! stop the prompt's evaluation too. Nothing here asks `/slots`, which resets the timers by which
//! the server notices closed connections and goes to sleep. The open end of a prompt is left out, and
//! a grammar makes the output begin with it: so a key changes no token that the server has evaluated.
//! Source: `tools/server/README.md` of llama.cpp, and a b11669 measured.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{FutureExt, future::BoxFuture};
use serde::{Deserialize, Serialize, de::IgnoredAny};

use super::{
    Endpoint, Events, Form, Job, Kind, ModelError, ModelFacts, Provider, Segment, Sighting, Stop,
    Usage,
    embedding::only_embeds,
    filter::Filter,
    openai,
    render::{self, Piece},
    sse::Sse,
    stream::{Fault, MAX_MESSAGE, Step, Wire, events},
};

/// Spelled control tokens whose ids are kept. There are some dozens; source text can invent more.
const MAX_SPELLED: usize = 1024;

/// A llama-server, of one model or a router of many.
#[derive(Debug)]
pub struct LlamaServer {
    endpoint: Endpoint,
    /// Ids of the characters of spelled control tokens, by model and text.
    spelled: Mutex<SpelledIds>,
}

type SpelledIds = HashMap<(String, String), Arc<[u32]>>;

impl LlamaServer {
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, spelled: Mutex::default() }
    }

    async fn sight(&self) -> Result<Sighting, ModelError> {
        let props: Props = self.endpoint.get("/props", "llama-server's properties").await?;
        let listed: Listed = self.endpoint.get("/v1/models", "a list of models").await?;
        let mut models = Vec::with_capacity(listed.data.len());
        for model in listed.data {
            let facts = match &model.status {
                Some(status) => self.routed(&model, status.value == "loaded").await,
                None => facts(&model, Some(&props)),
            };
            if !only_embeds(&facts) {
                models.push(facts);
            }
        }
        Ok(Sighting {
            kind: Kind::LlamaServer,
            version: props.build_info,
            slots: props.total_slots,
            models,
        })
    }

    /// What a router says of one of its models. Only one that is loaded is asked itself.
    async fn routed(&self, model: &Model, loaded: bool) -> ModelFacts {
        let props = if loaded {
            let query: String = url::form_urlencoded::byte_serialize(model.id.as_bytes()).collect();
            let path = format!("/props?model={query}&autoload=false");
            self.endpoint.get::<Props>(&path, "llama-server's properties").await.ok()
        } else {
            None
        };
        ModelFacts { loaded: Some(loaded), ..facts(model, props.as_ref()) }
    }

    async fn start(&self, job: Job) -> Result<Events, ModelError> {
        match job.prompt.form() {
            Form::Raw => self.complete(job).await,
            Form::Chat { system } => {
                let text = render::text(job.prompt.segments());
                let chat = openai::Chat::new(&job, system, &text.prompt).at_llama_server(job.slot);
                openai::chat(&self.endpoint, &job, &chat, text.broken).await
            }
        }
    }

    async fn complete(&self, job: Job) -> Result<Events, ModelError> {
        let open = job.prompt.open();
        let (segments, n_predict) = job.prompt.closed();
        let prompt = self.prompt(&job.model, &segments).await?;
        let request = Completion {
            model: &job.model,
            prompt,
            n_predict,
            temperature: job.temperature,
            stop: &job.stop,
            stream: true,
            cache_prompt: true,
            return_progress: true,
            n_probs: 1,
            id_slot: job.slot,
            response_fields: LAST,
            json_schema: job.prompt.schema(),
            grammar: (!open.is_empty()).then(|| begins_with(open)),
        };
        let body = self.endpoint.stream("/completion", &request, &job.model).await?;
        let filter = Filter::new(&job.stop, &segments, false).behind(open);
        Ok(events(body, Sse::new(MAX_MESSAGE), Completed::default(), filter))
    }

    async fn prompt(&self, model: &str, segments: &[Segment]) -> Result<Prompt, ModelError> {
        let mut pieces = render::pieces(segments);
        if let [Piece::Parsed(text)] = &mut *pieces {
            return Ok(Prompt::Text(std::mem::take(text)));
        }
        let mut mixed = Vec::with_capacity(pieces.len());
        for piece in pieces {
            match piece {
                Piece::Parsed(text) => mixed.push(Part::Text(text)),
                Piece::Spelled(token) => {
                    let ids = self.ids(model, token).await?;
                    mixed.extend(ids.iter().map(|id| Part::Id(*id)));
                }
            }
        }
        Ok(Prompt::Mixed(mixed))
    }

    /// The ids of a spelled token's characters.
    async fn ids(&self, model: &str, token: String) -> Result<Arc<[u32]>, ModelError> {
        let key = (model.to_owned(), token);
        if let Some(ids) = self.spelled().get(&key) {
            return Ok(Arc::clone(ids));
        }
        let tokens: Tokens<u32> = self.tokenize(model, &key.1).await?;
        let ids: Arc<[u32]> = tokens.tokens.into();
        let mut spelled = self.spelled();
        if spelled.len() >= MAX_SPELLED {
            spelled.clear();
        }
        spelled.insert(key, Arc::clone(&ids));
        Ok(ids)
    }

    async fn tokenize<T: for<'de> Deserialize<'de>>(
        &self,
        model: &str,
        content: &str,
    ) -> Result<Tokens<T>, ModelError> {
        let request = Tokenize { model, content, add_special: false, parse_special: false };
        self.endpoint.ask("/tokenize", &request, model, "a list of tokens").await
    }

    fn spelled(&self) -> MutexGuard<'_, SpelledIds> {
        self.spelled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Provider for LlamaServer {
    fn kind(&self) -> Kind {
        Kind::LlamaServer
    }

    fn endpoint(&self) -> &str {
        self.endpoint.as_str()
    }

    fn look(&self) -> BoxFuture<'_, Result<Sighting, ModelError>> {
        self.sight().boxed()
    }

    /// Wakes a sleeping model or makes a router load it; the context is the server's own.
    fn preload(
        &self,
        model: &str,
        _num_ctx: usize,
        _keep_alive: &str,
    ) -> BoxFuture<'_, Result<(), ModelError>> {
        let model = model.to_owned();
        async move {
            let request = Wake { model: &model, prompt: "", n_predict: 0 };
            let woken = self.endpoint.post("/completion", &request, &model, "JSON");
            woken.await.map(|_: IgnoredAny| ())
        }
        .boxed()
    }

    fn generate(&self, job: Job) -> BoxFuture<'_, Result<Events, ModelError>> {
        self.start(job).boxed()
    }

    fn count(&self, model: &str, text: &str) -> BoxFuture<'_, Result<Option<usize>, ModelError>> {
        let (model, text) = (model.to_owned(), text.to_owned());
        async move {
            let tokens: Tokens<IgnoredAny> = self.tokenize(&model, &text).await?;
            Ok(Some(tokens.tokens.len()))
        }
        .boxed()
    }
}

fn facts(model: &Model, props: Option<&Props>) -> ModelFacts {
    let meta = model.meta.as_ref();
    let settings = props.map(|props| &props.default_generation_settings);
    ModelFacts {
        name: model.id.clone(),
        file: props.and_then(|props| props.model_path.clone()),
        loaded: props.map(|props| !props.is_sleeping),
        context: settings
            .and_then(|settings| settings.n_ctx)
            .or_else(|| meta.and_then(|meta| meta.context))
            .filter(|context| *context > 0),
        trained_context: meta.and_then(|meta| meta.trained_context),
        parameters: meta.and_then(|meta| meta.parameters),
        quantization: props.and_then(|props| props.model_ftype.clone()),
        architecture: None,
        inserts: None,
        template: props.and_then(|props| props.chat_template.clone()),
        relayed: false,
        card: None,
    }
}

/// What of the last event is read. All of it repeats the prompt and is twice as long as that.
const LAST: &[&str] =
    &["content", "stop", "stop_type", "tokens_evaluated", "tokens_predicted", "timings/cache_n"];

#[derive(Serialize)]
struct Completion<'a> {
    model: &'a str,
    prompt: Prompt,
    n_predict: usize,
    temperature: f32,
    stop: &'a [String],
    stream: bool,
    cache_prompt: bool,
    return_progress: bool,
    /// How likely each token was, before any sampling, beside this many others: none would ask for
    /// nothing. (After the sampling a greedy choice is always certain.)
    n_probs: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_slot: Option<usize>,
    response_fields: &'static [&'static str],
    /// Becomes a grammar.
    #[serde(skip_serializing_if = "Option::is_none")]
    json_schema: Option<&'a serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grammar: Option<String>,
}

/// A grammar (GBNF) of all texts that begin with `text`.
fn begins_with(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '"' | '\\' => literal.extend(['\\', c]),
            '\t' => literal.push_str("\\t"),
            c => literal.push(c),
        }
    }
    format!("root ::= \"{literal}\" .*")
}

#[derive(Serialize)]
#[serde(untagged)]
enum Prompt {
    Text(String),
    Mixed(Vec<Part>),
}

#[derive(Serialize)]
#[serde(untagged)]
enum Part {
    Text(String),
    Id(u32),
}

#[derive(Serialize)]
struct Wake<'a> {
    model: &'a str,
    prompt: &'static str,
    n_predict: usize,
}

#[derive(Serialize)]
struct Tokenize<'a> {
    model: &'a str,
    content: &'a str,
    add_special: bool,
    parse_special: bool,
}

#[derive(Deserialize)]
struct Tokens<T> {
    tokens: Vec<T>,
}

#[derive(Deserialize)]
struct Props {
    default_generation_settings: Settings,
    #[serde(default)]
    total_slots: Option<usize>,
    #[serde(default)]
    model_path: Option<String>,
    #[serde(default)]
    model_ftype: Option<String>,
    #[serde(default)]
    chat_template: Option<String>,
    #[serde(default)]
    build_info: Option<String>,
    #[serde(default)]
    is_sleeping: bool,
}

#[derive(Deserialize)]
struct Settings {
    #[serde(default)]
    n_ctx: Option<usize>,
}

#[derive(Deserialize)]
struct Listed {
    data: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
    #[serde(default)]
    meta: Option<Meta>,
    /// Only a router says it.
    #[serde(default)]
    status: Option<Status>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(default, rename = "n_ctx")]
    context: Option<usize>,
    #[serde(default, rename = "n_ctx_train")]
    trained_context: Option<usize>,
    #[serde(default, rename = "n_params")]
    parameters: Option<u64>,
}

#[derive(Deserialize)]
struct Status {
    value: String,
}

/// Reads the events of `/completion`.
#[derive(Debug, Default)]
struct Completed {
    /// The first progress has come. It says all that the later ones do of the cache.
    evaluating: bool,
}

#[derive(Deserialize)]
struct Progress {
    total: usize,
    cache: usize,
}

#[derive(Deserialize)]
struct Completing {
    #[serde(default)]
    content: String,
    #[serde(default)]
    prompt_progress: Option<Progress>,
    #[serde(default)]
    stop: bool,
    #[serde(default)]
    stop_type: Option<String>,
    #[serde(default)]
    tokens_evaluated: Option<usize>,
    #[serde(default)]
    tokens_predicted: Option<usize>,
    #[serde(default, rename = "timings/cache_n")]
    cache_n: Option<usize>,
    /// From servers that do not know `response_fields`.
    #[serde(default)]
    timings: Option<openai::Timings>,
    /// Of this event's tokens: more than one where half a character was held back.
    #[serde(default)]
    completion_probabilities: Vec<openai::Odds>,
    #[serde(default)]
    error: Option<IgnoredAny>,
    /// Of a failure without an `error` round it.
    #[serde(default)]
    code: Option<IgnoredAny>,
}

impl Wire for Completed {
    fn read(&mut self, message: &[u8]) -> Result<Step, Fault> {
        let event: Completing = serde_json::from_slice(message)?;
        if event.error.is_some() || event.code.is_some() {
            return Err(Fault::Failed(message.to_vec()));
        }
        if let Some(progress) = event.prompt_progress.filter(|_| !self.evaluating) {
            self.evaluating = true;
            return Ok(Step::Evaluating(progress.total, progress.cache));
        }
        if !event.stop {
            return Ok(openai::likely(event.content, &event.completion_probabilities));
        }
        let stop = match event.stop_type.as_deref() {
            Some("eos" | "word") => Stop::Complete,
            Some("limit") => Stop::Limit,
            _ => Stop::Unsaid,
        };
        let usage = Usage {
            prompt_tokens: event.tokens_evaluated,
            cached_tokens: event
                .cache_n
                .or_else(|| event.timings.and_then(|timings| timings.cache_n)),
            output_tokens: event.tokens_predicted,
            ..Usage::unknown(stop)
        };
        Ok(Step::Done(event.content, usage))
    }
}
