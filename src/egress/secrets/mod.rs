//! Finds secrets in text: the rules of gitleaks, and shapes that need no rule.
//!
//! A keyword wakes a rule, its pattern finds, entropy and lists of known non-secrets let go. Nothing
//! in the text can switch a rule off.

mod rules;
mod shapes;

use std::ops::Range;

use rules::{GENERIC, RULES, Rule};

/// Secrets of `text`, in order and apart, each with the name of the rule that found it. `path` is
/// relative to the workspace; some rules look at it. Ranges are in bytes, on characters.
pub fn find(path: &str, text: &str) -> Vec<(Range<usize>, &'static str)> {
    let mut found = shapes::find(text.as_bytes());
    for rule in RULES.awake(text) {
        if rule.reads(path) {
            find_by(rule, text.as_bytes(), &mut found);
        }
    }
    merge(text, found)
}

fn find_by(rule: &'static Rule, text: &[u8], found: &mut Vec<(Range<usize>, &'static str)>) {
    let Some(regex) = rule.regex() else { return };
    let mut from = 0;
    while from < text.len()
        && let Some(captures) = regex.captures_at(text, from)
    {
        let (Some(matched), Some(secret)) = (captures.get(0), rule.secret(&captures)) else {
            return;
        };
        let lists = rule.allowlists.iter().chain([&RULES.allowlist]);
        let line = line_of(text, &matched.range());
        let is_secret = !secret.is_empty()
            && (rule.entropy == 0.0 || entropy(secret.as_bytes()) > rule.entropy)
            && !lists
                .into_iter()
                .any(|list| list.allows(secret.as_bytes(), matched.as_bytes(), line));
        if is_secret {
            found.push((secret.range(), &rule.id));
            from = secret.end().max(from + 1);
        } else {
            // What was let go must not hide what stands in it.
            from = secret.start().max(matched.start() + 1);
        }
    }
}

/// The lines that a range touches.
fn line_of<'t>(text: &'t [u8], range: &Range<usize>) -> &'t [u8] {
    let start = memchr::memrchr(b'\n', &text[..range.start]).map_or(0, |at| at + 1);
    let end = memchr::memchr(b'\n', &text[range.end..]).map_or(text.len(), |at| range.end + at);
    &text[start..end]
}

/// In order, those that overlap made one, on characters. A rule that knows the issuer gives its name
/// before one that does not.
pub(super) fn merge(
    text: &str,
    mut found: Vec<(Range<usize>, &'static str)>,
) -> Vec<(Range<usize>, &'static str)> {
    found.sort_by_key(|(range, _)| (range.start, range.end));
    let mut merged: Vec<(Range<usize>, &'static str)> = Vec::new();
    for (range, kind) in found {
        let range = text.floor_char_boundary(range.start)..text.ceil_char_boundary(range.end);
        match merged.last_mut() {
            Some((last, known)) if range.start < last.end => {
                last.end = last.end.max(range.end);
                if matches!(*known, GENERIC | "named-secret") {
                    *known = kind;
                }
            }
            _ => merged.push((range, kind)),
        }
    }
    merged
}

/// Shannon entropy in bits a byte.
fn entropy(text: &[u8]) -> f64 {
    let mut counts = [0_usize; 256];
    for byte in text {
        counts[usize::from(*byte)] += 1;
    }
    let length = text.len() as f64;
    let bits = |count: usize| {
        let share = count as f64 / length;
        -share * share.log2()
    };
    counts.into_iter().filter(|count| *count > 0).map(bits).sum()
}
