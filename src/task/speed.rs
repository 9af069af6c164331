//! How fast a model is on this machine, measured as it works, and what follows from that: how much it
//! may be shown and asked for, and how long to wait for the next key before it is asked at all.

use std::time::Duration;

/// No prompt is made smaller than this for speed's sake, in tokens: the lines around the cursor.
const LEAST_PROMPT: usize = 512;

/// Nor an answer than this: most lines.
const LEAST_OUTPUT: usize = 24;

/// What is generated for one request takes no longer than this.
const OUTPUT_TIME: Duration = Duration::from_secs(2);

/// An evaluation of fewer tokens says more of the way to the server than of its speed.
const TELLING: usize = 64;

/// The longest wait for another key.
const LONGEST_WAIT: Duration = Duration::from_millis(300);

/// Before anything was measured.
const USUAL_WAIT: Duration = Duration::from_millis(30);

/// However much of a prompt is cached, it is made no larger than if this share of it were not: now and
/// then all of it is new.
const LEAST_EVALUATED: f64 = 0.05;

/// Of so many prompts the usual one tells which share has to be evaluated; nothing does before there are
/// more of them than of the first one, which is never cached.
const PROMPTS: usize = 5;
const FIRST_PROMPTS: usize = 3;

/// A target that is missed by this factor is missed clearly.
const TOO_SLOW: f64 = 1.5;

/// Prompts may be larger where they could be so by this factor, this many runs long.
const FASTER: f64 = 2.0;
const FASTER_RUNS: usize = 8;

/// What a model did, on average over the last runs.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Speed {
    /// From the request to the first text, in seconds.
    first_text: Option<f64>,
    /// Tokens of prompt evaluated in a second.
    prefill: Option<f64>,
    evaluated: Evaluated,
    pace: Pace,
    /// Tokens generated in a second.
    decode: Option<f64>,
    /// Of all prompts together, as far as the server said: tokens, and those of them in its cache.
    prompts: (usize, usize),
}

/// One generation, as far as it is known.
#[derive(Debug, Clone, Copy, Default)]
pub struct Run {
    pub first_text: Duration,
    /// From the first text to the last.
    pub decoding: Duration,
    pub prompt_tokens: Option<usize>,
    pub cached_tokens: Option<usize>,
    pub output_tokens: Option<usize>,
}

impl Speed {
    /// Learns from a generation.
    pub fn learn(&mut self, run: &Run) {
        let first_text = run.first_text.as_secs_f64();
        average(&mut self.first_text, first_text);
        if let (Some(prompt), Some(cached)) = (run.prompt_tokens, run.cached_tokens) {
            let evaluated = prompt.saturating_sub(cached);
            self.prompts.0 += prompt;
            self.prompts.1 += cached.min(prompt);
            self.evaluated.push(evaluated as f64 / prompt.max(1) as f64);
            if evaluated >= TELLING {
                average(&mut self.prefill, evaluated as f64 / first_text.max(1e-4));
            }
            if let (Some(prefill), Some(usual)) = (self.prefill, self.evaluated.usual()) {
                self.pace.follow(prefill / usual.clamp(LEAST_EVALUATED, 1.0));
            }
        }
        if let Some(output) = run.output_tokens.filter(|output| *output > 8) {
            average(&mut self.decode, (output - 1) as f64 / run.decoding.as_secs_f64().max(1e-4));
        }
    }

    /// Tokens that a prompt may have for its first text to come within `target`; `None` while nothing
    /// is known. The same from run to run unless the model has become clearly slower or faster: a
    /// prompt of another size is another prompt, and all of it is evaluated anew.
    pub fn prompt_tokens(&self, target: Duration) -> Option<usize> {
        Some(whole(self.pace.held? * target.as_secs_f64()).max(LEAST_PROMPT))
    }

    /// Tokens to ask for where `wanted` would be right on a fast machine.
    pub fn output_tokens(&self, wanted: usize) -> usize {
        let most = self.decode.map_or(wanted, |rate| whole(rate * OUTPUT_TIME.as_secs_f64()));
        wanted.min(most.max(LEAST_OUTPUT))
    }

