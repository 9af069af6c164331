//! The model in the box: a provider without a server.
//!
//! The engine has threads of its own; nothing here computes on a thread of the runtime. Weights are
//! in memory from [`preload`](Provider::preload) to [`release`](Provider::release) and at no other
//! time: to look reads a file's header.

mod file;
mod trial;

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{FutureExt, StreamExt, future, future::BoxFuture, stream};

use super::{
    Event, Events, Form, Job, Kind, ModelError, ModelFacts, Provider, Segment, Sighting, Stop,
    Usage,
};
use crate::engine::{self, Engine, EngineError, Piece};
pub use file::{Chosen, ModelFile};
use file::{MAX_CONTEXT, Stamp};
pub use trial::Trial;

/// Where it is, for people.
const HERE: &str = "this process";

/// Two documents that are edited in turns keep what was computed for each.
const SLOTS: usize = 2;

/// The model that runs in this process.
#[derive(Debug)]
pub struct BuiltIn {
    /// `None`: whatever the user's choice is when it is looked at.
    file: Option<ModelFile>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// What the last look found, of which file in which state.
    looked: Option<(Version, Result<ModelFacts, ModelError>)>,
    loaded: Option<Loaded>,
    /// Changes with every release: what is loaded then comes too late.
    releases: u64,
}

/// A file in one of its states.
type Version = (ModelFile, Stamp);

#[derive(Debug)]
struct Loaded {
    version: Version,
    engine: Engine,
}

impl BuiltIn {
    /// The model of the user's choice, else the one that came with Hearth.
    pub fn recorded() -> Self {
        Self { file: None, state: Arc::default() }
    }

    /// This very file.
    pub fn of(file: ModelFile) -> Self {
        Self { file: Some(file), state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn engine(&self, model: &str) -> Result<Engine, ModelError> {
        let state = self.state();
        let loaded = state.loaded.as_ref().map(|loaded| loaded.engine.clone());
        loaded.ok_or_else(|| refused(model, &"it is not loaded"))
    }

    async fn start(&self, job: Job) -> Result<Events, ModelError> {
        let engine = self.engine(&job.model)?;
        if *job.prompt.form() != Form::Raw {
            return Err(refused(&job.model, &"the built-in engine has no chats"));
        }
        let (prompt, tokenizing) = (Arc::clone(&job.prompt), engine.clone());
        let tokens = blocking(move || encode(&tokenizing, prompt.segments())).await;
        let tokens = tokens.map_err(|error| refused(&job.model, &error))?;
        let context = engine.info().n_ctx;
        if tokens.len() > context {
            return Err(ModelError::TooLong {
                endpoint: HERE.to_owned(),
                prompt_tokens: Some(tokens.len()),
                context: Some(context),
            });
        }
        // The engine ends at every control token by itself; what only spells one is text.
        let is_text = |stop: &String| engine.tokenizer().control(stop).is_none();
        let asked = engine::Job {
            sampling: engine::Sampling { temperature: job.temperature, ..Default::default() },
            stop: job.stop.into_iter().filter(is_text).collect(),
            slot: job.slot,
            ..engine::Job::new(tokens, job.prompt.output())
        };
        let model = job.model;
        // Of tokens whose bytes went into a neighbour's character.
        let mut before = 0.0;
        let events = engine.generate(asked).flat_map(move |event| {
            stream::iter(match event {
                Ok(engine::Event::Token { text, logprob, .. }) => {
                    before += logprob;
                    if text.is_empty() {
                        vec![]
                    } else {
                        vec![Ok(Event::Odds(mem::take(&mut before))), Ok(Event::Text(text))]
                    }
                }
                Ok(engine::Event::Done(usage)) => vec![Ok(Event::Done(cost(&usage)))],
                Err(error) => vec![Err(refused(&model, &error))],
            })
        });
        Ok(events.boxed())
    }
}

impl Provider for BuiltIn {
    fn kind(&self) -> Kind {
        Kind::BuiltIn
    }

    fn endpoint(&self) -> &str {
        HERE
    }

    fn look(&self) -> BoxFuture<'_, Result<Sighting, ModelError>> {
        let (file, state) = (self.file.clone(), Arc::clone(&self.state));
        async move {
            let facts = blocking(move || look(file, &state)).await?;
            Ok(Sighting {
                kind: Kind::BuiltIn,
                version: Some(env!("CARGO_PKG_VERSION").to_owned()),
                slots: Some(SLOTS),
                models: vec![facts],
            })
        }
        .boxed()
    }

    fn preload(&self, _: &str, _: usize, _: &str) -> BoxFuture<'_, Result<(), ModelError>> {
        let (file, state) = (self.file.clone(), Arc::clone(&self.state));
        blocking(move || load(file, &state)).boxed()
    }

