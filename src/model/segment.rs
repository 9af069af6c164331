//! The pieces of a prompt as they go over the wire.
//!
//! A control token and a piece of source text are different things and stay different until the
//! last moment: text that happens to spell `<|fim_suffix|>` must never act as that token.

use std::{borrow::Cow, sync::Arc};

/// One piece of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// A control token of the model, by its text.
    Control(Cow<'static, str>),
    /// Source text or plain words. Never interpreted, whatever it spells.
    Text(Arc<str>),
}

impl Segment {
    /// A piece of source text.
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(text.into())
    }

    /// A control token that is known when Hearth is compiled.
    pub const fn control(token: &'static str) -> Self {
        Self::Control(Cow::Borrowed(token))
    }

    /// The characters of this piece, control token or not.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Control(token) => token,
            Self::Text(text) => text,
        }
    }
}
