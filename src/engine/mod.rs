//! The model in the box: a GGUF file, a decoder, a KV cache and a sampler, on threads of its own.
//!
//! Knows tensors and tokens, and nothing of the rest of Hearth: no prompts' layout, no editor, no
//! setting. Text comes in as pieces that say whether they are text or a control token, so that
//! source code which contains a control token's name stays source code.
//!
//! A model whose file says so copies from its prompt (`copy`): part of each token's probability is that
//! of what followed earlier runs that end alike.
//!
//! It must never block the caller's executor, never take all cores while it decodes, and never
//! trust a model file.
//!
//! Architectures: `qwen2` and `llama` with byte-level BPE vocabularies. Types of weights: F16,
//! Q8_0, Q4_0, Q5_0, Q4_K and Q6_K have kernels of ours on x86-64 with AVX2; every other type that
//! candle reads, and every other CPU, uses candle's, with candle's own threads. With the feature
//! `cuda` or `metal` every matrix is candle's, on the first GPU, while the rest of the decoder stays in
//! plain memory. That has been tried on no machine, and a model server serves those better. With the
//! feature `llama-cpp` other architectures are run by llama.cpp, as far as their vocabulary is known
//! here.
#![allow(clippy::doc_markdown, reason = "types of weights are written as everybody writes them")]

mod cache;
mod config;
mod copy;
mod decoder;
mod error;
mod gguf;
mod kernels;
#[cfg(feature = "llama-cpp")]
mod llama_cpp;
mod network;
mod output;
mod sampler;
mod tokenizer;
mod worker;

pub use config::{Basics, Config, Rope};
pub use copy::{CLASSES, Copied, Holes, Sources};
pub use error::EngineError;
pub use gguf::{Gguf, TensorInfo, Value};
pub use sampler::{Choice, Sampler, Sampling};
pub use tokenizer::{Piece, Tokenizer};
pub use worker::{Engine, Event, Events, Info, Job, Options, Stop, Timings, Usage};
