//! What today's open servers send beside the text around the cursor: nothing, windows of text that
//! look alike, or chunks that a lexical search finds.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use tree_sitter::Node;

use super::{corpus::Repo, truth::identifiers};

/// Lines of a window, as Copilot was found to take them.
const WINDOW: usize = 60;

/// Lines of code around the cursor that a query is made of.
const QUERY: (usize, usize) = (60, 20);

/// BM25's usual constants.
const K1: f64 = 1.2;
const B: f64 = 0.75;

/// A run of lines of a file.
pub struct Chunk {
    pub file: usize,
    pub lines: Range<usize>,
    pub text: String,
}

/// A repository cut up for both searches.
pub struct Lexical {
    windows: Vec<(Chunk, HashSet<u32>)>,
    chunks: Vec<(Chunk, HashMap<u32, u32>, f64)>,
    in_chunks: HashMap<u32, f64>,
    mean_length: f64,
    ids: HashMap<String, u32>,
}

impl Lexical {
    pub fn new(repo: &Repo) -> Self {
        let mut ids: HashMap<String, u32> = HashMap::new();
        let mut id = |word: &str| -> u32 {
            if let Some(id) = ids.get(word) {
                return *id;
            }
            let id = u32::try_from(ids.len()).expect("few words");
            ids.insert(word.to_owned(), id);
            id
        };
        let (mut windows, mut chunks) = (Vec::new(), Vec::new());
        let mut in_chunks: HashMap<u32, f64> = HashMap::new();
        for (file, source) in repo.files.iter().enumerate() {
            let lines: Vec<&str> = source.text.split_inclusive('\n').collect();
            let chunk = |lines_of: Range<usize>| Chunk {
                file,
                text: lines[lines_of.clone()].concat(),
                lines: lines_of,
            };
            // Half a window apart, so that what is cut by one is whole in the next.
            let mut start = 0;
            while start < lines.len() {
                let window = chunk(start..(start + WINDOW).min(lines.len()));
                let words = identifiers(&window.text).map(&mut id).collect();
                windows.push((window, words));
                start += WINDOW / 2;
            }
            let mut borders = Vec::new();
            borders_of(source.tree.root_node(), &mut borders);
            borders.push(lines.len());
            let mut start = 0;
            for pair in borders.windows(2) {
                if pair[1] - start >= WINDOW / 2 || pair[1] == lines.len() {
                    let piece = chunk(start..pair[1]);
                    start = pair[1];
                    let mut words: HashMap<u32, u32> = HashMap::new();
                    for word in identifiers(&piece.text) {
                        *words.entry(id(word)).or_default() += 1;
                    }
                    for word in words.keys() {
                        *in_chunks.entry(*word).or_default() += 1.0;
                    }
                    let length = f64::from(words.values().sum::<u32>());
                    chunks.push((piece, words, length));
                }
            }
        }
        let total: f64 = chunks.iter().map(|(_, _, length)| length).sum();
        let mean_length = (total / chunks.len().max(1) as f64).max(1.0);
        Self { windows, chunks, in_chunks, mean_length, ids }
    }

    /// Windows of other files by the share of words that they have in common with the query.
    pub fn similar(&self, file: usize, query: &str) -> Vec<&Chunk> {
        let query: HashSet<u32> = self.known(query).collect();
        let score = |words: &HashSet<u32>| {
            let both = words.intersection(&query).count() as f64;
            both / (words.len() + query.len()) as f64
        };
        let windows = self.windows.iter().filter(|(chunk, _)| chunk.file != file);
        let mut scored: Vec<_> = windows.map(|(chunk, words)| (score(words), chunk)).collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut kept: Vec<&Chunk> = Vec::new();
        for (_, chunk) in scored.into_iter().take(400) {
            let overlaps = |other: &&Chunk| {
                other.file == chunk.file
                    && other.lines.start < chunk.lines.end
                    && chunk.lines.start < other.lines.end
            };
            if !kept.iter().any(overlaps) {
                kept.push(chunk);
            }
        }
        kept
    }

    /// Chunks of other files by BM25.
    pub fn bm25(&self, file: usize, query: &str) -> Vec<&Chunk> {
        let query: HashSet<u32> = self.known(query).collect();
        let count = self.chunks.len() as f64;
        let score = |words: &HashMap<u32, u32>, length: f64| -> f64 {
            let of_word = |word: &u32| {
                let frequency = f64::from(*words.get(word)?);
                let with_it = self.in_chunks[word];
                let rarity = ((count - with_it + 0.5) / (with_it + 0.5)).ln_1p();
                let norm = K1 * (1.0 - B + B * length / self.mean_length);
                Some(rarity * frequency * (K1 + 1.0) / (frequency + norm))
            };
            query.iter().filter_map(of_word).sum()
        };
        let chunks = self.chunks.iter().filter(|(chunk, ..)| chunk.file != file);
        let mut scored: Vec<_> =
            chunks.map(|(chunk, words, length)| (score(words, *length), chunk)).collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
        scored.into_iter().take(400).map(|(_, chunk)| chunk).collect()
    }

    fn known<'a>(&'a self, text: &'a str) -> impl Iterator<Item = u32> + 'a {
        identifiers(text).filter_map(|word| self.ids.get(word).copied())
    }
}

/// The lines at which items and members of impls and traits begin.
fn borders_of(node: Node<'_>, borders: &mut Vec<usize>) {
    for child in node.named_children(&mut node.walk()) {
        borders.push(child.start_position().row);
        if matches!(child.kind(), "impl_item" | "trait_item" | "mod_item")
            && let Some(body) = child.child_by_field_name("body")
        {
            borders_of(body, borders);
        }
    }
}

/// The code around the cursor that the searches ask with.
pub fn query(text: &str, offset: usize) -> String {
    let before: Vec<&str> = text[..offset].split_inclusive('\n').collect();
    let after = text[offset..].split_inclusive('\n').take(QUERY.1);
    before[before.len().saturating_sub(QUERY.0)..].iter().copied().chain(after).collect()
}

/// Whole lines before and after the cursor: three quarters of the tokens before, the rest after.
pub fn local(text: &str, offset: usize, tokens: usize, count: impl Fn(&str) -> usize) -> String {
    let suffix = within(text[offset..].split_inclusive('\n'), tokens / 4, &count);
    let after = &text[offset..offset + suffix];
    let left = tokens.saturating_sub(count(after));
    let prefix = within(text[..offset].split_inclusive('\n').rev(), left, &count);
    let suffix_room = left.saturating_sub(count(&text[offset - prefix..offset]));
    let more = within(text[offset + suffix..].split_inclusive('\n'), suffix_room, &count);
    format!("{}{}", &text[offset - prefix..offset], &text[offset..offset + suffix + more])
}

/// Bytes of the first lines that fit.
fn within<'a>(
    lines: impl Iterator<Item = &'a str>,
    tokens: usize,
    count: impl Fn(&str) -> usize,
) -> usize {
    let (mut bytes, mut left) = (0, tokens);
    for line in lines {
        match left.checked_sub(count(line)) {
            Some(rest) => left = rest,
            None => break,
        }
        bytes += line.len();
    }
    bytes
}
