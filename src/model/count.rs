//! How many tokens a text is.
//!
//! Exact where the serving model's tokenizer has counted a piece, else estimated by what byte-pair
//! tokenizers do with kinds of characters. The estimate starts high and comes down by what servers
//! report of whole prompts; it must practically never be low, as a prompt is sent on its word.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Exact counts that are kept, twice over: the pieces of some hundred files.
const MAX_EXACT: usize = 4096;

/// Reports that the calibration remembers. It believes the highest of them.
const REPORTS: usize = 8;

/// What the calibrated estimate stands above the highest report: between prose and code in one
/// language, the share of tokens to estimate differed by up to a fifth with `cl100k_base`.
const MARGIN: f64 = 1.25;

/// Bounds of the calibrated factor, whatever a server reports.
const FACTOR: std::ops::RangeInclusive<f64> = 0.5..=2.0;

/// A prompt whose estimate holds fewer plain tokens says too little.
const MIN_PLAIN: usize = 200;

/// A run of letters and digits of this length may be noise: hex, base64, a hash.
const NOISE: usize = 12;

/// Words are not longer than this.
const LONGEST_WORD: usize = 20;

/// Counts tokens of text for one model. Cheap to clone; clones share what they learnt.
#[derive(Debug, Clone, Default)]
pub struct TokenCounter {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    hasher: RandomState,
    learnt: Mutex<Learnt>,
}

#[derive(Debug, Default)]
struct Learnt {
    /// Exact counts by the hash of a piece's text. When the young ones are many, they become the
    /// old ones and the old ones go.
    young: HashMap<u64, usize>,
    old: HashMap<u64, usize>,
    /// Reported tokens to plain ones, the latest last.
    ratios: VecDeque<f64>,
}

/// What is known of a text's count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    Exact(usize),
    Estimated(Estimate),
}

/// An estimate before calibration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Estimate {
    /// Words, marks and spaces, which tokenizers join the better the more they saw of them.
    pub(super) plain: usize,
    /// Digits, noise and what is not ASCII, which they join little: never scaled down.
    pub(super) dense: usize,
}

impl TokenCounter {
    /// Tokens of `text`: exact if it was counted before, else an estimate from above.
    pub fn count(&self, text: &str) -> usize {
        match self.known(text) {
            Count::Exact(tokens) => tokens,
            Count::Estimated(estimate) => self.scaled(estimate).min(text.len()),
        }
    }

    /// Whether [`count`](Self::count) answers exactly.
    pub fn is_exact(&self, text: &str) -> bool {
        matches!(self.known(text), Count::Exact(_))
    }

    /// Remembers an exact count.
    pub fn learn(&self, text: &str, tokens: usize) {
        let key = self.inner.hasher.hash_one(text);
        let mut learnt = self.learnt();
        if learnt.young.len() >= MAX_EXACT {
            learnt.old = std::mem::take(&mut learnt.young);
        }
        learnt.young.insert(key, tokens);
    }

    /// Learns from what a server counted of a whole prompt. Prompts that say little are passed over.
    pub fn calibrate(&self, prompt: &super::Prompt, reported: usize) {
        let Basis { exact, estimate: Estimate { plain, dense } } = prompt.basis();
        if plain < MIN_PLAIN || dense > plain / 4 {
            return;
        }
        // Of the dense estimate at least a third is true; the rest counts for the plain part.
        let rest = reported.saturating_sub(exact + dense / 3);
        let mut learnt = self.learnt();
        if learnt.ratios.len() == REPORTS {
            learnt.ratios.pop_front();
        }
        learnt.ratios.push_back(rest as f64 / plain as f64);
    }

    pub(super) fn known(&self, text: &str) -> Count {
        {
            let mut learnt = self.learnt();
            if !(learnt.young.is_empty() && learnt.old.is_empty()) {
                drop(learnt);
                let key = self.inner.hasher.hash_one(text);
                learnt = self.learnt();
                if let Some(tokens) = learnt.young.get(&key).or_else(|| learnt.old.get(&key)) {
                    return Count::Exact(*tokens);
                }
            }
        }
        Count::Estimated(estimate(text))
    }

    pub(super) fn scaled(&self, Estimate { plain, dense }: Estimate) -> usize {
        let highest = self.learnt().ratios.iter().copied().reduce(f64::max);
        let factor =
            highest.map_or(1.0, |ratio| (ratio * MARGIN).clamp(*FACTOR.start(), *FACTOR.end()));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a count is neither negative nor too large"
        )]
        let plain = (plain as f64 * factor).ceil() as usize;
        plain + dense
    }

    fn learnt(&self) -> MutexGuard<'_, Learnt> {
        self.inner.learnt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a prompt's count rests on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Basis {
    pub(super) exact: usize,
    pub(super) estimate: Estimate,
}

