//! Architectures that Hearth's own decoder does not know, run by llama.cpp inside this process.
//!
//! Only with the feature `llama-cpp`, which needs cmake and libclang to build. Text still becomes tokens
//! in `tokenizer`, so that a control token's name in source code stays source code; hence the vocabulary
//! must be byte-level BPE here too. llama.cpp reads the file by itself, and a damaged one can end the
//! process: this must never open a file that the user did not choose.

use std::{num::NonZeroU32, path::Path, sync::OnceLock};

use llama_cpp_2::{
    context::{LlamaContext, params::LlamaContextParams},
    llama_backend::LlamaBackend,
    llama_batch::LlamaBatch,
    model::{LlamaModel, params::LlamaModelParams},
    token::LlamaToken,
};

use super::{
    error::EngineError,
    network::Network,
    worker::{Plan, Size},
};

/// llama.cpp, started once in a process and silent.
fn backend() -> Result<&'static LlamaBackend, EngineError> {
    static BACKEND: OnceLock<Option<LlamaBackend>> = OnceLock::new();
    let backend = BACKEND.get_or_init(|| {
        let mut backend = LlamaBackend::init().ok()?;
        backend.void_logs();
        Some(backend)
    });
    backend.as_ref().ok_or_else(|| EngineError::Failed("llama.cpp does not start".to_owned()))
}

/// Loads the model and lets `work` have it, with what it takes of memory, on this thread. An error is
/// one of loading.
pub(crate) fn with(
    path: &Path,
    plan: Plan,
    work: impl FnOnce(&mut dyn Network, Size),
) -> Result<(), EngineError> {
    let refused = |error: &dyn std::fmt::Display| {
        EngineError::Unsupported(format!("llama.cpp says: {error}"))
    };
    let narrow = |n: usize| u32::try_from(n).map_err(|error| refused(&error));
    let threads = |n: usize| i32::try_from(n).map_err(|error| refused(&error));
    let backend = backend()?;
    let model = LlamaModel::load_from_file(backend, path, &LlamaModelParams::default())
        .map_err(|error| refused(&error))?;
    let params = LlamaContextParams::default()
        // It is shared out among the sequences.
        .with_n_ctx(NonZeroU32::new(narrow(plan.n_ctx * plan.n_slots)?))
        .with_n_seq_max(narrow(plan.n_slots)?)
        .with_n_batch(narrow(plan.chunk)?)
        .with_n_ubatch(narrow(plan.chunk)?)
        .with_n_threads(threads(plan.decode_threads)?)
        .with_n_threads_batch(threads(plan.prefill_threads)?);
    let context = model.new_context(backend, params).map_err(|error| refused(&error))?;
    let tokens = vec![Vec::new(); plan.n_slots];
    let batch = LlamaBatch::new(plan.chunk, 1);
    let size = Size {
        weights: usize::try_from(model.size()).unwrap_or(usize::MAX),
        cache: cache_size(&model, plan),
    };
    work(&mut Foreign { context, batch, tokens }, size);
    Ok(())
}

/// Bytes of keys and values in half precision, where all layers are alike.
fn cache_size(model: &LlamaModel, plan: Plan) -> usize {
    let width = usize::try_from(model.n_embd()).unwrap_or_default();
    let head = width / (model.n_head() as usize).max(1);
    let values = head * model.n_head_kv() as usize * model.n_layer() as usize;
    2 * size_of::<u16>() * values * plan.n_ctx * plan.n_slots
}

struct Foreign<'m> {
    context: LlamaContext<'m>,
    batch: LlamaBatch<'static>,
    /// What each sequence holds.
    tokens: Vec<Vec<u32>>,
}

impl Network for Foreign<'_> {
    fn tokens(&self, slot: usize) -> &[u32] {
        &self.tokens[slot]
    }

    fn truncate(&mut self, slot: usize, n: usize) {
        if n >= self.tokens[slot].len() {
            return;
        }
        let number = |n: usize| u32::try_from(n).ok();
        let cut = self.context.clear_kv_cache_seq(number(slot), number(n), None);
        let kept = if cut.is_ok_and(|cut| cut) { n } else { 0 };
        if kept < n {
            // A recurrent model remembers no earlier state: it begins anew. That never fails.
            let _ = self.context.clear_kv_cache_seq(number(slot), None, None);
        }
        self.tokens[slot].truncate(kept);
    }

    fn evaluate(
        &mut self,
        slot: usize,
        tokens: &[u32],
        logits: Option<&mut Vec<f32>>,
    ) -> Result<(), EngineError> {
        let failed =
            |error: &dyn std::fmt::Display| EngineError::Failed(format!("llama.cpp says: {error}"));
        let number = |n: usize| i32::try_from(n).map_err(|error| failed(&error));
        let first = self.tokens[slot].len();
        let sequence = number(slot)?;
        self.batch.clear();
        for (i, token) in tokens.iter().enumerate() {
            let token = LlamaToken(i32::try_from(*token).map_err(|error| failed(&error))?);
            let wanted = logits.is_some() && i + 1 == tokens.len();
            self.batch
                .add(token, number(first + i)?, &[sequence], wanted)
                .map_err(|error| failed(&error))?;
        }
        if let Err(error) = self.context.decode(&mut self.batch) {
            // How far it came is not said.
            self.tokens[slot].extend_from_slice(tokens);
            self.truncate(slot, first);
            return Err(failed(&error));
        }
        self.tokens[slot].extend_from_slice(tokens);
        if let Some(logits) = logits {
            logits.clear();
            logits.extend_from_slice(self.context.get_logits_ith(number(tokens.len() - 1)?));
        }
        Ok(())
    }
}