    /// How long to wait for another key before the model is asked: as long as its answer would take,
    /// for an answer that takes longer than the next key comes to nothing, but no longer than it takes
    /// to see that no key follows. `rhythm` is the time between two keys; the editor has waited for
    /// `waited` before it asked.
    pub fn debounce(&self, rhythm: Option<Duration>, waited: Duration) -> Duration {
        let wait = match (self.first_text, rhythm) {
            (None, _) => USUAL_WAIT,
            (Some(first_text), rhythm) => {
                let paused = rhythm.map_or(LONGEST_WAIT, |rhythm| rhythm.mul_f64(1.2));
                Duration::from_secs_f64(first_text).min(paused)
            }
        };
        wait.min(LONGEST_WAIT).saturating_sub(waited)
    }

    /// For the status: tokens of all prompts so far, and those of them that were in the server's cache;
    /// `None` from a server that does not say.
    pub fn prompts(&self) -> Option<(usize, usize)> {
        (self.prompts.0 > 0).then_some(self.prompts)
    }

    /// For the status: tokens a second, evaluated and generated.
    pub fn rates(&self) -> (Option<usize>, Option<usize>) {
        (self.prefill.map(whole), self.decode.map(whole))
    }
}

/// Which shares of the last prompts had to be evaluated, the rest being in the server's cache.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Evaluated {
    shares: [f64; PROMPTS],
    count: usize,
}

impl Evaluated {
    fn push(&mut self, share: f64) {
        self.shares[self.count % PROMPTS] = share;
        self.count += 1;
    }

    /// The median: where a window moves, everything is evaluated once, which says nothing of the keys
    /// behind it. `None` while too few are known.
    fn usual(&self) -> Option<f64> {
        let mut shares = self.shares;
        let known = &mut shares[..self.count.min(PROMPTS)];
        known.sort_by(f64::total_cmp);
        known.get(known.len() / 2).copied().filter(|_| known.len() >= FIRST_PROMPTS)
    }
}

/// How many tokens of prompt the model takes in a second, those from its cache included; held until it
/// is clearly wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Pace {
    held: Option<f64>,
    /// The slowest of the last runs that were all clearly faster, and how many they are.
    faster: Option<(f64, usize)>,
}

impl Pace {
    fn follow(&mut self, measured: f64) {
        let held = *self.held.get_or_insert(measured);
        if measured * TOO_SLOW < held {
            *self = Self { held: Some(measured), faster: None };
        } else if measured < held * FASTER {
            self.faster = None;
        } else {
            let (least, runs) = self.faster.unwrap_or((measured, 0));
            let (least, runs) = (least.min(measured), runs + 1);
            *self = if runs < FASTER_RUNS {
                Self { held: Some(held), faster: Some((least, runs)) }
            } else {
                Self { held: Some(least), faster: None }
            };
        }
    }
}

