//! How likely each definition of the workspace is to be needed on the next line.
//!
//! Candidates are what the document names, what the types in play have, and what code that speaks
//! of the same things uses. Each is described by a row of [`FEATURES`], and the chance follows from
//! a logistic regression over them. Its weights come from `cargo bench --bench recall -- --fit`,
//! which reads the repositories that the benchmark tunes on and no others.

use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    scene::{self, Role, Scene},
    weights::WEIGHTS,
};
use crate::index::{Contents, FileId, Hit, Item, ItemRef, Kind, Origin, Symbol, Visibility};

/// Definitions of one name that are candidates: a name with more is everybody's.
const MAX_NAMESAKES: usize = 6;

/// Members of one type that are candidates.
const MAX_MEMBERS: usize = 400;

/// Names that are searched for, the rarest of those near the cursor.
const MAX_SOUGHT: usize = 40;

/// Names in more files than this are not looked for one by one.
const TOO_COMMON: usize = 200;

/// Similar chunks that are asked for names.
const MAX_HITS: usize = 30;

/// Names behind one that stands near the cursor, too, that are taken to follow it.
const FOLLOWERS: usize = 12;

/// Lines on either side of the cursor whose names others may follow.
const LEADERS: u32 = 4;

/// Lines around the cursor whose names are searched for.
const QUERY_LINES: u32 = 60;

/// A chance from which on code that uses a name is an example of anything.
const TELLING: f32 = 0.01;

/// Names that examples are looked for of.
const MAX_TELLING: usize = 80;

/// What a dependency's item counts, beside one of the workspace: a model has read published packages,
/// and the benchmark, which has no dependencies, says nothing of them.
const DEPENDENCY: f32 = 0.3;

/// How many members of a receiver's type are needed behind its dot, about, and the chance of one at the
/// most. The holes that the weights come from have no begun statements, so nothing is known from them.
const MEMBERS_NEEDED: f32 = 3.0;
const MEMBER: f32 = 0.3;

/// Candidates at most: what is further down never fits.
const MAX_CANDIDATES: usize = 3_000;

/// What is known of a candidate, a number each.
pub const FEATURES: [&str; 55] = [
    "always",
    "named above, near",
    "named below, near",
    "named, by distance",
    "named in the function",
    "times named",
    "imported",
    "named",
    "few share the name",
    "files that use the name",
    "used by similar code",
    "shares words with the lines around",
    "shares words with the function's name",
    "is a function",
    "is a method",
    "is an associated function",
    "is a field",
    "is a variant",
    "is a struct",
    "is an enum",
    "is a trait",
    "is a type alias",
    "is a constant",
    "is a macro",
    "of the receiver's type",
    "of the expected type",
    "of a local's type",
    "of the type of self",
    "of the type of a field of self",
    "of a parameter's type",
    "of a type named nearby",
    "of an imported type",
    "of a type in play",
    "times its type is named",
    "private",
    "in the same folder",
    "its module is named nearby",
    "for tests",
    "named, and of a type in play",
    "not named, and of a type in play",
    "not named, files that use the name",
    "not named, used by similar code",
    "not named, shares words around",
    "uses among its type's members",
    "of a trait's implementation",
    "its file defines what is named",
    "follows the same names in similar code",
    "used by similar code of this file",
    "follows the same names in this file",
    "a named type",
    "a named function",
    "named, of the receiver's type",
    "not named, its file defines what is named",
    "not named, follows the same names",
    "not named, in the same folder",
];

/// The place of "of the receiver's type".
const RECEIVER: usize = 24;

/// A row of features.
pub type Features = [f32; FEATURES.len()];

/// A definition that may be needed.
#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    pub place: ItemRef,
    pub features: Features,
    /// The chance that it is needed, from 0 to 1.
    pub chance: f32,
}

/// Candidates, and the code that was found on the way.
#[derive(Debug, Default)]
pub(super) struct Ranking {
    pub(super) candidates: Vec<Candidate>,
    /// Code of other files, with the chance that it uses what is needed; the likeliest first.
    pub(super) examples: Vec<Hit>,
}

