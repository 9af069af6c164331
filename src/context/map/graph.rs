//! Who uses what: the items of a codebase and, between them, the uses of their names.
//!
//! Names are not resolved, as that takes a compiler: a use counts for every item of its name, the
//! less for each the more there are; for an item of the same file where there is one; and for a
//! method hardly where its type is not named in the file. What is central follows from that as the
//! importance of pages follows from links (`PageRank`), begun either everywhere alike or at what a
//! question is about.

use rustc_hash::FxHashMap;

use crate::index::{Contents, File, FileId, Index, Item, ItemRef, Kind, Origin, Symbol};

/// Names that more items have than this say nothing about which of them is meant.
const MAX_NAMESAKES: usize = 16;

/// What a use in a test counts beside one elsewhere: a test uses what it tests, central or not.
const IN_TESTS: f32 = 0.3;

/// What a use counts for a method whose type the file does not name: most names of methods are those
/// of other libraries' methods, too.
const OF_STRANGERS: f32 = 0.05;

/// The chance to go on along a use; the usual value.
const DAMPING: f32 = 0.85;

/// What is begun at what a question is about, where there is one; the rest is begun everywhere.
const AT_SOUGHT: f32 = 0.7;

/// After so many rounds the ranks have settled: what is left is below 0.85²⁴, two percent.
const ROUNDS: usize = 24;

/// The items of the workspace that stand for themselves, and their uses of one another.
///
/// An item that has changed since may be another one by now: who shows one looks it up anew.
#[derive(Debug, Default)]
pub struct Graph {
    items: Vec<ItemRef>,
    numbers: FxHashMap<ItemRef, u32>,
    /// By what is used.
    uses: Vec<Use>,
}

/// One item's uses of another, by their numbers.
#[derive(Debug, Clone, Copy)]
struct Use {
    by: u32,
    of: u32,
    weight: f32,
}

/// An item that a name may mean.
#[derive(Debug)]
struct Meant {
    number: u32,
    file: FileId,
    /// The type that it is a member of.
    owner: Option<Symbol>,
}

/// How central items are; all of them together have 1.
#[derive(Debug)]
pub struct Ranks<'g> {
    graph: &'g Graph,
    ranks: Vec<f32>,
}

/// Whether an item is one of the graph: not a part of another, nor a mere container.
pub(super) const fn stands(kind: Kind) -> bool {
    !matches!(kind, Kind::Field | Kind::Variant | Kind::Impl | Kind::Module)
}

impl Graph {
    /// Of all files of the workspace. Looks into the index anew for each of them, so that nobody
    /// waits for it long.
    pub fn of(index: &Index) -> Self {
        let mut graph = Self::default();
        let files = {
            let contents = index.read();
            let own = |(_, file): &(FileId, &File)| *file.origin() == Origin::Workspace;
            let mut files: Vec<(FileId, &File)> = contents.files().filter(own).collect();
            // Not in the order in which they were read, which differs from run to run.
            files.sort_by(|a, b| a.1.path().cmp(b.1.path()));
            let files: Vec<FileId> = files.into_iter().map(|(id, _)| id).collect();
            for item in files.iter().flat_map(|id| contents.items(*id)) {
                if stands(item.kind()) {
                    let number = u32::try_from(graph.items.len()).unwrap_or(u32::MAX);
                    graph.numbers.insert(item.place(), number);
                    graph.items.push(item.place());
                }
            }
            files
        };
        let mut named = FxHashMap::default();
        for id in files {
            let contents = index.read();
            if let Some(file) = contents.file(id) {
                graph.add_uses(&contents, id, file, &mut named);
            }
        }
        graph.uses.sort_unstable_by_key(|one| (one.of, one.by));
        graph
    }

    fn add_uses(
        &mut self,
        contents: &Contents,
        id: FileId,
        file: &File,
        named: &mut FxHashMap<Symbol, Vec<Meant>>,
    ) {
        let around = Around::of(self, contents, id);
        // How often one uses the other, and what each of those counts.
        let mut counts: FxHashMap<(u32, u32), (u32, f32)> = FxHashMap::default();
        for (name, places) in file.all_uses() {
            let of_name = named.entry(name).or_insert_with(|| self.named(contents, name));
            let here = |meant: &&Meant| meant.file == id && meant.owner.is_none();
            let own = of_name.iter().any(|meant| here(&meant));
            let meant: Vec<(u32, f32)> = of_name
                .iter()
                .filter(|meant| !own || here(meant))
                .map(|meant| {
                    let known = meant.owner.is_none_or(|owner| !file.uses(owner).is_empty());
                    (meant.number, if known { 1.0 } else { OF_STRANGERS })
                })
                .collect();
            for place in places.iter().filter(|_| !meant.is_empty()) {
                let Some(by) = around.byte(*place as usize) else { continue };
                for (of, share) in meant.iter().filter(|(of, _)| *of != by) {
                    let share = share / meant.len() as f32;
                    counts.entry((by, *of)).or_insert((0, share)).0 += 1;
                }
            }
        }
        for ((by, of), (count, share)) in counts {
            let user = self.items.get(by as usize).and_then(|place| contents.item(*place));
            let counts = if user.is_some_and(|user| user.is_test()) { IN_TESTS } else { 1.0 };
            self.uses.push(Use { by, of, weight: counts * share * (count as f32).sqrt() });
        }
    }

