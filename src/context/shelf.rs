//! What prompts show of other files, kept while one types.
//!
//! It stands at the start of a prompt, so whatever changes in it is computed anew with all that
//! follows. While the cursor stays near, nothing changes, but for what is needed behind a dot: that is
//! put behind what is shown already, if it is likely enough. So it is when the cursor has moved on;
//! only where what is shown says too little of the new place is everything chosen afresh. What has left
//! the index is never shown again.

use std::{
    collections::HashSet,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    recall::{Piece, Recalled, Subject, recall},
    trail::Trail,
    window::View,
};
use crate::index::Index;

/// The cursor may move so many lines before anybody looks whether other things are needed.
const NEAR: usize = 12;

/// Of what a fresh choice would show, by its chances, the part that has to be shown, in percent.
const ENOUGH: f32 = 75.0;

/// Of the room, the part that a fresh choice may fill, in percent; the rest is for what is appended:
/// more where it is the user who allows no more, for then the window has room for both.
const FRESH: usize = 94;
const FRESH_OF_MOST: usize = 75;

/// How many definitions that are needed have to be expected among others for these to be appended.
const WORTH: f32 = 0.3;

/// The files around a document, as far as prompts may show them.
#[derive(Debug, Clone, Copy)]
pub struct Workspace<'a> {
    pub index: &'a Index,
    /// The document's own file, if it has one.
    pub file: Option<&'a Path>,
    /// Tokens of a prompt that may show other files, at the most.
    pub most_tokens: usize,
    pub shelf: &'a Shelf,
}

/// What the prompts of one process show of other files. There is one for all documents: a model
/// server keeps one prompt's start as well.
#[derive(Debug, Default)]
pub struct Shelf {
    held: Mutex<Option<Held>>,
    /// Where the user has just been.
    pub trail: Trail,
}

#[derive(Debug)]
struct Held {
    /// The document's path.
    path: String,
    /// The cursor's line, from 0, at the last look.
    line_idx: usize,
    /// The line at the last fresh choice.
    chosen_idx: usize,
    /// Where the member begins that was typed at the last look, in bytes from the line's start.
    member: Option<usize>,
    room: usize,
    recalled: Arc<Recalled>,
}

impl Workspace<'_> {
    /// What to show within `room` tokens, counted by `count`, for the cursor of `view`.
    pub fn around(
        &self,
        view: &View<'_>,
        room: usize,
        count: impl Fn(&str) -> usize,
    ) -> Arc<Recalled> {
        let room = room.min(self.most_tokens);
        if room == 0 {
            return Arc::default();
        }
        let line_idx = view.text.byte_to_line(view.cursor());
        let member = member(view, line_idx);
        // Locked throughout: of two requests at once the second would do the same again.
        let mut held = self.shelf.held.lock().unwrap_or_else(PoisonError::into_inner);
        let before = held.as_ref().filter(|held| held.room == room);
        if let Some(before) = before
            && before.path == view.path
            && before.line_idx.abs_diff(line_idx) <= NEAR
            && (member.is_none() || (before.line_idx, before.member) == (line_idx, member))
            && self.all_there(&before.recalled.pieces)
        {
            return Arc::clone(&before.recalled);
        }
        let (recalled, is_fresh) = self.look(view, room, before, line_idx, count);
        let chosen_idx = match before {
            Some(before) if !is_fresh => before.chosen_idx,
            _ => line_idx,
        };
        let (path, recalled) = (view.path.to_owned(), Arc::new(recalled));
        let now =
            Held { path, line_idx, chosen_idx, member, room, recalled: Arc::clone(&recalled) };
        *held = Some(now);
        recalled
    }

    /// Whether every file is still in the index.
    fn all_there(&self, pieces: &[Piece]) -> bool {
        let contents = self.index.read();
        pieces.iter().all(|piece| contents.file(piece.file).is_some())
    }

    /// What to show now, and whether it was chosen afresh.
    fn look(
        &self,
        view: &View<'_>,
        room: usize,
        before: Option<&Held>,
        line_idx: usize,
        count: impl Fn(&str) -> usize,
    ) -> (Recalled, bool) {
        let text = view.text.to_string();
        let subject = Subject {
            path: self.file,
            text: &text,
            tree: view.tree,
            language: view.language,
            offset: view.cursor(),
            been: &self.shelf.trail.elsewhere(self.file),
        };
        let part = if room == self.most_tokens { FRESH_OF_MOST } else { FRESH };
        let fresh = || recall(self.index, &subject, room * part / 100, &[], &count);
        let shown = before.map_or(&[][..], |before| &before.recalled.pieces);
        let mut kept: Vec<Piece> = {
            let contents = self.index.read();
            let is_current = |piece: &&Piece| {
                let file = contents.file(piece.file);
                file.is_some_and(|file| file.fingerprint() == piece.fingerprint)
                    && self.file != file.map(|file| &**file.path())
            };
            shown.iter().filter(is_current).cloned().collect()
        };
        let Some(before) = before.filter(|_| !kept.is_empty()) else { return (fresh(), true) };
        let left = room.saturating_sub(kept.iter().map(|piece| piece.tokens).sum());
        let more = recall(self.index, &subject, left, &kept, &count);
        // What is only similar is not worth computing all that follows again.
        let needed = more.pieces.into_iter().filter(|piece| expected(piece) > 0.0);
        let needed: Vec<Piece> = needed.collect();
        let is_worth_it = needed.iter().map(expected).sum::<f32>() >= WORTH;
        let is_far = before.path != view.path || before.chosen_idx.abs_diff(line_idx) > NEAR;
        if is_far {
            let fresh = fresh();
            let all = kept.iter().chain(needed.iter().filter(|_| is_worth_it));
            if covered(&fresh.pieces, all) * 100.0 < ENOUGH {
                return (fresh, true);
            }
        }
        if is_worth_it {
            kept.extend(needed);
        }
        (Recalled { pieces: kept, left_out: more.left_out }, false)
    }
}

/// Where the member begins that is being typed behind a `.` or `::`, in bytes from the line's start.
fn member(view: &View<'_>, line_idx: usize) -> Option<usize> {
    let line = view.text.line_to_byte(line_idx);
    let before = view.text.byte_slice(line..view.cursor().max(line)).to_string();
    let object = before.trim_end_matches(|c: char| c.is_alphanumeric() || c == '_');
    object.ends_with(['.', ':']).then_some(object.len())
}

/// How many of the definitions in it are expected to be needed.
fn expected(piece: &Piece) -> f32 {
    piece.parts.iter().filter(|part| part.is_definition()).map(|part| part.score).sum()
}

/// By chances, how much of what `wanted` shows `shown` shows as well, from 0 to 1.
fn covered<'a>(wanted: &[Piece], shown: impl Iterator<Item = &'a Piece>) -> f32 {
    let shown: HashSet<(&str, &str)> = shown
        .flat_map(|piece| piece.parts.iter().map(|part| (&*piece.definition.path, &*part.name)))
        .collect();
    let (mut all, mut both) = (f32::EPSILON, 0.0);
    for piece in wanted {
        for part in piece.parts.iter().filter(|part| part.is_definition()) {
            all += part.score;
            if shown.contains(&(&*piece.definition.path, &*part.name)) {
                both += part.score;
            }
        }
    }
    both / all
}