/// Ranks what the index knows for a scene.
pub(super) fn rank(contents: &Contents, scene: &Scene) -> Ranking {
    let (own, similar) = search(contents, scene);
    let evidence = Evidence {
        elsewhere: used_by(contents, scene, &similar),
        here: used_by(contents, scene, &own),
    };
    let mut pool = Pool { contents, scene, seen: FxHashSet::default(), places: Vec::new() };
    let mut types: Vec<_> = scene.types.keys().map(|ty| (*ty, scene.weight(*ty))).collect();
    types.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let mut mentions: Vec<_> =
        scene.mentions.iter().map(|(name, mention)| (mention.distance(), *name)).collect();
    mentions.sort_unstable();
    for (ty, weight) in &types {
        pool.named(*ty);
        if *weight > 0.05 {
            pool.members(*ty);
        }
    }
    for (_, name) in mentions {
        pool.named(name);
    }
    let mut used: Vec<_> =
        evidence.elsewhere.iter().map(|(name, use_of)| (*name, *use_of)).collect();
    used.sort_by(|a, b| b.1.similar.total_cmp(&a.1.similar).then(a.0.cmp(&b.0)));
    for (name, _) in used {
        pool.named(name);
    }
    pool.siblings();
    let describer = Describer::new(contents, scene, &evidence);
    let candidates = pool.places.iter().filter_map(|place| {
        let item = contents.item(*place)?;
        let features = describer.describe(item);
        let known = if is_own(item) { 1.0 } else { DEPENDENCY };
        let chance = chance(&features).max(describer.as_member(item));
        Some(Candidate { place: *place, features, chance: known * chance })
    });
    let candidates: Vec<Candidate> = candidates.collect();
    let examples = examples(contents, &candidates, similar);
    Ranking { candidates, examples }
}

/// Those of `similar` that use what is likely to be needed, with the chance that they do.
fn examples(contents: &Contents, candidates: &[Candidate], similar: Vec<Hit>) -> Vec<Hit> {
    let mut chances: FxHashMap<Symbol, f32> = FxHashMap::default();
    for candidate in candidates.iter().filter(|candidate| candidate.chance >= TELLING) {
        let Some(item) = contents.item(candidate.place) else { continue };
        let of_name = chances.entry(item.symbol()).or_default();
        *of_name = of_name.max(candidate.chance);
    }
    let mut chances: Vec<_> = chances.into_iter().collect();
    chances.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let mut unused: FxHashMap<(FileId, usize), f32> =
        similar.iter().map(|hit| ((hit.file, hit.chunk), 1.0)).collect();
    for (name, chance) in chances.into_iter().take(MAX_TELLING) {
        if contents.file_frequency(name) > TOO_COMMON {
            continue;
        }
        for (id, places) in contents.uses(name) {
            let Some(file) = contents.file(id) else { continue };
            let mut rest = places;
            while let Some(first) = rest.first() {
                let chunk = file.chunk_at(*first as usize);
                if let Some(unused) = unused.get_mut(&(id, chunk)) {
                    *unused *= 1.0 - chance;
                }
                let end = file.chunk(chunk).map_or(usize::MAX, |range| range.end);
                let inside = rest.partition_point(|place| (*place as usize) < end).max(1);
                rest = rest.get(inside..).unwrap_or_default();
            }
        }
    }
    let mut examples: Vec<Hit> = similar
        .into_iter()
        .map(|hit| {
            let unused = unused.get(&(hit.file, hit.chunk)).copied().unwrap_or(1.0);
            Hit { score: 1.0 - unused, ..hit }
        })
        .collect();
    // Stable: of equal chances the more similar code stands first.
    examples.sort_by(|a, b| b.score.total_cmp(&a.score));
    examples
}

fn chance(features: &Features) -> f32 {
    let sum: f32 = features.iter().zip(WEIGHTS).map(|(value, weight)| value * weight).sum();
    1.0 / (1.0 + (-sum).exp())
}

