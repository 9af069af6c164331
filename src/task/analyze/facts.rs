//! What the index itself can say to a question of a kind: candidates and counts, each with its place.
//!
//! By names alone, as the index has them: a model that is given these facts is told so.

use std::{collections::BTreeMap, path::Path};

use rustc_hash::{FxHashMap, FxHashSet};

use super::{Kind, passage::Passage, sought::Sought};
use crate::{
    context::map::{Graph, Ranks},
    egress::Origin,
    index::{self, Contents, File, FileId, Item, ItemRef, Origin as Whose},
};

/// Facts of one sort at the most.
const MOST: usize = 60;

/// Candidates for dead code at the most.
const MOST_DEAD: usize = 200;

/// Names whose use is worth a second look, in the languages that have a grammar.
const RISKY: [&str; 16] = [
    "unwrap",
    "expect",
    "panic",
    "unreachable",
    "todo",
    "unimplemented",
    "transmute",
    "from_raw_parts",
    "get_unchecked",
    "set_len",
    "forget",
    "eval",
    "exec",
    "system",
    "innerHTML",
    "unwrap_unchecked",
];

/// From so many lines on, a function is long.
const LONG: usize = 100;

/// What facts are looked for in.
pub(super) struct Ground<'a> {
    pub(super) contents: &'a Contents,
    pub(super) graph: &'a Graph,
    pub(super) ranks: &'a Ranks<'a>,
    pub(super) sought: &'a Sought,
    /// The files that the question is about, as far as they may be shown.
    pub(super) takes: &'a dyn Fn(&File) -> bool,
}

/// What the index says, under headings of its own.
pub(super) fn facts(ground: &Ground<'_>, kind: Option<Kind>) -> Vec<Passage> {
    match kind {
        Some(Kind::Architecture) => ground.folders(),
        Some(Kind::Risks) => [ground.risky(), ground.long()].concat(),
        Some(Kind::DeadCode) => ground.unused(),
        Some(Kind::Impact) => ground.impact(),
        Some(Kind::Onboarding) => {
            [ground.beginnings(), ground.central(), ground.folders()].concat()
        }
        Some(Kind::WhereIs) | None => ground.candidates(),
    }
}

