//! One file of a map: a line an item, with the number of the line that it stands on.

use std::{fmt::Write as _, path::Path, sync::Arc};

use rustc_hash::FxHashSet;

use crate::index::{Contents, File, FileId, Item, ItemRef, Kind};

/// One file of a map.
#[derive(Debug, Clone)]
pub struct Sheet {
    pub path: Arc<Path>,
    /// As it is cited.
    pub relative_path: String,
    /// Lines of the file.
    pub length: usize,
    pub lines: Vec<Line>,
}

/// An item with its fields or variants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Ends in a line feed.
    pub text: String,
    /// Items on it: itself, and its fields or variants.
    pub items: usize,
}

impl Sheet {
    /// The items of a file that are `kept`, or all.
    pub(super) fn of(
        contents: &Contents,
        id: FileId,
        file: &File,
        kept: Option<&FxHashSet<ItemRef>>,
    ) -> Self {
        let shown = |item: &Item<'_>| {
            !is_part(*item) && kept.is_none_or(|kept| kept.contains(&item.place()))
        };
        Self {
            path: Arc::clone(file.path()),
            relative_path: file.relative_path().to_owned(),
            length: file.lines(),
            lines: contents.items(id).filter(shown).map(line).collect(),
        }
    }

    /// Items on it.
    pub fn items(&self) -> usize {
        self.lines.iter().map(|line| line.items).sum()
    }

    /// Its heading and its lines.
    pub fn text(&self) -> String {
        let lines: String = self.lines.iter().map(|line| line.text.as_str()).collect();
        format!("{}{lines}", headed(&self.relative_path, self.length))
    }

    /// Sheets of at most `room` tokens each, as `count` counts them; a line that is larger has its
    /// own.
    pub fn split(self, room: usize, count: &dyn Fn(&str) -> usize) -> Vec<Self> {
        let heading = count(&headed(&self.relative_path, self.length));
        let empty = Self { lines: Vec::new(), ..self.clone() };
        let (mut sheets, mut used) = (vec![empty.clone()], heading);
        for line in self.lines {
            let cost = count(&line.text);
            let is_begun = sheets.last().is_some_and(|sheet| !sheet.lines.is_empty());
            if used + cost > room && is_begun {
                sheets.push(empty.clone());
                used = heading;
            }
            used += cost;
            if let Some(sheet) = sheets.last_mut() {
                sheet.lines.push(line);
            }
        }
        sheets
    }
}

pub(super) fn heading(file: &File) -> String {
    headed(file.relative_path(), file.lines())
}

fn headed(path: &str, lines: usize) -> String {
    format!("{path} ({lines} lines)\n")
}

/// Whether it is shown on the line of what it is a part of.
fn is_part(item: Item<'_>) -> bool {
    let holds = |parent: Item<'_>| !matches!(parent.kind(), Kind::Impl | Kind::Module);
    matches!(item.kind(), Kind::Field | Kind::Variant) && item.parent().is_some_and(holds)
}

/// An item as it is shown.
pub(super) fn line(item: Item<'_>) -> Line {
    let mut depth = 0;
    let mut outer = item.parent();
    while let Some(around) = outer {
        depth += 1;
        outer = around.parent();
    }
    let mut text = format!("{}{} ", " ".repeat(depth), item.lines().start + 1);
    let items = write(item, &mut text);
    text.push('\n');
    Line { text, items }
}

/// Writes an item and its parts; says how many items that were.
fn write(item: Item<'_>, text: &mut String) -> usize {
    let signature = item.signature().trim_end_matches(['{', ',', ';', ':', ' ']);
    // Of what has no signature, its kind and name are one.
    match signature {
        "" => {
            let _ = write!(text, "{} {}", item.kind(), item.name());
        }
        signature => text.push_str(signature),
    }
    let mut items = 1;
    for (index, part) in item.members().filter(|part| is_part(*part)).enumerate() {
        text.push_str(if index == 0 { " {" } else { ", " });
        items += write(part, text);
    }
    if items > 1 {
        text.push('}');
    }
    items
}
