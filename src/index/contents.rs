//! What the index knows at one moment: files by path, items by name, uses by name.

use std::{collections::HashMap, path::Path, sync::Arc};

use rustc_hash::FxBuildHasher;

use super::{
    File, FileId, Item, ItemRef, Kind, Names, Origin, Symbol,
    extract::{Draft, to_u32},
    file::Uses,
};
use crate::syntax::Language;

/// What the index knows at one moment.
#[derive(Debug, Default)]
pub struct Contents {
    names: Names,
    /// By [`FileId`]; `None` for a file that has gone.
    files: Vec<Option<Arc<File>>>,
    by_path: HashMap<Arc<Path>, FileId, FxBuildHasher>,
    /// By [`Symbol`].
    of_names: Vec<OfName>,
    totals: Totals,
}

/// Where a name occurs.
#[derive(Debug, Default)]
struct OfName {
    /// Items of the name, ascending.
    items: Few<ItemRef>,
    /// Files with uses of the name, ascending.
    files: Few<FileId>,
}

/// Sums over all files of the workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    pub files: usize,
    pub lines: usize,
    pub items: usize,
    pub chunks: usize,
    /// Identifiers in all chunks.
    pub names: usize,
}

/// What is told of a file beside what is extracted from it.
#[derive(Debug, Clone)]
pub(super) struct About {
    pub(super) path: Arc<Path>,
    pub(super) relative_path: String,
    pub(super) module: String,
    pub(super) origin: Origin,
    pub(super) language: Option<&'static Language>,
    pub(super) fingerprint: u64,
}

impl Contents {
    /// The number of a name, if anything in the index has it.
    pub fn symbol(&self, name: &str) -> Option<Symbol> {
        self.names.find(name)
    }

    pub fn name(&self, symbol: Symbol) -> &str {
        self.names.text(symbol)
    }

