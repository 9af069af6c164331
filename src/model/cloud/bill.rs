//! What answers cost.

use std::{fmt, ops::AddAssign};

use serde::Serialize;

use crate::egress::Price;

/// Tokens and money of one answer, or of several together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bill {
    /// Answers that were paid for.
    pub answers: usize,
    /// Tokens that were sent, but for those that came from or went into the service's cache.
    pub input: usize,
    /// Tokens that the service had in its cache.
    pub cached: usize,
    /// Tokens that it put there, where it charges for that.
    pub written: usize,
    pub output: usize,
    /// US dollars of the answers whose price is known.
    pub dollars: f64,
    /// Answers whose price is not.
    pub unpriced: usize,
}

/// What a cached token costs, in parts of one that is not.
#[derive(Debug, Clone, Copy)]
pub(super) struct CacheRates {
    pub(super) read: f64,
    pub(super) write: f64,
}

impl Bill {
    /// Tokens of the prompt, cached or not.
    pub fn prompt(&self) -> usize {
        self.input + self.cached + self.written
    }

    /// The price of one answer: as the service `said`, or by the price list.
    pub(super) fn priced(
        mut self,
        said: Option<f64>,
        price: Option<Price>,
        rates: CacheRates,
    ) -> Self {
        self.answers = 1;
        let listed = price.map(|price| {
            let cache = self.cached as f64 * rates.read + self.written as f64 * rates.write;
            ((self.input as f64 + cache) * price.input + self.output as f64 * price.output) / 1e6
        });
        match said.or(listed) {
            Some(dollars) => self.dollars = dollars,
            None => self.unpriced = 1,
        }
        self
    }
}

impl fmt::Display for Bill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cached, output, dollars, unpriced, .. } = self;
        write!(f, "{} tokens in, {cached} of them cached, {output} out", self.prompt())?;
        match unpriced {
            0 => write!(f, ", ${dollars:.4}"),
            _ => f.write_str("; the price is not known"),
        }
    }
}

impl AddAssign for Bill {
    fn add_assign(&mut self, other: Self) {
        self.answers += other.answers;
        self.input += other.input;
        self.cached += other.cached;
        self.written += other.written;
        self.output += other.output;
        self.dollars += other.dollars;
        self.unpriced += other.unpriced;
    }
}
