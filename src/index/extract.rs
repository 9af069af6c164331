//! From a tree to what is kept of its file.
//!
//! Items and imports come from the language's queries, asked of the children of one node at a time:
//! bodies are never searched. Uses come from the leaves of the whole tree. The result has names of
//! its own ([`Draft::names`]), so that files can be worked on side by side; [`super::Contents`]
//! takes it in under its lock. Knows one file, not the workspace.

use std::{collections::BTreeSet, ops::Range};

use rustc_hash::FxHashSet;
use tree_sitter::{Node, QueryCursor, QueryMatch, StreamingIterator as _, Tree};

use super::{
    Names, Symbol,
    chunks::{self, Piece},
    file::{ChunkData, ImportData, Uses},
    imports,
    item::{ItemData, Kind, Span, Visibility},
    lead::{Lead, Outer, leads},
    signature::{doc_line, flat},
};
use crate::syntax::{Language, Queries};

/// Names that are longer are data.
const MAX_NAME_BYTES: usize = 128;

/// A signature is cut here; few are longer that were not generated.
const MAX_SIGNATURE_BYTES: usize = 1_000;

/// A value up to this long stays in its signature: it says more than it costs.
const MAX_VALUE_BYTES: usize = 40;

/// Items nested deeper are left out, which also keeps the recursion off the stack's end.
const MAX_DEPTH: usize = 32;

/// A file that the grammar makes nothing of is one error with all its tokens in it. A query over
/// those takes time in the square of their number.
const MAX_BROKEN: u32 = 10_000;

/// What is kept of one file, with names of its own.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) names: Names,
    pub(super) items: Vec<ItemData>,
    pub(super) texts: String,
    pub(super) imports: Vec<ImportData>,
    pub(super) uses: Uses,
    pub(super) chunks: Vec<ChunkData>,
    pub(super) lines: u32,
    pub(super) bytes: u32,
}

impl Draft {
    /// Of a file with a grammar. `tree` must be of exactly this `source`.
    pub(super) fn of_tree(source: &str, tree: &Tree, language: &Language) -> Self {
        let Some(queries) = language.queries() else { return Self::of_lines(source) };
        let mut extraction = Extraction::new(source, language, queries);
        extraction.ask(tree.root_node(), false);
        let uses = extraction.leaves(tree);
        extraction.finish(uses)
    }

    /// The public signatures of a file and what it hands on: no uses, no chunks, nothing private.
    pub(super) fn of_signatures(source: &str, tree: &Tree, language: &Language) -> Self {
        let Some(queries) = language.queries() else { return Self::default() };
        let mut extraction = Extraction::new(source, language, queries);
        extraction.ask(tree.root_node(), true);
        extraction.pieces.clear();
        extraction.retain_public();
        extraction.finish(Vec::new())
    }

    /// The first names of the paths that are imported.
    pub(super) fn first_names(&self) -> BTreeSet<String> {
        let path = |import: &ImportData| {
            let start = import.path.start as usize;
            self.texts.get(start..start + usize::from(import.path.len))
        };
        let paths = self.imports.iter().filter_map(path);
        paths.filter_map(|path| Some(path.split("::").next()?.to_owned())).collect()
    }

    /// Of a file without a grammar: identifiers by their letters, chunks by blank lines.
    pub(super) fn of_lines(source: &str) -> Self {
        let mut draft = Self::default();
        let mut uses = Vec::new();
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let mut rest = 0;
        while let Some(start) = source[rest..].find(is_part).map(|at| rest + at) {
            let end = source[start..].find(|c| !is_part(c)).map_or(source.len(), |at| start + at);
            note_use(&mut draft.names, &mut uses, source, start..end);
            rest = end;
        }
        let lines = Lines::of(source);
        let pieces = chunks::paragraphs(source);
        draft.complete(source, &lines, uses, &pieces);
        draft
    }

