//! Why a model file was refused or a generation failed, in sentences a user can act on.
//!
//! No variant ever carries source text or a prompt: these messages end in logs.

/// What went wrong in the built-in engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    #[error("cannot read the model file: {0}")]
    Io(String),
    #[error("this is not a GGUF file: it does not begin with the letters GGUF")]
    NotGguf,
    #[error("GGUF version {0} is not known; versions 2 and 3 are read")]
    Version(u32),
    #[error("the model file is cut short or damaged: {what} needs {needed} bytes, {left} are left")]
    Truncated { what: String, needed: u64, left: u64 },
    #[error("the model file is damaged: {0}")]
    Damaged(String),
    #[error("the model file says nothing of '{0}'")]
    Missing(String),
    #[error(
        "the architecture '{0}' is not one of those the built-in engine runs: qwen2, llama; a \
         program built with the feature llama-cpp knows more, and so does any model server"
    )]
    Architecture(String),
    #[error("the built-in engine cannot run this model: {0}")]
    Unsupported(String),
    #[error("the model's vocabulary cannot be used: {0}")]
    Vocabulary(String),
    #[error("there is no control token named '{0}' in this model's vocabulary")]
    NoControl(String),
    #[error("the prompt of {prompt_tokens} tokens does not fit the context of {n_ctx} tokens")]
    TooLong { prompt_tokens: usize, n_ctx: usize },
    #[error("the prompt has no tokens")]
    EmptyPrompt,
    #[error("token {token} is outside the vocabulary of {n_vocab} tokens")]
    NoToken { token: u32, n_vocab: usize },
    #[error("there is no slot {slot}: the engine was loaded with {n_slots}")]
    NoSlot { slot: usize, n_slots: usize },
    #[error("the engine failed: {0}")]
    Failed(String),
    #[error("the engine was stopped")]
    Stopped,
}

impl From<std::io::Error> for EngineError {
    fn from(err: std::io::Error) -> Self {
        Self::Io(err.to_string())
    }
}