/// Code that speaks of the same things: of the document but for the cursor's own, and of other files.
fn search(contents: &Contents, scene: &Scene) -> (Vec<Hit>, Vec<Hit>) {
    let near = scene.mentions.iter().filter(|(_, mention)| mention.distance() <= QUERY_LINES);
    let mut query: Vec<(Symbol, f32)> = near
        .map(|(name, mention)| (*name, 1.0 / (1.0 + mention.distance() as f32 / 20.0)))
        .collect();
    let telling = |(name, weight): &(Symbol, f32)| {
        weight / (1.0 + (contents.file_frequency(*name) as f32).ln_1p())
    };
    query.sort_unstable_by(|a, b| telling(b).total_cmp(&telling(a)).then(a.0.cmp(&b.0)));
    query.truncate(MAX_SOUGHT);
    let own = scene.file.and_then(|id| Some((id, contents.file(id)?)));
    // Its own chunks are the likest of all.
    let count = own.map_or(0, |(_, file)| file.chunk_count());
    let hits = contents.search(&query, 400 + count.min(400));
    let (own_hits, others): (Vec<_>, Vec<_>) =
        hits.into_iter().partition(|hit| Some(hit.file) == scene.file);
    let at = own.map(|(_, file)| file.chunk_at(scene.offset));
    (own_hits.into_iter().filter(|hit| Some(hit.chunk) != at).collect(), others)
}

/// How code that is like the cursor's uses a name.
#[derive(Debug, Clone, Copy, Default)]
struct Use {
    /// How much such code uses it: the more similar, the more.
    similar: f32,
    /// How often it stands right behind what stands near the cursor, too.
    follows: f32,
}

/// How code that is like the cursor's uses names.
struct Evidence {
    elsewhere: FxHashMap<Symbol, Use>,
    here: FxHashMap<Symbol, Use>,
}

fn used_by(contents: &Contents, scene: &Scene, hits: &[Hit]) -> FxHashMap<Symbol, Use> {
    let mut used: FxHashMap<Symbol, Use> = FxHashMap::default();
    let best = hits.first().map_or(1.0, |hit| hit.score.max(f32::EPSILON));
    let files = contents.totals().files.max(1) as f32;
    let mut names: Vec<(u32, Symbol)> = Vec::new();
    for (rank, hit) in hits.iter().take(MAX_HITS).enumerate() {
        let Some(file) = contents.file(hit.file) else { continue };
        let weight = hit.score / best / (1.0 + rank as f32 / 5.0);
        names.clear();
        for (name, places) in file.all_uses() {
            let from = places.partition_point(|place| (*place as usize) < hit.range.start);
            let inside = places.get(from..).unwrap_or_default().iter();
            let inside = inside.take_while(|place| (**place as usize) < hit.range.end);
            let before = names.len();
            names.extend(inside.map(|place| (*place, name)));
            if names.len() > before {
                used.entry(name).or_default().similar += weight;
            }
        }
        names.sort_unstable();
        for (at, (_, leader)) in names.iter().enumerate() {
            let mention = scene.mentions.get(leader).map(scene::Mention::distance);
            let Some(distance) = mention.filter(|distance| *distance <= LEADERS) else { continue };
            let rarity =
                1.0 - (contents.file_frequency(*leader) as f32).ln_1p() / (files + 1.0).ln_1p();
            let weight = rarity.max(0.0) / (1.0 + distance as f32);
            for (behind, (_, follower)) in names[at + 1..].iter().take(FOLLOWERS).enumerate() {
                if follower != leader {
                    used.entry(*follower).or_default().follows +=
                        weight / (1.0 + behind as f32 / 4.0);
                }
            }
        }
    }
    used
}

/// Whether an item is of the workspace.
fn is_own(item: Item<'_>) -> bool {
    *item.file().origin() == Origin::Workspace
}

struct Pool<'a> {
    contents: &'a Contents,
    scene: &'a Scene,
    seen: FxHashSet<ItemRef>,
    places: Vec<ItemRef>,
}

impl Pool<'_> {
    fn add(&mut self, item: Item<'_>) {
        let place = item.place();
        let shown = Some(place.file) == self.scene.file;
        let is_definition = !matches!(item.kind(), Kind::Module | Kind::Impl);
        if !shown && is_definition && self.places.len() < MAX_CANDIDATES && self.seen.insert(place)
        {
            self.places.push(place);
        }
    }

    /// What has this name, unless much has. A dependency's item counts where the workspace has none.
    fn named(&mut self, name: Symbol) {
        let contents = self.contents;
        let namesakes = contents.definitions(name).take(MAX_NAMESAKES + 1);
        let (own, foreign): (Vec<_>, Vec<_>) = namesakes.partition(|item| is_own(*item));
        let namesakes = if own.is_empty() { foreign } else { own };
        if namesakes.len() <= MAX_NAMESAKES {
            for item in namesakes {
                self.add(item);
            }
        }
    }

    fn members(&mut self, ty: Symbol) {
        let contents = self.contents;
        contents.members_of(ty).take(MAX_MEMBERS).for_each(|item| self.add(item));
    }

    /// What stands in files of the same folder.
    fn siblings(&mut self) {
        let contents = self.contents;
        let Some(own) = self.scene.file.and_then(|file| contents.file(file)) else { return };
        let folder = own.path().parent();
        let near: Vec<FileId> = contents
            .files()
            .filter(|(_, file)| file.path().parent() == folder)
            .map(|(id, _)| id)
            .collect();
        for file in near {
            contents.items(file).for_each(|item| self.add(item));
        }
    }
}

