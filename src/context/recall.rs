//! What is shown of other files: the definitions most likely to be needed next as skeletons, then
//! similar code for what is left.
//!
//! Pieces are whole: a signature, a type with all of its fields or variants, a chunk between the
//! borders of items. What would help too little is left out, however much room there is.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};
use tree_sitter::Tree;

use super::{
    layout::Definition,
    outline::{closing, container, is_container, opening, outline, shown_by},
    rank::{self, Candidate},
    scene::{Place, Scene},
    trail::Visit,
};
use crate::{
    index::{Contents, FileId, Hit, Index, Item, ItemRef},
    syntax::Language,
};

/// The chance from which on a definition is worth opening its file for, in [`USUAL_ROOM`].
const WORTH: f32 = 0.03;

/// The chance from which on a definition is worth its tokens in a file that is shown anyway.
const WORTH_BESIDE: f32 = 0.004;

/// The chance from which on code is worth being shown as an example.
const WORTH_EXAMPLE: f32 = 0.3;

/// Tokens for which the chances above hold. The more room there is, the less a token costs, and the
/// less has to speak for what takes it.
const USUAL_ROOM: f32 = 1_200.0;

/// How fast what is worth showing falls with the room: at twenty times the room to a twelfth.
const FALL: f32 = 0.85;

/// What a file's definitions have to come to together so that more of them are shown.
const LIKELY_FILE: f32 = 0.25;

/// Tokens that definitions may have before they share the room with similar code.
const DEFINITIONS_FIRST: usize = 1_500;

/// Of the room beyond that, the part that definitions take at the most, in percent.
const DEFINITIONS_THEN: usize = 72;

/// Pieces of similar code that do not fit before no more are tried.
const MAX_MISSES: usize = 8;

/// Members that share the line of what they stand in, as far as the ranking is concerned.
const SHARED: usize = 3;

/// Tokens of the marks around a file.
const FRAME: usize = 3;

/// The document for which something is recalled.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub path: Option<&'a std::path::Path>,
    pub text: &'a str,
    pub tree: Option<&'a Tree>,
    pub language: Option<&'static Language>,
    /// The cursor, in bytes; moved to the nearest place before it that exists.
    pub offset: usize,
    /// Where the user was in other files, the latest first.
    pub been: &'a [Visit],
}

/// Something of another file to show.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    pub file: FileId,
    /// Of the file as it was when this was taken from it.
    pub fingerprint: u64,
    pub definition: Definition,
    /// As the budget's counter says, with the file's path.
    pub tokens: usize,
    /// What stands in it and why, in the order of the text.
    pub parts: Vec<Part>,
}

/// One reason for which a piece is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The item's path as its language writes it; the lines of similar code, from 1.
    pub name: String,
    pub reason: Reason,
    /// What the ranking thinks of it: a chance for definitions, a score for similar code.
    pub score: f32,
}

impl Part {
    pub fn is_definition(&self) -> bool {
        self.reason != Reason::Similar
    }
}

/// Why something is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It is likely to be needed: what spoke for it most.
    Likely(&'static str),
    /// It speaks of the same things as the code around the cursor.
    Similar,
}

/// What was chosen, and what was not.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Recalled {
    /// In the order in which they are to be shown: the least telling first, so that the most telling
    /// stands next to the code.
    pub pieces: Vec<Piece>,
    /// Definitions that were worth showing and did not fit, the best first.
    pub left_out: Vec<Part>,
}

/// Parts that are shown already, by their names.
type Shown<'a> = FxHashSet<(FileId, &'a str)>;

/// Every candidate for a subject, described and ranked, best first. For whoever measures.
pub fn candidates(contents: &Contents, subject: &Subject<'_>) -> Vec<Candidate> {
    let mut candidates = rank::rank(contents, &scene(contents, subject)).candidates;
    candidates.sort_by(|a, b| b.chance.total_cmp(&a.chance).then(a.place.cmp(&b.place)));
    candidates
}

fn scene(contents: &Contents, subject: &Subject<'_>) -> Scene {
    let offset = subject.text.floor_char_boundary(subject.offset);
    let file = subject.path.and_then(|path| contents.file_at(path)).map(|(id, _)| id);
    let place = Place {
        text: subject.text,
        tree: subject.tree,
        language: subject.language,
        offset,
        been: subject.been,
    };
    Scene::at(contents, file, &place)
}

