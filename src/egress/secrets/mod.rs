//! Finds secrets in text.

use std::ops::Range;

/// Secrets of `text`, in order and apart, each with the name of the rule that found it. `path` is
/// relative to the workspace; some rules look at it.
pub fn find(path: &str, text: &str) -> Vec<(Range<usize>, &'static str)> {
    let _ = (path, text);
    Vec::new()
}