/// Describes candidates of one scene.
struct Describer<'a> {
    contents: &'a Contents,
    scene: &'a Scene,
    evidence: &'a Evidence,
    folder: Option<&'a std::path::Path>,
    files: f32,
    /// How much of what a file defines is named.
    affinity: FxHashMap<FileId, f32>,
    /// The types of what stands before the dot at the cursor, with the chance of each member.
    receivers: FxHashMap<Symbol, f32>,
}

impl<'a> Describer<'a> {
    fn new(contents: &'a Contents, scene: &'a Scene, evidence: &'a Evidence) -> Self {
        let own = scene.file.and_then(|file| contents.file(file));
        let mut affinity: FxHashMap<FileId, f32> = FxHashMap::default();
        for (name, mention) in &scene.mentions {
            let mut files: Vec<FileId> = contents
                .definitions(*name)
                .take(MAX_NAMESAKES + 1)
                .map(|item| item.place().file)
                .collect();
            if files.len() > MAX_NAMESAKES {
                continue;
            }
            files.dedup();
            let weight = 0.3 + 1.0 / (1.0 + mention.distance() as f32 / 10.0);
            for file in &files {
                *affinity.entry(*file).or_default() += weight / files.len() as f32;
            }
        }
        let receivers =
            scene.types.iter().filter(|(_, roles)| roles[Role::Receiver as usize] > 0.0);
        let receivers = receivers.map(|(ty, roles)| {
            let members = contents.members_of(*ty).take(MAX_MEMBERS).count().max(1);
            let chance = (MEMBERS_NEEDED / members as f32).min(MEMBER);
            (*ty, chance * roles[Role::Receiver as usize])
        });
        Self {
            receivers: receivers.collect(),
            contents,
            scene,
            evidence,
            folder: own.and_then(|file| file.path().parent()),
            files: contents.totals().files.max(1) as f32,
            affinity,
        }
    }

    /// The chance of what may stand behind the dot at the cursor.
    fn as_member(&self, item: Item<'_>) -> f32 {
        let receiver = item.owner().and_then(|owner| self.receivers.get(&owner));
        receiver.copied().unwrap_or(0.0)
    }

