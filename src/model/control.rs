//! What control tokens look like in text, and how to break one that must not act.
//!
//! Servers that take a prompt as a string read control tokens out of it wherever they stand. Source
//! text that spells one (a tokenizer's tests, this file) is therefore *broken*: a [`MARK`] goes
//! behind the token's first character, visible to the model and to people, and [`mend`] takes it
//! out of what the model writes. Text that already looks broken gets one more mark, so that mending
//! always restores exactly what stood there.
//!
//! The table covers all families at once on purpose: which tokens act is known to the server alone,
//! and a token too many costs a mark, one too few an injection.

use std::borrow::Cow;

use memchr::memchr2_iter;

/// Breaks a control token. In every tokenizer's alphabet, in hardly any source text.
pub const MARK: char = '¦';

/// Longest name between the bars of `<|name|>`. The longest in use are Llama 3's
/// `reserved_special_token_247` and DeepSeek's tool markers, below 32 bytes.
const MAX_NAME: usize = 64;

/// Tokens that start with `<`, without it, in byte order. Sources: the `tokenizer_config.json` or
/// `added_tokens.json` of StarCoder, StarCoder2, Granite Code, Mellum, Code Llama, Llama 2, Mistral,
/// Gemma, Qwen2.5, Qwen3 and DeepSeek-R1.
const ANGLE: &[&str] = &[
    "/s>",
    "/think>",
    "/tool_call>",
    "/tool_response>",
    "/tools>",
    "EOT>",
    "MID>",
    "PRE>",
    "SUF>",
    "bos>",
    "commit_after>",
    "commit_before>",
    "commit_msg>",
    "empty_output>",
    "end_of_image>",
    "end_of_turn>",
    "eos>",
    "file_sep>",
    "filename>",
    "fim-middle>",
    "fim-pad>",
    "fim-prefix>",
    "fim-suffix>",
    "fim_middle>",
    "fim_pad>",
    "fim_prefix>",
    "fim_suffix>",
    "gh_stars>",
    "intermediate_to_code>",
    "issue_closed>",
    "issue_comment>",
    "issue_start>",
    "jupyter_code>",
    "jupyter_output>",
    "jupyter_script>",
    "jupyter_start>",
    "jupyter_text>",
    "mask>",
    "pad>",
    "pr>",
    "pr_base>",
    "pr_base_code>",
    "pr_comment>",
    "pr_diff>",
    "pr_diff_hunk>",
    "pr_diff_hunk_comment_line>",
    "pr_event_id>",
    "pr_file>",
    "pr_in_reply_to_comment_id>",
    "pr_in_reply_to_review_id>",
    "pr_is_merged>",
    "pr_review>",
    "pr_review_comment>",
    "pr_review_state>",
    "pr_status>",
    "repo_name>",
    "reponame>",
    "s>",
    "start_of_image>",
    "start_of_turn>",
    "think>",
    "tool_call>",
    "tool_response>",
    "tools>",
    "unk>",
];

/// Tokens that start with `[`, without it, in byte order. Sources: Mistral's tokenizers v3 and
/// Tekken, Gemma's `tokenizer_config.json`.
const SQUARE: &[&str] = &[
    "/AVAILABLE_TOOLS]",
    "/INST]",
    "/MODEL_SETTINGS]",
    "/SYSTEM_PROMPT]",
    "/THINK]",
    "/TOOL_RESULTS]",
    "@BOS@]",
    "ARGS]",
    "AUDIO]",
    "AVAILABLE_TOOLS]",
    "BEGIN_AUDIO]",
    "CALL_ID]",
    "IMG]",
    "IMG_BREAK]",
    "IMG_END]",
    "INST]",
    "MIDDLE]",
    "MODEL_SETTINGS]",
    "PREFIX]",
    "SUFFIX]",
    "SYSTEM_PROMPT]",
    "THINK]",
    "TOOL_CALLS]",
    "TOOL_CONTENT]",
    "TOOL_RESULTS]",
    "multimodal]",
];