impl<'a> Ground<'a> {
    fn item(&self, place: ItemRef) -> Option<Item<'a>> {
        self.contents.item(place).filter(|item| (self.takes)(item.file()))
    }

    /// Items of one rank, by path.
    fn order(&self, place: ItemRef) -> Option<u32> {
        self.graph.number(place)
    }

    fn files(&self) -> impl Iterator<Item = (FileId, &'a File)> {
        let own = |(_, file): &(FileId, &File)| *file.origin() == Whose::Workspace;
        self.contents.files().filter(own).filter(|(_, file)| (self.takes)(file))
    }

    /// Items that share words with the question.
    fn candidates(&self) -> Vec<Passage> {
        let items = self.sought.best(self.graph).into_iter().filter_map(|place| self.item(place));
        headed("Names that the question shares words with:", items.take(MOST).map(named))
    }

    /// The most central items.
    fn central(&self) -> Vec<Passage> {
        let items = self.ranks.best().into_iter().filter_map(|place| self.item(place));
        let items = items.filter(|item| !item.is_test());
        headed("What most of the code leads to:", items.take(MOST / 2).map(named))
    }

    /// Where programs begin.
    fn beginnings(&self) -> Vec<Passage> {
        let main = self.contents.symbol("main").into_iter();
        let items = main.flat_map(|main| self.contents.definitions(main));
        let items = items.filter(|item| item.parent().is_none() && (self.takes)(item.file()));
        headed("Where programs begin:", items.take(MOST).map(named))
    }

    /// Folders, their size, and which of them use which.
    fn folders(&self) -> Vec<Passage> {
        let mut folders: BTreeMap<String, Folder> = BTreeMap::new();
        for (_, file) in self.files() {
            let folder = folders.entry(folder_of(file)).or_default();
            folder.files += 1;
            folder.lines += file.lines();
            folder.origins.push(Origin::new(&**file.path(), 0..file.lines()));
        }
        for (by, of) in self.graph.pairs() {
            let (Some(by), Some(of)) = (self.item(by), self.item(of)) else { continue };
            let (by, of) = (folder_of(by.file()), folder_of(of.file()));
            if by != of
                && let Some(folder) = folders.get_mut(&by)
            {
                *folder.uses.entry(of).or_default() += 1;
            }
        }
        let mut largest: Vec<(String, Folder)> = folders.into_iter().collect();
        largest.sort_by(|a, b| b.1.lines.cmp(&a.1.lines).then(a.0.cmp(&b.0)));
        largest.truncate(MOST);
        let passages = largest.into_iter().map(|(name, folder)| {
            let mut uses: Vec<(String, usize)> = folder.uses.into_iter().collect();
            uses.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
            let uses: Vec<String> =
                uses.into_iter().take(8).map(|(of, count)| format!("{of} ({count})")).collect();
            let uses = if uses.is_empty() { "nothing".to_owned() } else { uses.join(", ") };
            let text =
                format!("{name}: {} files, {} lines; uses {uses}\n", folder.files, folder.lines);
            Passage { origins: folder.origins, text, items: 0 }
        });
        headed("Folders, and how many items of theirs use items of which others:", passages)
    }

    /// Uses of names that can fail, by the item that they stand in.
    fn risky(&self) -> Vec<Passage> {
        let mut counts: FxHashMap<ItemRef, BTreeMap<&str, usize>> = FxHashMap::default();
        for name in RISKY {
            let Some(symbol) = self.contents.symbol(name) else { continue };
            for (file, places) in self.contents.uses(symbol) {
                let own = |file: &File| *file.origin() == Whose::Workspace && (self.takes)(file);
                if !self.contents.file(file).is_some_and(own) {
                    continue;
                }
                for place in places {
                    let item = self.contents.item_at(file, *place as usize);
                    if let Some(item) = item.filter(|item| !item.is_test()) {
                        *counts.entry(item.place()).or_default().entry(name).or_default() += 1;
                    }
                }
            }
        }
        let weight = |place: ItemRef, counts: &BTreeMap<&str, usize>| {
            self.ranks.of(place) * counts.values().sum::<usize>() as f32
        };
        let mut items: Vec<(f32, ItemRef, BTreeMap<&str, usize>)> = counts
            .into_iter()
            .map(|(place, counts)| (weight(place, &counts), place, counts))
            .collect();
        items.sort_by(|a, b| {
            b.0.total_cmp(&a.0).then_with(|| self.order(a.1).cmp(&self.order(b.1)))
        });
        let found = items.into_iter().take(MOST).filter_map(|(_, place, counts)| {
            let counts: Vec<String> =
                counts.iter().map(|(name, count)| format!("`{name}` {count}×")).collect();
            let item = self.item(place)?;
            Some(at(item, &format!("{}: {}", title(item), counts.join(", "))))
        });
        headed("Calls that can fail hard, outside of tests, in what most depends on:", found)
    }

    /// Functions of many lines.
    fn long(&self) -> Vec<Passage> {
        let items = self.graph.items().iter().filter_map(|place| self.item(*place));
        let is_long = |item: &Item<'_>| {
            matches!(item.kind(), index::Kind::Function | index::Kind::Method)
                && item.lines().len() >= LONG
                && !item.is_test()
        };
        let mut items: Vec<Item<'_>> = items.filter(is_long).collect();
        items.sort_by_key(|item| std::cmp::Reverse(item.lines().len()));
        let found = items
            .into_iter()
            .take(MOST / 3)
            .map(|item| at(item, &format!("{}: {} lines", title(item), item.lines().len())));
        headed("The longest functions:", found)
    }

    /// Items whose names nothing but their definitions has.
    fn unused(&self) -> Vec<Passage> {
        let items = self.graph.items().iter().filter_map(|place| self.item(*place));
        let unused = items.filter(|item| self.is_unused(*item));
        let found = unused.take(MOST_DEAD).map(|item| {
            let public = item.visibility() == index::Visibility::Public;
            let who = if public { " (public: other packages may use it)" } else { "" };
            at(item, &format!("{}{who}", title(item)))
        });
        headed("Nothing in the workspace has these names but their own definitions:", found)
    }

    fn is_unused(&self, item: Item<'_>) -> bool {
        let bound = item.parent().is_some_and(|parent| {
            parent.kind() == index::Kind::Trait
                || parent.kind() == index::Kind::Interface
                || parent.trait_name().is_some()
        });
        if bound || item.is_test() || matches!(item.name(), "main" | "_") {
            return false;
        }
        let definitions = self.contents.definitions(item.symbol()).count();
        let mut uses = 0;
        for (_, places) in self.contents.uses(item.symbol()) {
            uses += places.len();
            if uses > definitions {
                return false;
            }
        }
        true
    }

    /// Who uses what the question names, and who uses those.
    fn impact(&self) -> Vec<Passage> {
        let mut passages = Vec::new();
        for place in self.sought.named.iter().take(MOST / 10) {
            let Some(item) = self.item(*place) else { continue };
            let first: FxHashSet<ItemRef> = self.graph.users(*place).collect();
            let second: FxHashSet<ItemRef> =
                first.iter().flat_map(|user| self.graph.users(*user)).collect();
            let mut users: Vec<ItemRef> = first.iter().copied().collect();
            users.sort_by(|a, b| {
                let by_rank = self.ranks.of(*b).total_cmp(&self.ranks.of(*a));
                by_rank.then_with(|| self.order(*a).cmp(&self.order(*b)))
            });
            let heading = format!(
                "Direct users: {}, and {} more that use those:",
                first.len(),
                second.difference(&first).count()
            );
            passages.push(at(item, &title(item)));
            let users = users.into_iter().filter_map(|user| self.item(user));
            passages.extend(headed(
                &heading,
                users.take(MOST).map(|user| {
                    let test = if user.is_test() { " (a test)" } else { "" };
                    at(user, &format!("{}{test}", title(user)))
                }),
            ));
        }
        if passages.is_empty() { self.candidates() } else { passages }
    }
}