    fn complete(
        &mut self,
        source: &str,
        lines: &Lines,
        mut uses: Vec<(Symbol, u32)>,
        pieces: &[Piece],
    ) {
        self.lines = to_u32(lines.0.len());
        self.bytes = to_u32(source.len());
        self.chunks = chunks::cut(pieces, source.len(), &uses, |byte| lines.line(byte));
        uses.sort_unstable();
        let (mut names, mut ends) = (Vec::<Symbol>::new(), Vec::new());
        for (index, (name, _)) in uses.iter().enumerate() {
            if names.last() == Some(name) {
                ends.pop();
            } else {
                names.push(*name);
            }
            ends.push(to_u32(index + 1));
        }
        self.uses = Uses {
            names: names.into(),
            ends: ends.into(),
            places: uses.into_iter().map(|(_, place)| place).collect(),
        };
    }
}

/// Where each line starts.
struct Lines(Vec<u32>);

impl Lines {
    fn of(source: &str) -> Self {
        let breaks = memchr::memchr_iter(b'\n', source.as_bytes()).map(|at| to_u32(at + 1));
        Self(std::iter::once(0).chain(breaks).collect())
    }

    fn line(&self, byte: usize) -> u32 {
        to_u32(self.0.partition_point(|start| *start as usize <= byte).saturating_sub(1))
    }
}

struct Extraction<'a> {
    source: &'a str,
    language: &'a Language,
    queries: &'a Queries,
    lines: Lines,
    draft: Draft,
    /// What chunks are cut between: the children of the root, and members.
    pieces: Vec<Piece>,
    cursor: Option<QueryCursor>,
}

/// A match of the query for items, by what its captures mean.
#[derive(Default)]
struct Found<'tree> {
    item: Option<(Kind, Node<'tree>)>,
    name: Option<Node<'tree>>,
    inside: Option<Node<'tree>>,
    body: Option<Node<'tree>>,
    value: Option<Node<'tree>>,
    ty: Option<Node<'tree>>,
    target: Option<Node<'tree>>,
    trait_name: Option<Node<'tree>>,
    visibility: Option<Node<'tree>>,
    doc: Option<Node<'tree>>,
}

impl<'tree> Found<'tree> {
    fn of(found: &QueryMatch<'_, 'tree>, names: &[&str]) -> Self {
        let mut this = Self::default();
        for capture in found.captures() {
            let node = Some(capture.node);
            match names.get(capture.index as usize).copied().unwrap_or_default() {
                "name" => this.name = node,
                "inside" => this.inside = node,
                "body" => this.body = node,
                "value" => this.value = node,
                "type" => this.ty = node,
                "target" => this.target = node,
                "trait" => this.trait_name = this.trait_name.or(node),
                "visibility" => this.visibility = node,
                "doc" => this.doc = node,
                other => {
                    let kind = other.strip_prefix("item.").and_then(Kind::by_name);
                    this.item = kind.map(|kind| (kind, capture.node));
                }
            }
        }
        this
    }
}

impl<'a> Extraction<'a> {
    fn new(source: &'a str, language: &'a Language, queries: &'a Queries) -> Self {
        let names = Names::of_file(source.len());
        let (lines, draft) = (Lines::of(source), Draft { names, ..Draft::default() });
        Self { source, language, queries, lines, draft, pieces: Vec::new(), cursor: None }
    }

    fn finish(mut self, uses: Vec<(Symbol, u32)>) -> Draft {
        self.draft.complete(self.source, &self.lines, uses, &self.pieces);
        self.draft
    }

    fn ask(&mut self, root: Node<'_>, public_imports_alone: bool) {
        if root.is_error() && root.child_count() > MAX_BROKEN {
            return;
        }
        self.items(root, None, Outer::default(), 0);
        self.imports(root, public_imports_alone);
    }

