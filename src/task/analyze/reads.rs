//! What a model may do to read on: `read_symbol`, `search` and `list`. Each answers from the index, so
//! nothing that is excluded is there to be found, and shows a model beyond this machine only files
//! that the border lets out.

use std::{collections::BTreeMap, ops::Range, path::Path, sync::Arc};

use rustc_hash::FxHashMap;
use serde_json::{Value as Json, json};

use super::{
    passage::{Bounds, Passage},
    sought::found,
    survey::{files, fitting},
};
use crate::{
    context::map::{Graph, Map},
    egress::{Origin, Tool},
    index::{File, Index, Item, Origin as Whose},
    model::TokenCounter,
    task::Desk,
};

/// Tokens that one read brings at the most.
pub(super) const MOST_TOKENS: usize = 4_000;

/// Places that a search finds.
const MOST_FOUND: usize = 12;

/// Lines that are shown of each.
const FOUND_LINES: usize = 30;

/// Items of one name that are shown.
const MOST_NAMESAKES: usize = 8;

/// Entries of a list.
const MOST_LISTED: usize = 200;

/// One wish to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) tool: ToolName,
    pub(super) argument: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ToolName {
    ReadSymbol,
    Search,
    List,
}

impl ToolName {
    pub(super) const ALL: [Self; 3] = [Self::ReadSymbol, Self::Search, Self::List];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::ReadSymbol => "read_symbol",
            Self::Search => "search",
            Self::List => "list",
        }
    }

    /// What its one argument is called.
    const fn argument(self) -> &'static str {
        match self {
            Self::ReadSymbol => "name",
            Self::Search => "words",
            Self::List => "path",
        }
    }

    pub(super) const fn description(self) -> &'static str {
        match self {
            Self::ReadSymbol => {
                "Reads the source of an item, with line numbers. Takes its name, with the names around \
                 it where it needs them (Router::decide), or a place: path:line or path:first-last."
            }
            Self::Search => "Finds the places of the code that speak of these words or names.",
            Self::List => {
                "Lists a folder: its files and folders with their sizes. Of a file, lists every item. \
                 The empty path is the root."
            }
        }
    }

    fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.as_str() == name)
    }
}

/// The tools as a cloud is told of them.
pub(super) fn tools() -> Vec<Tool> {
    let tool = |tool: ToolName| Tool {
        name: tool.as_str(),
        description: tool.description(),
        input_schema: json!({
            "type": "object",
            "properties": { tool.argument(): { "type": "string" } },
            "required": [tool.argument()],
            "additionalProperties": false,
        }),
    };
    ToolName::ALL.into_iter().map(tool).collect()
}

impl Read {
    /// What a call asks for; `None` where there is no such tool or no argument.
    pub(super) fn of(name: &str, input: &Json) -> Option<Self> {
        let tool = ToolName::by_name(name)?;
        let argument = input.get(tool.argument()).or_else(|| input.get("argument"))?;
        Some(Self { tool, argument: argument.as_str()?.trim().to_owned() })
    }
}

impl std::fmt::Display for Read {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.tool.as_str(), self.argument)
    }
}

/// Who reads.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    pub(super) desk: Arc<Desk>,
    pub(super) bounds: Bounds,
    pub(super) counter: TokenCounter,
}

/// A place in a file, to be shown once the index is let go.
type Place = (Arc<File>, Range<usize>);

impl Reader {
    /// Nothing where nothing is found, or nothing of it may be shown. Takes a while.
    pub(super) fn read(&self, read: &Read) -> Vec<Passage> {
        let index = self.desk.index();
        let passages = match read.tool {
            ToolName::ReadSymbol => self.quoted(index, symbol(index, &read.argument)),
            ToolName::Search => self.quoted(index, search(index, &read.argument)),
            ToolName::List => self.list(index, &read.argument),
        };
        fitting(passages, MOST_TOKENS, &|text| self.counter.count(text))
    }

    fn takes(&self, file: &File) -> bool {
        *file.origin() == Whose::Workspace && self.bounds.admits(file)
    }

    fn quoted(&self, index: &Index, places: Vec<Place>) -> Vec<Passage> {
        let admitted = places.into_iter().filter(|(file, _)| self.takes(file));
        let quoted = admitted
            .filter_map(|(file, lines)| Some(Passage::quoted(&file, &index.text(&file)?, lines)));
        quoted.collect()
    }

    fn list(&self, index: &Index, path: &str) -> Vec<Passage> {
        let path = path.trim_start_matches("./").trim_matches('/');
        let below = |file: &File| {
            let own = file.relative_path();
            path.is_empty() || path == "." || own == path || own.starts_with(&format!("{path}/"))
        };
        let files: Vec<Arc<File>> =
            files(index, |file| *file.origin() == Whose::Workspace && below(file))
                .into_iter()
                .filter(|file| self.takes(file))
                .collect();
        if let [only] = &*files
            && only.relative_path() == path
        {
            return whole_file(index, only, &|text| self.counter.count(text));
        }
        entries(&files, if path == "." { "" } else { path })
    }
}

