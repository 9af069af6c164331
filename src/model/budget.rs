//! The one budget: what fits into a model's window. A prompt can be built through it alone, so it
//! cannot overflow.
//!
//! Counting is [`TokenCounter`]'s; this module adds up and holds the ceiling, which is hard.

use std::sync::Arc;

use serde_json::Value as Json;

use super::{Segment, TokenCounter, Usage, count::Basis};

/// The begin-of-text token that servers put in front.
const BEGIN: usize = 1;

/// What a chat template puts round two messages, with room: Qwen2.5's default system prompt and
/// Llama 3.1's dates are the longest known, at about 30 tokens.
const CHAT_FRAME: usize = 64;

/// Room for one prompt.
#[derive(Debug, Clone)]
pub struct Budget {
    window: usize,
    output: usize,
    counter: TokenCounter,
}

impl Budget {
    /// Room for a prompt of at most `ceiling` tokens, or of what the loaded context of `context`
    /// tokens leaves beside `output` tokens still to be generated, whichever is less.
    pub fn new(
        ceiling: usize,
        context: Option<usize>,
        output: usize,
        counter: TokenCounter,
    ) -> Self {
        let window = context.map_or(ceiling, |context| context.min(ceiling));
        Self { window, output, counter }
    }

    /// Tokens of the whole window, for the prompt and the answer.
    pub fn window(&self) -> usize {
        self.window
    }

    /// Tokens that still fit.
    pub fn left(&self) -> usize {
        self.window.saturating_sub(self.output + BEGIN)
    }

    /// Tokens of `text` as this budget counts them.
    pub fn count(&self, text: &str) -> usize {
        self.counter.count(text)
    }

    /// Seals segments into a prompt that a model continues, or says by how many tokens they overflow.
    pub fn seal(self, segments: Vec<Segment>) -> Result<Prompt, Overflow> {
        self.close(segments, Form::Raw, Basis::default())
    }

    /// Seals segments whose last `open` bytes are the beginning of what the model is to write: whoever
    /// can hold its output to them takes them out of the prompt.
    pub fn seal_open(self, segments: Vec<Segment>, open: usize) -> Result<Prompt, Overflow> {
        let last = segments.last().map(Segment::as_str).unwrap_or_default();
        let whole = last.len().checked_sub(open).is_some_and(|at| last.is_char_boundary(at));
        let open = if whole { open } else { 0 };
        // A model may write it a byte a token.
        let reserved = Self { output: self.output + open, ..self };
        reserved.seal(segments).map(|prompt| Prompt {
            open,
            output: prompt.output - open,
            ..prompt
        })
    }

    /// Seals a chat of a system message and a user's message, which is the segments' text.
    pub fn seal_chat(
        self,
        system: impl Into<Arc<str>>,
        segments: Vec<Segment>,
    ) -> Result<Prompt, Overflow> {
        let system = system.into();
        let mut basis = Basis { exact: CHAT_FRAME, ..Basis::default() };
        basis.add(self.counter.known(&system));
        self.close(segments, Form::Chat { system }, basis)
    }

    fn close(
        self,
        segments: Vec<Segment>,
        form: Form,
        mut basis: Basis,
    ) -> Result<Prompt, Overflow> {
        for segment in &segments {
            match segment {
                Segment::Control(_) => basis.exact += 1,
                Segment::Text(text) => basis.add(self.counter.known(text)),
            }
        }
        let tokens = basis.exact + self.counter.scaled(basis.estimate);
        // Not against what is left, which is nothing also where not even the answer has room.
        if tokens + self.output + BEGIN > self.window {
            return Err(Overflow { tokens, left: self.left() });
        }
        Ok(Prompt { segments, form, tokens, basis, output: self.output, open: 0, schema: None })
    }
}

/// A prompt that would not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a prompt of {tokens} tokens does not fit into {left}")]
pub struct Overflow {
    pub tokens: usize,
    pub left: usize,
}

/// How a prompt is put to a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// As it is: the model continues it.
    Raw,
    /// As a user's message, in the model's own chat template.
    Chat { system: Arc<str> },
}

/// A prompt that fits. Only a [`Budget`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    segments: Vec<Segment>,
    form: Form,
    tokens: usize,
    basis: Basis,
    output: usize,
    /// Bytes of the last segment that the output may begin with instead.
    open: usize,
    schema: Option<Arc<Json>>,
}

impl Prompt {
    /// The answer has to be JSON that follows this JSON Schema; servers that can are made to hold the
    /// model to it.
    #[must_use]
    pub fn answered_in(mut self, schema: Arc<Json>) -> Self {
        self.schema = Some(schema);
        self
    }

    /// JSON Schema of the answer, where it has one.
    pub fn schema(&self) -> Option<&Json> {
        self.schema.as_deref()
    }

