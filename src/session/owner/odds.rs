//! How likely a model found what it said, piece by piece.

use std::ops::Range;

/// Where each piece ends, in bytes, and the natural logarithm of its probability, where it is known.
#[derive(Debug, Clone, Default)]
pub(super) struct Odds(Vec<(usize, Option<f32>)>);

impl Odds {
    /// Takes the next piece, which ends at byte `end`.
    pub(super) fn push(&mut self, end: usize, logprob: Option<f32>) {
        self.0.push((end, logprob));
    }

    /// Forgets what is said behind byte `end`.
    pub(super) fn truncate(&mut self, end: usize) {
        let whole = self.0.partition_point(|(piece_end, _)| *piece_end < end);
        self.0.truncate(whole + 1);
        if let Some((last, _)) = self.0.last_mut() {
            *last = end.min(*last);
        }
    }

    /// The probability of the bytes in `range` given all before them: of each token that has a part in
    /// them. What is typed along only makes the rest likelier. `None` where it is not known.
    pub(super) fn of(&self, range: Range<usize>) -> Option<f32> {
        let first = self.0.partition_point(|(end, _)| *end <= range.start);
        let mut sum = 0.0;
        for (end, logprob) in self.0.iter().skip(first) {
            sum += (*logprob)?;
            if *end >= range.end {
                return Some(f32::exp(sum));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn odds() -> Odds {
        let mut odds = Odds::default();
        for (end, probability) in [(3, 0.5), (4, 0.8), (9, 0.1)] {
            odds.push(end, Some(f32::ln(probability)));
        }
        odds
    }

    #[track_caller]
    fn check(range: Range<usize>, hundredths: Option<f32>) {
        let found = odds().of(range.clone()).map(|probability| (probability * 100.0).round());
        assert_eq!(found, hundredths, "{range:?}");
    }

    #[test]
    fn every_token_with_a_part_in_it_counts() {
        check(0..3, Some(50.0));
        check(0..4, Some(40.0));
        check(1..5, Some(4.0));
        check(3..4, Some(80.0));
        check(4..9, Some(10.0));
        check(0..10, None);
        check(9..10, None);
    }

    #[test]
    fn what_is_taken_back_does_not_count() {
        let mut odds = odds();
        odds.truncate(4);
        odds.push(5, Some(0.0));
        odds.push(6, None);
        assert_eq!(odds.of(3..5).map(|probability| (probability * 10.0).round()), Some(8.0));
        assert_eq!(odds.of(3..6), None, "not all of it is known");
    }
}