/// The items of a name, or what stands at a place.
fn symbol(index: &Index, name: &str) -> Vec<Place> {
    if let Some(place) = place(index, name) {
        return vec![place];
    }
    let contents = index.read();
    let path: Vec<&str> = words(name).collect();
    let Some(symbol) = path.last().and_then(|last| contents.symbol(last)) else {
        return Vec::new();
    };
    let fits = |item: &Item<'_>| {
        let own = item.path();
        let own: Vec<&str> = words(&own).collect();
        path.iter().all(|part| own.contains(part))
            || item.owner().is_some_and(|owner| path.contains(&contents.name(owner)))
    };
    let all =
        || contents.definitions(symbol).filter(|item| *item.file().origin() == Whose::Workspace);
    let mut items: Vec<Item<'_>> = all().filter(fits).collect();
    if items.is_empty() {
        items = all().collect();
    }
    let place = |item: Item<'_>| Some((contents.file_handle(item.place().file)?, item.lines()));
    items.into_iter().take(MOST_NAMESAKES).filter_map(place).collect()
}

/// The chunks that speak of these words.
fn search(index: &Index, words: &str) -> Vec<Place> {
    let graph = Graph::of(index);
    let contents = index.read();
    let hits = found(&contents, &graph, words, MOST_FOUND);
    let hits: Vec<_> = hits
        .into_iter()
        .filter_map(|hit| Some((contents.file_handle(hit.file)?, hit.range)))
        .collect();
    drop(contents);
    let place = |(file, bytes): (Arc<File>, Range<usize>)| {
        let text = index.text(&file)?;
        let first = line_of(&text, bytes.start);
        let last = line_of(&text, bytes.end.saturating_sub(1)) + 1;
        Some((file, first..last.min(first + FOUND_LINES)))
    };
    hits.into_iter().filter_map(place).collect()
}

/// Every item of a file.
fn whole_file(index: &Index, file: &File, count: &dyn Fn(&str) -> usize) -> Vec<Passage> {
    let graph = Graph::default();
    let contents = index.read();
    let map = Map::whole(&contents, &graph.rank(&FxHashMap::default()), &|other| {
        other.path() == file.path()
    });
    let sheets = map.sheets.into_iter().flat_map(|sheet| sheet.split(MOST_TOKENS, count));
    sheets.take(1).map(|sheet| Passage::of_sheet(&sheet)).collect()
}

/// What a folder has, a line an entry.
fn entries(files: &[Arc<File>], folder: &str) -> Vec<Passage> {
    let mut all: BTreeMap<String, (usize, usize, Vec<Origin>)> = BTreeMap::default();
    for file in files {
        let below = file.relative_path().strip_prefix(folder).unwrap_or(file.relative_path());
        let below = below.trim_start_matches('/');
        let name = match below.split_once('/') {
            Some((inner, _)) => format!("{inner}/"),
            None => below.to_owned(),
        };
        let (count, lines, origins) = all.entry(name).or_default();
        *count += 1;
        *lines += file.lines();
        origins.push(Origin::new(&**file.path(), 0..file.lines()));
    }
    let line = |(name, (count, lines, origins)): (String, (usize, usize, Vec<Origin>))| {
        let text = if name.ends_with('/') {
            format!("{name} ({count} files, {lines} lines)\n")
        } else {
            format!("{name} ({lines} lines)\n")
        };
        Passage { origins, text, items: 0 }
    };
    all.into_iter().take(MOST_LISTED).map(line).collect()
}

/// The names of a path.
fn words(name: &str) -> impl Iterator<Item = &str> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    name.split(move |c| !is_name(c)).filter(|word| !word.is_empty())
}

/// The item around `path:line`, or the lines of `path:first-last`.
fn place(index: &Index, name: &str) -> Option<Place> {
    let (path, lines) = name.rsplit_once(':')?;
    let (first, last) = lines.split_once('-').unwrap_or((lines, lines));
    let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let path = path.trim_start_matches("./");
    let file = files(index, |file| file.relative_path() == path).into_iter().next()?;
    // A model may say anything.
    if first == 0 || last < first || first > file.lines() {
        return None;
    }
    if first != last {
        return Some((Arc::clone(&file), first - 1..last.min(file.lines())));
    }
    let contents = index.read();
    let (id, _) = contents.file_at(file.path())?;
    let line = first - 1;
    let around = contents.items(id).filter(|item| item.lines().contains(&line)).last();
    let lines = around.map_or_else(
        || line.saturating_sub(FOUND_LINES / 2)..(line + FOUND_LINES / 2).min(file.lines()),
        |item| item.lines(),
    );
    drop(contents);
    Some((file, lines))
}

/// The line of a byte, from 0.
fn line_of(text: &str, byte: usize) -> usize {
    let before = text.as_bytes().get(..byte.min(text.len())).unwrap_or_default();
    memchr::memchr_iter(b'\n', before).count()
}

/// Whether a path names something of the workspace: what a citation is checked with.
pub(super) fn named<'f>(files: &'f [Arc<File>], path: &str) -> Vec<&'f Arc<File>> {
    let path = Path::new(path.trim_start_matches("./"));
    let exact: Vec<_> =
        files.iter().filter(|file| Path::new(file.relative_path()) == path).collect();
    if !exact.is_empty() {
        return exact;
    }
    files.iter().filter(|file| Path::new(file.relative_path()).ends_with(path)).collect()
}