    /// Sums over the files of the workspace; dependencies do not count.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    pub fn file(&self, id: FileId) -> Option<&File> {
        self.files.get(id.0 as usize)?.as_deref()
    }

    /// The same, to keep beyond this moment.
    pub fn file_handle(&self, id: FileId) -> Option<Arc<File>> {
        self.files.get(id.0 as usize)?.clone()
    }

    pub fn file_at(&self, path: &Path) -> Option<(FileId, &File)> {
        let id = *self.by_path.get(path)?;
        Some((id, self.file(id)?))
    }

    /// Every file, dependencies' among them, in the order in which they came.
    pub fn files(&self) -> impl Iterator<Item = (FileId, &File)> {
        let numbered = self.files.iter().enumerate();
        numbered.filter_map(|(id, file)| Some((FileId(to_u32(id)), file.as_deref()?)))
    }

    pub fn item(&self, place: ItemRef) -> Option<Item<'_>> {
        let file = self.file(place.file)?;
        Some(Item { contents: self, file, data: file.items.get(place.index as usize)?, place })
    }

    /// The items of a file in its order, members behind what they are members of.
    pub fn items(&self, file: FileId) -> impl Iterator<Item = Item<'_>> {
        let count = self.file(file).map_or(0, |file| file.items.len());
        (0..to_u32(count)).filter_map(move |index| self.item(ItemRef { file, index }))
    }

    /// The innermost item around a byte of a file.
    pub fn item_at(&self, file: FileId, byte: usize) -> Option<Item<'_>> {
        self.items(file)
            .take_while(|item| item.range().start <= byte)
            .filter(|item| byte < item.range().end)
            .last()
    }

    /// What is called `name`, of every kind but impls; of the workspace first, then by file.
    pub fn definitions(&self, name: Symbol) -> impl Iterator<Item = Item<'_>> {
        self.named(name).filter(|item| item.kind() != Kind::Impl)
    }

    /// The impls for the type called `name`, whatever trait they are of.
    pub fn impls(&self, name: Symbol) -> impl Iterator<Item = Item<'_>> {
        self.named(name).filter(|item| item.kind() == Kind::Impl)
    }

    /// What a value of the type called `name` has: its own members, and those of its impls.
    pub fn members_of(&self, name: Symbol) -> impl Iterator<Item = Item<'_>> {
        self.named(name)
            .filter(|item| item.kind().is_type() || item.kind() == Kind::Impl)
            .flat_map(|item| item.members())
            .chain(self.receivers(name))
    }

    /// Files in which `name` stands as an identifier, and where, in bytes.
    pub fn uses(&self, name: Symbol) -> impl Iterator<Item = (FileId, &[u32])> {
        let files = self.of_names.get(name.index()).map_or(&[][..], |of| of.files.as_slice());
        files.iter().filter_map(move |id| Some((*id, self.file(*id)?.uses(name))))
    }

    /// In how many files `name` stands as an identifier.
    pub fn file_frequency(&self, name: Symbol) -> usize {
        self.of_names.get(name.index()).map_or(0, |of| of.files.as_slice().len())
    }

    fn named(&self, name: Symbol) -> impl Iterator<Item = Item<'_>> {
        let places = self.of_names.get(name.index()).map_or(&[][..], |of| of.items.as_slice());
        let of_workspace = move |wanted: bool| {
            places
                .iter()
                .filter_map(|place| self.item(*place))
                .filter(move |item| (*item.file().origin() == Origin::Workspace) == wanted)
        };
        of_workspace(true).chain(of_workspace(false))
    }

    /// Methods that stand outside of their type and name it as their receiver, as in Go.
    fn receivers(&self, name: Symbol) -> impl Iterator<Item = Item<'_>> {
        self.uses(name).flat_map(move |(file, _)| {
            let outside = move |item: &Item<'_>| {
                item.kind() == Kind::Method
                    && item.data.parent.is_none()
                    && item.target() == Some(name)
            };
            let language = self.file(file).and_then(File::language);
            let has_some = language.is_some_and(|language| language.id == "go");
            has_some.then(|| self.items(file).filter(outside)).into_iter().flatten()
        })
    }

    /// Takes a file in, in place of what was known of its path.
    pub(super) fn put(&mut self, about: About, draft: Draft) {
        let names: Vec<Option<Symbol>> =
            draft.names.iter().map(|name| self.names.intern(name)).collect();
        self.of_names.resize_with(self.names.len(), OfName::default);
        let known = |local: Symbol| names.get(local.index()).copied().flatten();

        let items = draft.items.into_iter().filter_map(|mut item| {
            // Parents stand before their members, so that no place shifts: a name is either new or
            // known, and only a full table makes it neither.
            item.name = known(item.name)?;
            item.target = item.target.and_then(known);
            item.trait_name = item.trait_name.and_then(known);
            Some(item)
        });
        let imports = draft.imports.into_iter().map(|mut import| {
            import.name = import.name.and_then(known);
            import
        });
        let id = self.by_path.get(&about.path).copied();
        let id = id.unwrap_or_else(|| FileId(to_u32(self.files.len())));
        let file = Arc::new(File {
            path: Arc::clone(&about.path),
            relative_path: about.relative_path.into(),
            module: about.module.into(),
            origin: about.origin,
            language: about.language,
            fingerprint: about.fingerprint,
            lines: draft.lines,
            bytes: draft.bytes,
            items: items.collect(),
            texts: draft.texts.into(),
            imports: imports.collect(),
            uses: renamed(&draft.uses, known),
            chunks: draft.chunks.into(),
        });
        let before = if let Some(place) = self.files.get_mut(id.0 as usize) {
            place.replace(Arc::clone(&file))
        } else {
            self.files.push(Some(Arc::clone(&file)));
            self.by_path.insert(about.path, id);
            None
        };
        self.change_names(id, before.as_deref(), Some(&file));
    }

    /// Forgets a file. `false` when nothing was known of it.
    pub(super) fn remove(&mut self, path: &Path) -> bool {
        let Some(id) = self.by_path.remove(path) else { return false };
        let before = self.files.get_mut(id.0 as usize).and_then(Option::take);
        self.change_names(id, before.as_deref(), None);
        before.is_some()
    }

    fn change_names(&mut self, id: FileId, before: Option<&File>, after: Option<&File>) {
        for (file, sign) in [(before, false), (after, true)] {
            if let Some(file) = file.filter(|file| file.origin == Origin::Workspace) {
                self.totals.count(file, sign);
            }
        }
        let items = |file: Option<&File>| {
            let numbered = file.into_iter().flat_map(|file| file.items.iter().zip(0_u32..));
            let mut named: Vec<_> = numbered.map(|(item, index)| (item.name, index)).collect();
            named.sort_unstable();
            named
        };
        differ(&items(before), &items(after), |(name, index), is_new| {
            if let Some(of) = self.of_names.get_mut(name.index()) {
                of.items.set(ItemRef { file: id, index }, is_new);
            }
        });
        let names =
            |file: Option<&File>| file.map_or_else(Vec::new, |file| file.uses.names.to_vec());
        differ(&names(before), &names(after), |name, is_new| {
            if let Some(of) = self.of_names.get_mut(name.index()) {
                of.files.set(id, is_new);
            }
        });
    }
}

