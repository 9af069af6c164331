//! What of a model's output may be seen: never a stop string, never a control token, not even one
//! that arrives in pieces.
//!
//! Servers are asked to stop by themselves; this holds even if one does not. The first stop string
//! or control token ends the text. Control tokens that were broken in the prompt (see
//! [`control`](super::control)) are mended here.

use super::{
    Segment,
    control::{self, Shape},
};

/// The filter of one generation.
#[derive(Debug)]
pub(super) struct Filter {
    stops: Vec<String>,
    /// The prompt held broken tokens: mend what looks broken.
    mend: bool,
    /// What may be the start of something that must not be seen.
    held: String,
    /// What the output has still to begin with; none of it is passed on.
    beginning: String,
}

/// What a filter lets through.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Passed {
    pub(super) text: String,
    /// A stop string or control token came; nothing after it is text.
    pub(super) ended: bool,
}

impl Filter {
    /// A filter for stop strings and for the control tokens among a prompt's segments.
    pub(super) fn new(stop: &[String], segments: &[Segment], mend: bool) -> Self {
        let controls = segments.iter().filter_map(|segment| match segment {
            Segment::Control(token) => Some(token.trim().to_owned()),
            Segment::Text(_) => None,
        });
        let mut stops: Vec<String> = stop.iter().cloned().chain(controls).collect();
        stops.retain(|stop| !stop.is_empty());
        stops.sort();
        stops.dedup();
        Self { stops, mend, held: String::new(), beginning: String::new() }
    }

    /// Passes on what comes behind `beginning`. An output that begins otherwise is not what was asked
    /// for, and ends at once.
    pub(super) fn behind(mut self, beginning: &str) -> Self {
        beginning.clone_into(&mut self.beginning);
        self
    }

    /// Takes more output and gives what is safe to see.
    pub(super) fn push(&mut self, chunk: &str) -> Passed {
        let Some(chunk) = self.begin(chunk) else {
            return Passed { text: String::new(), ended: true };
        };
        self.held.push_str(chunk);
        if let Some(end) = self.first_end() {
            self.held.truncate(end);
            return Passed { text: self.finish(), ended: true };
        }
        let safe = self.first_doubt().unwrap_or(self.held.len());
        let rest = self.held.split_off(safe);
        let text = self.restored();
        self.held = rest;
        Passed { text, ended: false }
    }

    /// What of a chunk stands behind the beginning; `None` if it is another beginning.
    fn begin<'a>(&mut self, chunk: &'a str) -> Option<&'a str> {
        if let Some(behind) = chunk.strip_prefix(self.beginning.as_str()) {
            self.beginning.clear();
            return Some(behind);
        }
        self.beginning = self.beginning.strip_prefix(chunk)?.to_owned();
        Some("")
    }

    /// What was held back, once no more output comes.
    pub(super) fn finish(&mut self) -> String {
        let text = self.restored();
        self.held.clear();
        text
    }

    fn restored(&self) -> String {
        if self.mend { control::mend(&self.held).into_owned() } else { self.held.clone() }
    }

    /// Where the first stop string or control token starts.
    fn first_end(&self) -> Option<usize> {
        let stop = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str())).min();
        let control = self.openings().find(|at| {
            matches!(
                Shape::of(&self.held[*at..]),
                Shape::Token { marks: 0, unmistakable: true, .. }
            )
        });
        stop.into_iter().chain(control).min()
    }

    /// Where the first piece starts that may still become a stop string or a token.
    fn first_doubt(&self) -> Option<usize> {
        let longest = self.stops.iter().map(String::len).max().unwrap_or(0);
        let tail = self.held.len().saturating_sub(longest);
        let stop = self
            .held
            .char_indices()
            .map(|(at, _)| at)
            .skip_while(|at| *at < tail)
            .find(|at| self.stops.iter().any(|stop| stop.starts_with(&self.held[*at..])));
        let control = self.openings().find(|at| Shape::of(&self.held[*at..]) == Shape::Begun);
        stop.into_iter().chain(control).min()
    }

    fn openings(&self) -> impl Iterator<Item = usize> + '_ {
        memchr::memchr2_iter(b'<', b'[', self.held.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filter(stops: &[&str], mend: bool) -> Filter {
        let stops: Vec<String> = stops.iter().map(|&stop| stop.to_owned()).collect();
        Filter::new(&stops, &[Segment::control("<|fim_middle|>")], mend)
    }

    fn run(mut filter: Filter, chunks: &[&str]) -> (String, bool) {
        let mut seen = String::new();
        for chunk in chunks {
            let passed = filter.push(chunk);
            seen.push_str(&passed.text);
            if passed.ended {
                return (seen, true);
            }
        }
        seen.push_str(&filter.finish());
        (seen, false)
    }

    #[test]
    fn text_passes_at_once() {
        let mut filter = filter(&["\n\n"], false);
        assert_eq!(filter.push("let x = a"), Passed { text: "let x = a".into(), ended: false });
        assert_eq!(filter.push(";\n"), Passed { text: ";".into(), ended: false });
        assert_eq!(filter.push("b"), Passed { text: "\nb".into(), ended: false });
    }

    #[test]
    fn a_comparison_is_held_for_one_chunk_only() {
        let mut filter = filter(&[], false);
        assert_eq!(filter.push("a <").text, "a ");
        assert_eq!(filter.push(" b").text, "< b");
    }

    #[test]
    fn the_end_of_the_stream_releases_what_was_held() {
        assert_eq!(run(filter(&[], false), &["x <|fim_"]), ("x <|fim_".into(), false));
    }

    #[test]
    fn a_foreign_control_token_ends_the_text() {
        assert_eq!(run(filter(&[], false), &["x <|im", "_end|>\n y"]), ("x ".into(), true));
    }

    #[test]
    fn broken_tokens_are_mended_and_do_not_end_the_text() {
        let chunks = ["if s == \"<", "¦|fim_mid", "dle|>\" {"];
        assert_eq!(run(filter(&[], true), &chunks), ("if s == \"<|fim_middle|>\" {".into(), false));
    }

    #[test]
    fn the_beginning_is_not_passed_on() {
        let begun = || filter(&["\n"], false).behind(".te");
        assert_eq!(run(begun(), &[".", "text()", ";\n"]), ("xt();".into(), true));
        assert_eq!(run(begun(), &["", ".t", "e", "xt"]), ("xt".into(), false));
        assert_eq!(run(begun(), &[".t", "otal"]), (String::new(), true));
        assert_eq!(run(begun(), &[".t"]), (String::new(), false));
    }

    proptest! {
        #[test]
        fn stops_never_show_wherever_the_chunks_end(
            before in "[a<|>\\[¦é]{0,12}",
            stop in prop::sample::select(vec!["<|endoftext|>", "\n\n", "<|fim_middle|>", "[PREFIX]"]),
            after in "[a<|>]{0,8}",
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let text = format!("{before}{stop}{after}");
            let boundaries: Vec<usize> =
                text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| *cut.get(&boundaries)).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&str> = cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect();
            let stops = ["<|endoftext|>", "\n\n", "[PREFIX]"];
            let whole = run(filter(&stops, false), &[&text]);
            prop_assert_eq!(&run(filter(&stops, false), &chunks), &whole);
            prop_assert!(whole.1);
            prop_assert!(!whole.0.contains(stop));
        }
    }
}
