//! Chooses the next token from logits.
//!
//! The same seed and the same logits give the same token on every machine. Log-probabilities are
//! those of the model itself, before temperature and filters: they say how sure it is.

/// How tokens are chosen. The default is greedy.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// 0 is greedy: always the likeliest token.
    pub temperature: f32,
    /// Keep this many of the likeliest tokens; 0 keeps all.
    pub top_k: usize,
    /// Keep the likeliest tokens that have this much probability together; 1 keeps all.
    pub top_p: f32,
    /// Keep tokens that have at least this share of the likeliest one's probability; 0 keeps all.
    pub min_p: f32,
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 0.0, top_k: 0, top_p: 1.0, min_p: 0.0, seed: 0 }
    }
}

/// A chosen token and the model's own natural logarithm of its probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    pub token: u32,
    pub logprob: f32,
}

impl Choice {
    /// A token that was chosen otherwise; `None` as for [`Sampler::choose`].
    pub fn of(token: u32, logits: &[f32]) -> Option<Self> {
        let (_, log_total) = likeliest(logits)?;
        Some(Self { token, logprob: logits.get(token as usize)? - log_total })
    }
}

/// A sampler in the course of one generation.
#[derive(Debug, Clone)]
pub struct Sampler {
    sampling: Sampling,
    state: u64,
}

impl Sampler {
    pub fn new(sampling: Sampling) -> Self {
        Self { state: sampling.seed, sampling }
    }

    /// The next token; `None` if there are no logits or none of them is a number.
    pub fn choose(&mut self, logits: &[f32]) -> Option<Choice> {
        let ((best, max), log_total) = likeliest(logits)?;
        let token = if self.sampling.temperature > 0.0 { self.sample(logits, max)? } else { best };
        let logit = *logits.get(token as usize)?;
        Some(Choice { token, logprob: logit - log_total })
    }

    fn sample(&mut self, logits: &[f32], max: f32) -> Option<u32> {
        let Sampling { temperature, top_k, top_p, min_p, .. } = self.sampling;
        let mut kept: Vec<(u32, f64)> = (0..)
            .zip(logits)
            .map(|(i, x)| (i, finite_exp((x - max) / temperature)))
            // The likeliest token has 1 here, so that min-p is a plain comparison.
            .filter(|(_, p)| *p > 0.0 && *p >= f64::from(min_p))
            .collect();
        // Equals keep their order by token, which makes the choice the same everywhere.
        kept.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        if top_k > 0 {
            kept.truncate(top_k);
        }
        let total: f64 = kept.iter().map(|(_, p)| p).sum();
        let mut mass = 0.0;
        let enough = kept.iter().position(|(_, p)| {
            mass += p;
            mass >= f64::from(top_p) * total
        });
        kept.truncate(enough.map_or(kept.len(), |at| at + 1).max(1));
        let total: f64 = kept.iter().map(|(_, p)| p).sum();
        let mut left = self.uniform() * total;
        let found = kept.iter().find(|(_, p)| {
            left -= p;
            left < 0.0
        });
        found.or(kept.last()).map(|(token, _)| *token)
    }

    /// A number in `0..1` (SplitMix64, Steele, Lea and Flood 2014).
    fn uniform(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The likeliest token with its logit, and the logarithm of what all the logits stand for together.
fn likeliest(logits: &[f32]) -> Option<((u32, f32), f32)> {
    let (best, max) =
        (0_u32..).zip(logits).fold(None, |best: Option<(u32, f32)>, (i, x)| match best {
            Some((_, max)) if *x <= max => best,
            _ if x.is_nan() => best,
            _ => Some((i, *x)),
        })?;
    if !max.is_finite() {
        return None;
    }
    let total: f64 = logits.iter().map(|x| finite_exp(*x - max)).sum();
    #[allow(clippy::cast_possible_truncation, reason = "logits have no more precision")]
    let log_total = total.ln() as f32 + max;
    Some(((best, max), log_total))
}

/// e to the power of `x`, 0 for what is not a number.
fn finite_exp(x: f32) -> f64 {
    if x.is_nan() { 0.0 } else { f64::from(x).exp() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(sampling: &Sampling, logits: &[f32]) -> Vec<u32> {
        let mut sampler = Sampler::new(sampling.clone());
        (0..400).filter_map(|_| sampler.choose(logits)).map(|c| c.token).collect()
    }

    #[test]
    fn greedy_takes_the_first_of_the_best_and_knows_its_probability() {
        let choice = Sampler::new(Sampling::default()).choose(&[0.0, 2.0, f32::NAN, 2.0]).unwrap();
        assert_eq!(choice.token, 1);
        let exact = (1.0 / (2.0 + (-2.0_f32).exp())).ln();
        assert!((choice.logprob - exact).abs() < 1e-6);
        assert_eq!(Sampler::new(Sampling::default()).choose(&[f32::NAN]), None);
        assert_eq!(Sampler::new(Sampling::default()).choose(&[]), None);
    }

    #[test]
    fn filters_keep_only_the_likely() {
        let logits = [3.0, 2.0, 1.0, -4.0];
        let warm = Sampling { temperature: 1.0, seed: 3, ..Sampling::default() };
        let all = draw(&warm, &logits);
        assert!(all.contains(&0) && all.contains(&1) && all.contains(&2));
        let two = draw(&Sampling { top_k: 2, ..warm.clone() }, &logits);
        assert!(two.contains(&1) && !two.contains(&2));
        let likely = draw(&Sampling { min_p: 0.3, ..warm.clone() }, &logits);
        assert!(likely.contains(&1) && !likely.contains(&2));
        let nucleus = draw(&Sampling { top_p: 0.5, ..warm.clone() }, &logits);
        assert!(nucleus.iter().all(|t| *t == 0));
        assert_eq!(all, draw(&warm, &logits), "the same seed draws the same");
        let other = draw(&Sampling { seed: 4, ..warm }, &logits);
        assert_ne!(all, other);
    }
}
