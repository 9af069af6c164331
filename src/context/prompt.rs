//! The one prompt builder: a window of the current file, laid out for the model that answers, in a
//! [`Budget`] that it cannot exceed.
//!
//! Models are trained on `\n`, so that is what they see, whatever ends the file's lines.

use std::sync::Arc;

use crate::model::{
    Budget, ModelFacts, Prompt, Segment,
    fim::{self, Mode},
};

use super::{
    layout::{Definition, Order, Situation, lay_out, open_end},
    recall::{Recalled, with_line_feeds},
    shelf::Workspace,
    window::{Share, View},
};

/// What a completion's window has room for, in bytes, at about three bytes a token: a prefix of
/// some 3,000 tokens and a suffix of some 250. Most of what decides the next line stands close above
/// it; in the order of stock models a key evaluates the whole suffix anew, so it is kept short
/// (measured with llama-server: one typed character in front of 423 tokens of suffix evaluates them all).
const USUAL: Share = Share { prefix: 9_000, suffix: 750 };

/// The same for a model of Hearth's own, which has seen no texts longer than this: the room of a
/// sample in `examples/training_samples.rs`, a fifth of it for the suffix.
const TRAINED: Share = Share { prefix: 2_000, suffix: 400 };

/// What the instruct model is told when it has to fill a hole.
const HOLE_SYSTEM: &str = "You complete source code. The user sends a part of a file in which <HOLE> \
    marks a place where text is missing. Answer with the missing text alone: no explanation, no code \
    fence, nothing that stands before or after the hole.";

/// Where the text is missing, for a model that follows instructions.
const HOLE: &str = "<HOLE>";

/// Of a budget that is not large, the part that other files may have, in percent.
const OTHER_FILES: usize = 60;

/// Tokens that the document never needs more of: its usual share and what stands around it.
const OWN_FILE: usize = 3_800;

/// Bytes of a token, at the least, before anything is known of a model's tokens.
const BYTES_OF_TOKEN: usize = 3;

/// How the prompts of one model are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    pub mode: Mode,
    pub order: Order,
    share: Share,
    /// Whether it is shown other files.
    others: bool,
}

impl Plan {
    /// For a model that is to get this `order`, whatever it was trained on.
    pub const fn new(mode: Mode, order: Order) -> Self {
        Self { mode, order, share: USUAL, others: true }
    }

    /// For a model of which `facts` are known. `begun`: one that was not trained on the begun layout
    /// is to get it, too.
    pub fn of(facts: &ModelFacts, begun: bool) -> Self {
        let mode = fim::choose(facts);
        match Order::of(facts) {
            // The short window of Hearth's own model leaves no room for other files.
            Order::Begun => Self { mode, order: Order::Begun, share: TRAINED, others: false },
            Order::Plain if begun && facts.card.is_none() => Self::new(mode, Order::Begun),
            Order::Plain => Self::new(mode, Order::Plain),
        }
    }

    /// The part of one of its prompts that the next key leaves as it is, to be evaluated in advance;
    /// `None` of a chat, which ends otherwise.
    pub fn stable(self, prompt: &Prompt) -> Option<Prompt> {
        let Mode::Fim(tokens) = self.mode else {
            return (self.mode == Mode::Prefix).then(|| prompt.beginning(usize::MAX));
        };
        let is_suffix = |segment: &Segment| segment.as_str() == tokens.suffix;
        let end = prompt.segments().iter().rposition(is_suffix);
        // What is typed in front of a suffix takes it along.
        let end = end.filter(|_| self.order == Order::Plain && !tokens.suffix_first);
        Some(prompt.beginning(end.unwrap_or(usize::MAX)))
    }

    /// How many bytes of the current file a prompt shows, at the most.
    pub fn window(self) -> usize {
        self.share.prefix + self.share.suffix
    }
}

/// A prompt, and what it shows of other files.
#[derive(Debug, Clone)]
pub struct Built {
    pub prompt: Prompt,
    pub recalled: Arc<Recalled>,
}