/// Token names that are followed by a number: Gemma's `<unused7>`, T5's and `CodeT5`'s `<extra_id_7>`.
const NUMBERED: &[&str] = &["extra_id_", "unused"];

/// What a text that starts with `<` or `[` starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Ordinary text.
    Plain,
    /// The text ends before that can be told.
    Begun,
    /// A control token of `len` bytes with `marks` marks inside.
    Token {
        len: usize,
        marks: usize,
        /// Nothing but a control token looks like this: `<|name|>`, `<｜name｜>`, `<fim_…>`.
        unmistakable: bool,
    },
}

impl Shape {
    /// What `text` starts with.
    pub(super) fn of(text: &str) -> Self {
        let (table, rest) = match text.as_bytes().first() {
            Some(b'<') => (ANGLE, &text[1..]),
            Some(b'[') => (SQUARE, &text[1..]),
            _ => return Self::Plain,
        };
        let body = rest.trim_start_matches(MARK);
        let marked = rest.len() - body.len();
        let token = |len, unmistakable| Self::Token {
            len: 1 + marked + len,
            marks: marked / MARK.len_utf8(),
            unmistakable,
        };
        let Some(&second) = body.as_bytes().first() else { return Self::Begun };
        if text.starts_with('<') {
            for bar in ["|", "｜"] {
                if let Some(name) = body.strip_prefix(bar) {
                    return match barred(name, bar) {
                        Barred::No => Self::Plain,
                        Barred::Begun => Self::Begun,
                        Barred::Name(len) => token(2 * bar.len() + len + 1, true),
                    };
                }
            }
        }
        let mut begun = false;
        let start = table.partition_point(|name| name.as_bytes()[0] < second);
        for name in table[start..].iter().take_while(|name| name.as_bytes()[0] == second) {
            if body.starts_with(name) {
                return token(name.len(), name.starts_with("fim"));
            }
            begun |= name.starts_with(body);
        }
        if text.starts_with('<') {
            for name in NUMBERED {
                begun |= name.starts_with(body);
                if let Some(number) = body.strip_prefix(name) {
                    let digits = number.bytes().take_while(u8::is_ascii_digit).count();
                    match number.as_bytes().get(digits) {
                        Some(b'>') if digits > 0 => return token(name.len() + digits + 1, false),
                        None => begun = true,
                        Some(_) => {}
                    }
                }
            }
        }
        if begun { Self::Begun } else { Self::Plain }
    }
}

enum Barred {
    No,
    Begun,
    /// The bytes of the name.
    Name(usize),
}

/// Reads `name|>` behind an opening bar.
fn barred(text: &str, bar: &str) -> Barred {
    for (at, char) in text.char_indices().take_while(|(at, _)| *at <= MAX_NAME) {
        let here = &text[at..];
        if let Some(end) = here.strip_prefix(bar) {
            return match end.as_bytes().first() {
                None => Barred::Begun,
                Some(b'>') if at > 0 => Barred::Name(at),
                Some(_) => Barred::No,
            };
        }
        if char.is_whitespace() || matches!(char, '<' | '>' | '[' | ']') {
            return Barred::No;
        }
    }
    if text.len() <= MAX_NAME { Barred::Begun } else { Barred::No }
}

/// A control token that `text` spells, broken or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spelled {
    pub(super) start: usize,
    pub(super) len: usize,
    pub(super) marks: usize,
}

/// All control tokens that `text` spells, in order. About a microsecond per 10 KB of source text.
pub(super) fn spelled(text: &str) -> impl Iterator<Item = Spelled> + '_ {
    memchr2_iter(b'<', b'[', text.as_bytes()).filter_map(|start| match Shape::of(&text[start..]) {
        Shape::Token { len, marks, .. } => Some(Spelled { start, len, marks }),
        Shape::Plain | Shape::Begun => None,
    })
}