    /// The items that a name may mean; none where it may mean too many.
    fn named(&self, contents: &Contents, name: Symbol) -> Vec<Meant> {
        let meant = |item: Item<'_>| {
            let number = *self.numbers.get(&item.place())?;
            Some(Meant { number, file: item.place().file, owner: item.owner() })
        };
        let found: Vec<Meant> =
            contents.definitions(name).filter_map(meant).take(MAX_NAMESAKES + 1).collect();
        if found.len() > MAX_NAMESAKES { Vec::new() } else { found }
    }

    /// Every item, by path and place.
    pub fn items(&self) -> &[ItemRef] {
        &self.items
    }

    /// Where an item stands among all, if it is one of them.
    pub fn number(&self, item: ItemRef) -> Option<u32> {
        self.numbers.get(&item).copied()
    }

    /// The items that seem to use this one, by their names alone.
    pub fn users(&self, item: ItemRef) -> impl Iterator<Item = ItemRef> {
        let of = self.numbers.get(&item).copied();
        let first = self.uses.partition_point(|one| Some(one.of) < of);
        let uses = self.uses.iter().skip(first).take_while(move |one| Some(one.of) == of);
        uses.filter_map(|one| self.items.get(one.by as usize)).copied()
    }

    /// Pairs of items of which the first uses the second.
    pub fn pairs(&self) -> impl Iterator<Item = (ItemRef, ItemRef)> {
        let item = |number: u32| self.items.get(number as usize).copied();
        self.uses.iter().filter_map(move |one| Some((item(one.by)?, item(one.of)?)))
    }

    /// How central each item is, from what is `sought` (each with its weight) or, where that is
    /// nothing, from everywhere.
    pub fn rank(&self, sought: &FxHashMap<ItemRef, f32>) -> Ranks<'_> {
        let count = self.items.len();
        let everywhere = 1.0 / count.max(1) as f32;
        let mut begun = vec![everywhere; count];
        let wanted: f32 = sought.values().sum();
        if wanted > 0.0 {
            for (share, item) in begun.iter_mut().zip(&self.items) {
                let weight = sought.get(item).copied().unwrap_or_default();
                *share = (1.0 - AT_SOUGHT) * everywhere + AT_SOUGHT * weight / wanted;
            }
        }
        let mut out = vec![0.0_f32; count];
        for one in &self.uses {
            out[one.by as usize] += one.weight;
        }
        let mut ranks = begun.clone();
        for _ in 0..ROUNDS {
            // What uses nothing gives back what it has.
            let idle: f32 =
                ranks.iter().zip(&out).filter(|(_, out)| **out == 0.0).map(|(rank, _)| rank).sum();
            let kept = 1.0 - DAMPING + DAMPING * idle;
            let mut next: Vec<f32> = begun.iter().map(|share| share * kept).collect();
            for one in &self.uses {
                let share = one.weight / out[one.by as usize];
                next[one.of as usize] += DAMPING * ranks[one.by as usize] * share;
            }
            ranks = next;
        }
        Ranks { graph: self, ranks }
    }
}

impl Ranks<'_> {
    /// 0 for what is no item of the graph.
    pub fn of(&self, item: ItemRef) -> f32 {
        let number = self.graph.numbers.get(&item);
        number.and_then(|number| self.ranks.get(*number as usize)).copied().unwrap_or_default()
    }

    /// All items, the most central first.
    pub fn best(&self) -> Vec<ItemRef> {
        let mut all: Vec<(f32, ItemRef)> =
            self.ranks.iter().copied().zip(self.graph.items.iter().copied()).collect();
        // Stable: of equals the first by path.
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        all.into_iter().map(|(_, item)| item).collect()
    }

    /// The sums of files.
    pub fn of_files(&self) -> FxHashMap<FileId, f32> {
        let mut files = FxHashMap::default();
        for (item, rank) in self.graph.items.iter().zip(&self.ranks) {
            *files.entry(item.file).or_default() += rank;
        }
        files
    }
}

/// The items of one file, to be found by a byte.
struct Around {
    /// Start, end, parent, and the number in the graph of the item or of what it is a part of.
    items: Vec<(usize, usize, Option<usize>, Option<u32>)>,
}

impl Around {
    fn of(graph: &Graph, contents: &Contents, file: FileId) -> Self {
        let mut items: Vec<(usize, usize, Option<usize>, Option<u32>)> = Vec::new();
        for item in contents.items(file) {
            let parent = item.parent().map(|parent| parent.place().index as usize);
            let own = graph.numbers.get(&item.place()).copied();
            let outer = || items.get(parent?).and_then(|parent| parent.3);
            let number = own.or_else(outer);
            items.push((item.range().start, item.range().end, parent, number));
        }
        Self { items }
    }

    fn byte(&self, byte: usize) -> Option<u32> {
        let mut at = self.items.partition_point(|item| item.0 <= byte).checked_sub(1);
        while let Some((_, end, parent, number)) = at.and_then(|at| self.items.get(at)) {
            if byte < *end {
                return *number;
            }
            at = *parent;
        }
        None
    }
}