    #[expect(clippy::too_many_lines, reason = "a line a feature")]
    fn describe(&self, item: Item<'_>) -> Features {
        let name = item.symbol();
        let mention = self.scene.mentions.get(&name);
        let by = |lines: Option<u32>, scale: f32| {
            lines.map_or(0.0, |lines| 1.0 / (1.0 + lines as f32 / scale))
        };
        let flag = |is: bool| f32::from(u8::from(is));
        let above = mention.and_then(|mention| mention.before);
        let below = mention.and_then(|mention| mention.after);
        let nearest = mention.map(scene::Mention::distance);
        let is_named = flag(mention.is_some());
        let not_named = 1.0 - is_named;
        let namesakes = self.contents.definitions(name).take(MAX_NAMESAKES + 1);
        let namesakes = namesakes.filter(|other| is_own(*other) == is_own(item)).count();
        let own_file_uses = |symbol| {
            let own = self.scene.file.and_then(|file| self.contents.file(file));
            usize::from(own.is_some_and(|file| !file.uses(symbol).is_empty()))
        };
        let frequency =
            self.contents.file_frequency(name).saturating_sub(own_file_uses(name)) as f32;
        let popular = frequency.ln_1p();
        let use_in = |uses: &FxHashMap<Symbol, Use>| uses.get(&name).copied().unwrap_or_default();
        let (elsewhere, here) = (use_in(&self.evidence.elsewhere), use_in(&self.evidence.here));
        let evidence = elsewhere.similar.min(6.0) / 2.0;
        let follows = elsewhere.follows.ln_1p();
        let affinity = self.affinity.get(&item.place().file).copied().unwrap_or(0.0).ln_1p();
        let (mut around, mut function, mut parts) = (0.0, 0.0, 0.0);
        scene::each_word(item.name(), |part| {
            around += self.scene.words.get(part).copied().unwrap_or(0.0);
            function += flag(self.scene.function_words.iter().any(|word| word == part));
            parts += 1.0;
        });
        let parts = f32::max(parts, 1.0);
        let (around, function) = (around / parts, function / parts);
        let owner = item.owner();
        let ty = owner.or_else(|| item.kind().is_type().then_some(name));
        let roles = ty.and_then(|ty| self.scene.types.get(&ty)).copied().unwrap_or_default();
        let in_play = roles.iter().copied().fold(0.0, f32::max);
        let ty_mention = owner.and_then(|owner| self.scene.mentions.get(&owner));
        let has_self = item.signature().contains("self");
        let kind = item.kind();
        let is_method = kind == Kind::Method;
        let module = item.file().module().rsplit(item_separator(item)).next().unwrap_or_default();
        let module = self.contents.symbol(module).and_then(|it| self.scene.mentions.get(&it));
        let parent = item.parent();
        let of_trait =
            parent.is_some_and(|it| it.kind() == Kind::Impl && it.trait_name().is_some());
        let role = |role: Role| roles[role as usize];
        [
            1.0,
            by(above, 5.0),
            by(below, 5.0),
            by(nearest, 40.0),
            flag(mention.is_some_and(|mention| mention.in_function)),
            mention.map_or(0.0, |mention| (mention.count as f32).ln_1p()),
            flag(mention.is_some_and(|mention| mention.imported)),
            is_named,
            1.0 / namesakes.max(1) as f32,
            popular,
            evidence,
            around,
            function,
            flag(kind == Kind::Function),
            flag(is_method && has_self),
            flag(is_method && !has_self),
            flag(kind == Kind::Field),
            flag(kind == Kind::Variant),
            flag(matches!(kind, Kind::Struct | Kind::Union | Kind::Class)),
            flag(kind == Kind::Enum),
            flag(matches!(kind, Kind::Trait | Kind::Interface)),
            flag(kind == Kind::Type),
            flag(matches!(kind, Kind::Const | Kind::Static)),
            flag(kind == Kind::Macro),
            role(Role::Receiver),
            role(Role::Expected),
            role(Role::Local),
            role(Role::Own),
            role(Role::OwnField),
            role(Role::Parameter),
            role(Role::Near),
            role(Role::Imported),
            flag(in_play > 0.0),
            ty_mention.map_or(0.0, |mention| (mention.count as f32).ln_1p()),
            flag(item.visibility() == Visibility::Private && kind != Kind::Field),
            flag(item.file().path().parent() == self.folder),
            by(module.map(scene::Mention::distance), 40.0),
            flag(item.is_test()),
            is_named * in_play,
            not_named * in_play,
            not_named * popular,
            not_named * evidence,
            not_named * around,
            (frequency / self.files).sqrt(),
            flag(of_trait),
            affinity,
            follows,
            here.similar.min(6.0) / 2.0,
            here.follows.ln_1p(),
            is_named * flag(kind.is_type()),
            is_named * flag(matches!(kind, Kind::Function | Kind::Method)),
            is_named * role(Role::Receiver),
            not_named * affinity,
            not_named * follows,
            not_named * flag(item.file().path().parent() == self.folder),
        ]
    }
}

fn item_separator(item: Item<'_>) -> &'static str {
    if item.file().language().is_some_and(|language| language.id == "rust") { "::" } else { "." }
}

impl Candidate {
    /// What speaks for it most.
    pub fn strongest(&self) -> &'static str {
        if self.features[RECEIVER] > 0.0 && self.chance > chance(&self.features) {
            return FEATURES[RECEIVER];
        }
        let parts = self.features.iter().zip(WEIGHTS).map(|(value, weight)| value * weight);
        let named = parts.zip(FEATURES).skip(1);
        named.max_by(|a, b| a.0.total_cmp(&b.0)).map_or(FEATURES[0], |(_, name)| name)
    }
}
