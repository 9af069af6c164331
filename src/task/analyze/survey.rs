//! What a model is shown of a codebase before it asks for anything: the map, the facts, and the
//! parts that the question needs.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Kind,
    facts::{self, facts},
    passage::{Bounds, Passage},
    sought::Sought,
};
use crate::{
    context::map::{Graph, Map},
    index::{File, Index, Origin},
    model::TokenCounter,
};

/// What is asked, and of which part of the workspace.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    pub(super) question: String,
    pub(super) kind: Option<Kind>,
    /// Absolute; `None` for all of it.
    pub(super) within: Option<PathBuf>,
}

impl Subject {
    pub(super) fn takes(&self, file: &File) -> bool {
        let within = |folder: &Path| file.path().starts_with(folder);
        *file.origin() == Origin::Workspace && self.within.as_deref().is_none_or(within)
    }
}

/// Tokens for each thing that is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rooms {
    /// Without a limit, every item is on the map.
    pub(super) map: Option<usize>,
    pub(super) facts: usize,
    pub(super) parts: usize,
}

/// What is shown.
#[derive(Debug, Clone, Default)]
pub(super) struct Survey {
    pub(super) map: Map,
    pub(super) facts: Vec<Passage>,
    pub(super) parts: Vec<Passage>,
    /// Files that were left out because they may not leave this machine.
    pub(super) kept_here: usize,
}

/// Looks at the workspace. Takes a while, and reads files.
pub(super) fn survey(
    index: &Index,
    subject: &Subject,
    bounds: &Bounds,
    rooms: Rooms,
    counter: &TokenCounter,
) -> Survey {
    let count = |text: &str| counter.count(text);
    let asked_of = files(index, |file| subject.takes(file));
    let (admitted, held): (Vec<_>, Vec<_>) =
        asked_of.into_iter().partition(|file| bounds.admits(file));
    let admitted: rustc_hash::FxHashSet<Arc<Path>> =
        admitted.iter().map(|file| Arc::clone(file.path())).collect();
    let takes = |file: &File| admitted.contains(file.path());
    let graph = Graph::of(index);
    let (map, facts, quotes) = {
        let contents = index.read();
        let sought = Sought::of(&contents, &graph, &subject.question, &takes);
        let ranks = graph.rank(&sought.items);
        let map = match rooms.map {
            Some(room) => Map::central(&contents, &ranks, &takes, room, &count),
            None => Map::whole(&contents, &ranks, &takes),
        };
        let ground = facts::Ground {
            contents: &contents,
            graph: &graph,
            ranks: &ranks,
            sought: &sought,
            takes: &takes,
        };
        let facts = fitting(facts(&ground, subject.kind), rooms.facts, &count);
        // Whole types and modules would take the room of what they are made of.
        let quotes: Vec<(Arc<File>, Range<usize>)> = sought
            .best(&graph)
            .into_iter()
            .take(MOST_QUOTED)
            .filter_map(|place| {
                let item = contents.item(place).filter(|item| takes(item.file()))?;
                Some((contents.file_handle(place.file)?, item.lines()))
            })
            .collect();
        (map, facts, quotes)
    };
    let texts = quotes
        .into_iter()
        .filter_map(|(file, lines)| Some(Passage::quoted(&file, &index.text(&file)?, lines)));
    let parts = fitting(texts, rooms.parts, &count);
    Survey { map, facts, parts, kept_here: held.len() }
}

/// Items whose text is shown at once, at the most.
const MOST_QUOTED: usize = 40;

/// Files of the workspace, to keep.
pub(super) fn files(index: &Index, takes: impl Fn(&File) -> bool) -> Vec<Arc<File>> {
    let contents = index.read();
    let wanted = contents.files().filter(|(_, file)| takes(file));
    wanted.filter_map(|(id, _)| contents.file_handle(id)).collect()
}

/// Tokens of the files themselves.
pub(super) fn source_tokens(index: &Index, subject: &Subject, counter: &TokenCounter) -> usize {
    let texts = files(index, |file| subject.takes(file)).into_iter();
    texts.filter_map(|file| index.text(&file)).map(|text| counter.count(&text)).sum()
}

/// The first passages that have room together; one that has none is passed over.
pub(super) fn fitting(
    passages: impl IntoIterator<Item = Passage>,
    room: usize,
    count: &dyn Fn(&str) -> usize,
) -> Vec<Passage> {
    let mut left = room;
    let mut kept = Vec::new();
    for passage in passages {
        if let Some(rest) = left.checked_sub(count(&passage.text)) {
            left = rest;
            kept.push(passage);
        }
    }
    kept
}