impl Basis {
    pub(super) fn add(&mut self, count: Count) {
        match count {
            Count::Exact(tokens) => self.exact += tokens,
            Count::Estimated(Estimate { plain, dense }) => {
                self.estimate.plain += plain;
                self.estimate.dense += dense;
            }
        }
    }

    /// Tokens that the prompt has at the very least: of real source text the plain estimate was at
    /// most 1.7 times the count, of text in other scripts the dense one at most 5.4 times, over
    /// four vocabularies of 50,000 to 200,000 tokens.
    pub(super) fn at_least(self) -> usize {
        self.exact + self.estimate.plain / 2 + self.estimate.dense / 6
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Lower,
    Upper,
    Digit,
    Space,
    Mark,
    Other,
}

/// The class of each byte, as a table: a prompt is estimated on each keystroke.
const CLASSES: [Class; 256] = {
    let mut classes = [Class::Other; 256];
    let mut byte = 0;
    while byte < 128 {
        classes[byte as usize] = match byte {
            b'a'..=b'z' => Class::Lower,
            b'A'..=b'Z' => Class::Upper,
            b'0'..=b'9' => Class::Digit,
            b' ' | b'\t' | b'\n' | b'\r' => Class::Space,
            b'!'..=b'~' => Class::Mark,
            _ => Class::Other,
        };
        byte += 1;
    }
    classes
};

/// How many bytes at the start of `text` are of `class`.
fn run(text: &[u8], class: Class) -> usize {
    let end = text.iter().position(|byte| CLASSES[usize::from(*byte)] != class);
    end.unwrap_or(text.len())
}

/// Estimates tokens by runs of like characters, as pre-tokenizers cut them.
fn estimate(text: &str) -> Estimate {
    let mut rest = text.as_bytes();
    let mut sum = Estimate::default();
    while let Some(byte) = rest.first() {
        let class = CLASSES[usize::from(*byte)];
        let len = match class {
            Class::Lower | Class::Upper | Class::Digit => word(rest, &mut sum),
            Class::Space => space(rest, &mut sum),
            Class::Mark => {
                // Operators of several characters are mostly one token, which calibration finds.
                let len = run(rest, class);
                sum.plain += len;
                len
            }
            Class::Other => {
                // Every byte can become a token; none becomes more.
                let len = run(rest, class);
                sum.dense += len;
                len
            }
        };
        rest = &rest[len..];
    }
    sum
}

/// Adds the space that `text` starts with, and says how long it is. A space joins the word behind
/// it, which a digit is not. Line ends and tabs may stand alone; runs of spaces are one token up to
/// a length.
fn space(text: &[u8], sum: &mut Estimate) -> usize {
    let len = run(text, Class::Space);
    if text[..len] == *b" " {
        sum.dense += usize::from(text.get(1).is_some_and(u8::is_ascii_digit));
        return len;
    }
    let spaces = memchr::memchr_iter(b' ', &text[..len]).count();
    sum.plain += len - spaces + if spaces > 0 { 1 + spaces / 16 } else { 0 };
    len
}

/// Adds the letters and digits that `text` starts with, and says how long they are: words by
/// changes of case, each digit alone, noise by its length.
fn word(text: &[u8], sum: &mut Estimate) -> usize {
    let (mut words, mut tokens, mut letters, mut digits, mut longest) = (0, 0, 0, 0, 0);
    loop {
        let rest = &text[letters + digits..];
        let upper = run(rest, Class::Upper);
        let lower = run(&rest[upper..], Class::Lower);
        let len = upper + lower;
        if len == 0 {
            let more = run(rest, Class::Digit);
            if more == 0 {
                break;
            }
            digits += more;
            continue;
        }
        words += 1;
        letters += len;
        longest = longest.max(len);
        tokens += if upper > 1 {
            (2 * upper).div_ceil(3) + lower.div_ceil(4)
        } else {
            1 + len.saturating_sub(3) / 4
        };
    }
    let len = letters + digits;
    sum.dense += digits;
    if len >= NOISE && (digits * 6 >= len || words * 4 >= len) {
        sum.dense += letters;
    } else if longest > LONGEST_WORD {
        sum.dense += (2 * letters).div_ceil(3);
    } else if digits > 0 {
        sum.dense += tokens;
    } else {
        sum.plain += tokens;
    }
    len
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Budget, Segment};

