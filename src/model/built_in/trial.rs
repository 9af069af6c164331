//! How fast a model file is on this machine, before anybody relies on it.

use std::time::Duration;

use super::file::{MAX_CONTEXT, ModelFile};
use crate::engine::{Engine, EngineError, Event, Job, Options, Usage};

/// Source text to read: this file, as often as it takes.
const TEXT: &str = include_str!("trial.rs");

/// Tokens that are read and written. A prompt has more, a line has fewer.
const PREFILL: usize = 512;
const DECODE: usize = 32;

/// What trying a model out came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trial {
    /// Tokens a second.
    pub prefill_speed: f64,
    pub decode_speed: f64,
    /// Bytes of source text in a token.
    pub bytes_per_token: f64,
    /// Bytes in memory while it is loaded: weights and keys and values.
    pub memory: usize,
}

impl Trial {
    /// Loads the file and lets it read and write. Blocks for seconds where the model is large.
    pub fn of(file: &ModelFile) -> Result<Self, EngineError> {
        let options = Options { n_ctx: MAX_CONTEXT, ..Options::default() };
        let engine = file.load(&options)?;
        let info = engine.info();
        let once = engine.tokenize(TEXT)?;
        let prefill = PREFILL.min(info.n_ctx.saturating_sub(DECODE + 1)).max(1);
        let prompt: Vec<u32> = once.iter().copied().cycle().take(prefill).collect();
        // The first evaluation pays for memory that is touched for the first time.
        let warm = prompt.iter().rev().copied().take(16).collect();
        run(&engine, Job::new(warm, 1))?;
        let usage = run(&engine, Job::new(prompt, DECODE))?;
        let speed = |tokens: usize, time: Duration| tokens as f64 / time.as_secs_f64().max(1e-9);
        // The first token falls out of the prompt's evaluation.
        let written = usage.output_tokens.saturating_sub(1);
        Ok(Self {
            prefill_speed: speed(usage.prompt_tokens - usage.cached_tokens, usage.timings.prefill),
            decode_speed: speed(written, usage.timings.decode),
            bytes_per_token: TEXT.len() as f64 / once.len().max(1) as f64,
            memory: info.weights_size + info.cache_size,
        })
    }

    /// How long it takes until the first text comes when `bytes` of source text are new to the model.
    pub fn first_text(&self, bytes: usize) -> Duration {
        Duration::try_from_secs_f64(bytes as f64 / self.bytes_per_token / self.prefill_speed)
            .unwrap_or(Duration::MAX)
    }

    /// How long it takes to write `bytes` of source text.
    pub fn writing(&self, bytes: usize) -> Duration {
        Duration::try_from_secs_f64(bytes as f64 / self.bytes_per_token / self.decode_speed)
            .unwrap_or(Duration::MAX)
    }
}

fn run(engine: &Engine, job: Job) -> Result<Usage, EngineError> {
    let mut events = engine.generate(job);
    while let Some(event) = events.next_blocking() {
        if let Event::Done(usage) = event? {
            return Ok(usage);
        }
    }
    Err(EngineError::Stopped)
}
