//! The text that is missing at a cursor.
//!
//! A request has a ticket at its document's owner. If a generation already runs that agrees with the
//! text, the request waits for it; else it starts one. The generation builds the prompt, asks the
//! model and stops it as soon as a line or block is complete. What comes out is made fit to show for
//! the text as the request saw it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::StreamExt;

use super::{Desk, Report};
use crate::{
    check::{Place, Surroundings},
    config::{ProviderSetting, Settings},
    context::{
        layout::Order,
        prompt::{self, Built},
        shelf::Workspace,
        window::View,
    },
    model::{
        self, Budget, Event, Events, Job, Kind, ModelError, Prompt, Stop, Usage,
        fim::{self, Mode},
    },
    route::{Serving, State},
    session::{
        Snapshot,
        owner::{End, Outcome, Sink, Ticket},
    },
    syntax::{Extent, Judge},
};

/// Tokens that a line may take: 95 % of the lines people complete have at most 73 characters
/// (Copilot's published figure), which is half of this.
const LINE_TOKENS: usize = 48;

/// Tokens that a block may take: 24 lines of 10 tokens.
const BLOCK_TOKENS: usize = 240;

/// How long nothing may be typed before the model is asked, unless the user says otherwise. Editors
/// wait as well: VS Code some 40 ms, Neovim 200 ms.
const USUAL_DEBOUNCE: Duration = Duration::from_millis(30);

/// How long a request takes to be on its way to the model. What can be done meanwhile waits for that,
/// for the two compete for the same cores: on two of them it doubles the way of a keystroke.
const UNTIL_ASKED: Duration = Duration::from_millis(2);

/// How often a request starts over because its generation was stopped under it.
const STARTS: usize = 3;

/// Who waits for a completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Somebody who types, and is shown what a model is sure of without having asked for it.
    GhostText,
    /// The same in a popup, which does not wait longer than this.
    Popup(Duration),
    /// Somebody who asked in so many words, and gets whatever the model says.
    Command,
}

/// What a request came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Text to insert at the cursor.
    Suggestion(String),
    /// There is nothing to show, and why.
    Nothing(String),
    /// A newer request or an edit made it obsolete.
    Overtaken,
    /// It did not come within the caller's patience; the next request may find it.
    Late,
}

/// Completes `snapshot` at byte `offset`, where `ticket` was taken.
pub async fn complete(
    desk: Arc<Desk>,
    settings: Arc<Settings>,
    snapshot: Snapshot,
    offset: usize,
    mut ticket: Ticket,
    audience: Audience,
) -> Answer {
    let work = answer(&desk, &settings, &snapshot, offset, &mut ticket, audience);
    let answer = match audience {
        Audience::GhostText | Audience::Command => work.await,
        Audience::Popup(patience) => {
            if let Ok(answer) = tokio::time::timeout(patience, work).await {
                answer
            } else {
                ticket.hand_over();
                Answer::Late
            }
        }
    };
    match &answer {
        Answer::Suggestion(_) => desk.note(None),
        Answer::Nothing(reason) => desk.note(Some(reason.clone())),
        Answer::Overtaken | Answer::Late => {}
    }
    answer
}

async fn answer(
    desk: &Arc<Desk>,
    settings: &Arc<Settings>,
    snapshot: &Snapshot,
    offset: usize,
    ticket: &mut Ticket,
    audience: Audience,
) -> Answer {
    if !settings.completion_enabled {
        return Answer::Nothing("suggestions are switched off (completion.enabled)".to_owned());
    }
    let extent = if only_lines(desk) {
        Extent::within_line(&snapshot.text, offset)
    } else {
        Extent::at(&snapshot.text, offset)
    };
    let place = Place {
        text: &snapshot.text,
        tree: snapshot.tree.as_ref(),
        language: snapshot.language,
        offset,
        extent,
    };
    let mut surroundings = None;
    for _ in 0..STARTS {
        if !ticket.is_served() {
            // Whoever has a popup to fill has waited already.
            let usual = if ticket.follows() { Duration::ZERO } else { USUAL_DEBOUNCE };
            let debounce =
                settings.debounce_ms.set().map_or(usual, |ms| Duration::from_millis(ms.get()));
            if !debounce.is_zero() {
                tokio::select! {
                    () = ticket.overtaken() => return Answer::Overtaken,
                    () = tokio::time::sleep(debounce) => {}
                }
            }
            let serving = match serving(desk) {
                Ok(serving) => serving,
                Err(reason) => return Answer::Nothing(reason),
            };
            if let Some(reason) = unasked(&serving, settings)
                && audience != Audience::Command
            {
                return Answer::Nothing(reason);
            }
            ticket.start(|sink| {
                let asking = Asking {
                    desk: Arc::clone(desk),
                    settings: Arc::clone(settings),
                    serving,
                    snapshot: snapshot.clone(),
                    offset,
                    extent,
                    audience,
                    began: Instant::now(),
                };
                asking.run(sink)
            });
        }
        let outcome = {
            let mut outcome = std::pin::pin!(ticket.outcome());
            tokio::select! {
                outcome = &mut outcome => outcome,
                // While the model is thinking.
                () = tokio::time::sleep(UNTIL_ASKED) => {
                    surroundings.get_or_insert_with(|| Surroundings::of(&place));
                    outcome.await
                }
            }
        };
        match outcome {
            Outcome::Overtaken => return Answer::Overtaken,
            Outcome::Stopped => {}
            Outcome::Nothing(reason) => return Answer::Nothing(reason),
            Outcome::Text(text) => {
                return surroundings
                    .get_or_insert_with(|| Surroundings::of(&place))
                    .fit(&text)
                    .map_or_else(|unfit| Answer::Nothing(unfit.to_string()), Answer::Suggestion);
            }
        }
    }
    Answer::Nothing("the text changed faster than the model could follow".to_owned())
}

