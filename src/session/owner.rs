//! The one owner of a document's generation.
//!
//! A generation belongs to the document, not to the request that started it. Requests come and go
//! with every key; the generation goes on as long as what is typed agrees with what it has produced,
//! and stops the moment it does not. This module never asks a model: whoever starts a generation
//! hands in the future that does.

use std::{
    future::Future,
    ops::ControlFlow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use super::{ByteEdit, task::OwnedTask};

/// A running generation that no request waits for is stopped after this long. The next request of a
/// typing user follows within 250 ms in the editors we know (Neovim waits 200 ms after a key).
const ORPHANED_AFTER: Duration = Duration::from_secs(2);

/// Holds a document's running generation and its last result.
#[derive(Debug, Default)]
pub struct Owner {
    state: Mutex<State>,
    /// Signalled after every change of the state that a request may wait for.
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    /// Edits since the document was opened.
    edits: u64,
    /// Those of them that did not type along with a running generation.
    turns: u64,
    /// Number of the newest request.
    newest: u64,
    /// Number of the newest generation.
    started: u64,
    generation: Option<Generation>,
}

#[derive(Debug)]
struct Generation {
    number: u64,
    /// Where it was asked for, in bytes. What was typed since stands right behind it.
    origin: usize,
    typed: String,
    produced: String,
    end: Option<End>,
    /// Since when no request waits for it.
    orphaned: Option<Instant>,
    _task: OwnedTask,
}

/// How a generation came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// What was produced is all there is to show, in its first `keep` bytes.
    Complete { keep: usize },
    /// There is nothing to show, and why.
    Nothing { reason: String },
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A newer request or an edit made it obsolete.
    Overtaken,
    /// Its generation was stopped although the request still stands: start another.
    Stopped,
    /// The text that was produced, from the request's place on.
    Text(String),
    /// There is nothing to show, and why.
    Nothing(String),
}

impl Generation {
    /// Whether typed and produced text can still become the same.
    fn agrees(&self) -> bool {
        if self.typed.len() <= self.produced.len() {
            self.produced.starts_with(&self.typed)
        } else {
            self.end.is_none() && self.typed.starts_with(&self.produced)
        }
    }

    /// The result from `offset` on, unless all of it is typed already.
    fn rest(&self, offset: usize) -> Option<&str> {
        match &self.end {
            Some(End::Complete { keep }) if self.typed.len() < *keep => {
                self.produced.get(offset.checked_sub(self.origin)?..*keep)
            }
            _ => None,
        }
    }

    fn serves(&self, offset: usize) -> bool {
        self.origin + self.typed.len() == offset
            && (self.end.is_none() || self.rest(offset).is_some())
    }

    /// Takes an edit into what was typed. `false` when it is not typing along.
    fn follow(&mut self, edit: ByteEdit, inserted: &str) -> bool {
        let cursor = self.origin + self.typed.len();
        if edit.start < self.origin || edit.old_end != cursor {
            return false;
        }
        let kept = edit.start - self.origin;
        if !self.typed.is_char_boundary(kept) {
            return false;
        }
        self.typed.truncate(kept);
        self.typed.push_str(inserted);
        self.agrees()
    }
}

impl Owner {
    /// Called for every edit, in order, on the read loop, before anything else sees the new text.
    /// Stops the running generation at once if the edit disagrees with what it has produced.
    pub fn edited(&self, edit: ByteEdit, inserted: &str) {
        let mut state = self.lock();
        state.edits += 1;
        let along = state.generation.as_mut().is_some_and(|running| running.follow(edit, inserted));
        if !along {
            state.turns += 1;
            state.generation = None;
        }
        drop(state);
        self.changed.send_replace(());
    }

    /// Stops everything: the document is closed, or what was asked for holds no longer.
    pub fn stop(&self) {
        let mut state = self.lock();
        state.newest += 1;
        state.generation = None;
        drop(state);
        self.changed.send_replace(());
    }

