//! A prompt on its way to a model of this machine or of the private network: built in the room that the
//! model has, and built again where the server turns out to have less.

use std::sync::Arc;

use super::Desk;
use crate::{
    config::Settings,
    model::{Budget, Events, Job, ModelError, Prompt},
    route::Serving,
};

/// How a model is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sending<'a> {
    pub(super) desk: &'a Desk,
    pub(super) settings: &'a Settings,
    pub(super) serving: &'a Serving,
    /// Tokens that the prompt may have at the most.
    pub(super) ceiling: usize,
    /// Tokens that the answer may take.
    pub(super) output: usize,
    pub(super) temperature: f32,
    /// At most four.
    pub(super) stop: &'a [String],
}

/// Why nothing was sent, or nothing came back.
#[derive(Debug)]
pub(super) enum Unsent<E> {
    /// No prompt could be built in the room that there is.
    Unbuilt(E),
    Model(ModelError),
}

impl Sending<'_> {
    /// Sends what `build` makes of the room that the model has.
    pub(super) async fn send<E, Building>(
        &self,
        build: impl Fn(Budget) -> Building,
    ) -> Result<(Arc<Prompt>, Events), Unsent<E>>
    where
        Building: Future<Output = Result<Prompt, E>>,
    {
        let mut context = self.serving.context(self.ceiling);
        loop {
            let prompt = Arc::new(build(self.budget(context)).await.map_err(Unsent::Unbuilt)?);
            let error = match self.once(Arc::clone(&prompt)).await {
                Ok(events) => return Ok((prompt, events)),
                Err(error) => error,
            };
            let less = room(&error, &prompt).filter(|room| context.is_none_or(|it| *room < it));
            // Smaller each time, so there is an end to it.
            context = Some(less.ok_or(Unsent::Model(error))?);
        }
    }

    /// The room for a prompt at a server with this context, in tokens.
    pub(super) fn budget(&self, context: Option<usize>) -> Budget {
        Budget::new(self.ceiling, context, self.output, self.desk.counter(self.serving))
    }

    /// Sends a prompt as it is.
    pub(super) async fn once(&self, prompt: Arc<Prompt>) -> Result<Events, ModelError> {
        let Self { settings, serving, .. } = self;
        self.desk.sent(serving, &prompt);
        let job = Job {
            model: serving.model.name.clone(),
            prompt,
            temperature: self.temperature,
            stop: self.stop.to_vec(),
            num_ctx: serving.num_ctx(settings.max_local_context_tokens.size()),
            keep_alive: settings.keep_alive.as_str().to_owned(),
            slot: None,
        };
        serving.provider.generate(job).await
    }
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
