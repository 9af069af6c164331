//! A model small enough to be written by hand, whose answers are known beforehand.
//!
//! It is a Qwen2 with one layer whose weights are all zero: attention and MLP add nothing, so what
//! reaches the output is the embedding of the last token alone. Embeddings are one-hot and the row
//! of the output matrix for token *n* has its one at the token before it: the model is an exact
//! table "after this token comes that one": that one's logit is the root of the width (about 18),
//! every other one's is 0.
//!
//! After `<|fim_middle|>` it says [`MIDDLE`] and ends; after any text, it says [`ENDLESS`] for ever.
//! A server loads it in milliseconds and treats it as any other model: tokenizer, cache, slots,
//! limits and control tokens are the real thing.
//!
//! The vocabulary is a byte-level BPE: 256 bytes, the words of a few merges, the pieces of the two
//! answers, and Qwen2.5-Coder's control tokens.

/// What the model says after `<|fim_middle|>`, a token each; then it ends its text.
pub(crate) const MIDDLE: [&str; 3] = ["left", " +", " right"];

/// What the model says after text, a token each, over and over.
pub(crate) const ENDLESS: [&str; 4] = [" total", " +=", " 1;", "\n       "];

/// Words that the tokenizer knows as one token each.
pub(crate) const WORDS: [&str; 4] = ["fn", "let", "return", "pub"];