impl Totals {
    fn count(&mut self, file: &File, is_new: bool) {
        let names: usize = file.chunks.iter().map(|chunk| chunk.names as usize).sum();
        let counts = [
            (&mut self.files, 1),
            (&mut self.lines, file.lines()),
            (&mut self.items, file.items.len()),
            (&mut self.chunks, file.chunks.len()),
            (&mut self.names, names),
        ];
        for (total, count) in counts {
            *total = if is_new { *total + count } else { total.saturating_sub(count) };
        }
    }
}

/// The same uses by other numbers.
fn renamed(uses: &Uses, known: impl Fn(Symbol) -> Option<Symbol>) -> Uses {
    let mut pairs: Vec<(Symbol, &[u32])> =
        uses.iter().filter_map(|(name, places)| Some((known(name)?, places))).collect();
    pairs.sort_unstable_by_key(|(name, _)| *name);
    let mut ends = Vec::with_capacity(pairs.len());
    let mut places = Vec::with_capacity(uses.places.len());
    for (_, of_name) in &pairs {
        places.extend_from_slice(of_name);
        ends.push(to_u32(places.len()));
    }
    Uses {
        names: pairs.into_iter().map(|(name, _)| name).collect(),
        ends: ends.into(),
        places: places.into(),
    }
}

/// Calls `see` for what is only in one of two ascending lists; `true` for the second.
fn differ<T: Ord + Copy>(before: &[T], after: &[T], mut see: impl FnMut(T, bool)) {
    let (mut old, mut new) = (before.iter().peekable(), after.iter().peekable());
    loop {
        match (old.peek(), new.peek()) {
            (Some(a), Some(b)) if a == b => {
                old.next();
                new.next();
            }
            (Some(a), b) if b.is_none_or(|b| a < b) => {
                see(**a, false);
                old.next();
            }
            (_, Some(b)) => {
                see(**b, true);
                new.next();
            }
            _ => return,
        }
    }
}

/// An ascending list that mostly has one element, which then needs no allocation.
#[derive(Debug)]
enum Few<T> {
    One([T; 1]),
    Many(Vec<T>),
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl<T: Ord + Copy> Few<T> {
    fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => one,
            Self::Many(many) => many,
        }
    }

    /// Adds or takes out `value`.
    fn set(&mut self, value: T, is_in: bool) {
        match (self.as_slice().binary_search(&value), is_in) {
            (Err(_), true) if self.as_slice().is_empty() => *self = Self::One([value]),
            (Err(at), true) => {
                let mut many = self.take();
                many.insert(at, value);
                *self = Self::Many(many);
            }
            (Ok(at), false) => {
                let mut many = self.take();
                many.remove(at);
                *self = match many[..] {
                    [one] => Self::One([one]),
                    _ => Self::Many(many),
                };
            }
            _ => {}
        }
    }

    fn take(&mut self) -> Vec<T> {
        match std::mem::take(self) {
            Self::One(one) => one.to_vec(),
            Self::Many(many) => many,
        }
    }
}
