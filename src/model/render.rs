//! Segments to what goes over the wire, so that source text never acts as a control token.
//!
//! Almost no prompt spells one: the fast path is one copy and one scan.

use super::{Segment, control};

/// A prompt for a server that takes strings alone.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) prompt: String,
    /// Tokens in the source text were broken; the output must be mended.
    pub(super) broken: bool,
}

/// Renders segments as one string; tokens that source text spells are broken.
pub(super) fn text(segments: &[Segment]) -> Text {
    let mut prompt = String::with_capacity(capacity(segments));
    let mut broken = false;
    for_each_run(segments, &mut prompt, |prompt, start| {
        if control::contains(&prompt[start..]) {
            broken = true;
            let run = control::break_up(&prompt[start..]).into_owned();
            prompt.truncate(start);
            prompt.push_str(&run);
        }
    });
    Text { prompt, broken }
}

/// A piece of a prompt for a server that takes strings and token ids mixed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// In which control tokens are meant as such.
    Parsed(String),
    /// Source text that spells a control token: to be sent as the ids of its characters.
    Spelled(String),
}

/// Renders segments as pieces, the first of which is always [`Piece::Parsed`]; one piece if the
/// source text spells no control token.
pub(super) fn pieces(segments: &[Segment]) -> Vec<Piece> {
    let mut prompt = String::with_capacity(capacity(segments));
    let mut spelled: Vec<(usize, usize)> = Vec::new();
    for_each_run(segments, &mut prompt, |prompt, start| {
        let tokens = control::spelled(&prompt[start..]).filter(|token| token.marks == 0);
        spelled.extend(tokens.map(|token| (start + token.start, token.len)));
    });
    if spelled.is_empty() {
        return vec![Piece::Parsed(prompt)];
    }
    let mut pieces = Vec::with_capacity(2 * spelled.len() + 1);
    let mut done = 0;
    for (start, len) in spelled {
        if pieces.is_empty() || done < start {
            pieces.push(Piece::Parsed(prompt[done..start].to_owned()));
        }
        done = start + len;
        pieces.push(Piece::Spelled(prompt[start..done].to_owned()));
    }
    if done < prompt.len() {
        pieces.push(Piece::Parsed(prompt[done..].to_owned()));
    }
    pieces
}

fn capacity(segments: &[Segment]) -> usize {
    segments.iter().map(|segment| segment.as_str().len()).sum()
}

/// Appends all segments to `prompt` and shows each run of neighbouring texts, by where it starts,
/// when it stands at the end of `prompt`. Neighbours are one run, as a token may span them.
fn for_each_run(
    segments: &[Segment],
    prompt: &mut String,
    mut run: impl FnMut(&mut String, usize),
) {
    let mut start = 0;
    for segment in segments {
        match segment {
            Segment::Text(text) => prompt.push_str(text),
            Segment::Control(token) => {
                run(prompt, start);
                prompt.push_str(token);
                start = prompt.len();
            }
        }
    }
    run(prompt, start);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CONTROLS: [&str; 3] = ["<|fim_prefix|>", "<｜fim▁hole｜>", "[SUFFIX]"];

    fn segments() -> impl Strategy<Value = Vec<Segment>> {
        let text = prop::collection::vec(
            prop::sample::select(vec![
                "<",
                "|",
                ">",
                "<|",
                "|>",
                "fim_prefix",
                "<|fim_prefix|>",
                "[",
                "SUFFIX]",
                "<｜",
                "fim▁hole",
                "｜>",
                "¦",
                "a",
                " ",
                "\n",
            ]),
            0..8,
        )
        .prop_map(|pieces| Segment::text(pieces.concat()));
        let control = prop::sample::select(&CONTROLS[..]).prop_map(Segment::control);
        prop::collection::vec(prop_oneof![3 => text, 1 => control], 0..8)
    }

    fn meant(segments: &[Segment]) -> Vec<&str> {
        segments
            .iter()
            .filter(|segment| matches!(segment, Segment::Control(_)))
            .map(Segment::as_str)
            .collect()
    }

    fn acting(prompt: &str) -> Vec<&str> {
        control::spelled(prompt)
            .filter(|token| token.marks == 0)
            .map(|token| &prompt[token.start..token.start + token.len])
            .collect()
    }

    proptest! {
        #[test]
        fn only_control_segments_act_in_a_string(segments in segments()) {
            let rendered = text(&segments);
            prop_assert_eq!(acting(&rendered.prompt), meant(&segments));
            let whole: String = segments.iter().map(Segment::as_str).collect();
            prop_assert_eq!(rendered.broken, rendered.prompt != whole);
        }

        #[test]
        fn only_control_segments_act_among_pieces(segments in segments()) {
            let pieces = pieces(&segments);
            prop_assert!(matches!(pieces.first(), Some(Piece::Parsed(_))));
            let mut parsed = Vec::new();
            let mut whole = String::new();
            for piece in &pieces {
                match piece {
                    Piece::Parsed(text) => { parsed.extend(acting(text)); whole.push_str(text); }
                    Piece::Spelled(text) => whole.push_str(text),
                }
            }
            prop_assert_eq!(parsed, meant(&segments));
            prop_assert_eq!(whole, segments.iter().map(Segment::as_str).collect::<String>());
        }
    }
}
