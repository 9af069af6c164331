//! A file as one moment has it: its text, a tree that does not lag behind, its items.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use ropey::Rope;
use tree_sitter::{Node, Tree};

use super::refactor::target::{self, Target};
use crate::{
    check::Buffer,
    session::{MAX_PARSED_BYTES, Session, Snapshot},
    syntax::{Language, skeleton::skeletons},
};

/// A file's text and the tree of exactly that text.
#[derive(Debug, Clone)]
pub struct Source {
    pub(super) language: &'static Language,
    pub(super) text: String,
    pub(super) tree: Tree,
}

impl Source {
    /// What `snapshot` says. `None` for a language without a grammar, and for what is too large to be
    /// parsed. Parses what has changed since the snapshot's tree: not for the read loop.
    pub fn of(snapshot: &Snapshot) -> Option<Self> {
        if snapshot.text.len_bytes() > MAX_PARSED_BYTES {
            return None;
        }
        let language = snapshot.language?;
        let tree = snapshot.tree.as_ref();
        let tree = language.parse(&snapshot.text, tree, &AtomicBool::new(false))?;
        Some(Self { language, text: snapshot.text.to_string(), tree })
    }

    pub(super) fn with_text(language: &'static Language, text: String) -> Option<Self> {
        let tree = parse(language, &text)?;
        Some(Self { language, text, tree })
    }

    pub(super) fn root(&self) -> Node<'_> {
        self.tree.root_node()
    }

    /// The item that a user means who has selected these bytes, or has the cursor there.
    pub fn target(&self, selection: Range<usize>) -> Option<Target> {
        target::at(self.root(), &self.text, self.language, selection)
    }

    /// Skeletons of what else is in the file: first what the item names, then the rest.
    pub(super) fn others(&self, target: &Target) -> Vec<String> {
        let item = &self.text[target.item.clone()];
        let names = |name: &str| {
            let word = |c: char| c.is_alphanumeric() || c == '_';
            item.split(|c| !word(c)).any(|found| found == name)
                || target.holder.as_ref().is_some_and(|holder| holder.head.contains(name))
        };
        let (needed, rest): (Vec<_>, Vec<_>) = skeletons(self.root(), &self.text)
            .into_iter()
            .filter(|other| other.range != target.item)
            .partition(|other| names(&other.name));
        needed.into_iter().chain(rest).map(|other| other.text).collect()
    }

    /// The line break that the file uses.
    pub(super) fn newline(&self) -> &'static str {
        newline(&self.text)
    }

    /// The item as it stands in the file, its first line indented, lines ending in `\n`.
    pub(super) fn shown(&self, range: &Range<usize>) -> String {
        unix(&format!("{}{}", indent_at(&self.text, range.start), &self.text[range.clone()]))
    }
}

pub(super) fn parse(language: &Language, text: &str) -> Option<Tree> {
    language.parse(&Rope::from_str(text), None, &AtomicBool::new(false))
}

/// The line break that a text uses.
pub(super) fn newline(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

/// A text with `\n` for line breaks.
pub(super) fn unix(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// The space in front of byte `at` on its line.
pub(super) fn indent_at(text: &str, at: usize) -> &str {
    let before = text.get(..at).unwrap_or_default();
    let line = &before[before.rfind('\n').map_or(0, |line_break| line_break + 1)..];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// The innermost folder that the editor has open and that contains `path`; else the file's own.
pub fn root(session: &Session, path: &Path) -> PathBuf {
    let roots = session.roots();
    let around = roots.into_iter().filter(|root| path.starts_with(root));
    around
        .max_by_key(|root| root.as_os_str().len())
        .or_else(|| path.parent().map(Path::to_owned))
        .unwrap_or_default()
}

/// What is open beside `path`.
pub(super) fn buffers(session: &Session, path: &Path) -> Vec<Buffer> {
    session
        .snapshots()
        .into_iter()
        .filter_map(|open| {
            Some(Buffer { path: open.path?.to_path_buf(), text: open.text.to_string() })
        })
        .filter(|buffer| buffer.path != path)
        .collect()
}