    fn items(&mut self, around: Node<'_>, parent: Option<u32>, outer: Outer, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        let leads = leads(self.source, self.language, around, outer);
        if parent.is_none() && depth == 0 {
            let pieces = leads.iter().map(|lead| Piece { start: lead.begin, end: lead.node.end });
            self.pieces.extend(pieces);
        }
        let queries = self.queries;
        // One for all: it is large, and asked once for each type.
        let mut cursor = self.cursor.take().unwrap_or_default();
        cursor.set_max_start_depth(Some(1));
        let mut matches = cursor.matches(&queries.items, around, self.source.as_bytes());
        let mut all = Vec::new();
        while let Some(found) = matches.next() {
            let rank = (found.pattern_index, std::cmp::Reverse(found.captures().len()));
            let found = Found::of(found, queries.items.capture_names());
            let Some(node) = found.item.map(|(_, node)| node).or(found.inside) else { continue };
            if node != around {
                all.push((node.start_byte(), rank, found));
            }
        }
        drop(matches);
        self.cursor = Some(cursor);
        // Of patterns for the same item the first counts, with all that is optional in it.
        all.sort_by_key(|(start, rank, _)| (*start, *rank));
        let mut seen = FxHashSet::default();
        for (start, _, found) in all {
            let index = leads.partition_point(|lead| lead.node.start <= start);
            let lead = index.checked_sub(1).and_then(|index| leads.get(index));
            let Some((kind, node)) = found.item else {
                if let Some(inside) = found.inside.filter(|inside| seen.insert((inside.id(), None)))
                {
                    let outer = lead.map(|lead| lead.outer(inside)).unwrap_or_default();
                    self.items(inside, parent, outer, depth + 1);
                }
                continue;
            };
            if !seen.insert((node.id(), found.name.map(|name| name.id()))) {
                continue;
            }
            let Some(item) = self.item(kind, node, &found, lead, parent) else { continue };
            let index = to_u32(self.draft.items.len());
            self.draft.items.push(item);
            if let Some(inside) = found.inside {
                self.items(inside, Some(index), Outer::default(), depth + 1);
            }
        }
    }

