//! One request, from its receipt to what becomes of it.

use std::{future::Future, sync::Arc, time::Duration};

use ropey::Rope;
use tokio::time::Instant;

use super::{
    Count, End, Generation, ORPHANED_AFTER, Odds, Offer, Outcome, OwnedTask, Owner, Sink, State,
    Touch, stands_before,
};

/// A request's place at its document's owner.
///
/// Dropped before its outcome (the editor cancelled), it stops the generation, unless an edit has
/// come since: then the editor only moved on with the text, and the next request takes over.
#[derive(Debug)]
pub struct Ticket {
    pub(super) owner: Arc<Owner>,
    pub(super) number: u64,
    /// Edits when the request came.
    pub(super) edits: u64,
    pub(super) turns: u64,
    pub(super) touch: Touch,
    pub(super) rhythm: Option<Duration>,
    pub(super) rest: Option<Duration>,
    pub(super) follows: bool,
    pub(super) text: Rope,
    pub(super) offset: usize,
    pub(super) context: u64,
    pub(super) settled: bool,
}

impl Ticket {
    /// Lets the request stand while what is typed agrees with what is generated: its outcome is still
    /// the one for its own place. For an editor that asks only once while a popup is on its way.
    #[must_use]
    pub fn following(mut self) -> Self {
        self.follows = true;
        self
    }

    /// Whether it is [`Ticket::following`].
    pub fn follows(&self) -> bool {
        self.follows
    }

    /// What the user had done last when the request came.
    pub fn touch(&self) -> Touch {
        self.touch
    }

    /// Time between two keys while one types without a pause; `None` before there were any.
    pub fn rhythm(&self) -> Option<Duration> {
        self.rhythm
    }

    /// How long the editor had waited after the last edit when it asked; `None` before there was one.
    pub fn rest(&self) -> Option<Duration> {
        self.rest
    }

    /// Whether a generation serves this request already.
    pub fn is_served(&self) -> bool {
        self.owner
            .lock()
            .generation
            .as_ref()
            .is_some_and(|generation| generation.serves(self.offset))
    }

    /// Whether the user was shown exactly this and typed something else.
    pub fn was_rejected(&self, text: &str) -> bool {
        let before = stands_before(&self.text, self.offset);
        let state = self.owner.lock();
        state.rejected.iter().any(|(then, shown)| *then == before && shown == text)
    }

    /// Starts a generation for this request, unless the request is obsolete. `body` asks the model
    /// and feeds the [`Sink`]; it is dropped the moment the generation is stopped.
    pub fn start<Body, Running>(&self, body: Body)
    where
        Body: FnOnce(Sink) -> Running,
        Running: Future<Output = ()> + Send + 'static,
    {
        let mut state = self.owner.lock();
        if !self.stands(&state) {
            return;
        }
        state.stop();
        state.started += 1;
        let number = state.started;
        let running = body(Sink { owner: Arc::clone(&self.owner), number });
        let owner = Arc::clone(&self.owner);
        let task = OwnedTask::spawn(async move {
            let orphaned = async {
                while !owner.orphaned(number) {
                    tokio::time::sleep(ORPHANED_AFTER / 4).await;
                }
            };
            tokio::select! {
                () = running => {}
                () = orphaned => {}
            }
            owner.with(number, |generation| generation.end.get_or_insert(End::Cut).clone());
        });
        state.generation = Some(Generation {
            number,
            text: self.text.clone(),
            origin: self.offset,
            context: self.context,
            typed: String::new(),
            produced: String::new(),
            odds: Odds::default(),
            shown: 0,
            counted: 0,
            end: None,
            orphaned: None,
            _task: Some(task),
        });
    }

    /// Waits until the request is obsolete.
    pub async fn overtaken(&self) {
        let mut changed = self.owner.changed.subscribe();
        while self.stands(&self.owner.lock()) {
            // The sender lives in the owner, which this ticket holds.
            let _ = changed.changed().await;
        }
    }

