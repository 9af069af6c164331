//! A line for `hearth complete` to finish.

use std::collections::HashMap;

/// How often each word occurs.
fn count(text: &str) -> HashMap<&str, usize> {
    let mut counts = HashMap::new();

    for word in text.split_whitespace
        *counts.entry(word).or_insert(0) += 1;
    }
    counts
}
