//! Secrets out, placeholders in; and back again in the answer.
//!
//! A placeholder is the same for the same secret as long as the [`Border`](super::Border) lives, so
//! a conversation stays consistent and a prompt cache stays warm. It tells nothing of the secret:
//! it is a keyed hash, and the key never leaves the process.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, RandomState},
    ops::Range,
    sync::Arc,
};

use serde_json::Value as Json;

/// An identifier, so that a model takes it for a name and leaves it whole.
const MARK: &str = "HEARTH_SECRET_";

/// Hexadecimal digits after the mark: 48 bits of the hash.
const DIGITS: usize = 12;

const LENGTH: usize = MARK.len() + DIGITS;

/// Replaces the secrets of one request.
#[derive(Clone)]
pub(super) struct Redactor {
    key: RandomState,
    secrets: HashMap<String, Box<str>>,
    counts: BTreeMap<String, usize>,
}

impl Redactor {
    /// Redactors with the same `key` give a secret the same placeholder.
    pub(super) fn new(key: &RandomState) -> Self {
        Self { key: key.clone(), secrets: HashMap::new(), counts: BTreeMap::new() }
    }

    /// `text` with each of `ranges` replaced. These are in order, apart, and on characters of the
    /// text; one that is not makes the whole text a secret.
    pub(super) fn redact(&mut self, text: &str, ranges: &[(Range<usize>, &str)]) -> String {
        let mut redacted = String::with_capacity(text.len());
        let mut end = 0;
        for (range, kind) in ranges {
            let (Some(before), Some(secret)) =
                (text.get(end..range.start), text.get(range.clone()))
            else {
                *self.counts.entry((*kind).to_owned()).or_default() += 1;
                return self.placeholder(text);
            };
            redacted.push_str(before);
            redacted.push_str(&self.placeholder(secret));
            *self.counts.entry((*kind).to_owned()).or_default() += 1;
            end = range.end;
        }
        redacted.push_str(&text[end..]);
        redacted
    }

    /// How many secrets were replaced, by the rule that found them.
    pub(super) fn counts(&self) -> &BTreeMap<String, usize> {
        &self.counts
    }

    pub(super) fn restorer(&self) -> Restorer {
        Restorer { secrets: Arc::new(self.secrets.clone()), held: String::new() }
    }

    fn placeholder(&mut self, secret: &str) -> String {
        for salt in 0_u32.. {
            let hash = self.key.hash_one((secret, salt)) & ((1 << (4 * DIGITS)) - 1);
            let name = format!("{MARK}{hash:0width$x}", width = DIGITS);
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
