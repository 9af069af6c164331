//! A model's network with a few sequences in its memory: tokens in, logits out.
//!
//! What lies behind it is the decoder of this program, or llama.cpp where that was built in. It never
//! decides which token comes next, and never forgets a token on its own.

use rayon::ThreadPool;

use super::{
    cache::Cache,
    decoder::{Decoder, Scratch},
    error::EngineError,
    kernels::threads::Team,
};

pub(crate) trait Network {
    /// The tokens that a slot's memory holds, and that need not be evaluated again.
    fn tokens(&self, slot: usize) -> &[u32];

    /// Keeps the first `n` of them at most.
    fn truncate(&mut self, slot: usize, n: usize);

    /// Evaluates `tokens` behind them, and writes the logits after the last one where they are wanted.
    fn evaluate(
        &mut self,
        slot: usize,
        tokens: &[u32],
        logits: Option<&mut Vec<f32>>,
    ) -> Result<(), EngineError>;
}

/// Fewer tokens are evaluated by the threads that decode.
const PREFILL: usize = 4;

/// The decoder of this program on threads of its own.
pub(crate) struct Own {
    pub(crate) decoder: Decoder,
    pub(crate) caches: Vec<Cache>,
    pub(crate) scratch: Scratch,
    pub(crate) pool: ThreadPool,
    pub(crate) prefill: Team,
    pub(crate) decode: Team,
}

impl Network for Own {
    fn tokens(&self, slot: usize) -> &[u32] {
        self.caches[slot].tokens()
    }

    fn truncate(&mut self, slot: usize, n: usize) {
        self.caches[slot].truncate(n);
    }

    fn evaluate(
        &mut self,
        slot: usize,
        tokens: &[u32],
        logits: Option<&mut Vec<f32>>,
    ) -> Result<(), EngineError> {
        let Self { decoder, caches, scratch, pool, .. } = self;
        let team = if tokens.len() < PREFILL { self.decode } else { self.prefill };
        let wanted = logits.map(|logits| (logits, false));
        pool.install(|| decoder.evaluate(&mut caches[slot], tokens, scratch, wanted, team))
    }
}
