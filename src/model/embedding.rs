//! Models that turn text into numbers and write none: embedding models and rerankers.
//!
//! Servers list them beside the others, most without a word about what they are for. One that is
//! taken for a code model answers every key with an error, so no provider shows them.

use super::ModelFacts;

/// Words of their names, beside `embed`, `embedding` and the like. Sources: the embedding models in the libraries of Ollama and LM Studio, and
/// the GGUF files of their makers (BAAI, Alibaba, Microsoft, Nomic, Mixedbread, Snowflake, Jina).
const WORDS: &[&str] = &["bge", "e5", "gte", "minilm", "paraphrase", "rerank", "reranker"];

/// Whether a model cannot write text, by its name, its file and its architecture.
pub(super) fn only_embeds(model: &ModelFacts) -> bool {
    let architecture = model.architecture.as_deref().unwrap_or_default();
    named(&model.name)
        || model.file.as_deref().is_some_and(named)
        // `bert`, `nomic-bert`, `nomic-bert-moe`, `jina-bert-v2`, `gemma-embedding`.
        || architecture.split('-').any(|part| part == "bert" || part == "embedding")
}

fn named(name: &str) -> bool {
    // `org/model:tag` or a path: what stands before the last slash is not the model's name.
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default().to_lowercase();
    name.split(|char: char| !char.is_alphanumeric()).any(|word| {
        word.starts_with("embed") && !word.starts_with("embedded") || WORDS.contains(&word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for name in [
            "nomic-embed-text:latest",
            "text-embedding-nomic-embed-text-v1.5",
            "mxbai-embed-large",
            "snowflake-arctic-embed2:568m",
            "embeddinggemma",
            "qwen3-embedding:0.6b",
            "Qwen/Qwen3-Reranker-0.6B",
            "bge-m3",
            "BAAI/bge-large-en-v1.5",
            "all-minilm:33m",
            "intfloat/multilingual-e5-large",
            "thenlper/gte-large",
            "paraphrase-multilingual",
            "/models/bge-small-en-v1.5-q8_0.gguf",
        ] {
            assert!(named(name), "{name}");
        }
        for name in [
            "qwen2.5-coder:1.5b-base",
            "embeddings/codellama-7b",
            "embedded-coder:3b",
            "deepseek-coder-v2:16b",
            "granite-code:3b",
            "JetBrains/Mellum-4b-base",
            "llama3.2:3b",
            "",
        ] {
            assert!(!named(name), "{name}");
        }
    }

    #[test]
    fn architectures() {
        let only_embeds = |architecture: &str| {
            let architecture = Some(architecture.to_owned());
            only_embeds(&ModelFacts { architecture, ..ModelFacts::default() })
        };
        for architecture in ["bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2"] {
            assert!(only_embeds(architecture), "{architecture}");
        }
        for architecture in ["qwen2", "llama", "starcoder2", "mellum"] {
            assert!(!only_embeds(architecture), "{architecture}");
        }
    }
}