    /// Takes a request for the text at `offset` (bytes). It overtakes every earlier one, and a
    /// generation that runs for another place is stopped.
    pub fn ask(self: &Arc<Self>, offset: usize) -> Ticket {
        let mut state = self.lock();
        state.newest += 1;
        if state.generation.as_ref().is_some_and(|generation| !generation.serves(offset)) {
            state.generation = None;
        }
        if let Some(generation) = &mut state.generation {
            generation.orphaned = None;
        }
        let (number, edits, turns) = (state.newest, state.edits, state.turns);
        drop(state);
        self.changed.send_replace(());
        let owner = Arc::clone(self);
        Ticket { owner, number, edits, turns, follows: false, offset, settled: false }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held leaves a state that is complete between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn orphaned(&self, number: u64) -> bool {
        let state = self.lock();
        let orphaned = state.generation.as_ref().filter(|generation| generation.number == number);
        orphaned
            .and_then(|generation| generation.orphaned)
            .is_some_and(|since| since.elapsed() >= ORPHANED_AFTER)
    }

    fn end(&self, number: u64, end: Option<End>) {
        let mut state = self.lock();
        if let Some(generation) =
            state.generation.as_mut().filter(|generation| generation.number == number)
        {
            generation.end = end;
            if generation.end.is_none() || !generation.agrees() {
                state.generation = None;
            }
        }
        drop(state);
        self.changed.send_replace(());
    }
}

/// A request's place at its document's owner.
///
/// Dropped before its outcome (the editor cancelled), it stops the generation, unless an edit has
/// come since: then the editor only moved on with the text, and the next request takes over.
#[derive(Debug)]
pub struct Ticket {
    owner: Arc<Owner>,
    number: u64,
    /// Edits when the request came.
    edits: u64,
    turns: u64,
    follows: bool,
    offset: usize,
    settled: bool,
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

    /// Whether a generation serves this request already.
    pub fn is_served(&self) -> bool {
        self.owner
            .lock()
            .generation
            .as_ref()
            .is_some_and(|generation| generation.serves(self.offset))
    }

    /// Starts a generation for this request, unless the request is obsolete. `body` asks the model
    /// and feeds the [`Sink`]; it is dropped the moment the generation is stopped.
    pub fn start<Body, Running>(&self, body: Body)
    where
        Body: FnOnce(Sink) -> Running,
        Running: Future<Output = End> + Send + 'static,
    {
        let mut state = self.owner.lock();
        if !self.stands(&state) {
            return;
        }
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
            let end = tokio::select! {
                end = running => Some(end),
                () = orphaned => None,
            };
            owner.end(number, end);
        });
        state.generation = Some(Generation {
            number,
            origin: self.offset,
            typed: String::new(),
            produced: String::new(),
            end: None,
            orphaned: None,
            _task: task,
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

    /// Waits for what becomes of the request.
    pub async fn outcome(&mut self) -> Outcome {
        let mut changed = self.owner.changed.subscribe();
        loop {
            if let Some(outcome) = self.look() {
                self.settled = outcome != Outcome::Stopped;
                return outcome;
            }
            let _ = changed.changed().await;
        }
    }

    /// Gives the request up without stopping its generation: the next request may take it over.
    pub fn hand_over(mut self) {
        self.settled = true;
    }

    fn look(&self) -> Option<Outcome> {
        let state = self.owner.lock();
        if !self.stands(&state) {
            return Some(Outcome::Overtaken);
        }
        let Some(generation) = &state.generation else { return Some(Outcome::Stopped) };
        match &generation.end {
            None => None,
            Some(End::Nothing { reason }) => Some(Outcome::Nothing(reason.clone())),
            Some(End::Complete { .. }) => Some(generation.rest(self.offset).map_or_else(
                || Outcome::Nothing("the model had nothing to add".to_owned()),
                |rest| Outcome::Text(rest.to_owned()),
            )),
        }
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
            state.generation = None;
        } else if state.newest == self.number
            && let Some(generation) = &mut state.generation
        {
            generation.orphaned = Some(Instant::now());
        }
    }
}

/// Where a generation puts what it produces.
#[derive(Debug)]
pub struct Sink {
    owner: Arc<Owner>,
    number: u64,
}

impl Sink {
    /// Adds text. [`ControlFlow::Break`] when what the user has typed meanwhile disagrees with it:
    /// there is no use for more.
    pub fn push(&self, text: &str) -> ControlFlow<()> {
        let mut state = self.owner.lock();
        let generation =
            state.generation.as_mut().filter(|generation| generation.number == self.number);
        let Some(generation) = generation else { return ControlFlow::Break(()) };
        generation.produced.push_str(text);
        if generation.agrees() {
            return ControlFlow::Continue(());
        }
        state.generation = None;
        drop(state);
        self.owner.changed.send_replace(());
        ControlFlow::Break(())
    }
}

#[cfg(test)]
mod tests;
