//! Copying from the prompt: what a small model does not know by heart often stands there already.
//!
//! A pointer mixture (Grave et al. 2017, "Improving neural language models with a continuous cache"):
//! at each position p = (1 - λ) · p_model + λ · p_copy. p_copy says what followed earlier runs of
//! bytes that end like the text before the position, the longer the more; λ says how
//! far such a run is to be trusted, by its length and by how far the continuations agree. The table
//! of λ was fitted on validation projects and lies in the file (`hearth.copy.trust`): a file without
//! it is never touched.
//!
//! Runs are compared as bytes and not as tokens, because a prompt may end inside of what would be one
//! token. A copy ends where its line ends, and never looks at what stands behind the prompt's end.

use std::io::{Read, Seek};

use super::{error::EngineError, gguf::Gguf, tokenizer::Tokenizer};

/// Runs of this many bytes and more are another class than shorter ones. None is followed further
/// than the last.
const LENGTHS: [usize; 5] = [2, 4, 8, 16, 32];

/// The same for the share of the likeliest continuation.
const SHARES: [f32; 2] = [0.5, 0.9];

/// Classes of trust: one for each length and each share.
pub const CLASSES: usize = (LENGTHS.len() + 1) * (SHARES.len() + 1);

/// How many runs are looked at: the longest, and of those that are as long the nearest.
const RUNS: usize = 16;

/// What one more byte of a run weighs, as a power of e. Like the borders above it was chosen on
/// validation projects, where a weight by distance changed nothing.
const PER_BYTE: f32 = 1.0;

/// Longer than any token but a few.
const TOKEN_BYTES: usize = 32;

/// Between texts that do not belong together; in no UTF-8.
const BORDER: u8 = 0xff;

/// The most that a copy is trusted: the model always has a word.
const MOST_TRUST: f32 = 0.99;

/// How a model copies, from its file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Copying {
    /// λ of each class.
    trust: Vec<f32>,
    holes: Holes,
}

/// The control tokens round a hole, and the one that ends what fills it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holes {
    prefix: u32,
    suffix: u32,
    middle: u32,
    end: u32,
}

impl Copying {
    /// `None` for a file that says nothing of copying.
    pub(super) fn read<R: Read + Seek>(
        gguf: &Gguf<R>,
        tokenizer: &Tokenizer,
    ) -> Result<Option<Self>, EngineError> {
        let key = "hearth.copy.trust";
        let Some(trust) = gguf.ints(key) else { return Ok(None) };
        if trust.len() != CLASSES || trust.iter().any(|percent| !(0..=100).contains(percent)) {
            return Err(EngineError::Damaged(format!("{key} is not {CLASSES} percentages")));
        }
        let holes = Holes::read(gguf, tokenizer)
            .ok_or_else(|| EngineError::Missing("tokenizer.ggml.fim_pre_token_id".to_owned()))?;
        let trust = trust.iter().map(|percent| (*percent as f32 / 100.0).min(MOST_TRUST)).collect();
        Ok(Some(Self { trust, holes }))
    }
}

impl Holes {
    /// By llama.cpp's keys for them; `None` for a model that was not trained to fill holes.
    pub fn read<R: Read + Seek>(gguf: &Gguf<R>, tokenizer: &Tokenizer) -> Option<Self> {
        let id = |name: &str| {
            let id = gguf.count(&format!("tokenizer.ggml.fim_{name}_token_id"))?;
            u32::try_from(id).ok().filter(|id| (*id as usize) < tokenizer.n_vocab())
        };
        let end = *tokenizer.ends().first()?;
        Some(Self { prefix: id("pre")?, suffix: id("suf")?, middle: id("mid")?, end })
    }
}

/// A prompt as something to copy from, and what was written since.
#[derive(Debug)]
pub struct Sources<'a> {
    tokenizer: &'a Tokenizer,
    end: u32,
    /// What the prompt shows beside the prefix, the prefix, what is begun and what was written.
    text: Vec<u8>,
}

/// What copying says of the next token.
#[derive(Debug, Clone, PartialEq)]
pub struct Copied {
    /// Which entry of the table of trust holds.
    pub class: usize,
    /// Tokens and their probabilities, which are 1 together; the likeliest first.
    pub odds: Vec<(u32, f32)>,
}

impl<'a> Sources<'a> {
    /// `None` for a prompt that has no hole.
    pub fn of(prompt: &[u32], holes: Holes, tokenizer: &'a Tokenizer) -> Option<Self> {
        let at = |token: u32| prompt.iter().rposition(|other| *other == token);
        let (prefix, suffix, middle) = (at(holes.prefix)?, at(holes.suffix)?, at(holes.middle)?);
        let bytes = |tokens: &[u32], into: &mut Vec<u8>| {
            for token in tokens {
                if tokenizer.is_control(*token) {
                    into.push(BORDER);
                }
                into.extend_from_slice(tokenizer.bytes(*token));
            }
        };
        let mut text = Vec::new();
        // The begun line stands behind the middle token, and the prefix ends where it starts.
        for tokens in [
            &prompt[..prefix],
            prompt.get(suffix..middle)?,
            prompt.get(prefix..suffix)?,
            &prompt[middle + 1..],
        ] {
            bytes(tokens, &mut text);
        }
        Some(Self { tokenizer, end: holes.end, text })
    }

    /// More was written.
    pub fn push(&mut self, token: u32) {
        self.text.extend_from_slice(self.tokenizer.bytes(token));
    }