/// Chooses what to show of other files within `room` tokens, counted by `count`, beside the pieces
/// that are `shown` already.
pub fn recall(
    index: &Index,
    subject: &Subject<'_>,
    room: usize,
    shown: &[Piece],
    count: impl Fn(&str) -> usize,
) -> Recalled {
    let taken: usize = shown.iter().map(|piece| piece.tokens).sum();
    let price = (USUAL_ROOM / (room + taken).max(1) as f32).powf(FALL);
    let shown: Shown<'_> = shown
        .iter()
        .flat_map(|piece| piece.parts.iter().map(|part| (piece.file, part.name.as_str())))
        .collect();
    let (mut definitions, left_out, hits) = {
        let contents = index.read();
        let ranking = rank::rank(&contents, &scene(&contents, subject));
        let beyond = room.saturating_sub(DEFINITIONS_FIRST);
        let share = room.min(DEFINITIONS_FIRST) + beyond * DEFINITIONS_THEN / 100;
        let share = if ranking.examples.is_empty() { room } else { share };
        let mut choice = Choice::new(&contents, share, price, &count);
        let left_out = choice.choose(&ranking.candidates, &shown);
        (choice.pieces(), left_out, ranking.examples)
    };
    let left = room.saturating_sub(definitions.iter().map(|piece| piece.tokens).sum());
    let mut pieces = examples(index, &hits, left, price, &shown, count);
    pieces.reverse();
    let best = |piece: &Piece| piece.parts.iter().map(|part| part.score).fold(0.0, f32::max);
    definitions.sort_by(|a, b| best(a).total_cmp(&best(b)));
    pieces.append(&mut definitions);
    Recalled { pieces, left_out }
}

/// The code of `hits` as far as it fits, the most similar first.
fn examples(
    index: &Index,
    hits: &[Hit],
    mut left: usize,
    price: f32,
    shown: &Shown<'_>,
    count: impl Fn(&str) -> usize,
) -> Vec<Piece> {
    let mut texts: FxHashMap<FileId, Option<String>> = FxHashMap::default();
    let (mut pieces, mut misses) = (Vec::new(), 0);
    for hit in hits {
        if misses > MAX_MISSES || hit.score < WORTH_EXAMPLE * price {
            break;
        }
        // Not held while the file is read.
        let Some(file) = index.read().file_handle(hit.file) else { continue };
        let text = texts.entry(hit.file).or_insert_with(|| index.text(&file)).as_deref();
        let Some((before, text)) = text
            .and_then(|text| Some((text.get(..hit.range.start)?, text.get(hit.range.clone())?)))
        else {
            continue;
        };
        let path = file.relative_path().to_owned();
        let lines = |text: &str| memchr::memchr_iter(b'\n', text.as_bytes()).count();
        let first = 1 + lines(before);
        let name = format!("lines {first}-{}", first + lines(text.trim_end()));
        if shown.contains(&(hit.file, name.as_str())) {
            continue;
        }
        let text = with_line_feeds(format!("{}\n", text.trim_matches(['\n', '\r'])));
        let tokens = count(&text) + count(&path) + FRAME;
        if tokens > left {
            misses += 1;
            continue;
        }
        left -= tokens;
        let parts = vec![Part { name, reason: Reason::Similar, score: hit.score }];
        let (file, fingerprint) = (hit.file, file.fingerprint());
        let definition = Definition { path, text };
        pieces.push(Piece { file, fingerprint, definition, tokens, parts });
    }
    pieces
}

/// Models are trained on `\n`, whatever ends the lines of a file.
pub(super) fn with_line_feeds(text: String) -> String {
    if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text }
}

/// One definition that can be shown or not.
struct Unit<'a> {
    item: Item<'a>,
    /// Of a container, the line it begins with.
    text: String,
    /// Of it or of what is in it.
    chance: f32,
    best: Candidate,
}

impl Unit<'_> {
    fn part(&self) -> Part {
        let reason = Reason::Likely(self.best.strongest());
        Part { name: self.item.path(), reason, score: self.chance }
    }

    /// What it is worth for its tokens, about: most units are never counted.
    fn density(&self) -> f32 {
        let around = container(self.item).map_or(0, |it| it.signature().len() + 4);
        let shared = (around + self.item.file().relative_path().len()) / SHARED;
        self.chance / ((self.text.len() + shared).div_ceil(3) as f32 + 4.0)
    }
}

/// Chooses definitions by chance for their tokens.
struct Choice<'a, F> {
    contents: &'a Contents,
    left: usize,
    price: f32,
    count: F,
    files: BTreeMap<FileId, Chosen<'a>>,
}

/// What is shown of one file.
struct Chosen<'a> {
    /// By the container, or by itself where there is none.
    groups: BTreeMap<ItemRef, Vec<Unit<'a>>>,
    tokens: usize,
    /// The chance that nothing of it is needed.
    unneeded: f32,
}

impl Default for Chosen<'_> {
    fn default() -> Self {
        Self { groups: BTreeMap::new(), tokens: 0, unneeded: 1.0 }
    }
}

