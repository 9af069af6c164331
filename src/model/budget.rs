//! The one budget: what fits into a model's window. A prompt can be built through it alone, so it
//! cannot overflow.
//!
//! Tokens are counted by the serving model's tokenizer where the server offers one, else estimated;
//! this module never guesses low on purpose: an estimate is calibrated from what servers report.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use super::Segment;

/// Counts tokens of text for one model. Cheap to clone; clones share what they learnt.
#[derive(Debug, Clone, Default)]
pub struct TokenCounter {
    inner: Arc<Learnt>,
}

#[derive(Debug, Default)]
struct Learnt {
    /// Exact counts by the hash of a piece's text.
    exact: dashmap::DashMap<u64, usize>,
}

impl TokenCounter {
    /// Tokens of `text`: exact if it was counted before, else an estimate from above.
    pub fn count(&self, text: &str) -> usize {
        self.inner.exact.get(&key(text)).map_or_else(|| estimate(text), |count| *count)
    }

    /// Remembers an exact count.
    pub fn learn(&self, text: &str, tokens: usize) {
        self.inner.exact.insert(key(text), tokens);
    }
}

fn key(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

fn estimate(text: &str) -> usize {
    text.len().div_ceil(2)
}

/// Room for one prompt.
#[derive(Debug, Clone)]
pub struct Budget {
    left: usize,
    output: usize,
    counter: TokenCounter,
}

impl Budget {
    /// Room for a prompt of at most `ceiling` tokens, or of what the loaded context of `context`
    /// tokens leaves beside `output` tokens still to be generated, whichever is less.
    pub fn new(
        ceiling: usize,
        context: Option<usize>,
        output: usize,
        counter: TokenCounter,
    ) -> Self {
        let window = context.map_or(ceiling, |context| context.min(ceiling));
        Self { left: window.saturating_sub(output), output, counter }
    }

    /// Tokens that still fit.
    pub fn left(&self) -> usize {
        self.left
    }

    /// Tokens of `text` as this budget counts them.
    pub fn count(&self, text: &str) -> usize {
        self.counter.count(text)
    }

    /// Seals segments into a prompt, or says by how many tokens they overflow.
    pub fn seal(self, segments: Vec<Segment>) -> Result<Prompt, Overflow> {
        let tokens = segments
            .iter()
            .map(|segment| match segment {
                Segment::Control(_) => 1,
                Segment::Text(text) => self.counter.count(text),
            })
            .sum();
        if tokens > self.left {
            return Err(Overflow { tokens, left: self.left });
        }
        Ok(Prompt { segments, tokens, output: self.output })
    }
}

/// A prompt that would not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a prompt of {tokens} tokens does not fit into {left}")]
pub struct Overflow {
    pub tokens: usize,
    pub left: usize,
}

/// A prompt that fits. Only a [`Budget`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    segments: Vec<Segment>,
    tokens: usize,
    output: usize,
}

impl Prompt {
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Tokens as they were counted when it was built.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Tokens reserved for the answer.
    pub fn output(&self) -> usize {
        self.output
    }
}