    /// What followed the runs that end like the text does now; `None` where there are none.
    pub fn next(&self) -> Result<Option<Copied>, EngineError> {
        let mut runs = self.runs();
        // The longest first, then the nearest.
        runs.sort_unstable_by_key(|run| (usize::MAX - run.length, usize::MAX - run.end));
        runs.truncate(RUNS);
        let Some(longest) = runs.first().map(|run| run.length) else { return Ok(None) };
        let mut known: Vec<(&[u8], u32)> = Vec::with_capacity(RUNS);
        let mut odds: Vec<(u32, f32)> = Vec::with_capacity(RUNS);
        for run in runs {
            let rest = self.rest(run.end);
            let token = match known.iter().find(|(other, _)| *other == rest) {
                Some((_, token)) => *token,
                None => self.first_token(rest)?,
            };
            known.push((rest, token));
            let weight = (PER_BYTE * (run.length as f32 - longest as f32)).exp();
            match odds.iter_mut().find(|(other, _)| *other == token) {
                Some((_, sum)) => *sum += weight,
                None => odds.push((token, weight)),
            }
        }
        let total: f32 = odds.iter().map(|(_, weight)| weight).sum();
        for (_, weight) in &mut odds {
            *weight /= total;
        }
        odds.sort_by(|a, b| b.1.total_cmp(&a.1));
        let likeliest = odds.first().map_or(0.0, |(_, share)| *share);
        let length = LENGTHS.iter().filter(|border| longest >= **border).count();
        let share = SHARES.iter().filter(|border| likeliest >= **border).count();
        Ok(Some(Copied { class: length * (SHARES.len() + 1) + share, odds }))
    }

    /// Every earlier place at which the text ends as it does now, in a byte at least.
    fn runs(&self) -> Vec<Run> {
        let Some((last, before)) = self.text.split_last() else { return Vec::new() };
        if *last == BORDER {
            return Vec::new();
        }
        let most = LENGTHS[LENGTHS.len() - 1];
        memchr::memrchr_iter(*last, before)
            .map(|at| {
                let ends = before[..at].iter().rev().zip(before.iter().rev());
                let alike = ends.take(most - 1).take_while(|(a, b)| a == b && **a != BORDER);
                Run { end: at + 1, length: 1 + alike.count() }
            })
            .collect()
    }

    /// What stands from here to the end of the line, without space at its end.
    fn rest(&self, from: usize) -> &[u8] {
        let rest = &self.text[from..];
        let end = rest.iter().position(|byte| matches!(*byte, b'\n' | BORDER));
        rest[..end.unwrap_or(rest.len())].trim_ascii_end()
    }

    /// The token that the model would be taught to write for this rest of a line.
    fn first_token(&self, rest: &[u8]) -> Result<u32, EngineError> {
        // A token ends before the end of a word, and a word is rarely longer.
        let near = &rest[..rest.len().min(TOKEN_BYTES)];
        let text = near.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        Ok(self.tokenizer.encode(text)?.first().copied().unwrap_or(self.end))
    }
}

/// An earlier place that ends like the text does now.
#[derive(Debug)]
struct Run {
    /// Where it ends, in bytes of the text.
    end: usize,
    /// How many bytes are the same.
    length: usize,
}

/// Copying in the course of one generation.
#[derive(Debug)]
pub(super) struct Copier<'a> {
    copying: &'a Copying,
    sources: Sources<'a>,
}

impl<'a> Copier<'a> {
    /// `None` for a prompt that has no hole.
    pub(super) fn new(
        copying: &'a Copying,
        prompt: &[u32],
        tokenizer: &'a Tokenizer,
    ) -> Option<Self> {
        Some(Self { copying, sources: Sources::of(prompt, copying.holes, tokenizer)? })
    }

    pub(super) fn push(&mut self, token: u32) {
        self.sources.push(token);
    }

    /// Makes the model's logits those of the mixture.
    pub(super) fn mix(&self, logits: &mut [f32]) -> Result<(), EngineError> {
        if let Some(copied) = self.sources.next()?
            && let Some(trust) = self.copying.trust.get(copied.class)
        {
            mix(logits, *trust, &copied.odds);
        }
        Ok(())
    }
}

/// Logits whose probabilities are `1 - trust` parts of these and `trust` parts of `odds`.
fn mix(logits: &mut [f32], trust: f32, odds: &[(u32, f32)]) {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total: f32 = logits.iter().map(|logit| (logit - max).exp()).sum();
    let log_total = max + total.ln();
    if !log_total.is_finite() {
        return;
    }
    for (token, copied) in odds {
        if let Some(logit) = logits.get_mut(*token as usize) {
            // Each of the others keeps its logit: relative to them, this one has gained.
            let said = (*logit - log_total).exp();
            *logit = log_total + (said + trust / (1.0 - trust) * copied).ln();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn probabilities(logits: &[f32]) -> Vec<f32> {
        let total: f32 = logits.iter().map(|logit| logit.exp()).sum();
        logits.iter().map(|logit| logit.exp() / total).collect()
    }

    proptest! {
        #[test]
        fn the_mixture_is_the_formula(
            logits in proptest::collection::vec(-8.0..8.0_f32, 6),
            trust in 0.0..=MOST_TRUST,
            share in 0.0..=1.0_f32,
        ) {
            let odds = [(1, share), (4, 1.0 - share)];
            let mut mixed = logits.clone();
            mix(&mut mixed, trust, &odds);
            for (token, (after, before)) in
                (0..).zip(probabilities(&mixed).iter().zip(probabilities(&logits)))
            {
                let copied: f32 =
                    odds.iter().filter(|(t, _)| *t == token).map(|(_, share)| share).sum();
                let wanted = (1.0 - trust) * before + trust * copied;
                prop_assert!((after - wanted).abs() < 1e-4, "{} {}", after, wanted);
            }
        }
    }
}
