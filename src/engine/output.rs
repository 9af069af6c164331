//! Turns chosen tokens into text that may be shown.
//!
//! Text is held back while it is part of a character, or while it could be the beginning of a stop
//! string. A stop string itself, and what comes after it, is never given out.

use std::collections::VecDeque;

use super::sampler::Choice;

/// A token's share of the text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shown {
    pub(super) token: u32,
    pub(super) text: String,
    pub(super) logprob: f32,
}

/// The text of one generation as it grows.
#[derive(Debug)]
pub(super) struct Output {
    stops: Vec<String>,
    /// Whole characters that are not given out yet.
    held: String,
    /// Bytes of a character that is not complete, at most three.
    partial: Vec<u8>,
    /// For each token not given out: where its text ends, in bytes of `held`.
    tokens: VecDeque<(usize, Choice)>,
}

impl Output {
    /// Empty stop strings are ignored.
    pub(super) fn new(stops: &[String]) -> Self {
        let stops = stops.iter().filter(|stop| !stop.is_empty()).cloned().collect();
        Self { stops, held: String::new(), partial: Vec::new(), tokens: VecDeque::new() }
    }

    /// Takes a token's bytes; gives out the tokens whose text is settled, and says which stop
    /// string was met, if one was. Nothing may be pushed after that.
    pub(super) fn push(&mut self, bytes: &[u8], choice: Choice) -> (Vec<Shown>, Option<String>) {
        self.partial.extend_from_slice(bytes);
        let from = self.held.len();
        self.decode();
        self.tokens.push_back((self.held.len(), choice));
        let longest = self.stops.iter().map(String::len).max().unwrap_or(0);
        let mut near = from.saturating_sub(longest);
        while !self.held.is_char_boundary(near) {
            near -= 1;
        }
        // The stop that begins first wins; of two that begin together, the longer.
        let met = self
            .stops
            .iter()
            .filter_map(|stop| self.held[near..].find(stop.as_str()).map(|at| (near + at, stop)))
            .min_by_key(|(at, stop)| (*at, usize::MAX - stop.len()));
        if let Some((at, stop)) = met {
            let stop = stop.clone();
            self.held.truncate(at);
            return (self.release(at, true), Some(stop));
        }
        (self.release(self.settled(), false), None)
    }

    /// The rest, at the end of a generation that met no stop string. A character that was not
    /// completed is left out.
    pub(super) fn finish(&mut self) -> Vec<Shown> {
        self.release(self.held.len(), true)
    }

    /// Moves whole characters from `partial` to `held`. What can never become a character becomes
    /// U+FFFD.
    fn decode(&mut self) {
        loop {
            match std::str::from_utf8(&self.partial) {
                Ok(text) => {
                    self.held.push_str(text);
                    self.partial.clear();
                    return;
                }
                Err(err) => {
                    let (whole, rest) = self.partial.split_at(err.valid_up_to());
                    self.held.push_str(&String::from_utf8_lossy(whole));
                    let Some(bad) = err.error_len() else {
                        self.partial = rest.to_vec();
                        return;
                    };
                    self.held.push('\u{fffd}');
                    self.partial = rest[bad..].to_vec();
                }
            }
        }
    }

    /// How much of `held` cannot become part of a stop string.
    fn settled(&self) -> usize {
        let open = |at: &usize| {
            let tail = &self.held.as_bytes()[*at..];
            self.stops.iter().any(|stop| stop.as_bytes().starts_with(tail))
        };
        let starts = self.held.char_indices().map(|(at, _)| at);
        let longest = self.stops.iter().map(String::len).max().unwrap_or(0);
        let far = self.held.len().saturating_sub(longest);
        starts.filter(|at| *at >= far).find(open).unwrap_or(self.held.len())
    }

    /// Takes the first `n` bytes out of `held`, token by token. A token that is settled in part
    /// waits, unless this is the end.
    fn release(&mut self, n: usize, is_end: bool) -> Vec<Shown> {
        let mut shown = Vec::new();
        let mut from = 0;
        while let Some((to, Choice { token, logprob })) = self.tokens.front().copied() {
            // A token whose bytes are all part of a character still to come waits for it.
            if (to > n || (to == n && !self.partial.is_empty())) && !is_end {
                break;
            }
            let end = to.min(n);
            if from < end {
                shown.push(Shown { token, text: self.held[from..end].to_owned(), logprob });
            } else if to <= n {
                shown.push(Shown { token, text: String::new(), logprob });
            }
            from = end;
            self.tokens.pop_front();
        }
        self.held.drain(..from);
        for (to, _) in &mut self.tokens {
            *to -= from;
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(stops: &[&str], parts: &[&[u8]]) -> (String, Option<String>) {
        let stops: Vec<String> = stops.iter().map(|s| (*s).to_owned()).collect();
        let mut output = Output::new(&stops);
        let mut text = String::new();
        for part in parts {
            let (shown, stop) = output.push(part, Choice { token: 0, logprob: -1.0 });
            text.extend(shown.into_iter().map(|s| s.text));
            if stop.is_some() {
                return (text, stop);
            }
        }
        text.extend(output.finish().into_iter().map(|s| s.text));
        (text, None)
    }

    #[test]
    fn stops_are_met_across_tokens_and_never_shown() {
        assert_eq!(run(&["\n\n"], &[b"a\n", b"\nb"]), ("a".into(), Some("\n\n".into())));
        assert_eq!(run(&["\n\n"], &[b"a\n", b"b\n"]), ("a\nb\n".into(), None));
        assert_eq!(run(&["bcd", "c"], &[b"ab", b"cx"]), ("ab".into(), Some("c".into())));
        assert_eq!(run(&["ab", "abc"], &[b"xabc"]), ("x".into(), Some("abc".into())));
        assert_eq!(run(&[""], &[b"x"]), ("x".into(), None));
    }

    #[test]
    fn a_character_in_pieces_is_shown_whole() {
        let bytes = "é🦀".as_bytes();
        let parts: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(run(&[], &parts), ("é🦀".into(), None));
        assert_eq!(run(&[], &parts[..4]), ("é".into(), None));
        assert_eq!(run(&[], &[b"a\xffb"]), ("a\u{fffd}b".into(), None));
    }

    #[test]
    fn each_token_is_shown_once_with_its_probability() {
        let mut output = Output::new(&["END".to_owned()]);
        assert_eq!(output.push(b"xE", Choice { token: 7, logprob: -1.0 }).0, []);
        let shown = output.push(b"!", Choice { token: 8, logprob: -2.0 }).0;
        let of = |token, text: &str, logprob| Shown { token, text: text.to_owned(), logprob };
        assert_eq!(shown, [of(7, "xE", -1.0), of(8, "!", -2.0)]);
    }

    proptest! {
        /// However a text is cut into tokens, what is shown is the text before its first stop.
        #[test]
        fn shown_is_the_text_before_the_first_stop(
            text in "[abé🦀]{0,24}",
            stop in "[abé]{1,3}",
            cuts in proptest::collection::vec(1_usize..5, 0..40),
        ) {
            let mut rest = text.as_bytes();
            let mut parts: Vec<&[u8]> = Vec::new();
            for cut in cuts {
                let (part, after) = rest.split_at(cut.min(rest.len()));
                parts.push(part);
                rest = after;
            }
            parts.push(rest);
            let (shown, met) = run(&[&stop], &parts);
            if let Some(at) = text.find(&stop) {
                prop_assert_eq!(&shown, &text[..at]);
                prop_assert_eq!(met, Some(stop));
            } else {
                prop_assert_eq!(shown, text);
                prop_assert_eq!(met, None);
            }
        }
    }
}
