//! What in a codebase a question is about, by the words that it shares with the names there.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::{
    context::map::Graph,
    index::{Contents, File, Hit, ItemRef, Symbol},
};

/// Words that no question is about. Those of programming in general are among them.
const COMMON: &[&str] = &[
    "a", "about", "all", "an", "and", "any", "are", "as", "at", "be", "by", "can", "change",
    "code", "codebase", "do", "does", "file", "for", "from", "function", "happens", "how", "i",
    "if", "in", "is", "it", "its", "method", "module", "new", "of", "on", "or", "that", "the",
    "their", "there", "this", "to", "type", "use", "used", "uses", "was", "we", "what", "when",
    "where", "which", "who", "why", "will", "with", "would",
];

/// What an item counts whose whole name stands in the question.
const NAMED: f32 = 10.0;

/// Names that are searched for, and chunks that are looked at.
const MOST_NAMES: usize = 48;
const MOST_HITS: usize = 24;

/// What a question is about.
#[derive(Debug, Default)]
pub(super) struct Sought {
    /// Items that share words with it, and those around what a search finds; with their weights.
    pub(super) items: FxHashMap<ItemRef, f32>,
    /// Items whose names it has in full.
    pub(super) named: Vec<ItemRef>,
}

impl Sought {
    pub(super) fn of(
        contents: &Contents,
        graph: &Graph,
        question: &str,
        takes: &dyn Fn(&File) -> bool,
    ) -> Self {
        let asked = Asked::of(question);
        if asked.stems.is_empty() {
            return Self::default();
        }
        let mut sought = Self::default();
        let mut names: FxHashMap<Symbol, f32> = FxHashMap::default();
        for name in &asked.names {
            names.extend(contents.symbol(name).map(|symbol| (symbol, NAMED)));
        }
        for place in graph.items() {
            let Some(item) = contents.item(*place).filter(|item| takes(item.file())) else {
                continue;
            };
            let weight = if asked.names.contains(item.name()) {
                sought.named.push(*place);
                NAMED
            } else {
                asked.share(item.name())
            };
            if weight > 0.0 {
                sought.items.insert(*place, weight);
                let best = names.entry(item.symbol()).or_default();
                *best = best.max(weight);
            }
        }
        let hits = search(contents, names, MOST_HITS);
        let best = hits.first().map_or(1.0, |hit| hit.score).max(f32::EPSILON);
        for hit in hits {
            let middle = usize::midpoint(hit.range.start, hit.range.end);
            let Some(item) = contents.item_at(hit.file, middle) else { continue };
            if takes(item.file()) && graph.number(item.place()).is_some() {
                *sought.items.entry(item.place()).or_default() += hit.score / best;
            }
        }
        sought
    }

    /// The items, the weightiest first.
    pub(super) fn best(&self, graph: &Graph) -> Vec<ItemRef> {
        let weighed = |place: &ItemRef| Some((*place, *self.items.get(place)?));
        let mut all: Vec<(ItemRef, f32)> = graph.items().iter().filter_map(weighed).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        all.into_iter().map(|(place, _)| place).collect()
    }
}

/// The chunks of the workspace that speak of these words, best first.
pub(super) fn found(contents: &Contents, graph: &Graph, words: &str, limit: usize) -> Vec<Hit> {
    let asked = Asked::of(words);
    let mut names: FxHashMap<Symbol, f32> = FxHashMap::default();
    for name in &asked.names {
        names.extend(contents.symbol(name).map(|symbol| (symbol, NAMED)));
    }
    for item in graph.items().iter().filter_map(|place| contents.item(*place)) {
        let share = asked.share(item.name());
        if share > 0.0 {
            let best = names.entry(item.symbol()).or_default();
            *best = best.max(share);
        }
    }
    search(contents, names, limit)
}

fn search(contents: &Contents, names: FxHashMap<Symbol, f32>, limit: usize) -> Vec<Hit> {
    let mut names: Vec<(Symbol, f32)> = names.into_iter().collect();
    let by_weight = |a: &(Symbol, f32), b: &(Symbol, f32)| {
        b.1.total_cmp(&a.1).then_with(|| contents.name(a.0).cmp(contents.name(b.0)))
    };
    names.sort_by(by_weight);
    names.truncate(MOST_NAMES);
    contents.search(&names, limit)
}

/// A question's words.
struct Asked {
    /// As they stand there.
    names: FxHashSet<String>,
    /// Of which they are made.
    stems: FxHashSet<String>,
}

impl Asked {
    fn of(question: &str) -> Self {
        let words = question.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        let telling =
            |word: &&str| word.len() > 1 && !COMMON.contains(&word.to_ascii_lowercase().as_str());
        let words: Vec<&str> = words.filter(telling).collect();
        let stems = words.iter().flat_map(|word| parts(word)).map(|part| stem(&part));
        Self {
            stems: stems.filter(|stem| !COMMON.contains(&stem.as_str())).collect(),
            names: words.into_iter().map(str::to_owned).collect(),
        }
    }

    /// How much of a name the question has: the words that they share, of those that the name has.
    fn share(&self, name: &str) -> f32 {
        let parts = parts(name);
        let shared = parts.iter().filter(|part| self.stems.contains(&stem(part))).count();
        if shared == 0 { 0.0 } else { (shared * shared) as f32 / parts.len() as f32 }
    }
}

/// The words of a name, in lower case: `read_symbol` and `ReadSymbol` have the same.
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut before_is_upper = true;
    for c in name.chars() {
        let begins = c == '_' || (c.is_uppercase() && !before_is_upper);
        if begins && parts.last().is_some_and(|last| !last.is_empty()) {
            parts.push(String::new());
        }
        if let Some(last) = parts.last_mut().filter(|_| c != '_') {
            last.extend(c.to_lowercase());
        }
        before_is_upper = c.is_uppercase();
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// A word without the endings by which English tells one of many and doing from done.
fn stem(word: &str) -> String {
    for ending in [
        "ations", "ation", "ings", "ing", "ions", "ion", "ies", "ers", "er", "ed", "es", "s", "e",
        "y",
    ] {
        if let Some(stem) = word.strip_suffix(ending).filter(|stem| stem.len() >= 3) {
            return stem.to_owned();
        }
    }
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_into_words() {
        for name in ["read_symbol", "ReadSymbol", "readSymbol", "READ_SYMBOL", "_read__symbol"] {
            assert_eq!(parts(name), ["read", "symbol"], "{name}");
        }
    }

    #[test]
    fn words_of_one_kind_have_one_stem() {
        for words in [&["retry", "retries"][..], &["route", "routing", "router", "routes"]] {
            let stems: FxHashSet<String> = words.iter().map(|word| stem(word)).collect();
            assert_eq!(stems.len(), 1, "{stems:?}");
        }
    }

    #[test]
    fn a_question_shares_words_with_names() {
        let asked = Asked::of("Where is the retry loop of Router::decide?");
        assert!(asked.names.contains("Router") && asked.names.contains("decide"));
        assert!(asked.share("Retries") > 0.9);
        assert!(asked.share("retry_after_header") < asked.share("retry_loop"));
        assert!(asked.share("where_used") < f32::EPSILON);
    }
}
