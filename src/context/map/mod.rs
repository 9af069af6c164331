//! A map of a codebase: every item where it stands, as it looks from outside, the central ones first.
//!
//! What a model is shown of a codebase that is too large to be shown. Signatures, fields and variants
//! alone: never a body, a comment or a part of a signature.

mod graph;
mod sheet;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::index::{Contents, File, FileId, ItemRef, Origin};

pub use graph::{Graph, Ranks};
pub use sheet::{Line, Sheet};

/// A map.
#[derive(Debug, Clone, Default)]
pub struct Map {
    /// A sheet a file, the most central first.
    pub sheets: Vec<Sheet>,
    /// Items of the files that the map is of, shown or not.
    pub of_items: usize,
}

impl Map {
    /// Of every item in the files that `takes` wants.
    pub fn whole(contents: &Contents, ranks: &Ranks<'_>, takes: &dyn Fn(&File) -> bool) -> Self {
        Self::draw(contents, ranks, takes, None)
    }

    /// Of the most central items, as many as there is room for in tokens that `count` counts. Files
    /// without room are not on it.
    pub fn central(
        contents: &Contents,
        ranks: &Ranks<'_>,
        takes: &dyn Fn(&File) -> bool,
        room: usize,
        count: &dyn Fn(&str) -> usize,
    ) -> Self {
        let whole = Self::whole(contents, ranks, takes);
        if whole.tokens(count) <= room {
            return whole;
        }
        let mut left = room;
        let mut kept = FxHashSet::default();
        let mut headed = FxHashSet::default();
        for place in ranks.best() {
            let Some(item) = contents.item(place).filter(|item| takes(item.file())) else {
                continue;
            };
            let mut new = vec![item];
            let mut outer = item.parent();
            while let Some(around) = outer.filter(|around| !kept.contains(&around.place())) {
                new.push(around);
                outer = around.parent();
            }
            let mut cost = 0;
            if !headed.contains(&place.file) {
                cost += count(&sheet::heading(item.file()));
            }
            cost += new.iter().map(|item| count(&sheet::line(*item).text)).sum::<usize>();
            let Some(rest) = left.checked_sub(cost) else { continue };
            left = rest;
            headed.insert(place.file);
            kept.extend(new.iter().map(crate::index::Item::place));
        }
        Self::draw(contents, ranks, takes, Some(&kept))
    }

    fn draw(
        contents: &Contents,
        ranks: &Ranks<'_>,
        takes: &dyn Fn(&File) -> bool,
        kept: Option<&FxHashSet<ItemRef>>,
    ) -> Self {
        let of_files: FxHashMap<FileId, f32> = ranks.of_files();
        let rank = |id: &FileId| of_files.get(id).copied().unwrap_or_default();
        let mut files: Vec<(FileId, &File)> = contents
            .files()
            .filter(|(_, file)| *file.origin() == Origin::Workspace && takes(file))
            .collect();
        files.sort_by(|a, b| {
            rank(&b.0).total_cmp(&rank(&a.0)).then_with(|| a.1.path().cmp(b.1.path()))
        });
        let of_items = files.iter().map(|(id, _)| contents.items(*id).count()).sum();
        let sheets = files.into_iter().filter_map(|(id, file)| {
            let sheet = Sheet::of(contents, id, file, kept);
            (kept.is_none() || sheet.items() > 0).then_some(sheet)
        });
        Self { sheets: sheets.collect(), of_items }
    }

    /// Items on it.
    pub fn items(&self) -> usize {
        self.sheets.iter().map(Sheet::items).sum()
    }

    /// Tokens of it, as `count` counts them.
    pub fn tokens(&self, count: &dyn Fn(&str) -> usize) -> usize {
        self.sheets.iter().map(|sheet| count(&sheet.text())).sum()
    }
}

#[cfg(test)]
mod tests;
