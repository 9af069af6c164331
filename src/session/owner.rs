//! The one owner of a document's generation.
//!
//! A generation belongs to the document, not to the request that started it. It is what a model says
//! will be typed from one place on, and it may say more than one request asks for: requests come and
//! go with every key; the generation goes on as long as what is typed agrees with it, and stops the
//! moment it does not. What it said is kept for a while ([`recent`]), for the text may come back to it. This
//! module never asks a model: whoever starts a generation hands in the future that does.
//!
//! All edits pass here, so what became of a suggestion is counted here as well: whether it was
//! accepted ([`offer`]), and how much of it stood half a minute later ([`kept`]).

mod kept;
mod odds;
mod offer;
mod recent;
mod sink;
mod ticket;
mod touch;

use std::{
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ropey::Rope;
use tokio::{sync::watch, time::Instant};

use super::{ByteEdit, task::OwnedTask};
use crate::metrics::{Count, Tally};
use kept::{Kept, narrowed};
use odds::Odds;
use offer::{Offer, Taken};
use recent::{Past, Recent};
pub use sink::Sink;
pub use ticket::Ticket;
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
    tally: Arc<Tally>,
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
    recent: Recent,
    touches: Touches,
    /// What was shown and then not taken, behind what stood before it; the newest last.
    rejected: Vec<(String, String)>,
    offer: Option<Offer>,
    kept: Kept,
    last_edit: Option<LastEdit>,
}

/// The newest edit, for an editor that says afterwards that it was the acceptance of a suggestion.
#[derive(Debug)]
struct LastEdit {
    /// What is new, in bytes of the text after it.
    added: Range<usize>,
    /// It was known for an acceptance without that.
    counted: bool,
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
    odds: Odds,
    /// How much of what was produced has been shown.
    shown: usize,
    /// How much of that has been counted.
    counted: usize,
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
    fn follow(&mut self, edit: ByteEdit, removed: &str, inserted: &str) -> bool {
        if let Some(added) = added_at(self.cursor(), edit, removed, inserted)
            && !added.is_empty()
        {
            let edit = ByteEdit { start: self.cursor(), old_end: self.cursor(), ..edit };
            return self.replaced(edit, added);
        }
        self.replaced(edit, inserted)
    }

    /// The same, of an edit that is all news.
    fn replaced(&mut self, edit: ByteEdit, inserted: &str) -> bool {
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

    /// The probability that the model gives to the first line of what is produced from byte `from` to
    /// `until`, given all before; `None` where it does not say.
    fn likelihood(&self, from: usize, until: usize) -> Option<f32> {
        let text = self.produced.get(from..)?;
        let begun = text.trim_start_matches(['\r', '\n']);
        let line = begun.find('\n').map_or(text.len(), |at| text.len() - begun.len() + at);
        self.odds.of(from..(from + line).min(until))
    }

    /// What was shown and is not typed, behind what stands before it.
    fn on_screen(&self) -> Option<(String, String)> {
        let text = self.produced.get(self.typed.len()..self.shown)?;
        let before = stands_before(&self.text, self.origin) + &self.typed;
        (!text.is_empty()).then(|| (last_two_lines(&before).to_owned(), text.to_owned()))
    }
}

impl State {
    /// Stops the generation. What of it is worth anything is kept for a while.
    fn stop(&mut self) {
        let Some(generation) = self.generation.take() else { return };
        let Generation { text, origin, context, mut produced, odds, shown, counted, end, .. } =
            generation;
        if !matches!(end, Some(End::Complete | End::Cut)) {
            // Half a line that nobody has seen is worth nothing.
            let whole = produced.rfind('\n').map_or(0, |line_break| line_break + 1);
            produced.truncate(whole.max(shown));
        }
        if !produced.trim().is_empty() {
            self.recent.put(Past { text, origin, context, produced, odds, shown, counted });
        }
    }