fn serving(desk: &Desk) -> Result<Serving, String> {
    let health = desk.router().health();
    match (&health.choice, health.state) {
        (Some(serving), State::Warm | State::Cold) => Ok(serving.clone()),
        _ => Err(health.message.clone()),
    }
}

/// The model in this process says one line at a time: it is small, and gets worse with each token.
fn only_lines(desk: &Desk) -> bool {
    desk.router().health().choice.as_ref().is_some_and(|serving| serving.model.card.is_some())
}

/// Why nothing of this model is shown unasked, if that is so.
pub fn unasked(serving: &Serving, settings: &Settings) -> Option<String> {
    let card = serving.model.card?;
    let wanted = card.ghost_text
        || card.chosen
        || settings.provider.set() == Some(&ProviderSetting::BuiltIn);
    (!wanted).then(|| {
        format!(
            "{} is not shown as ghost text: by its card it is no better than repeating a similar \
             line. `hearth complete` asks it, and local.provider = \"built-in\" shows it anyway; a \
             model server with a code model is used as soon as it runs",
            serving.model.name
        )
    })
}

/// Why a completion is not shown unasked, if the model is not sure enough of it.
fn unsure(serving: &Serving, confidence: Option<f32>) -> Option<String> {
    let (card, confidence) = (serving.model.card?, confidence.unwrap_or_default());
    (confidence < card.show_above).then(|| {
        format!(
            "the model was not sure enough: {confidence:.2}, and what it says is shown from {:.2}",
            card.show_above
        )
    })
}

/// One generation on its way.
struct Asking {
    desk: Arc<Desk>,
    settings: Arc<Settings>,
    serving: Serving,
    snapshot: Snapshot,
    offset: usize,
    extent: Extent,
    audience: Audience,
    began: Instant,
}

impl Asking {
    async fn run(self, sink: Sink) -> End {
        match self.ask().await {
            Ok((prompt, mode, mut events)) => {
                let end = self.follow(&prompt, mode, &mut events, &sink).await;
                let ended = matches!(end, Ok((_, Some(_))));
                self.desk.clear_up(self.serving, prompt, ended.then_some(events));
                end.map_or_else(|error| nothing(&self.desk, &error), |(end, _)| end)
            }
            Err(Refusal::Model(error)) => nothing(&self.desk, &error),
            Err(Refusal::NoRoom(ceiling)) => End::Nothing {
                reason: format!(
                    "the cursor's line alone is larger than the {ceiling} tokens of the context"
                ),
            },
        }
    }

    /// Builds the prompt and sends it; once more when the server's context is smaller than it said.
    async fn ask(&self) -> Result<(Arc<Prompt>, Mode, Events), Refusal> {
        let (mode, order) = (fim::choose(&self.serving.model), Order::of(&self.serving.model));
        let ceiling = self.settings.max_local_context_tokens.size();
        let num_ctx = self.serving.num_ctx(ceiling);
        let mut context = context(&self.serving, ceiling);
        loop {
            let counter = self.desk.counter(&self.serving);
            let budget = Budget::new(ceiling, context, output(self.extent), counter);
            let room = context.map_or(ceiling, |context| context.min(ceiling));
            let built = self.build(mode, order, budget).await;
            let prompt = Arc::new(built.ok_or(Refusal::NoRoom(room))?.prompt);
            let job = Job {
                model: self.serving.model.name.clone(),
                prompt: Arc::clone(&prompt),
                temperature: 0.0,
                stop: self.stops(mode),
                num_ctx,
                keep_alive: self.settings.keep_alive.as_str().to_owned(),
                slot: None,
            };
            match self.serving.provider.generate(job).await {
                Ok(events) => return Ok((prompt, mode, events)),
                Err(ModelError::TooLong { context: Some(real), .. })
                    if context.is_none_or(|context| real < context) =>
                {
                    context = Some(real);
                }
                Err(error) => return Err(Refusal::Model(error)),
            }
        }
    }