#[derive(Default)]
struct Folder {
    files: usize,
    lines: usize,
    origins: Vec<Origin>,
    uses: BTreeMap<String, usize>,
}

fn folder_of(file: &File) -> String {
    let path = Path::new(file.relative_path());
    let folder = path.parent().map(|folder| folder.to_string_lossy().replace('\\', "/"));
    folder.filter(|folder| !folder.is_empty()).map_or("./".to_owned(), |folder| folder + "/")
}

fn title(item: Item<'_>) -> String {
    format!("{} `{}`", item.kind(), item.path())
}

fn named(item: Item<'_>) -> Passage {
    let doc = if item.doc().is_empty() { String::new() } else { format!(": {}", item.doc()) };
    at(item, &format!("{}{doc}", title(item)))
}

/// A fact with its place.
fn at(item: Item<'_>, words: &str) -> Passage {
    let (file, lines) = (item.file(), item.lines());
    let line = lines.start + 1;
    Passage::of_lines(file.path(), lines, format!("{}:{line} {words}\n", file.relative_path()))
}

/// A heading goes with the first fact below it, or not at all.
fn headed(heading: &str, facts: impl Iterator<Item = Passage>) -> Vec<Passage> {
    let mut facts: Vec<Passage> = facts.collect();
    if let Some(first) = facts.first_mut() {
        first.text.insert_str(0, &format!("\n{heading}\n"));
    }
    facts
}
