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
    rank::{self, Candidate},
    scene::{Place, Scene},
};
use crate::{
    index::{Contents, FileId, Index, Item, ItemRef, Kind},
    syntax::Language,
};

/// A chance below which a definition is not worth its tokens, however many are left.
const WORTH: f32 = 0.000_3;

/// Of the room, the part that definitions take at the most while there is similar code, in percent.
const DEFINITIONS: usize = 72;

/// Members that share the line of what they stand in, as far as the ranking is concerned.
const SHARED: usize = 3;

/// Signatures of this length were cut by the index.
const CUT_SIGNATURE: usize = 1_000;

/// The document for which something is recalled.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub path: Option<&'a std::path::Path>,
    pub text: &'a str,
    pub tree: Option<&'a Tree>,
    pub language: Option<&'static Language>,
    /// The cursor, in bytes; moved to the nearest place before it that exists.
    pub offset: usize,
}

/// Why a piece is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It is likely to be needed: what spoke for it most.
    Likely(&'static str),
    /// It speaks of the same things as the code around the cursor.
    Similar,
}

/// Something of another file to show.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    pub definition: Definition,
    pub reason: Reason,
    /// What the ranking thinks of it: a chance for definitions, a score for similar code.
    pub score: f32,
    /// As the budget's counter says.
    pub tokens: usize,
}

/// What was chosen, and what was not.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Recalled {
    /// In the order in which they are to be shown.
    pub pieces: Vec<Piece>,
    /// Definitions that were worth showing and did not fit.
    pub left_out: usize,
}

/// Every candidate for a subject, described and ranked, best first. For whoever measures.
pub fn candidates(contents: &Contents, subject: &Subject<'_>) -> Vec<Candidate> {
    let mut candidates = rank::rank(contents, &scene(contents, subject)).candidates;
    candidates.sort_by(|a, b| b.chance.total_cmp(&a.chance).then(a.place.cmp(&b.place)));
    candidates
}

fn scene(contents: &Contents, subject: &Subject<'_>) -> Scene {
    let offset = subject.text.floor_char_boundary(subject.offset);
    let file = subject.path.and_then(|path| contents.file_at(path)).map(|(id, _)| id);
    let place = Place { text: subject.text, tree: subject.tree, language: subject.language, offset };
    Scene::at(contents, file, &place)
}

/// Chooses what to show of other files within `room` tokens, counted by `count`.
pub fn recall(
    index: &Index,
    subject: &Subject<'_>,
    room: usize,
    count: impl Fn(&str) -> usize,
) -> Recalled {
    let mut chosen = Vec::new();
    let (mut pieces, left_out, similar) = {
        let contents = index.read();
        let ranking = rank::rank(&contents, &scene(&contents, subject));
        let share = if ranking.similar.is_empty() { room } else { room * DEFINITIONS / 100 };
        let mut choice = Choice::new(&contents, share, &count);
        let left_out = choice.choose(&ranking.candidates);
        (choice.pieces(), left_out, ranking.similar)
    };
    let mut left = room.saturating_sub(pieces.iter().map(|piece| piece.tokens).sum());
    let mut texts: FxHashMap<FileId, Option<String>> = FxHashMap::default();
    let mut misses = 0;
    for hit in similar {
        if misses > 8 || left < 40 {
            break;
        }
        let contents = index.read();
        let Some(file) = contents.file(hit.file) else { continue };
        let text = texts.entry(hit.file).or_insert_with(|| index.text(file));
        let Some(text) = text.as_deref().and_then(|text| text.get(hit.range.clone())) else {
            continue;
        };
        let path = file.relative_path().to_owned();
        let text = format!("{}\n", text.trim_matches('\n'));
        let tokens = count(&text) + count(&path) + 2;
        if tokens > left {
            misses += 1;
            continue;
        }
        left -= tokens;
        let definition = Definition { path, text };
        chosen.push(Piece { definition, reason: Reason::Similar, score: hit.score, tokens });
    }
    pieces.append(&mut chosen);
    Recalled { pieces, left_out }
}

/// What a definition is shown by: itself, or the type whose field or variant it is.
fn shown_by<'a>(item: Item<'a>) -> Option<Item<'a>> {
    match item.kind() {
        Kind::Field | Kind::Variant => {
            let parent = item.parent()?;
            if parent.kind() == Kind::Variant { parent.parent() } else { Some(parent) }
        }
        Kind::Module | Kind::Impl => None,
        _ => Some(item),
    }
}

/// What a member is shown inside of, if it cannot stand alone.
fn container<'a>(item: Item<'a>) -> Option<Item<'a>> {
    let parent = item.parent()?;
    matches!(parent.kind(), Kind::Impl | Kind::Trait | Kind::Class | Kind::Interface)
        .then_some(parent)
}

