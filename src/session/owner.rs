//! The one owner of a document's generation.
//!
//! A generation belongs to the document, not to the request that started it. It is what a model says
//! will be typed from one place on, and it may say more than one request asks for: requests come and
//! go with every key; the generation goes on as long as what is typed agrees with it, and stops the
//! moment it does not. What it said is kept on a [`shelf`], for the text may come back to it. This
//! module never asks a model: whoever starts a generation hands in the future that does.

mod shelf;
mod touch;

use std::{
    future::Future,
    ops::ControlFlow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ropey::Rope;
use tokio::{sync::watch, time::Instant};

use super::{ByteEdit, task::OwnedTask};
use shelf::{Shelf, Shelved};
pub use touch::Touch;
use touch::Touches;

/// A running generation that no request waits for is stopped after this long. The next request of a
/// typing user follows within 250 ms in the editors we know (Neovim waits 200 ms after a key).
const ORPHANED_AFTER: Duration = Duration::from_secs(2);

/// What editors close by themselves.
const PAIRS: [&str; 6] = ["()", "[]", "{}", "<>", "\"\"", "''"];

/// Suggestions that the user turned down, kept in mind.
const REJECTED: usize = 16;

/// Holds a document's running generation and its last results.
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
    shelf: Shelf,
    touches: Touches,
    /// What was shown and then not taken, behind what stood before it; the newest last.
    rejected: Vec<(String, String)>,
}

#[derive(Debug)]
struct Generation {
    number: u64,
    /// The document when it was asked for.
    text: Rope,
    /// Where it was asked for, in bytes. What was typed since stands right behind it.
    origin: usize,
    context: u64,
    typed: String,
    produced: String,
    /// How much of what was produced has been shown.
    shown: usize,
    /// `None` while more is coming.
    end: Option<End>,
    /// Since when no request waits for it.
    orphaned: Option<Instant>,
    _task: Option<OwnedTask>,
}

/// How a generation came to its end, or to a halt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The model had no more to say.
    Complete,
    /// It had more to say: the last line may be half a line.
    Cut,
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
    /// The text to show, from the request's place on.
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

    /// Where what is typed next goes.
    fn cursor(&self) -> usize {
        self.origin + self.typed.len()
    }

    fn serves(&self, offset: usize) -> bool {
        let left = self.produced.get(self.typed.len()..).unwrap_or_default();
        let more = match self.end {
            None => true,
            Some(End::Complete | End::Cut) => !left.trim().is_empty(),
            Some(End::Nothing { .. }) => false,
        };
        self.cursor() == offset && more
    }

    /// Takes an edit into what was typed. `false` when it is not typing along.
    fn follow(&mut self, edit: ByteEdit, inserted: &str) -> bool {
        if edit.start < self.origin || edit.old_end != self.cursor() {
            return false;
        }
        let kept = edit.start - self.origin;
        if !self.typed.is_char_boundary(kept) {
            return false;
        }
        let before = std::mem::take(&mut self.typed);
        // Of a pair of brackets the closing one is the editor's, and stands behind the cursor.
        let opening = PAIRS.contains(&inserted).then(|| &inserted[..1]);
        for typed in std::iter::once(inserted).chain(opening) {
            self.typed = format!("{}{typed}", &before[..kept]);
            if self.agrees() {
                return true;
            }
        }
        self.typed = before;
        false
    }

    /// What was shown and is not typed, behind what stands before it.
    fn on_screen(&self) -> Option<(String, String)> {
        let text = self.produced.get(self.typed.len()..self.shown)?;
        let before = stands_before(&self.text, self.origin) + &self.typed;
        (!text.is_empty()).then(|| (last_two_lines(&before).to_owned(), text.to_owned()))
    }
}