/// A third of the news: a few runs show a change, one slip does not.
fn average(mean: &mut Option<f64>, news: f64) {
    *mean = Some(mean.map_or(news, |mean| (mean * 2.0 + news) / 3.0));
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "tokens: neither negative nor too many"
)]
fn whole(tokens: f64) -> usize {
    tokens as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn after(run: Run) -> Speed {
        let mut speed = Speed::default();
        speed.learn(&run);
        speed
    }

    fn prompt(tokens: usize, cached: usize, first_text: Duration) -> Option<usize> {
        let (prompt_tokens, cached_tokens) = (Some(tokens), Some(cached));
        let run = Run { first_text, prompt_tokens, cached_tokens, ..Run::default() };
        let mut speed = Speed::default();
        for _ in 0..FIRST_PROMPTS {
            assert_eq!(speed.prompt_tokens(300 * MS), None);
            speed.learn(&run);
        }
        speed.prompt_tokens(300 * MS)
    }

    #[test]
    fn a_prompt_is_as_large_as_the_target_allows() {
        assert_eq!(prompt(4_000, 0, 1_000 * MS), Some(1_200), "4,000 tokens a second");
        assert_eq!(prompt(4_000, 3_000, 1_000 * MS), Some(1_200), "a quarter of them each time");
        assert_eq!(
            prompt(4_000, 0, 10_000 * MS),
            Some(512),
            "the lines around the cursor at least"
        );
        assert_eq!(prompt(4_000, 3_990, 10 * MS), None, "a cached prompt tells nothing");
        assert_eq!(prompt(4_000, 0, 10 * MS), Some(120_000), "400,000 a second");
    }

    /// Runs of a prompt of 4,000 tokens: how many, those evaluated, and the milliseconds that took. The
    /// ceiling behind each run that changed it.
    fn check(runs: &[(usize, usize, u32)], expected: &[usize]) {
        let mut speed = Speed::default();
        let mut ceilings = Vec::new();
        for (count, evaluated, took) in runs {
            for _ in 0..*count {
                speed.learn(&Run {
                    first_text: *took * MS,
                    prompt_tokens: Some(4_000),
                    cached_tokens: Some(4_000 - evaluated),
                    ..Run::default()
                });
                ceilings.extend(speed.prompt_tokens(300 * MS));
            }
        }
        ceilings.dedup();
        assert_eq!(ceilings, expected);
    }

    #[test]
    fn a_prompt_keeps_its_size() {
        check(&[(3, 4_000, 1_000), (3, 4_000, 700), (4, 4_000, 1_300), (9, 4_000, 900)], &[1_200]);
        // The first prompt is never cached.
        check(&[(1, 4_000, 1_000), (20, 400, 100)], &[12_000]);
        // Slips, of the machine and of the cache.
        check(&[(9, 400, 100), (1, 400, 300), (9, 400, 100)], &[12_000]);
        check(&[(9, 400, 100), (2, 4_000, 1_000), (9, 400, 100)], &[12_000]);
    }

    #[test]
    fn a_slower_model_is_shown_less_at_once_and_a_faster_one_more_once_it_stays_so() {
        // 4,000 tokens a second, then on average 3,111 and 2,518.
        check(&[(9, 4_000, 1_000), (2, 4_000, 3_000)], &[1_200, 755]);
        // 16,000 and more.
        check(&[(3, 4_000, 1_000), (7, 4_000, 100)], &[1_200]);
        check(&[(3, 4_000, 1_000), (8, 4_000, 100)], &[1_200, 4_800]);
        // A cache that begins to work, and one that ends to: the third of five prompts tells.
        check(&[(3, 4_000, 1_000), (9, 400, 100)], &[1_200]);
        check(&[(3, 4_000, 1_000), (10, 400, 100), (2, 4_000, 1_000)], &[1_200, 12_000]);
        check(&[(3, 400, 100), (3, 4_000, 1_000)], &[12_000, 1_200]);
    }

    #[test]
    fn an_answer_is_as_long_as_there_is_time() {
        let at = |tokens: usize, decoding: Duration| {
            let run = Run { decoding, output_tokens: Some(tokens), ..Run::default() };
            after(run).output_tokens(240)
        };
        assert_eq!(Speed::default().output_tokens(240), 240);
        assert_eq!(at(41, 1_000 * MS), 80);
        assert_eq!(at(41, 20_000 * MS), LEAST_OUTPUT);
        assert_eq!(at(41, 100 * MS), 240);
    }

    #[test]
    fn a_wait_is_no_longer_than_an_answer_and_no_longer_than_a_key() {
        let wait = |first_text: u32, rhythm: Option<u32>, waited: u32| {
            let run = Run { first_text: first_text * MS, ..Run::default() };
            after(run).debounce(rhythm.map(|rhythm| rhythm * MS), waited * MS).as_millis()
        };
        assert_eq!(Speed::default().debounce(None, Duration::ZERO), USUAL_WAIT);
        assert_eq!(wait(10, Some(120), 0), 10, "a fast model");
        assert_eq!(wait(400, Some(100), 0), 120, "a slow one");
        assert_eq!(wait(900, Some(800), 0), 300, "a slow one and a slow typist");
        assert_eq!(wait(900, None, 0), 300);
        assert_eq!(wait(400, Some(100), 40), 80, "VS Code has waited");
        assert_eq!(wait(400, Some(100), 200), 0, "Neovim too");
    }
}
