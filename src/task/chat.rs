//! One question to a model that follows instructions, and its answer as it is written.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;

use super::{Desk, question::Asked, queue::Rank};
use crate::{
    model::{self, Budget, Event, Job, ModelError, Prompt, Stop, budget::Overflow},
    route::{Role, Serving, Setback, State},
};

/// How long a server that is busy or loading is left alone before it is asked again.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// What a model said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) stop: Stop,
}

/// Why nothing was said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unasked {
    #[error("{0}")]
    NoModel(String),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("it takes {needed} tokens where the model's context has room for {room}")]
    NoRoom { needed: usize, room: usize },
}

/// The model that serves `role`, or why there is none and what to install. Waits for the first look
/// around to end.
pub(super) async fn serving(desk: &Desk, role: Role) -> Result<Serving, Unasked> {
    let mut watched = desk.router().watch();
    let looked = watched.wait_for(|health| health.state != State::Cold || !health.seen.is_empty());
    let health = match looked.await {
        Ok(health) => Arc::clone(&health),
        // Nobody looks any more: the process is about to end.
        Err(_) => desk.router().health(),
    };
    health.serving(role).cloned().map_err(|why| Unasked::NoModel(why.to_owned()))
}

/// Asks. `build` makes the prompt in the budget that the model has beside the `output` tokens that the
/// answer may take. `heard` is shown all that was said so far.
///
/// Dropping the future closes the connection, which stops the model.
pub(super) async fn ask(
    Asked { desk, settings, serving }: Asked<'_>,
    temperature: f32,
    output: usize,
    build: impl Fn(Budget) -> Result<Prompt, Overflow>,
    heard: &(dyn Fn(&str) + Send + Sync),
) -> Result<Said, Setback<Unasked>> {
    let ceiling = settings.max_local_context_tokens.size();
    let num_ctx = serving.num_ctx(ceiling);
    let mut context = serving.context(ceiling);
    let counter = desk.counter(serving);
    let _turn = desk.queue(serving).enter(Rank::Work, serving.slots.unwrap_or(1)).await;
    let (prompt, mut events) = loop {
        let budget = Budget::new(ceiling, context, output, counter.clone());
        let prompt = build(budget).map_err(|Overflow { tokens, left }| {
            Setback::Final(Unasked::NoRoom { needed: tokens + output, room: left + output })
        })?;
        let prompt = Arc::new(prompt);
        let job = Job {
            model: serving.model.name.clone(),
            prompt: Arc::clone(&prompt),
            temperature,
            stop: Vec::new(),
            num_ctx,
            keep_alive: settings.keep_alive.as_str().to_owned(),
            slot: None,
        };
        desk.sent(serving, &prompt);
        match serving.provider.generate(job).await {
            Ok(events) => break (prompt, events),
            Err(error) => {
                let room = room(&error, &prompt).filter(|room| context.is_none_or(|it| *room < it));
                // Smaller each time, so there is an end to it.
                context = Some(room.ok_or_else(|| setback(desk, error))?);
            }
        }
    };
    let mut said = Said { text: String::new(), stop: Stop::Unsaid };
    while let Some(event) = events.next().await {
        match event.map_err(|error| setback(desk, error))? {
            Event::Text(text) => {
                said.text.push_str(&text);
                heard(&said.text);
            }
            Event::Evaluating { .. } => {}
            Event::Done(usage) => {
                said.stop = usage.stop;
                if let Some(reported) = usage.prompt_tokens {
                    counter.calibrate(&prompt, reported);
                }
                if let Some(cut) = model::budget::truncated(&prompt, &usage, context) {
                    desk.warn_once(serving, &cut);
                }
            }
        }
    }
    Ok(said)
}

/// How much context there seems to be for prompts counted as `prompt` was, when the server found it too
/// long.
fn room(error: &ModelError, prompt: &Prompt) -> Option<usize> {
    let ModelError::TooLong { prompt_tokens, context: Some(context), .. } = error else {
        return None;
    };
    let more = prompt_tokens.map_or(0, |counted| counted.saturating_sub(prompt.tokens()));
    Some(context.saturating_sub(more))
}

fn setback(desk: &Desk, error: ModelError) -> Setback<Unasked> {
    tracing::warn!("{error}");
    match error {
        ModelError::Busy { .. } | ModelError::Loading { .. } => {
            Setback::Wait(LOOK_AGAIN, error.into())
        }
        _ => {
            desk.router().nudge();
            Setback::Final(error.into())
        }
    }
}