impl State {
    /// Stops the generation. What of it is worth anything goes on the shelf.
    fn stop(&mut self) {
        let Some(generation) = self.generation.take() else { return };
        let Generation { text, origin, context, mut produced, shown, end, .. } = generation;
        if !matches!(end, Some(End::Complete | End::Cut)) {
            // Half a line that nobody has seen is worth nothing.
            let whole = produced.rfind('\n').map_or(0, |line_break| line_break + 1);
            produced.truncate(whole.max(shown));
        }
        if !produced.trim().is_empty() {
            self.shelf.put(Shelved { text, origin, context, produced, shown });
        }
    }

    fn reject(&mut self) {
        if let Some(shown) = self.generation.as_ref().and_then(Generation::on_screen) {
            self.rejected.retain(|before| *before != shown);
            self.rejected.push(shown);
            let old = self.rejected.len().saturating_sub(REJECTED);
            self.rejected.drain(..old);
        }
    }
}

impl Owner {
    /// Called for every edit, in order, on the read loop, before anything else sees the new text.
    /// Stops the running generation at once if the edit disagrees with what it has produced.
    pub fn edited(&self, edit: ByteEdit, removed: &str, inserted: &str) {
        let mut state = self.lock();
        state.edits += 1;
        let along = state.generation.as_mut().is_some_and(|running| running.follow(edit, inserted));
        state.touches.push(removed, inserted, along);
        if !along {
            state.turns += 1;
            // Something else was typed where it stood; what is taken back decides nothing.
            let at = state.generation.as_ref().map(Generation::cursor);
            if at == Some(edit.start) && !inserted.trim().is_empty() {
                state.reject();
            }
            state.stop();
        }
        drop(state);
        self.changed.send_replace(());
    }

    /// Stops everything: the document is closed, or what was asked for holds no longer.
    pub fn stop(&self) {
        let mut state = self.lock();
        state.newest += 1;
        state.generation = None;
        state.shelf.clear();
        drop(state);
        self.changed.send_replace(());
    }

