//! What is kept of one file: its items, imports, uses and chunks. Never its text.

use std::{ops::Range, path::Path, sync::Arc};

use super::{
    Symbol,
    item::{ItemData, Span},
};
use crate::syntax::Language;

/// The number of a file in one index. It is not used again after the file has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub(super) u32);

/// Where a file belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// To the workspace.
    Workspace,
    /// To a dependency, of which public items alone are kept. Its name as code writes it.
    Dependency(Arc<str>),
}

/// What is known of one file.
#[derive(Debug)]
pub struct File {
    pub(super) path: Arc<Path>,
    pub(super) relative_path: Box<str>,
    pub(super) module: Box<str>,
    pub(super) origin: Origin,
    pub(super) language: Option<&'static Language>,
    /// Of the text that all this is of.
    pub(super) fingerprint: u64,
    pub(super) lines: u32,
    pub(super) bytes: u32,
    pub(super) items: Box<[ItemData]>,
    /// Signatures, types, documentation and import paths.
    pub(super) texts: Box<str>,
    pub(super) imports: Box<[ImportData]>,
    pub(super) uses: Uses,
    pub(super) chunks: Box<[ChunkData]>,
}

/// Every identifier of a file and where it stands.
#[derive(Debug, Default, Clone)]
pub(super) struct Uses {
    /// Ascending.
    pub(super) names: Box<[Symbol]>,
    /// Where the places of each name end in `places`; they start where those of the one before end.
    pub(super) ends: Box<[u32]>,
    /// Bytes from the start of the file, ascending for each name.
    pub(super) places: Box<[u32]>,
}

impl Uses {
    pub(super) fn of(&self, name: Symbol) -> &[u32] {
        self.names.binary_search(&name).map_or(&[], |index| self.at(index))
    }

    fn at(&self, index: usize) -> &[u32] {
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied();
        let end = self.ends.get(index).copied().unwrap_or_default();
        self.places.get(start.unwrap_or(0) as usize..end as usize).unwrap_or_default()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Symbol, &[u32])> {
        self.names.iter().enumerate().map(|(index, name)| (*name, self.at(index)))
    }
}

/// A run of whole items: what a search finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChunkData {
    /// Where it starts; it ends where the next one starts.
    pub(super) start: u32,
    pub(super) first_line: u32,
    /// Identifiers in it.
    pub(super) names: u32,
}

#[derive(Debug, Clone)]
pub(super) struct ImportData {
    pub(super) path: Span,
    pub(super) name: Option<Symbol>,
    pub(super) start: u32,
}

/// One name that a file takes from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Import<'a> {
    /// As the language writes it: `crate::index::File`, `os.path`, `./app`.
    pub path: &'a str,
    /// The name it has in this file; `None` when everything in it is taken.
    pub name: Option<Symbol>,
    /// Where it is written, in bytes.
    pub start: usize,
}

impl File {
    pub fn path(&self) -> &Arc<Path> {
        &self.path
    }

    /// From the innermost root, with `/`; in a dependency from the folder of its sources, behind its
    /// name.
    pub fn relative_path(&self) -> &str {
        &self.relative_path
    }

    /// The module that the file is, from its package on.
    pub fn module(&self) -> &str {
        &self.module
    }

    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// `None` for a language without a grammar: such a file has uses and chunks alone.
    pub fn language(&self) -> Option<&'static Language> {
        self.language
    }

    /// Tells its text from every other, as good as certainly.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Lines of its text.
    pub fn lines(&self) -> usize {
        self.lines as usize
    }

    /// Bytes of its text.
    pub fn bytes(&self) -> usize {
        self.bytes as usize
    }

    pub fn imports(&self) -> impl Iterator<Item = Import<'_>> {
        self.imports.iter().map(|import| Import {
            path: self.text(import.path),
            name: import.name,
            start: import.start as usize,
        })
    }

    /// Where `name` stands as an identifier, in bytes, ascending.
    pub fn uses(&self, name: Symbol) -> &[u32] {
        self.uses.of(name)
    }

    /// Every identifier and where it stands, in bytes.
    pub fn all_uses(&self) -> impl Iterator<Item = (Symbol, &[u32])> {
        self.uses.iter()
    }

    /// How many chunks it is cut into.
    pub fn chunk_count(&self) -> usize {
        self.chunks.len()
    }

    /// The bytes of the chunk with this number.
    pub fn chunk(&self, index: usize) -> Option<Range<usize>> {
        let start = self.chunks.get(index)?.start as usize;
        let end = self.chunks.get(index + 1).map_or(self.bytes, |next| next.start) as usize;
        Some(start..end)
    }

    /// The number of the chunk around a byte.
    pub fn chunk_at(&self, byte: usize) -> usize {
        self.chunks.partition_point(|chunk| chunk.start as usize <= byte).saturating_sub(1)
    }

    /// What stands between the names of a path.
    pub(super) fn separator(&self) -> &'static str {
        match self.language.map(|language| language.id) {
            Some("rust") | None => "::",
            Some(_) => ".",
        }
    }

    pub(super) fn text(&self, span: Span) -> &str {
        let start = span.start as usize;
        self.texts.get(start..start + usize::from(span.len)).unwrap_or_default()
    }

    /// Places of the direct members of the item at `index`.
    pub(super) fn members(&self, index: u32) -> impl Iterator<Item = u32> + '_ {
        let end = self.items.get(index as usize).map_or(0, |item| item.end);
        (index + 1..)
            .map_while(move |member| Some((member, self.items.get(member as usize)?)))
            .take_while(move |(_, item)| item.start < end)
            .filter(move |(_, item)| item.parent == Some(index))
            .map(|(member, _)| member)
    }
}
