//! The one prompt builder: a window of the current file, laid out for the model that answers, in a
//! [`Budget`] that it cannot exceed.
//!
//! Models are trained on `\n`, so that is what they see, whatever ends the file's lines.

use crate::model::{Budget, Prompt, Segment, fim::Mode};

use super::{
    layout::{Order, Situation, lay_out},
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

/// Builds the prompt for the text that is missing at the cursor of `view`.
///
/// `None` when not even the cursor's line fits into the budget.
pub fn build(view: &View<'_>, mode: Mode, order: Order, budget: &Budget) -> Option<Prompt> {
    let mut share = share(order);
    // A quarter less each time: some twenty tries from the usual share to nothing.
    while share.prefix > 0 {
        if let Some(prompt) = lay(view, share, (mode, order), budget.clone()) {
            return Some(prompt);
        }
        share = Share { prefix: share.prefix * 3 / 4, suffix: share.suffix * 3 / 4 };
    }
    None
}

/// How many bytes of the current file a prompt of this order shows, at the most.
pub fn window(order: Order) -> usize {
    let share = share(order);
    share.prefix + share.suffix
}

const fn share(order: Order) -> Share {
    match order {
        Order::Plain => USUAL,
        Order::Begun => TRAINED,
    }
}

fn lay(
    view: &View<'_>,
    share: Share,
    (mode, order): (Mode, Order),
    budget: Budget,
) -> Option<Prompt> {
    let window = view.window(share);
    let offset = view.cursor().clamp(window.start, window.end);
    let line = view.text.line_to_byte(view.text.byte_to_line(offset)).max(window.start);
    let text = |from: usize, to: usize| {
        let text = view.text.byte_slice(from..to).to_string();
        if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text }
    };
    let situation = Situation {
        definitions: &[],
        path: view.path,
        prefix: &text(window.start, line),
        begun: &text(line, offset),
        suffix: &text(offset, window.end),
    };
    match mode {
        Mode::Fim(tokens) => budget.seal(lay_out(tokens, order, &situation)),
        Mode::Prefix => budget.seal(prefix(&situation)),
        Mode::Hole => budget.seal_chat(HOLE_SYSTEM, hole(&situation)),
    }
    .ok()
}

fn prefix(situation: &Situation<'_>) -> Vec<Segment> {
    vec![Segment::text(situation.prefix), Segment::text(situation.begun)]
}

fn hole(situation: &Situation<'_>) -> Vec<Segment> {
    vec![
        Segment::text(format!("{}\n", situation.path)),
        Segment::text(situation.prefix),
        Segment::text(format!("{}{HOLE}", situation.begun)),
        Segment::text(situation.suffix),
    ]
}