/// Builds the prompt for the text that is missing at the cursor of `view`, with what it needs of the
/// `workspace`.
///
/// Other files have what room the document leaves them. `None` when not even the cursor's line fits
/// into the budget.
pub fn build(
    view: &View<'_>,
    workspace: Option<&Workspace<'_>>,
    plan: Plan,
    budget: &Budget,
) -> Option<Built> {
    if let Some(workspace) = workspace.filter(|_| plan.others) {
        let left = budget.left();
        let room = (left * OTHER_FILES / 100).max(left.saturating_sub(OWN_FILE));
        let recalled = workspace.around(view, room, |text| budget.count(text));
        if !recalled.pieces.is_empty()
            && let Some(prompt) = around(view, &recalled, plan, budget)
        {
            return Some(Built { prompt, recalled });
        }
    }
    let recalled = Arc::default();
    Some(Built { prompt: around(view, &recalled, plan, budget)?, recalled })
}

/// As much of the document as fits beside what is recalled.
fn around(view: &View<'_>, recalled: &Recalled, plan: Plan, budget: &Budget) -> Option<Prompt> {
    let shown: usize = recalled.pieces.iter().map(|piece| piece.tokens).sum();
    let most = budget.left().saturating_sub(shown) * BYTES_OF_TOKEN;
    let mut share = plan.share;
    let all = plan.window();
    if shown > 0 && most < all {
        share.suffix = most * share.suffix / all;
        share.prefix = most - share.suffix;
    }
    // A quarter less each time: some twenty tries from the usual share to nothing.
    while share.prefix > 0 {
        if let Some(prompt) = lay(view, recalled, share, plan, budget.clone()) {
            return Some(prompt);
        }
        share = Share { prefix: share.prefix * 3 / 4, suffix: share.suffix * 3 / 4 };
    }
    None
}

fn lay(
    view: &View<'_>,
    recalled: &Recalled,
    share: Share,
    plan: Plan,
    budget: Budget,
) -> Option<Prompt> {
    let window = view.window(share);
    let offset = view.cursor().clamp(window.start, window.end);
    let line = view.text.line_to_byte(view.text.byte_to_line(offset)).max(window.start);
    let text = |from: usize, to: usize| with_line_feeds(view.text.byte_slice(from..to).to_string());
    let definitions: Vec<Definition> =
        recalled.pieces.iter().map(|piece| piece.definition.clone()).collect();
    let situation = Situation {
        definitions: &definitions,
        path: view.path,
        prefix: &text(window.start, line),
        begun: &text(line, offset),
        suffix: &text(offset, window.end),
    };
    match plan.mode {
        Mode::Fim(tokens) => {
            let segments = lay_out(tokens, plan.order, &situation);
            match plan.order {
                Order::Plain => budget.seal(segments),
                Order::Begun => {
                    let begun = situation.begun;
                    budget.seal_open(segments, begun.len() - open_end(begun))
                }
            }
        }
        Mode::Prefix => budget.seal(prefix(&situation)),
        Mode::Hole => budget.seal_chat(HOLE_SYSTEM, hole(&situation)),
    }
    .ok()
}

fn prefix(situation: &Situation<'_>) -> Vec<Segment> {
    let definitions = situation.definitions.iter();
    let mut segments: Vec<_> =
        definitions.map(|definition| Segment::text(definition.text.as_str())).collect();
    segments.extend([Segment::text(situation.prefix), Segment::text(situation.begun)]);
    segments
}

fn hole(situation: &Situation<'_>) -> Vec<Segment> {
    let definitions = situation.definitions.iter();
    let mut segments: Vec<_> = definitions
        .map(|Definition { path, text }| Segment::text(format!("{path}\n{text}\n")))
        .collect();
    segments.extend([
        Segment::text(format!("{}\n", situation.path)),
        Segment::text(situation.prefix),
        Segment::text(format!("{}{HOLE}", situation.begun)),
        Segment::text(situation.suffix),
    ]);
    segments
}