    const CODE: &str = r#"/// Resolves names to loopback addresses.
impl Resolve for LoopbackOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        Box::pin(async move {
            if name.eq_ignore_ascii_case("localhost") {
                let both = [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()];
                return Ok(Box::new(both.into_iter().map(|ip| SocketAddr::new(ip, 0))) as Addrs);
            }
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(Box::new(found.filter(|address| address.ip().is_loopback())) as Addrs)
        })
    }
}
"#;
    const GO: &str = "func (s *Server) Close() error {\n\tif err := s.ln.Close(); err != nil {\n\t\treturn fmt.Errorf(\"close: %w\", err)\n\t}\n\treturn nil\n}\n";
    const BASE64: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAu1SU1LfVLPHCozMxH2Mo4lgOEePzNm0tRgeLezV6ffAt0gunVTLw7onLRnrq0";
    const HEX: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    const BYTES: &str = "0x4f, 0xa3, 0x1b, 0x9c, 0xe7, 0x22, 0x80, 0xd5, 0x6e, 0xf1, 0x3a, 0xc8,";
    const CJK: &str = "// 設定ファイルを読み込み、既定値で補完する。错误处理见下文。";
    const EMOJI: &str = "🚀🔥🦀🧪🪄🛰🧵🪢";
    const UPPER: &str = "QXZJKWVBNMRTPLFGHDSC ENV_HTTP_PROXY_TIMEOUT_MS";

    /// Counts by `cl100k_base`, which Qwen's and Llama 3's tokenizers extend, and by the coarser
    /// `p50k_base`.
    const COUNTED: [(&str, usize, usize); 8] = [
        (CODE, 160, 215),
        (GO, 40, 51),
        (BASE64, 68, 76),
        (HEX, 43, 45),
        (BYTES, 64, 53),
        (CJK, 33, 52),
        (EMOJI, 24, 24),
        (UPPER, 18, 27),
    ];

    #[test]
    fn the_estimate_is_not_below_real_tokenizers() {
        for (text, fine, coarse) in COUNTED {
            let (count, tokens) = (TokenCounter::default().count(text), fine.max(coarse));
            assert!(count >= tokens, "{count} < {tokens} for {text}");
            assert!(count <= 3 * tokens, "{count} is far from {tokens} for {text}");
        }
    }

    fn prompt(text: &str, counter: &TokenCounter) -> crate::model::Prompt {
        let budget = Budget::new(100_000, None, 0, counter.clone());
        budget.seal(vec![Segment::text(text)]).expect("it fits")
    }

    #[test]
    fn reports_bring_the_estimate_down_but_not_below_the_count() {
        let counter = TokenCounter::default();
        let text = CODE.repeat(5);
        let tokens = 5 * COUNTED[0].1;
        let before = counter.count(&text);
        counter.calibrate(&prompt(&text, &counter), tokens);
        let after = counter.count(&text);
        assert!((tokens..before).contains(&after), "{before} to {after} of {tokens}");
        // What calibration learnt from code must not pull noise down.
        for (text, tokens, _) in COUNTED {
            assert!(counter.count(text) >= tokens, "{text}");
        }
    }

    #[test]
    fn a_high_report_counts_at_once_and_is_forgotten_in_time() {
        let counter = TokenCounter::default();
        let text = CODE.repeat(5);
        let prompt = prompt(&text, &counter);
        let low = prompt.tokens() / 2;
        counter.calibrate(&prompt, 2 * prompt.tokens());
        assert!(counter.count(&text) > prompt.tokens());
        for _ in 0..REPORTS {
            counter.calibrate(&prompt, low);
        }
        assert!(counter.count(&text) < prompt.tokens());
    }

    #[test]
    fn exact_counts_win_and_their_number_is_bounded() {
        let counter = TokenCounter::default();
        counter.learn("let x", 2);
        assert_eq!(counter.clone().count("let x"), 2);
        for n in 0..3 * MAX_EXACT {
            counter.learn(&n.to_string(), 7);
        }
        assert!(!counter.is_exact("let x"));
        assert!(counter.is_exact(&(3 * MAX_EXACT - 1).to_string()));
        let learnt = counter.learnt();
        assert!(learnt.young.len() + learnt.old.len() <= 2 * MAX_EXACT);
    }

    proptest! {
        #[test]
        fn no_text_counts_more_than_its_bytes(text in any::<String>()) {
            prop_assert!(TokenCounter::default().count(&text) <= text.len());
        }
    }
}