    /// What of an edit was an acceptance of what is offered.
    fn take_up(&mut self, edit: ByteEdit, removed: &str, inserted: &str) -> Vec<Count> {
        let news = narrowed(edit, removed, inserted);
        let mut last = LastEdit { added: news.start..news.new_end, counted: false };
        let mut counts = Vec::new();
        if let Some(mut offer) = self.offer.take() {
            let from = offer.at();
            let taken = offer.edited(edit, removed, inserted);
            counts.extend(match taken {
                Taken::Whole { in_part: false } => Some(Count::Accepted),
                Taken::Part { first: true } => Some(Count::Partly),
                _ => None,
            });
            last.counted = matches!(taken, Taken::Whole { .. });
            if last.counted || matches!(taken, Taken::Part { .. }) {
                counts.extend(self.follow(from..offer.at()));
            }
            self.offer = (taken != Taken::Gone).then_some(offer);
        }
        self.last_edit = Some(last);
        counts
    }

    /// Follows what was accepted.
    fn follow(&mut self, accepted: Range<usize>) -> Option<Count> {
        self.kept.follow(accepted).then_some(Count::LostSight)
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
    /// An owner that counts what becomes of suggestions in `tally`.
    pub fn counting(tally: Arc<Tally>) -> Self {
        Self { tally, ..Self::default() }
    }

    /// Called for every edit, in order, on the read loop, before anything else sees the new text.
    /// Stops the running generation at once if the edit disagrees with what it has produced.
    pub fn edited(&self, edit: ByteEdit, removed: &str, inserted: &str) {
        let mut state = self.lock();
        self.settle_in(&mut state);
        state.edits += 1;
        state.kept.edited(edit, removed, inserted);
        for count in state.take_up(edit, removed, inserted) {
            self.tally.count(count);
        }
        let follow = |running: &mut Generation| running.follow(edit, removed, inserted);
        let along = state.generation.as_mut().is_some_and(follow);
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

    /// The editor says that the user has just accepted a suggestion: the newest edit was that.
    pub fn accepted(&self) {
        let mut state = self.lock();
        if let Some(last) = state.last_edit.take().filter(|last| !last.counted) {
            self.tally.count(Count::Accepted);
            if let Some(lost) = state.follow(last.added) {
                self.tally.count(lost);
            }
        }
    }

    /// Counts what was kept of the acceptances that are half a minute old.
    pub fn settle(&self) {
        self.settle_in(&mut self.lock());
    }

    fn settle_in(&self, state: &mut State) {
        for (accepted, kept) in state.kept.settle() {
            self.tally.count(Count::Survived { accepted, kept });
        }
    }

    /// The document or the editor is closing: what was accepted within the last half minute is lost
    /// sight of, which is counted.
    pub fn lose_sight(&self) {
        let mut state = self.lock();
        self.settle_in(&mut state);
        let lost = state.kept.lose();
        drop(state);
        for _ in 0..lost {
            self.tally.count(Count::LostSight);
        }
    }

    /// Stops everything: the document is closed, or what was asked for holds no longer.
    pub fn stop(&self) {
        let mut state = self.lock();
        self.settle_in(&mut state);
        state.newest += 1;
        state.generation = None;
        state.offer = None;
        state.recent.clear();
        drop(state);
        self.changed.send_replace(());
    }

    /// Takes a request for what follows at `offset` (bytes) of `text`, where the model would see
    /// `context` beside it. It overtakes every earlier one, and a generation that runs for another
    /// place is stopped. What was said for this place before is served again.
    pub fn ask(self: &Arc<Self>, text: &Rope, offset: usize, context: u64) -> Ticket {
        let mut state = self.lock();
        state.newest += 1;
        let serves = |running: &Generation| running.serves(offset) && running.context == context;
        if !state.generation.as_ref().is_some_and(serves) {
            state.stop();
            if let Some((found, typed)) = state.recent.find(text, offset, context) {
                state.started += 1;
                state.generation = Some(Generation {
                    number: state.started,
                    origin: offset - typed,
                    typed: found.produced[..typed].to_owned(),
                    text: found.text,
                    context,
                    produced: found.produced,
                    odds: found.odds,
                    shown: found.shown,
                    counted: found.counted,
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

/// The text that an edit adds at byte `at`, what it replaces around that place staying the same:
/// editors replace a word by itself with more behind it. `None` where it does something else.
fn added_at<'t>(at: usize, edit: ByteEdit, removed: &str, inserted: &'t str) -> Option<&'t str> {
    if removed.len() != edit.old_end - edit.start {
        // A large part of a document, of which only the start is known.
        return None;
    }
    let before = at.checked_sub(edit.start)?;
    inserted.strip_prefix(removed.get(..before)?)?.strip_suffix(removed.get(before..)?)
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

#[cfg(test)]
mod tests;
