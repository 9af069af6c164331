//! Secrets out, placeholders in; and back again in the answer.
//!
//! A placeholder is the same for the same secret as long as the process lives, so a conversation
//! stays consistent and a prompt cache stays warm. It tells nothing of the secret: it is a keyed
//! hash, and the key never leaves the process.
//!
//! What was once found is a secret wherever it stands: an answer that was restored comes back as a
//! turn of the conversation, where no rule would see what its words mean.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, RandomState},
    ops::Range,
    sync::{Arc, LazyLock},
};

use aho_corasick::{AhoCorasick, MatchKind};
use serde_json::Value as Json;

use super::secrets;

/// An identifier, so that a model takes it for a name and leaves it whole.
const MARK: &str = "HEARTH_SECRET_";

/// Hexadecimal digits after the mark: 48 bits of the hash.
const DIGITS: usize = 12;

const LENGTH: usize = MARK.len() + DIGITS;

/// A secret of fewer bytes is replaced where a rule finds it, not wherever its letters stand.
const SHORTEST_KNOWN: usize = 8;

/// A line of a secret of several lines, as of a key in PEM, is a secret of its own from this length
/// on, in bytes. The last line of a key can be shorter: it tells as little as it has letters.
const SHORTEST_LINE: usize = 12;

static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// Ranges of a text, each with the rule that found it.
pub(super) type Found = Vec<(Range<usize>, &'static str)>;

/// The secrets of a conversation, and what stands in their place.
#[derive(Clone, Default)]
pub(super) struct Redactor {
    secrets: HashMap<String, Box<str>>,
    /// Secrets that are looked for everywhere, with the rule that found them first.
    known: BTreeMap<Box<str>, &'static str>,
    /// Finds what is known; built anew when more is.
    search: Option<Search>,
    counts: BTreeMap<String, usize>,
}

#[derive(Clone)]
struct Search {
    secrets: AhoCorasick,
    kinds: Arc<[&'static str]>,
}

impl Redactor {
    /// Takes note of the secrets that were found in a text.
    pub(super) fn learn(&mut self, text: &str, found: &Found) {
        let secrets =
            found.iter().filter_map(|(range, kind)| Some((text.get(range.clone())?, *kind)));
        for (secret, kind) in secrets {
            let lines = secret
                .lines()
                .map(str::trim)
                .filter(|line| line.len() >= SHORTEST_LINE && !line.starts_with("-----"));
            let several = secret.contains('\n');
            for part in [secret].into_iter().chain(lines.filter(|_| several)) {
                if part.len() >= SHORTEST_KNOWN && !self.known.contains_key(part) {
                    self.known.insert(part.into(), kind);
                    self.search = None;
                }
            }
        }
    }

    /// `text` without the secrets that were found in it and without any that is known.
    pub(super) fn redact(&mut self, text: &str, found: &Found) -> String {
        let mut all = found.clone();
        all.extend(self.occurrences(text));
        let mut redacted = String::with_capacity(text.len());
        let mut end = 0;
        for (range, kind) in secrets::merge(text, all) {
            *self.counts.entry(kind.to_owned()).or_default() += 1;
            redacted.push_str(&text[end..range.start]);
            end = range.end;
            redacted.push_str(&self.placeholder(&text[range]));
        }
        redacted.push_str(&text[end..]);
        redacted
    }

    /// How many secrets were replaced since [`begin`](Self::begin), by the rule that found them.
    pub(super) fn counts(&self) -> &BTreeMap<String, usize> {
        &self.counts
    }

    /// Begins another request of the same conversation.
    pub(super) fn begin(&mut self) {
        self.counts.clear();
    }

    pub(super) fn restorer(&self) -> Restorer {
        Restorer { secrets: Arc::new(self.secrets.clone()), held: String::new() }
    }

    fn occurrences(&mut self, text: &str) -> Found {
        if self.known.is_empty() {
            return Vec::new();
        }
        if self.search.is_none() {
            let patterns = self.known.keys().map(|secret| secret.as_bytes());
            let search =
                AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(patterns);
            let kinds = self.known.values().copied().collect();
            self.search = search.ok().map(|secrets| Search { secrets, kinds });
        }
        let Some(search) = &self.search else {
            // Gigabytes of secrets: nothing can be told from them.
            return vec![(0..text.len(), "unsearchable")];
        };
        let matches = search.secrets.find_iter(text);
        matches.map(|found| (found.range(), search.kinds[found.pattern().as_usize()])).collect()
    }

    fn placeholder(&mut self, secret: &str) -> String {
        for salt in 0_u32.. {
            let hash = KEY.hash_one((secret, salt)) & ((1 << (4 * DIGITS)) - 1);
            let name = format!("{MARK}{hash:0DIGITS$x}");
            match self.secrets.get(&name) {
                Some(known) if **known != *secret => {}
                Some(_) => return name,
                None => {
                    self.secrets.insert(name.clone(), secret.into());
                    return name;
                }
            }
        }
        unreachable!("fewer secrets than hashes")
    }
}

/// Puts the secrets back into an answer, chunk by chunk: a placeholder may be cut anywhere.
///
/// Placeholders that this request did not make stay as they are.
#[derive(Clone)]
pub struct Restorer {
    secrets: Arc<HashMap<String, Box<str>>>,
    /// The end of what was pushed, as long as it may be the beginning of a placeholder.
    held: String,
}

impl Restorer {
    /// Takes the next chunk and gives what is certain of the text so far.
    pub fn push(&mut self, chunk: &str) -> String {
        self.held.push_str(chunk);
        let mut text = std::mem::take(&mut self.held);
        self.held = text.split_off(Self::certain(&text));
        self.restore(&text)
    }

    /// What is left when the answer has ended.
    #[must_use]
    pub fn finish(&mut self) -> String {
        let rest = std::mem::take(&mut self.held);
        self.restore(&rest)
    }

    /// Restores a whole text.
    pub fn restore(&self, text: &str) -> String {
        let mut restored = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(MARK) {
            let (before, found) = rest.split_at(at);
            restored.push_str(before);
            let known = found.get(..LENGTH).and_then(|name| self.secrets.get(name));
            let taken = if known.is_some() { LENGTH } else { MARK.len() };
            restored.push_str(known.map_or(&found[..taken], |secret| secret));
            rest = &found[taken..];
        }
        restored.push_str(rest);
        restored
    }

    /// Restores every string of a tool call's input, keys excepted.
    pub fn restore_json(&self, json: &Json) -> Json {
        strings(json, &mut |text| self.restore(text))
    }

    /// Up to where no placeholder can have begun that is not complete.
    fn certain(text: &str) -> usize {
        let from = text.len().saturating_sub(LENGTH - 1);
        let may_begin = |at: &usize| {
            let Some(tail) = text.get(*at..) else { return false };
            let shared = tail.len().min(MARK.len());
            tail.as_bytes()[..shared] == MARK.as_bytes()[..shared]
                && tail[shared..].bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        (from..text.len()).find(may_begin).unwrap_or(text.len())
    }
}

/// A copy of `json` with each string, keys excepted, changed.
pub(super) fn strings(json: &Json, change: &mut impl FnMut(&str) -> String) -> Json {
    match json {
        Json::String(text) => Json::String(change(text)),
        Json::Array(items) => items.iter().map(|item| strings(item, change)).collect(),
        Json::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| (key.clone(), strings(value, change)));
            Json::Object(fields.collect())
        }
        plain => plain.clone(),
    }
}

impl std::fmt::Debug for Restorer {
    /// Without the secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Restorer({} secrets)", self.secrets.len())
    }
}

impl std::fmt::Debug for Redactor {
    /// Without the secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor({} secrets)", self.secrets.len())
    }
}