    /// The prompt's pieces; of a chat, those of the user's message.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    pub fn form(&self) -> &Form {
        &self.form
    }

    /// Tokens as they were counted when it was built.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Tokens reserved for the answer.
    pub fn output(&self) -> usize {
        self.output
    }

    /// A prompt of its first `segments` pieces and none of its open end, which asks for no more than a
    /// token: to have it evaluated.
    #[must_use]
    pub fn beginning(&self, segments: usize) -> Self {
        let mut beginning = self.closed().0;
        beginning.truncate(segments);
        Self { segments: beginning, output: 1, open: 0, ..self.clone() }
    }

    /// What its last segment ends in and the output may begin with instead.
    pub fn open(&self) -> &str {
        let last = self.segments.last().map(Segment::as_str).unwrap_or_default();
        last.len().checked_sub(self.open).and_then(|at| last.get(at..)).unwrap_or_default()
    }

    /// The pieces without [`open`](Self::open), and the tokens to generate for an output that begins
    /// with it.
    pub fn closed(&self) -> (Vec<Segment>, usize) {
        let mut segments = self.segments.clone();
        let open = self.open().len();
        if open > 0
            && let Some(last) = segments.pop()
        {
            let text = last.as_str();
            if text.len() > open {
                segments.push(Segment::text(&text[..text.len() - open]));
            }
        }
        (segments, self.output + open)
    }

    pub(super) fn basis(&self) -> Basis {
        self.basis
    }
}

/// Says so if a server evaluated less than it was sent: Ollama and LM Studio cut prompts that are
/// longer than the context they loaded a model with. `context` is what they should have.
///
/// A count below what the prompt has at the very least is a cut; Ollama's leaves about half.
pub fn truncated(prompt: &Prompt, usage: &Usage, context: Option<usize>) -> Option<String> {
    let evaluated = usage.prompt_tokens?;
    // Pieces that were counted alone may join where they meet: a few tokens in a hundred.
    let sent = prompt.basis.at_least();
    let sent = sent - sent / 20;
    if evaluated >= sent || sent < CHAT_FRAME {
        return None;
    }
    let context = context.map_or("more".to_owned(), |context| context.to_string());
    Some(format!(
        "the server evaluated {evaluated} tokens of a prompt of at least {sent}: it cut the prompt \
         without saying so. Load the model with a context of {context} tokens"
    ))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;
    use crate::model::Stop;

    fn usage(prompt_tokens: Option<usize>) -> Usage {
        Usage { prompt_tokens, ..Usage::unknown(Stop::Complete) }
    }

    #[test]
    fn the_context_bounds_the_ceiling_and_the_output_counts() {
        let left = |context| Budget::new(24_000, context, 100, TokenCounter::default()).left();
        assert_eq!(left(None), 23_899);
        assert_eq!(left(Some(4096)), 3995);
        assert_eq!(left(Some(50)), 0);
    }

    #[test]
    fn what_does_not_fit_is_no_prompt() {
        let counter = TokenCounter::default();
        counter.learn("x", 9);
        let segments = vec![Segment::control("<|fim_prefix|>"), Segment::text("x")];
        let budget = |ceiling| Budget::new(ceiling, None, 0, counter.clone());
        assert_eq!(budget(11).seal(segments.clone()).map(|prompt| prompt.tokens()), Ok(10));
        assert_eq!(budget(10).seal(segments), Err(Overflow { tokens: 10, left: 9 }));
    }

    #[test]
    fn a_silent_cut_is_noticed() {
        let counter = TokenCounter::default();
        let text = "let value = compute(input);\n".repeat(500);
        let seal = || {
            Budget::new(24_000, None, 64, counter.clone()).seal(vec![Segment::text(text.as_str())])
        };
        let guessed = seal().expect("it fits");
        assert_eq!(truncated(&guessed, &usage(None), Some(8192)), None);
        assert_eq!(truncated(&guessed, &usage(Some(3500)), Some(8192)), None);
        counter.learn(&text, 3501);
        let known = seal().expect("it fits");
        assert_eq!(truncated(&known, &usage(Some(3498)), Some(8192)), None);
        let cut = truncated(&known, &usage(Some(2050)), Some(8192));
        expect![[r#"
            Some(
                "the server evaluated 2050 tokens of a prompt of at least 3326: it cut the prompt without saying so. Load the model with a context of 8192 tokens",
            )
        "#]].assert_debug_eq(&cut);
        assert!(truncated(&guessed, &usage(Some(1500)), None).is_some());
    }

    proptest! {
        #[test]
        fn a_sealed_prompt_never_exceeds_its_budget(
            texts in prop::collection::vec(".{0,40}", 0..6),
            ceiling in 0..120_usize,
            context in prop::option::of(0..120_usize),
            output in 0..20_usize,
        ) {
            let budget = Budget::new(ceiling, context, output, TokenCounter::default());
            let left = budget.left();
            let segments = texts.into_iter().map(Segment::text).collect();
            if let Ok(prompt) = budget.seal(segments) {
                let window = context.map_or(ceiling, |context| context.min(ceiling));
                prop_assert!(prompt.tokens() <= left);
                prop_assert!(prompt.tokens() == 0 || prompt.tokens() + output < window);
            }
        }
    }
}
