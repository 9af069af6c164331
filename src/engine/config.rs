//! The shape of a model, read from a GGUF's metadata and held against the tensors it names.
//!
//! Nothing is allocated by these numbers before `Config::read` has found them plausible.
#![allow(clippy::cast_possible_truncation, reason = "single precision is what the model has")]

use std::io::{Read, Seek};

use super::{error::EngineError, gguf::Gguf};

/// Which pairs of a head's dimensions are rotated together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rope {
    /// Neighbours, `(2i, 2i + 1)`: llama, whose GGUF weights are permuted for it.
    Interleaved,
    /// Halves, `(i, i + n / 2)`: qwen2.
    Halves,
}

/// The hyperparameters of a decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub architecture: String,
    pub n_layers: usize,
    /// Width of the residual stream, in elements.
    pub width: usize,
    /// Width inside the feed-forward network, in elements.
    pub ffn_width: usize,
    pub n_heads: usize,
    pub n_kv_heads: usize,
    /// Elements of one head.
    pub head: usize,
    pub n_vocab: usize,
    /// Tokens of context the model was trained for.
    pub trained_ctx: usize,
    pub rms_eps: f32,
    pub rope: Rope,
    /// Elements of a head that are rotated.
    pub rope_dims: usize,
    pub rope_base: f32,
    /// Positions are divided by this ("linear" scaling); 1 for most models.
    pub rope_scale: f32,
}

/// What a model says of itself, whoever runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basics {
    pub architecture: String,
    pub n_vocab: usize,
    /// Tokens of context the model was trained for.
    pub trained_ctx: usize,
}

impl Basics {
    /// Refuses a model that nothing in this program can run.
    pub fn read<R: Read + Seek>(gguf: &Gguf<R>) -> Result<Self, EngineError> {
        match Config::read(gguf) {
            Ok(Config { architecture, n_vocab, trained_ctx, .. }) => {
                Ok(Self { architecture, n_vocab, trained_ctx })
            }
            #[cfg(feature = "llama-cpp")]
            Err(EngineError::Architecture(_) | EngineError::Unsupported(_)) => Self::foreign(gguf),
            Err(error) => Err(error),
        }
    }

    /// Of a model that llama.cpp may know.
    #[cfg(feature = "llama-cpp")]
    fn foreign<R: Read + Seek>(gguf: &Gguf<R>) -> Result<Self, EngineError> {
        let architecture = gguf.text("general.architecture").unwrap_or_default().to_owned();
        let key = format!("{architecture}.context_length");
        let trained_ctx = gguf.count(&key).and_then(|n| usize::try_from(n).ok());
        let trained_ctx = trained_ctx.ok_or(EngineError::Missing(key))?;
        let n_vocab = gguf.texts("tokenizer.ggml.tokens").map_or(0, <[_]>::len);
        Ok(Self { architecture, n_vocab, trained_ctx })
    }
}

impl Config {
    pub fn read<R: Read + Seek>(gguf: &Gguf<R>) -> Result<Self, EngineError> {
        let missing = |key: &str| EngineError::Missing(key.to_owned());
        let key = "general.architecture";
        let architecture = gguf.text(key).ok_or_else(|| missing(key))?.to_owned();
        let rope = match architecture.as_str() {
            "llama" => Rope::Interleaved,
            "qwen2" => Rope::Halves,
            _ => return Err(EngineError::Architecture(architecture)),
        };
        // Each bound is far above any model in the field and far below what could overflow.
        let within = |name: &str, max: u64| {
            let key = format!("{architecture}.{name}");
            match gguf.count(&key) {
                Some(n) if (1..=max).contains(&n) => Ok(usize::try_from(n).ok()),
                Some(n) => Err(EngineError::Damaged(format!("{key} is {n}"))),
                None => Ok(None),
            }
        };
        let need = |name: &str, max: u64| {
            within(name, max)?.ok_or_else(|| missing(&format!("{architecture}.{name}")))
        };
        let width = need("embedding_length", 1 << 16)?;
        let n_heads = need("attention.head_count", 1 << 10)?;
        let n_kv_heads = within("attention.head_count_kv", 1 << 10)?.unwrap_or(n_heads);
        let head = within("attention.key_length", 1 << 9)?.unwrap_or(width / n_heads);
        let value_head = within("attention.value_length", 1 << 9)?.unwrap_or(head);
        let rope_dims = within("rope.dimension_count", 1 << 9)?.unwrap_or(head);
        if within("expert_count", u64::MAX).is_ok_and(|n| n.is_some()) {
            return Err(EngineError::Unsupported("it is a mixture of experts".to_owned()));
        }
        if head % 8 != 0 || value_head != head || rope_dims > head || rope_dims % 2 != 0 {
            return Err(EngineError::Unsupported(format!(
                "heads of {head} and {value_head} elements, {rope_dims} of them rotated"
            )));
        }
        if n_heads % n_kv_heads != 0 {
            return Err(EngineError::Damaged(format!("{n_heads} heads on {n_kv_heads} KV heads")));
        }
        let float = |name: &str, default: f64| {
            let key = format!("{architecture}.{name}");
            let x = gguf.float(&key).unwrap_or(default);
            if x.is_finite() && x > 0.0 {
                Ok(x as f32)
            } else {
                Err(EngineError::Damaged(format!("{key} is {x}")))
            }
        };
        let rope_scale = match gguf.text(&format!("{architecture}.rope.scaling.type")) {
            None | Some("none") => float("rope.scale_linear", 1.0)?,
            Some("linear") => float("rope.scaling.factor", 1.0)?,
            Some(other) => {
                return Err(EngineError::Unsupported(format!("RoPE scaling '{other}'")));
            }
        };
        let embedding = gguf.tensor("token_embd.weight")?;
        let [columns, n_vocab] = embedding.dims[..] else {
            return Err(EngineError::Damaged("token_embd.weight is no matrix".to_owned()));
        };
        if columns != width {
            return Err(EngineError::Damaged(format!(
                "token_embd.weight has {columns} columns for a width of {width}"
            )));
        }
        Ok(Self {
            n_layers: need("block_count", 1 << 10)?,
            ffn_width: need("feed_forward_length", 1 << 20)?,
            trained_ctx: need("context_length", 1 << 24)?,
            rms_eps: float("attention.layer_norm_rms_epsilon", 1e-6)?,
            rope_base: float("rope.freq_base", 10_000.0)?,
            architecture,
            width,
            n_heads,
            n_kv_heads,
            head,
            n_vocab,
            rope,
            rope_dims,
            rope_scale,
        })
    }

    /// Elements of all query heads together.
    pub fn q_width(&self) -> usize {
        self.n_heads * self.head
    }

    /// Elements of all key (or value) heads together.
    pub fn kv_width(&self) -> usize {
        self.n_kv_heads * self.head
    }
}