/// Whether any family's control token could be read out of `text`.
pub fn contains(text: &str) -> bool {
    spelled(text).any(|token| token.marks == 0)
}

/// `text` with every control token in it broken.
pub fn break_up(text: &str) -> Cow<'_, str> {
    edit(text, |broken, token| {
        let (first, rest) = token.split_at(1);
        broken.push_str(first);
        broken.push(MARK);
        broken.push_str(rest);
    })
}

/// Undoes [`break_up`].
pub fn mend(text: &str) -> Cow<'_, str> {
    edit(text, |mended, token| {
        let (first, rest) = token.split_at(1);
        mended.push_str(first);
        mended.push_str(rest.strip_prefix(MARK).unwrap_or(rest));
    })
}

fn edit(text: &str, write: impl Fn(&mut String, &str)) -> Cow<'_, str> {
    let mut edited = String::new();
    let mut done = 0;
    for Spelled { start, len, .. } in spelled(text) {
        edited.push_str(&text[done..start]);
        done = start + len;
        write(&mut edited, &text[start..done]);
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    edited.push_str(&text[done..]);
    Cow::Owned(edited)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;
    use crate::model::fim;

    fn check(text: &str, broken: &Expect) {
        broken.assert_eq(&break_up(text));
    }

    #[test]
    fn source_text_is_left_alone() {
        let text = "fn f<'a, T>(x: &'a [T]) -> Vec<&'a T> { x[0] <| y |> z; a || b < c }";
        assert!(matches!(break_up(text), Cow::Borrowed(_)));
        assert!(matches!(break_up("let [PREFIX, REST] = <pad />;"), Cow::Borrowed(_)));
    }

    #[test]
    fn tokens_of_every_shape_are_broken() {
        check("a <|fim_suffix|> b", &expect!["a <¦|fim_suffix|> b"]);
        check("<｜fim▁hole｜><fim-pad></s>", &expect!["<¦｜fim▁hole｜><¦fim-pad><¦/s>"]);
        check("[SUFFIX]x[PREFIX]<unused42>", &expect!["[¦SUFFIX]x[¦PREFIX]<¦unused42>"]);
        check("<|a<|b|>c|>", &expect!["<|a<¦|b|>c|>"]);
    }

    #[test]
    fn what_looks_broken_gets_one_more_mark() {
        check("<¦|eot|> <¦¦s>", &expect!["<¦¦|eot|> <¦¦¦s>"]);
    }

    #[test]
    fn tables_are_sorted() {
        assert!(ANGLE.is_sorted() && SQUARE.is_sorted());
    }

    #[test]
    fn every_family_is_covered() {
        for family in fim::FAMILIES {
            for token in family.controls() {
                assert!(contains(token), "{token} of {} is not in the table", family.family);
            }
        }
    }

    prop_compose! {
        /// Text made of pieces of tokens, so that tokens come about by chance.
        fn near_tokens()(pieces in prop::collection::vec(prop::sample::select(vec![
            "<", "|", "|>", "<|", "fim_", "suffix", "fim_suffix|>", "¦", "[", "SUFFIX]", "/INST]",
            "s>", "<s", "<fim", "_prefix>", "｜", "<｜", "｜>", "é", " ", "\n", "unused", "12", ">", "x",
            "<|fim_prefix|>", "<|endoftext|>",
        ]), 0..24)) -> String { pieces.concat() }
    }

    proptest! {
        #[test]
        fn broken_text_holds_no_token_and_mends(text in near_tokens()) {
            let broken = break_up(&text);
            prop_assert!(!contains(&broken), "{broken}");
            prop_assert_eq!(mend(&broken), text.as_str());
        }

        #[test]
        fn any_text_survives(text in any::<String>()) {
            prop_assert_eq!(mend(&break_up(&text)).into_owned(), text);
        }
    }
}
