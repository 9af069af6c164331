//! The end of a generation that its model writes to.

use std::{ops::ControlFlow, sync::Arc};

use super::{End, Owner};

/// Where a generation puts what it produces.
#[derive(Debug)]
pub struct Sink {
    pub(super) owner: Arc<Owner>,
    pub(super) number: u64,
}

impl Sink {
    /// Adds text, and the natural logarithm of the probability that the model gave it, where that is
    /// known. [`ControlFlow::Break`] when what the user has typed meanwhile disagrees with it:
    /// there is no use for more.
    pub fn push(&self, text: &str, logprob: Option<f32>) -> ControlFlow<()> {
        let pushed = self.owner.with(self.number, |generation| {
            generation.produced.push_str(text);
            generation.odds.push(generation.produced.len(), logprob);
            generation.agrees()
        });
        if pushed == Some(true) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    /// Nothing more is coming, for the time being at least. Half a line at the end of a text that was
    /// cut is taken back, unless it is the only one or has been shown.
    pub fn end(&self, end: End) {
        self.owner.with(self.number, |generation| {
            if end == End::Cut
                && let Some(line_break) = generation.produced.trim_end().rfind('\n')
            {
                let needed = generation.shown.max(generation.typed.len());
                let needed = needed.min(generation.produced.len());
                if !generation.produced[..line_break].trim().is_empty() {
                    generation.produced.truncate(needed.max(line_break + 1));
                    generation.odds.truncate(generation.produced.len());
                }
            }
            generation.end = Some(end);
        });
    }

    /// More is coming after all, behind `bridge`.
    pub fn go_on(&self, bridge: &str) {
        self.owner.with(self.number, |generation| {
            generation.produced.push_str(bridge);
            // The model had ended here: that is certain by now.
            generation.odds.push(generation.produced.len(), Some(0.0));
            generation.end = None;
        });
    }

    /// Takes back what was produced behind its first `len` bytes, unless it is typed already.
    pub fn take_back(&self, len: usize) {
        self.owner.with(self.number, |generation| {
            let needed = len.max(generation.typed.len());
            if generation.produced.is_char_boundary(needed) {
                generation.produced.truncate(needed);
                generation.odds.truncate(generation.produced.len());
            }
        });
    }

    /// Whether a request waits for this generation now.
    pub fn is_awaited(&self) -> bool {
        self.owner.peek(self.number, |generation| generation.orphaned.is_none()).unwrap_or(false)
    }

    /// Waits until all that was produced has been shown, and returns it; `None` when the generation
    /// was stopped, or ended with nothing to show.
    pub async fn exhausted(&self) -> Option<String> {
        let mut changed = self.owner.changed.subscribe();
        loop {
            let produced = self.owner.peek(self.number, |generation| {
                let left = generation.produced.get(generation.shown..).unwrap_or_default();
                let exhausted = generation.shown > 0 && left.trim().is_empty();
                exhausted.then(|| generation.produced.clone())
            })?;
            if produced.is_some() {
                return produced;
            }
            let _ = changed.changed().await;
        }
    }
}