    /// Takes a request for what follows at `offset` (bytes) of `text`, where the model would see
    /// `context` beside it. It overtakes every earlier one, and a generation that runs for another
    /// place is stopped. What is on the shelf for this place is served again.
    pub fn ask(self: &Arc<Self>, text: &Rope, offset: usize, context: u64) -> Ticket {
        let mut state = self.lock();
        state.newest += 1;
        let serves = |running: &Generation| running.serves(offset) && running.context == context;
        if !state.generation.as_ref().is_some_and(serves) {
            state.stop();
            if let Some((found, typed)) = state.shelf.find(text, offset, context) {
                state.started += 1;
                state.generation = Some(Generation {
                    number: state.started,
                    origin: offset - typed,
                    typed: found.produced[..typed].to_owned(),
                    text: found.text,
                    context,
                    produced: found.produced,
                    shown: found.shown,
                    end: Some(End::Cut),
                    orphaned: None,
                    _task: None,
                });
            }
        }
        if let Some(generation) = &mut state.generation {
            generation.orphaned = None;
        }
        let ticket = Ticket {
            owner: Arc::clone(self),
            number: state.newest,
            edits: state.edits,
            turns: state.turns,
            touch: state.touches.last,
            rhythm: state.touches.rhythm(),
            rest: state.touches.rest(),
            follows: false,
            text: text.clone(),
            offset,
            context,
            settled: false,
        };
        drop(state);
        self.changed.send_replace(());
        ticket
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

    /// Looks at the generation of this number; `None` when it was stopped.
    fn peek<T>(&self, number: u64, look: impl FnOnce(&Generation) -> T) -> Option<T> {
        self.lock().generation.as_ref().filter(|running| running.number == number).map(look)
    }

    /// Changes the generation of this number and tells who waits; `None` when it was stopped.
    fn with<T>(&self, number: u64, change: impl FnOnce(&mut Generation) -> T) -> Option<T> {
        let mut state = self.lock();
        let generation = state.generation.as_mut().filter(|running| running.number == number)?;
        let result = change(generation);
        if !generation.agrees() {
            state.stop();
        }
        drop(state);
        self.changed.send_replace(());
        Some(result)
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
    touch: Touch,
    rhythm: Option<Duration>,
    rest: Option<Duration>,
    follows: bool,
    text: Rope,
    offset: usize,
    context: u64,
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
            shown: 0,
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
    pub async fn outcome(
        &mut self,
        judge: impl Fn(&str, Option<&End>) -> Option<usize>,
    ) -> Outcome {
        let mut changed = self.owner.changed.subscribe();
        loop {
            if let Some(outcome) = self.look(&judge) {
                self.settled = outcome != Outcome::Stopped;
                self.owner.changed.send_replace(());
                return outcome;
            }
            let _ = changed.changed().await;
        }
    }

    /// Gives the request up without stopping its generation: the next request may take it over.
    pub fn hand_over(mut self) {
        self.settled = true;
    }

    fn look(&self, judge: impl Fn(&str, Option<&End>) -> Option<usize>) -> Option<Outcome> {
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
        let shown = generation.shown;
        let until = if shown > generation.typed.len().max(from) {
            shown
        } else {
            from + judge(rest, generation.end.as_ref())?
        };
        if until <= generation.typed.len().max(from) {
            return Some(Outcome::Nothing("the model had nothing to add".to_owned()));
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

/// What tells one place from another: what stands before byte `at` on its line, and the line above.
fn stands_before(text: &Rope, at: usize) -> String {
    let above = text.line_to_byte(text.byte_to_line(at).saturating_sub(1));
    text.get_byte_slice(above..at).map(|slice| slice.to_string()).unwrap_or_default()
}

fn last_two_lines(text: &str) -> &str {
    let line = text.rfind('\n').unwrap_or_default();
    let above = text[..line].rfind('\n').map_or(0, |line_break| line_break + 1);
    &text[above..]
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
        let pushed = self.owner.with(self.number, |generation| {
            generation.produced.push_str(text);
            generation.agrees()
        });
        if pushed == Some(true) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    /// Nothing more is coming, for the time being at least. Half a line at the end of a text that was
    /// cut is taken back, unless it is the only one or has been shown.
    pub fn end(&self, end: End) {
        self.owner.with(self.number, |generation| {
            if end == End::Cut
                && let Some(line_break) = generation.produced.trim_end().rfind('\n')
            {
                let needed = generation.shown.max(generation.typed.len());
                let needed = needed.min(generation.produced.len());
                if !generation.produced[..line_break].trim().is_empty() {
                    generation.produced.truncate(needed.max(line_break + 1));
                }
            }
            generation.end = Some(end);
        });
    }

    /// More is coming after all, behind `bridge`.
    pub fn go_on(&self, bridge: &str) {
        self.owner.with(self.number, |generation| {
            generation.produced.push_str(bridge);
            generation.end = None;
        });
    }

    /// Takes back what was produced behind its first `len` bytes, unless it is typed already.
    pub fn take_back(&self, len: usize) {
        self.owner.with(self.number, |generation| {
            let needed = len.max(generation.typed.len());
            if generation.produced.is_char_boundary(needed) {
                generation.produced.truncate(needed);
            }
        });
    }

    /// Whether a request waits for this generation now.
    pub fn is_awaited(&self) -> bool {
        self.owner.peek(self.number, |generation| generation.orphaned.is_none()).unwrap_or(false)
    }

    /// Waits until all that was produced has been shown, and returns it; `None` when the generation
    /// was stopped, or ended with nothing to show.
    pub async fn exhausted(&self) -> Option<String> {
        let mut changed = self.owner.changed.subscribe();
        loop {
            let produced = self.owner.peek(self.number, |generation| {
                let left = generation.produced.get(generation.shown..).unwrap_or_default();
                let exhausted = generation.shown > 0 && left.trim().is_empty();
                exhausted.then(|| generation.produced.clone())
            })?;
            if produced.is_some() {
                return produced;
            }
            let _ = changed.changed().await;
        }
    }
}

#[cfg(test)]
mod tests;
