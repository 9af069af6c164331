//! What servers say of themselves, by route: as it was recorded, or as it is documented.

use serde_json::{Value, json};

pub(super) fn llama_server() -> Vec<(&'static str, Value)> {
    vec![
        (
            "GET /props",
            json!({
                "default_generation_settings": { "params": { "n_predict": -1 }, "n_ctx": 2048 },
                "total_slots": 2,
                "model_alias": "coder",
                "model_ftype": "Q8_0",
                "model_path": "/models/qwen2.5-coder-60m-Q8_0.gguf",
                "chat_template": "{% for m in messages %}{{'<|im_start|>' + m['role']}}{% endfor %}",
                "bos_token": "<|endoftext|>",
                "build_info": "b11669-Debian",
                "is_sleeping": false,
            }),
        ),
        (
            "GET /v1/models",
            json!({
                "object": "list",
                "data": [{
                    "id": "coder",
                    "object": "model",
                    "owned_by": "llamacpp",
                    "meta": { "n_ctx": 2048, "n_ctx_train": 8192, "n_params": 62_412_288, "ftype": "Q8_0" },
                }],
            }),
        ),
        ("GET /health", json!({ "status": "ok" })),
    ]
}

pub(super) fn ollama() -> Vec<(&'static str, Value)> {
    let details = |size: &str, level: &str| json!({ "format": "gguf", "family": "qwen2", "parameter_size": size, "quantization_level": level, "context_length": 32768 });
    vec![
        ("GET /api/version", json!({ "version": "0.33.0" })),
        (
            "GET /api/tags",
            json!({ "models": [
                { "name": "qwen2.5-coder:1.5b-base", "model": "qwen2.5-coder:1.5b-base", "digest": "d1", "details": details("1.5B", "Q4_K_M") },
                { "name": "qwen2.5:7b", "model": "qwen2.5:7b", "digest": "d2", "details": details("7.6B", "Q4_K_M") },
                { "name": "gpt-oss:120b-cloud", "model": "gpt-oss:120b-cloud", "digest": "d3", "remote_model": "gpt-oss:120b", "remote_host": "https://ollama.com:443", "details": {} },
            ] }),
        ),
        (
            "GET /api/ps",
            json!({ "models": [{ "name": "qwen2.5-coder:1.5b-base", "model": "qwen2.5-coder:1.5b-base", "context_length": 8192 }] }),
        ),
        (
            "POST /api/show",
            json!({
                "template": "{{- if .Suffix }}<|fim_prefix|>{{ .Prompt }}<|fim_suffix|>{{ .Suffix }}<|fim_middle|>{{ else }}{{ .Prompt }}{{ end }}",
                "capabilities": ["completion", "insert"],
                "model_info": { "general.architecture": "qwen2", "general.parameter_count": 1_543_714_304_u64, "qwen2.context_length": 32768 },
            }),
        ),
    ]
}

pub(super) fn lm_studio() -> Vec<(&'static str, Value)> {
    vec![
        (
            "GET /v1/models",
            json!({ "object": "list", "data": [
                { "id": "qwen2.5-coder-1.5b", "object": "model", "owned_by": "organization_owner" },
                { "id": "llama-3.2-3b-instruct", "object": "model", "owned_by": "organization_owner" },
                { "id": "text-embedding-nomic-embed-text-v1.5", "object": "model", "owned_by": "organization_owner" },
            ] }),
        ),
        (
            "GET /api/v0/models",
            json!({ "object": "list", "data": [
                { "id": "qwen2.5-coder-1.5b", "type": "llm", "publisher": "lmstudio-community", "arch": "qwen2", "compatibility_type": "gguf", "quantization": "Q4_K_M", "state": "loaded", "max_context_length": 32768, "loaded_context_length": 4096 },
                { "id": "llama-3.2-3b-instruct", "type": "llm", "arch": "llama", "compatibility_type": "gguf", "quantization": "Q4_K_M", "state": "not-loaded", "max_context_length": 131_072 },
                { "id": "text-embedding-nomic-embed-text-v1.5", "type": "embeddings", "arch": "nomic-bert", "state": "not-loaded", "max_context_length": 2048 },
            ] }),
        ),
    ]
}
