//! Names as numbers: each text is kept once.

use std::{hash::BuildHasher as _, num::NonZeroU32};

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

/// The number of a name in one [`Names`]. It means nothing in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(NonZeroU32);

impl Symbol {
    pub(super) fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// Texts, each with its number. Only grows: names that nothing uses any more cost their bytes.
#[derive(Debug, Default, Clone)]
pub struct Names {
    text: String,
    /// Where each name ends in `text`; it starts where the one before ends.
    ends: Vec<u32>,
    table: HashTable<u32>,
}

/// Bytes of source for each name that a file has of its own, at the least.
const SOURCE_OF_NAME: usize = 96;

impl Names {
    /// With room for the names of a file of so many bytes.
    pub(super) fn of_file(bytes: usize) -> Self {
        let names = bytes / SOURCE_OF_NAME;
        Self {
            text: String::with_capacity(names * 10),
            ends: Vec::with_capacity(names),
            table: HashTable::with_capacity(names),
        }
    }

    /// The number of `name`, which is new if need be. `None` only once four billion bytes are kept.
    pub(super) fn intern(&mut self, name: &str) -> Option<Symbol> {
        let hash = FxBuildHasher.hash_one(name);
        let (text, ends) = (&self.text, &self.ends);
        if let Some(index) = self.table.find(hash, |index| slice(text, ends, *index) == name) {
            return symbol(*index);
        }
        let index = u32::try_from(self.ends.len()).ok()?;
        let end = u32::try_from(self.text.len() + name.len()).ok()?;
        self.text.push_str(name);
        self.ends.push(end);
        let (text, ends) = (&self.text, &self.ends);
        self.table
            .insert_unique(hash, index, |index| FxBuildHasher.hash_one(slice(text, ends, *index)));
        symbol(index)
    }

    /// The number of `name`, if it is kept.
    pub fn find(&self, name: &str) -> Option<Symbol> {
        let hash = FxBuildHasher.hash_one(name);
        let found = self.table.find(hash, |index| slice(&self.text, &self.ends, *index) == name);
        found.and_then(|index| symbol(*index))
    }

    /// The name with this number; empty for a number from elsewhere.
    pub fn text(&self, symbol: Symbol) -> &str {
        slice(&self.text, &self.ends, symbol.0.get() - 1)
    }

    /// Every name, in the order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..).take(self.ends.len()).map(|index| slice(&self.text, &self.ends, index))
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }
}

fn slice<'a>(text: &'a str, ends: &[u32], index: u32) -> &'a str {
    let index = index as usize;
    let start = index.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
    let end = ends.get(index).copied().unwrap_or(start);
    text.get(start as usize..end as usize).unwrap_or_default()
}

fn symbol(index: u32) -> Option<Symbol> {
    index.checked_add(1).and_then(NonZeroU32::new).map(Symbol)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_number() {
        let mut names = Names::default();
        let numbers: Vec<_> =
            (0..1000).map(|n| names.intern(&format!("name_{}", n % 100))).collect();
        assert_eq!(names.len(), 100);
        for (n, number) in numbers.into_iter().enumerate() {
            let name = format!("name_{}", n % 100);
            assert_eq!(names.find(&name), number);
            assert_eq!(number.map(|number| names.text(number)), Some(name.as_str()));
        }
        assert_eq!(names.find("another"), None);
    }
}