    fn generate(&self, job: Job) -> BoxFuture<'_, Result<Events, ModelError>> {
        self.start(job).boxed()
    }

    fn count(&self, model: &str, text: &str) -> BoxFuture<'_, Result<Option<usize>, ModelError>> {
        let (model, text, engine) = (model.to_owned(), text.to_owned(), self.engine(model));
        async move {
            let engine = engine?;
            let tokens = blocking(move || engine.tokenize(&text)).await;
            tokens.map(|tokens| Some(tokens.len())).map_err(|error| refused(&model, &error))
        }
        .boxed()
    }

    fn release(&self) {
        let mut state = self.state();
        state.releases += 1;
        state.loaded = None;
    }
}

/// The file that counts now, and its state.
fn version(file: Option<ModelFile>) -> Result<Version, ModelError> {
    let unread = |error: std::io::Error| {
        let place = Chosen::place().unwrap_or_default();
        refused(&place.display().to_string(), &error)
    };
    let file = match file {
        Some(file) => file,
        None => ModelFile::current().map_err(unread)?,
    };
    let stamp = file.stamp().map_err(|error| refused(&file.to_string(), &error))?;
    Ok((file, stamp))
}

fn look(file: Option<ModelFile>, state: &Mutex<State>) -> Result<ModelFacts, ModelError> {
    let version = version(file)?;
    let mut state = lock(state);
    let known = state.looked.as_ref().filter(|(looked, _)| *looked == version);
    let mut facts = if let Some((_, known)) = known {
        known.clone()?
    } else {
        let read = version.0.facts().map_err(|error| refused(&version.0.to_string(), &error));
        state.looked = Some((version.clone(), read.clone()));
        read?
    };
    if let Some(loaded) = state.loaded.as_ref().filter(|loaded| loaded.version == version) {
        facts.loaded = Some(true);
        facts.quantization = Some(loaded.engine.info().quantization.clone());
    }
    Ok(facts)
}

fn load(file: Option<ModelFile>, state: &Mutex<State>) -> Result<(), ModelError> {
    let version = version(file)?;
    let releases = {
        let mut state = lock(state);
        if state.loaded.as_ref().is_some_and(|loaded| loaded.version == version) {
            return Ok(());
        }
        // Not both at once.
        state.loaded = None;
        state.releases
    };
    let options = engine::Options { n_ctx: MAX_CONTEXT, n_slots: SLOTS, ..Default::default() };
    let loaded = version.0.load(&options);
    let mut state = lock(state);
    match loaded {
        Ok(engine) if state.releases == releases => state.loaded = Some(Loaded { version, engine }),
        Ok(_) => {}
        Err(error) => {
            let error = refused(&version.0.to_string(), &error);
            // Whoever looks next is told, and does not try again before the file changes.
            state.looked = Some((version, Err(error.clone())));
            return Err(error);
        }
    }
    Ok(())
}

/// A prompt's tokens, as every prompt is asked: control tokens from control segments alone. Texts that meet are one text, as a
/// token may span them.
pub fn encode(engine: &Engine, segments: &[Segment]) -> Result<Vec<u32>, EngineError> {
    let mut joined: Vec<Segment> = Vec::with_capacity(segments.len());
    for segment in segments {
        match (joined.last_mut(), segment) {
            (Some(Segment::Text(before)), Segment::Text(text)) => {
                *before = [&**before, &**text].concat().into();
            }
            _ => joined.push(segment.clone()),
        }
    }
    let pieces: Vec<Piece<'_>> = joined
        .iter()
        .map(|segment| match segment {
            Segment::Control(name) => Piece::Control(name.trim()),
            Segment::Text(text) => Piece::Text(text),
        })
        .collect();
    engine.encode(&pieces)
}

fn cost(usage: &engine::Usage) -> Usage {
    Usage {
        prompt_tokens: Some(usage.prompt_tokens),
        cached_tokens: Some(usage.cached_tokens),
        output_tokens: Some(usage.output_tokens),
        stop: match usage.stop {
            engine::Stop::End | engine::Stop::Text(_) => Stop::Complete,
            engine::Stop::Limit | engine::Stop::Full => Stop::Limit,
        },
        confidence: (usage.output_tokens > 0).then(|| usage.logprob.exp()),
    }
}

fn refused(model: &str, detail: &dyn ToString) -> ModelError {
    ModelError::BuiltIn { model: model.to_owned(), detail: detail.to_string() }
}

/// Runs `work` where it may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        // The runtime ends only with the process; what is left is a panic of ours.
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => future::pending().await,
        },
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
