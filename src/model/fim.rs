//! Fill-in-the-middle templates, one row per model family.

/// The control tokens of a family that was trained to fill in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FimTokens {
    /// Name of the family, as shown in the status.
    pub family: &'static str,
    /// Opens the prefix.
    pub prefix: &'static str,
    /// Opens the suffix.
    pub suffix: &'static str,
    /// Opens the middle; empty where the middle simply follows.
    pub middle: &'static str,
    /// Stands before a file's path in prompts of several files.
    pub file_sep: Option<&'static str>,
    /// The suffix stands before the prefix (SPM).
    pub suffix_first: bool,
    /// At most four, as some servers take no more; none is ever shown.
    pub stop: &'static [&'static str],
}

/// Qwen2.5-Coder and Qwen3-Coder, and Hearth's own model, which took their names.
/// Source: the Qwen2.5-Coder README, "File-Level and Repository-Level Code Completion".
pub const QWEN: FimTokens = FimTokens {
    family: "qwen-coder",
    prefix: "<|fim_prefix|>",
    suffix: "<|fim_suffix|>",
    middle: "<|fim_middle|>",
    file_sep: Some("<|file_sep|>"),
    suffix_first: false,
    stop: &["<|endoftext|>", "<|fim_pad|>", "<|file_sep|>", "<|repo_name|>"],
};