    /// Waits for what becomes of the request. `judge` says how many bytes to show of what was
    /// produced from the request's place on, once that is decided; always when there is an [`End`].
    /// Of what has not been shown yet `doubt` is asked first: it gets the probability of the first line,
    /// where the model says it, and says why that is not to be shown, if that is so.
    pub async fn outcome(
        &mut self,
        judge: impl Fn(&str, Option<&End>) -> Option<usize>,
        doubt: impl Fn(Option<f32>) -> Option<String>,
    ) -> Outcome {
        let mut changed = self.owner.changed.subscribe();
        loop {
            if let Some(outcome) = self.look(&judge, &doubt) {
                self.settled = outcome != Outcome::Stopped;
                self.owner.changed.send_replace(());
                return outcome;
            }
            let _ = changed.changed().await;
        }
    }

    /// What is left of the suggestion that is on the screen, where the user has typed along since: it
    /// is fit for the place already, and answers this request.
    pub fn still_offered(&mut self) -> Option<String> {
        let state = self.owner.lock();
        let offer = state.offer.as_ref().filter(|offer| offer.at() == self.offset)?;
        let running = state.generation.as_ref()?;
        let shown = running.serves(self.offset) && running.shown > running.typed.len();
        let left = (self.stands(&state) && shown).then(|| offer.left());
        let left = left.filter(|left| !left.trim().is_empty())?;
        drop(state);
        self.settled = true;
        Some(left)
    }

    /// Counts a suggestion that is on its way to the editor: what the outcome's text came to when it
    /// was made fit for the place.
    pub fn offers(&self, suggestion: &str) {
        let mut state = self.owner.lock();
        if !self.stands(&state) {
            return;
        }
        state.offer = Some(Offer::new(self.offset, suggestion));
        if let Some(generation) = &mut state.generation {
            // What is typed along stays the same suggestion.
            if generation.counted <= generation.typed.len() {
                self.owner.tally.count(Count::Shown);
            }
            generation.counted = generation.shown;
        }
    }

    /// Gives the request up without stopping its generation: the next request may take it over.
    pub fn hand_over(mut self) {
        self.settled = true;
    }

    fn look(
        &self,
        judge: impl Fn(&str, Option<&End>) -> Option<usize>,
        doubt: impl Fn(Option<f32>) -> Option<String>,
    ) -> Option<Outcome> {
        let mut state = self.owner.lock();
        if !self.stands(&state) {
            return Some(Outcome::Overtaken);
        }
        let Some(generation) = &mut state.generation else { return Some(Outcome::Stopped) };
        if let Some(End::Nothing { reason }) = &generation.end {
            return Some(Outcome::Nothing(reason.clone()));
        }
        // Of a following request, not what was typed since.
        let from = self.offset.checked_sub(generation.origin)?;
        let Some(rest) = generation.produced.get(from..) else {
            // What was typed is ahead of the model.
            return generation.end.as_ref().map(|_| Outcome::Stopped);
        };
        let (shown, typed) = (generation.shown, generation.typed.len().max(from));
        let on_screen = shown > typed;
        let until = if on_screen { shown } else { from + judge(rest, generation.end.as_ref())? };
        if until <= typed {
            return Some(Outcome::Nothing("the model had nothing to add".to_owned()));
        }
        if !on_screen && let Some(reason) = doubt(generation.likelihood(typed, until)) {
            return Some(Outcome::Nothing(reason));
        }
        generation.shown = until;
        Some(Outcome::Text(generation.produced.get(from..until)?.to_owned()))
    }

    fn stands(&self, state: &State) -> bool {
        let unturned = self.follows && state.turns == self.turns;
        state.newest == self.number && (state.edits == self.edits || unturned)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.owner.lock();
        let cancelled = state.newest == self.number && state.edits == self.edits;
        if !self.settled && cancelled {
            state.stop();
        } else if state.newest == self.number
            && let Some(generation) = &mut state.generation
        {
            generation.orphaned = Some(Instant::now());
        }
    }
}