impl<'a, F: Fn(&str) -> usize> Choice<'a, F> {
    fn new(contents: &'a Contents, left: usize, price: f32, count: F) -> Self {
        Self { contents, left, price, count, files: BTreeMap::new() }
    }

    /// Takes what fits, the best for its tokens first. Returns what was worth it and did not fit.
    fn choose(&mut self, candidates: &[Candidate], shown: &Shown<'_>) -> Vec<Part> {
        let price = self.price;
        let mut units: Vec<(f32, Unit<'a>)> =
            self.units(candidates).into_iter().map(|unit| (unit.density(), unit)).collect();
        units.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.item.place().cmp(&b.1.item.place())));
        let units = units.into_iter().map(|(_, unit)| unit).filter(|unit| {
            shown.is_empty()
                || !shown.contains(&(unit.item.place().file, unit.item.path().as_str()))
        });
        let (telling, beside): (Vec<_>, Vec<_>) =
            units.partition(|unit| unit.chance >= WORTH * price);
        let mut left_out = Vec::new();
        for unit in telling {
            if let Err(unit) = self.take(unit) {
                left_out.push(unit.part());
            }
        }
        for unit in beside {
            let chosen = self.files.get(&unit.item.place().file);
            if chosen.is_some_and(|chosen| chosen.unneeded <= 1.0 - LIKELY_FILE)
                && let Err(unit) = self.take(unit)
            {
                left_out.push(unit.part());
            }
        }
        left_out
    }

    /// Takes a unit if there is room for it and for what it has to stand in.
    #[expect(clippy::result_large_err, reason = "the unit goes back to whoever gave it")]
    fn take(&mut self, unit: Unit<'a>) -> Result<(), Unit<'a>> {
        let file = unit.item.place().file;
        let around = container(unit.item);
        let group = around.map_or(unit.item.place(), |around| around.place());
        let chosen = self.files.get(&file);
        let mut tokens = (self.count)(&unit.text);
        if chosen.is_none() {
            tokens += (self.count)(unit.item.file().relative_path()) + FRAME;
        }
        if chosen.is_none_or(|chosen| !chosen.groups.contains_key(&group))
            && let Some(around) = around
        {
            let Some(opening) = opening(around) else { return Err(unit) };
            tokens += (self.count)(&opening) + 2;
        }
        if tokens > self.left {
            return Err(unit);
        }
        self.left -= tokens;
        let chosen = self.files.entry(file).or_default();
        chosen.tokens += tokens;
        chosen.unneeded *= 1.0 - unit.chance;
        chosen.groups.entry(group).or_default().push(unit);
        Ok(())
    }

    /// What shows the candidates that are worth it, each once.
    fn units(&self, candidates: &[Candidate]) -> Vec<Unit<'a>> {
        let mut likely: FxHashMap<ItemRef, (Item<'a>, f32, &Candidate)> = FxHashMap::default();
        for candidate in candidates {
            let Some(item) = self.contents.item(candidate.place).and_then(shown_by) else {
                continue;
            };
            let (_, unneeded, best) = likely.entry(item.place()).or_insert((item, 1.0, candidate));
            *unneeded *= 1.0 - candidate.chance;
            if candidate.chance > best.chance {
                *best = candidate;
            }
        }
        let least = WORTH_BESIDE * self.price;
        let unit = |(item, unneeded, best): (Item<'a>, f32, &Candidate)| {
            let chance = 1.0 - unneeded;
            if chance < least {
                return None;
            }
            let text = if is_container(item) { opening(item) } else { outline(item) }?;
            Some(Unit { item, text, chance, best: *best })
        };
        likely.into_values().filter_map(unit).collect()
    }

    /// What was chosen, a piece for each file.
    fn pieces(self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for (id, chosen) in self.files {
            let Some(file) = self.contents.file(id) else { continue };
            let (mut text, mut parts) = (String::new(), Vec::new());
            for (group, mut units) in chosen.groups {
                units.sort_by_key(|unit| unit.item.place());
                let around = self.contents.item(group).filter(|item| is_container(*item));
                if let Some(around) = around {
                    text.push_str(&opening(around).unwrap_or_default());
                }
                for unit in &units {
                    if unit.item.place() != group || around.is_none() {
                        text.push_str(&unit.text);
                    }
                    parts.push(unit.part());
                }
                text.push_str(around.map_or("", closing));
            }
            let definition = Definition { path: file.relative_path().to_owned(), text };
            let (fingerprint, tokens) = (file.fingerprint(), chosen.tokens);
            pieces.push(Piece { file: id, fingerprint, definition, tokens, parts });
        }
        pieces
    }
}