/// The lines of an item that stands alone or in a container.
fn outline(item: Item<'_>) -> Option<String> {
    let signature = item.signature();
    if signature.is_empty() || signature.len() >= CUT_SIGNATURE {
        return None;
    }
    let has_parts = matches!(item.kind(), Kind::Struct | Kind::Union | Kind::Enum);
    let parts: Vec<Item<'_>> = item.members().filter(|member| {
        matches!(member.kind(), Kind::Field | Kind::Variant)
    }).collect();
    if !has_parts || parts.is_empty() {
        let end = if signature.ends_with([';', '}']) || item.file().language().is_none_or(|language| language.id != "rust") { "" } else { ";" };
        return Some(format!("{signature}{end}\n"));
    }
    let mut text = format!("{signature} {{\n");
    for part in parts {
        if part.signature().len() >= CUT_SIGNATURE {
            return None;
        }
        text.push_str("    ");
        text.push_str(part.signature().trim_end_matches(','));
        text.push_str(",\n");
    }
    text.push_str("}\n");
    Some(text)
}

/// One thing that can be shown or not.
struct Unit {
    place: ItemRef,
    text: String,
    tokens: usize,
    chance: f32,
    best: Candidate,
}

/// Chooses units by chance for their tokens.
struct Choice<'a, F> {
    contents: &'a Contents,
    left: usize,
    count: F,
    /// By container, or by itself where there is none.
    chosen: BTreeMap<(FileId, ItemRef), Vec<Unit>>,
    files: FxHashSet<FileId>,
}

impl<'a, F: Fn(&str) -> usize> Choice<'a, F> {
    fn new(contents: &'a Contents, room: usize, count: F) -> Self {
        Self { contents, left: room, count, chosen: BTreeMap::new(), files: FxHashSet::default() }
    }

    /// Takes what fits, the best for its tokens first. How many were worth it and did not fit.
    fn choose(&mut self, candidates: &[Candidate]) -> usize {
        let mut units = self.units(candidates);
        let worth = |unit: &Unit| unit.chance / (unit.tokens as f32 + 4.0);
        units.sort_by(|a, b| worth(b).total_cmp(&worth(a)).then(a.place.cmp(&b.place)));
        let mut left_out = 0;
        for unit in units {
            if unit.chance < WORTH {
                continue;
            }
            let Some(item) = self.contents.item(unit.place) else { continue };
            let container = container(item);
            let key = (unit.place.file, container.map_or(unit.place, |it| it.place()));
            let mut tokens = (self.count)(&unit.text);
            if !self.files.contains(&key.0) {
                tokens += (self.count)(item.file().relative_path()) + 2;
            }
            if let Some(container) = container.filter(|_| !self.chosen.contains_key(&key)) {
                if container.signature().len() >= CUT_SIGNATURE {
                    continue;
                }
                tokens += (self.count)(container.signature()) + 4;
            }
            if tokens > self.left {
                left_out += 1;
                continue;
            }
            self.left -= tokens;
            self.files.insert(key.0);
            self.chosen.entry(key).or_default().push(unit);
        }
        left_out
    }

    fn units(&self, candidates: &[Candidate]) -> Vec<Unit> {
        let mut units: FxHashMap<ItemRef, Unit> = FxHashMap::default();
        let mut unshown: FxHashSet<ItemRef> = FxHashSet::default();
        for candidate in candidates {
            let item = self.contents.item(candidate.place).and_then(shown_by);
            let Some(item) = item.filter(|item| !unshown.contains(&item.place())) else { continue };
            if let Some(unit) = units.get_mut(&item.place()) {
                unit.chance = 1.0 - (1.0 - unit.chance) * (1.0 - candidate.chance);
                if candidate.chance > unit.best.chance {
                    unit.best = *candidate;
                }
                continue;
            }
            let Some(text) = outline(item) else {
                unshown.insert(item.place());
                continue;
            };
            // Estimated by bytes: most are never shown.
            let header = container(item).map_or(0, |it| it.signature().len() + 4) / SHARED;
            let path = item.file().relative_path().len() / SHARED;
            let tokens = (text.len() + header + path).div_ceil(3);
            let unit = Unit {
                place: item.place(),
                text,
                tokens,
                chance: candidate.chance,
                best: *candidate,
            };
            units.insert(item.place(), unit);
        }
        units.into_values().collect()
    }

    /// What was chosen, by file, in the order of each file.
    fn pieces(self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for ((_, key), mut units) in self.chosen {
            units.sort_by_key(|unit| unit.place);
            let Some(item) = self.contents.item(key) else { continue };
            let is_inside = units.iter().all(|unit| unit.place != key);
            let mut text = String::new();
            if is_inside {
                text.push_str(item.signature());
                text.push_str(" {\n");
            }
            for unit in &units {
                if is_inside {
                    text.push_str("    ");
                }
                text.push_str(&unit.text);
            }
            if is_inside {
                text.push_str("}\n");
            }
            let best = units.iter().max_by(|a, b| a.chance.total_cmp(&b.chance));
            let Some(best) = best else { continue };
            let definition = Definition { path: item.file().relative_path().to_owned(), text };
            let tokens = (self.count)(&definition.text);
            let reason = Reason::Likely(best.best.strongest());
            pieces.push(Piece { definition, reason, score: best.chance, tokens });
        }
        pieces
    }
}