    /// Builds the prompt aside: files may have to be read.
    async fn build(&self, mode: Mode, order: Order, budget: Budget) -> Option<Built> {
        let (desk, snapshot) = (Arc::clone(&self.desk), self.snapshot.clone());
        let (most_tokens, offset) = (self.settings.context_max_tokens.size(), self.offset);
        let building = tokio::task::spawn_blocking(move || {
            let workspace = Workspace {
                index: desk.index(),
                file: snapshot.path.as_deref(),
                most_tokens,
                shelf: desk.shelf(),
            };
            let view = View::of(&snapshot, offset);
            prompt::build(&view, Some(&workspace), mode, order, &budget)
        });
        // A panic in it is in the log.
        building.await.ok().flatten()
    }

    /// At most four. On a line that is begun a line break ends the suggestion, and letting the server
    /// stop there keeps the connection.
    fn stops(&self, mode: Mode) -> Vec<String> {
        let family = match mode {
            Mode::Fim(tokens) => tokens.stop,
            Mode::Prefix | Mode::Hole => &[],
        };
        let line = match (self.extent, mode) {
            (Extent::Line { begun }, Mode::Fim(_) | Mode::Prefix) => {
                begun || self.serving.model.card.is_some()
            }
            _ => false,
        };
        let mut stops: Vec<String> = line.then(|| "\n".to_owned()).into_iter().collect();
        stops.extend(family.iter().take(4 - stops.len()).map(|stop| (*stop).to_owned()));
        stops
    }

    /// Follows the stream until a line or block is complete. Dropping the stream stops the model; with
    /// the server's last word, which is the usage, it has stopped by itself.
    async fn follow(
        &self,
        prompt: &Arc<Prompt>,
        mode: Mode,
        events: &mut Events,
        sink: &Sink,
    ) -> Result<(End, Option<Usage>), ModelError> {
        let mut judge = Judge::new(self.extent);
        let mut first_text = None;
        let (end, usage) = loop {
            match events.next().await.transpose()? {
                Some(Event::Text(text)) => {
                    first_text.get_or_insert_with(|| self.began.elapsed());
                    if sink.push(&text).is_break() {
                        let reason = "what was typed went another way".to_owned();
                        break (End::Nothing { reason }, None);
                    }
                    if let Some(keep) = judge.push(&text) {
                        break (End::Complete { keep }, None);
                    }
                }
                Some(Event::Done(usage)) => {
                    let keep = judge.finish(usage.stop != Stop::Limit);
                    break (End::Complete { keep }, Some(usage));
                }
                None => {
                    break (End::Complete { keep: judge.finish(false) }, None);
                }
            }
        };
        if let Some(usage) = usage {
            if let Some(reported) = usage.prompt_tokens {
                self.desk.counter(&self.serving).calibrate(prompt, reported);
            }
            if let Some(cut) = model::budget::truncated(prompt, &usage, self.serving.model.context)
            {
                self.desk.warn_once(&self.serving, &cut);
            }
        }
        let mut end = end;
        let withheld = unasked(&self.serving, &self.settings)
            .or_else(|| unsure(&self.serving, usage.and_then(|usage| usage.confidence)));
        if let Some(reason) = &withheld
            && self.audience != Audience::Command
        {
            end = End::Nothing { reason: reason.clone() };
        }
        self.desk.report(Report {
            serving: self.serving.clone(),
            mode,
            prompt: Arc::clone(prompt),
            usage,
            withheld,
            first_text,
            total: self.began.elapsed(),
        });
        Ok((end, usage))
    }
}

/// Tokens of the context that `serving` has, or will have been loaded with: prompt and answer.
pub(super) fn context(serving: &Serving, ceiling: usize) -> Option<usize> {
    match serving.provider.kind() {
        // Loaded with what each request asks for.
        Kind::Ollama => Some(serving.num_ctx(ceiling)),
        Kind::LlamaServer | Kind::OpenAi | Kind::BuiltIn => serving.model.context,
    }
}

/// Tokens that an answer may have.
pub(super) fn output(extent: Extent) -> usize {
    if extent.is_block() { BLOCK_TOKENS } else { LINE_TOKENS }
}

/// Why a model was not asked.
enum Refusal {
    Model(ModelError),
    /// Not even the cursor's line fits into this many tokens.
    NoRoom(usize),
}

fn nothing(desk: &Desk, error: &ModelError) -> End {
    tracing::warn!("{error}");
    desk.router().nudge();
    End::Nothing { reason: error.to_string() }
}
