//! The keys and values of one sequence, and the tokens they belong to.
//!
//! Room for the whole context is reserved when the cache is made; the system backs it with memory
//! as it is written. To shorten a sequence is to forget its length: nothing is moved or cleared.

use half::f16;

use super::{config::Config, error::EngineError, kernels::attention::Shape};

/// More than any machine of a user has; a header that asks for it is absurd.
const MAX_BYTES: usize = 64 << 30;

/// One layer's share.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) keys: Vec<f16>,
    pub(crate) values: Vec<f16>,
}

/// One sequence's KV cache.
#[derive(Debug)]
pub(crate) struct Cache {
    pub(crate) shape: Shape,
    pub(crate) layers: Vec<Layer>,
    /// The tokens whose keys and values are in place.
    pub(crate) tokens: Vec<u32>,
}

impl Cache {
    /// A cache for `n_ctx` tokens.
    pub(crate) fn new(config: &Config, n_ctx: usize) -> Result<Self, EngineError> {
        let shape = Shape {
            n_heads: config.n_heads,
            n_kv_heads: config.n_kv_heads,
            head: config.head,
            capacity: n_ctx.next_multiple_of(16),
        };
        let bytes = shape
            .capacity
            .checked_mul(config.kv_width() * config.n_layers * 2 * size_of::<f16>())
            .filter(|bytes| *bytes <= MAX_BYTES);
        if bytes.is_none() {
            return Err(EngineError::Unsupported(format!(
                "a context of {n_ctx} tokens needs more memory than there can be"
            )));
        }
        let n = shape.elements();
        let zeros = || vec![f16::ZERO; n];
        let layers = (0..config.n_layers).map(|_| Layer { keys: zeros(), values: zeros() });
        Ok(Self { shape, layers: layers.collect(), tokens: Vec::new() })
    }

    /// The tokens that need not be evaluated again.
    pub(crate) fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Keeps the first `n` tokens.
    pub(crate) fn truncate(&mut self, n: usize) {
        self.tokens.truncate(n);
    }

    /// Bytes reserved.
    pub(crate) fn size(&self) -> usize {
        self.layers.len() * 2 * self.shape.elements() * size_of::<f16>()
    }
}