    fn item(
        &mut self,
        kind: Kind,
        node: Node<'_>,
        found: &Found<'_>,
        lead: Option<&Lead>,
        parent: Option<u32>,
    ) -> Option<ItemData> {
        let around = parent.and_then(|index| self.draft.items.get(index as usize));
        let (around_kind, around_visibility, around_is_test, inherits) =
            around.map_or((None, Visibility::Public, false, false), |around| {
                let inherits = matches!(around.kind, Kind::Enum | Kind::Trait | Kind::Interface)
                    || (around.kind == Kind::Impl && around.trait_name.is_some());
                (Some(around.kind), around.visibility, around.is_test, inherits)
            });
        let name = match (found.name, found.target) {
            (Some(name), _) => &self.source[name.byte_range()],
            (None, Some(target)) => self.last_name(target),
            (None, None) => return None,
        };
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            return None;
        }
        let kind = match kind {
            Kind::Function if around_kind.is_some_and(Kind::has_methods) => Kind::Method,
            Kind::Static if around_kind == Some(Kind::Class) => Kind::Field,
            kind => kind,
        };
        let long_value = found.value.filter(|value| value.byte_range().len() > MAX_VALUE_BYTES);
        // Go's `interface` stands inside of what it names.
        let keyword = |inside: Node<'_>| {
            let text = &self.source[inside.byte_range()];
            if kind == Kind::Interface { text.find('{').unwrap_or(0) } else { 0 }
        };
        let inside = found.inside.map(|inside| inside.start_byte() + keyword(inside));
        let cut = [found.body, long_value].into_iter().flatten().map(|node| node.start_byte());
        let end = cut.chain(inside).min().unwrap_or(node.end_byte());
        let start =
            lead.filter(|lead| lead.node.start == node.start_byte()).map(|lead| lead.keywords);
        let start = start.unwrap_or(node.start_byte());
        let visibility = match kind {
            Kind::Impl => Visibility::Public,
            _ if inherits => around_visibility,
            _ => {
                let is_exported = around.is_some() || lead.is_some_and(|lead| lead.is_exported);
                self.visibility(name, found, is_exported)
            }
        };
        let symbol = self.draft.names.intern(name)?;
        let target = found.target.and_then(|target| self.intern_last_name(target));
        let trait_name = found.trait_name.and_then(|name| self.intern_last_name(name));
        let signature = self.signature(node, start..end.max(start));
        let ty = found.ty.map(|ty| flat(self.source, ty, ty.byte_range())).unwrap_or_default();
        let ty = ty.trim_start_matches([':', ' ']);
        let ty = self.span_within(signature, ty);
        let doc = match found.doc {
            Some(doc) => Some(doc.byte_range()),
            None => lead.and_then(|lead| lead.doc.clone()),
        };
        let doc = doc.map_or(Span::default(), |doc| {
            let line = doc_line(&self.source[doc]).to_owned();
            self.span(&line)
        });
        let lead_start = lead.map_or(node.start_byte(), |lead| lead.begin).min(node.start_byte());
        if parent.is_some() && !matches!(kind, Kind::Field | Kind::Variant) {
            self.pieces.push(Piece { start: lead_start, end: node.end_byte() });
        }
        Some(ItemData {
            name: symbol,
            kind,
            visibility,
            is_test: around_is_test || lead.is_some_and(|lead| lead.is_test),
            parent,
            target,
            trait_name,
            start: to_u32(node.start_byte()),
            end: to_u32(node.end_byte()),
            first_line: self.lines.line(node.start_byte()),
            last_line: self.lines.line(node.end_byte().saturating_sub(1).max(node.start_byte())),
            signature,
            ty,
            doc,
        })
    }

    fn visibility(&self, name: &str, found: &Found<'_>, is_exported: bool) -> Visibility {
        let keyword = found.visibility.map(|node| &self.source[node.byte_range()]);
        match (self.language.id, keyword) {
            ("rust", Some("pub")) => Visibility::Public,
            ("rust", Some(keyword)) if keyword.contains("self") => Visibility::Private,
            ("rust", Some(_)) => Visibility::Package,
            ("rust", None) => Visibility::Private,
            ("python", _) if name.starts_with('_') && !name.ends_with("__") => Visibility::Private,
            ("go", _) if !name.starts_with(char::is_uppercase) => Visibility::Package,
            ("javascript" | "typescript" | "typescriptreact", keyword) => match keyword {
                Some("private" | "protected") => Visibility::Private,
                _ if name.starts_with('#') => Visibility::Private,
                // It may be in a list of exports.
                _ if !is_exported => Visibility::Package,
                _ => Visibility::Public,
            },
            _ => Visibility::Public,
        }
    }

    fn signature(&mut self, node: Node<'_>, range: Range<usize>) -> Span {
        let text = flat(self.source, node, range);
        let text = text.trim_end().trim_end_matches("=>");
        self.span(text.trim_end_matches([' ', '{', '=', ',', ';', ':']))
    }

    fn span(&mut self, text: &str) -> Span {
        let text = &text[..text.floor_char_boundary(MAX_SIGNATURE_BYTES)];
        let start = to_u32(self.draft.texts.len());
        self.draft.texts.push_str(text);
        Span { start, len: u16::try_from(text.len()).unwrap_or(0) }
    }

    /// `text` as a part of what `span` is already, where it is one.
    fn span_within(&mut self, span: Span, text: &str) -> Span {
        if text.is_empty() {
            return Span::default();
        }
        let start = span.start as usize;
        let within = &self.draft.texts[start..start + usize::from(span.len)];
        match within.rfind(text) {
            Some(at) => {
                Span { start: to_u32(start + at), len: u16::try_from(text.len()).unwrap_or(0) }
            }
            None => self.span(text),
        }
    }

    fn intern_last_name(&mut self, node: Node<'_>) -> Option<Symbol> {
        let name = self.last_name(node);
        (!name.is_empty() && name.len() <= MAX_NAME_BYTES)
            .then(|| self.draft.names.intern(name))
            .flatten()
    }

    /// `impl Trait for &'a path::Name<T>` goes by `Name`.
    fn last_name(&self, node: Node<'_>) -> &'a str {
        let mut node = node;
        while node.named_child_count() > 0 && !self.queries.is_identifier(node)
            || node.kind().starts_with("scoped")
        {
            let field = ["name", "type", "trait", "value", "element", "attribute", "property"];
            let inner = field.iter().find_map(|field| node.child_by_field_name(field));
            let Some(inner) = inner.or_else(|| node.named_child(0)) else { break };
            node = inner;
        }
        &self.source[node.byte_range()]
    }

    fn imports(&mut self, root: Node<'_>, public_alone: bool) {
        let queries = self.queries;
        let mut cursor = self.cursor.take().unwrap_or_default();
        cursor.set_max_start_depth(Some(1));
        let mut matches = cursor.matches(&queries.imports, root, self.source.as_bytes());
        while let Some(found) = matches.next() {
            let node = |role: &str| {
                let names = queries.imports.capture_names();
                let is_it = |index: u32| names.get(index as usize) == Some(&role);
                let capture = found.captures().iter().find(|capture| is_it(capture.index))?;
                Some(capture.node)
            };
            let text = |role: &str| Some(&self.source[node(role)?.byte_range()]);
            if public_alone && text("visibility") != Some("pub") {
                continue;
            }
            let mut taken = Vec::new();
            let Some(start) = found.captures().first().map(|capture| capture.node.start_byte())
            else {
                continue;
            };
            if let Some(tree) = node("tree") {
                imports::expand(&flat(self.source, tree, tree.byte_range()), &mut taken);
            } else if let Some(module) = text("module") {
                let all = node("all").is_some();
                let (name, alias, language) = (text("name"), text("alias"), self.language.id);
                taken.push(imports::taken(module, name, alias, all, language));
            }
            for (path, name) in taken {
                let path = self.span(&path);
                let name = name.and_then(|name| self.draft.names.intern(&name));
                self.draft.imports.push(ImportData { path, name, start: to_u32(start) });
            }
        }
    }

    /// Every identifier in the order of the file.
    fn leaves(&mut self, tree: &Tree) -> Vec<(Symbol, u32)> {
        let mut uses = Vec::with_capacity(self.source.len() / 12);
        let mut cursor = tree.walk();
        loop {
            if cursor.goto_first_child() {
                continue;
            }
            let leaf = cursor.node();
            if self.queries.is_identifier(leaf) {
                note_use(&mut self.draft.names, &mut uses, self.source, leaf.byte_range());
            }
            while !cursor.goto_next_sibling() {
                if !cursor.goto_parent() {
                    return uses;
                }
            }
        }
    }

    /// Leaves out what nothing outside of the package can name, with its members.
    fn retain_public(&mut self) {
        let items = std::mem::take(&mut self.draft.items);
        let mut kept_at: Vec<Option<u32>> = Vec::with_capacity(items.len());
        for mut item in items {
            let parent = item.parent.map(|parent| kept_at.get(parent as usize).copied().flatten());
            let is_kept =
                parent != Some(None) && item.visibility == Visibility::Public && !item.is_test;
            kept_at.push(is_kept.then(|| to_u32(self.draft.items.len())));
            if is_kept {
                item.parent = parent.flatten();
                self.draft.items.push(item);
            }
        }
    }
}

fn note_use(names: &mut Names, uses: &mut Vec<(Symbol, u32)>, source: &str, range: Range<usize>) {
    let name = source.get(range.clone()).unwrap_or_default();
    // A single letter says nothing about where else to look.
    let says_something = name.len() > 1
        && name.len() <= MAX_NAME_BYTES
        && !name.starts_with(|c: char| c.is_ascii_digit());
    if says_something && let Some(symbol) = names.intern(name) {
        uses.push((symbol, to_u32(range.start)));
    }
}

pub(super) fn to_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
