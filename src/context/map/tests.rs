use std::fs;

use expect_test::{Expect, expect};
use futures::executor::block_on;

use super::*;
use crate::{
    index::{Index, Scope},
    model::TokenCounter,
};

/// Files behind `//- path` lines, indexed.
fn index(fixture: &str) -> (tempfile::TempDir, Index) {
    let folder = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(folder.path()).unwrap();
    for part in fixture.split("//- ").skip(1) {
        let (name, text) = part.split_once('\n').unwrap();
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let index = Index::start(Scope { roots: vec![root], ..Scope::default() });
    block_on(index.settled());
    (folder, index)
}

/// The map with room for so many tokens, begun at the items called `sought`.
fn map(fixture: &str, sought: &[&str], room: usize) -> (String, Map) {
    let (_folder, index) = index(fixture);
    let graph = Graph::of(&index);
    let contents = index.read();
    let named = sought.iter().filter_map(|name| contents.symbol(name));
    let sought =
        named.flat_map(|name| contents.definitions(name).map(|item| (item.place(), 1.0))).collect();
    let count = |text: &str| TokenCounter::default().count(text);
    let map = Map::central(&contents, &graph.rank(&sought), &|_| true, room, &count);
    (map.sheets.iter().map(Sheet::text).collect(), map)
}

const HOUSE: &str = r#"
//- src/door.rs
/// Opens.
pub struct Door { pub open: bool, key: Option<Key> }

pub struct Key(u32);

impl Door {
    pub fn turn(&mut self, key: &Key) -> bool {
        self.open = key.0 == 7;
        self.open
    }
}

pub enum State { Open, Shut { by: Key }, Broken(u8) }
//- src/hall.rs
use crate::door::{Door, Key};

pub fn enter(door: &mut Door) -> bool { door.turn(&Key(7)) }
pub fn leave(door: &mut Door) { door.open = false; }

#[cfg(test)]
mod tests {
    #[test]
    fn goes() { super::enter(&mut todo!()); }
}
//- src/attic.rs
pub fn dust(specks: usize) -> usize { specks + 1 }
//- notes.txt
Nothing to parse.
"#;

fn check(fixture: &str, sought: &[&str], room: usize, expected: Expect) {
    expected.assert_eq(&map(fixture, sought, room).0);
}

#[test]
fn a_whole_map_has_every_item_where_it_stands() {
    check(
        HOUSE,
        &[],
        usize::MAX,
        expect![[r#"
        src/door.rs (14 lines)
        2 pub struct Door {pub open: bool, key: Option<Key>}
        4 pub struct Key(u32)
        6 impl Door
         7 pub fn turn(&mut self, key: &Key) -> bool
        13 pub enum State {Open, Shut { by: Key }, Broken(u8)}
        src/hall.rs (11 lines)
        3 pub fn enter(door: &mut Door) -> bool
        4 pub fn leave(door: &mut Door)
        7 mod tests
         9 fn goes()
        src/attic.rs (2 lines)
        1 pub fn dust(specks: usize) -> usize
    "#]],
    );
    let (_, map) = map(HOUSE, &[], usize::MAX);
    assert_eq!(map.items(), map.of_items);
}

#[test]
fn where_there_is_little_room_the_central_items_have_it() {
    check(
        HOUSE,
        &[],
        60,
        expect![[r#"
        src/door.rs (14 lines)
        2 pub struct Door {pub open: bool, key: Option<Key>}
        4 pub struct Key(u32)
    "#]],
    );
}

#[test]
fn what_is_sought_is_central() {
    check(
        HOUSE,
        &["dust"],
        30,
        expect![[r#"
        src/attic.rs (2 lines)
        1 pub fn dust(specks: usize) -> usize
    "#]],
    );
}

#[test]
fn a_sheet_is_split_between_lines() {
    let (_, map) = map(HOUSE, &[], usize::MAX);
    let sheet = map.sheets.first().unwrap().clone();
    let (lines, items) = (sheet.lines.len(), sheet.items());
    let sheets = sheet.split(1, &|text: &str| text.len());
    assert_eq!(sheets.len(), lines);
    assert_eq!(sheets.iter().map(Sheet::items).sum::<usize>(), items);
}
