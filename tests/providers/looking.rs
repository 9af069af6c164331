//! What each provider says of the server and its models.

use crate::support::fake_model::{FakeModel, Reply};
use crate::{at, fake};
use expect_test::{Expect, expect};
use hearth::model::{Kind, ModelError, fim};
use hearth::route::Search;
use serde_json::{Value, json};
use std::sync::Arc;

async fn check_look(kind: Kind, server: &FakeModel, seen: &Expect) {
    let sighting = at(kind, &server.url()).look().await.expect("it answers");
    let mut seen_json = json!(sighting);
    // What is not known is left out here.
    for model in seen_json["models"].as_array_mut().into_iter().flatten() {
        if let Some(model) = model.as_object_mut() {
            model.retain(|name, value| !value.is_null() && name != "template");
        }
    }
    let asked: Vec<String> = server
        .requests()
        .iter()
        .map(|request| format!("{} {}", request.method, request.path))
        .collect();
    seen.assert_eq(&format!("{asked:?}\n{seen_json:#}"));
}

#[tokio::test]
async fn a_look_at_ollama() {
    check_look(
        Kind::Ollama,
        &FakeModel::ollama().await,
        &expect![[r#"
            ["GET /api/version", "GET /api/tags", "GET /api/ps", "POST /api/show", "POST /api/show"]
            {
              "kind": "ollama",
              "version": "0.33.0",
              "slots": null,
              "models": [
                {
                  "name": "qwen2.5-coder:1.5b-base",
                  "loaded": true,
                  "context": 8192,
                  "trained_context": 32768,
                  "parameters": 1543714304,
                  "quantization": "Q4_K_M",
                  "architecture": "qwen2",
                  "inserts": true,
                  "relayed": false
                },
                {
                  "name": "qwen2.5:7b",
                  "loaded": false,
                  "trained_context": 32768,
                  "parameters": 1543714304,
                  "quantization": "Q4_K_M",
                  "architecture": "qwen2",
                  "inserts": true,
                  "relayed": false
                },
                {
                  "name": "gpt-oss:120b-cloud",
                  "loaded": false,
                  "relayed": true
                }
              ]
            }"#]],
    )
    .await;
}

/// What discovery says of a server whose models are these, by the answers of its routes.
async fn check_choice(kind: Kind, replies: &[(&str, Value)], expected: Expect) {
    let server = fake(kind).await;
    for (route, body) in replies {
        server.reply(route, Reply::json(200, body));
    }
    let search = Search {
        places: vec![server.url()],
        ..Search::usual(
            Arc::new(at),
            |facts| matches!(fim::choose(facts), fim::Mode::Fim(_)),
            fim::follows,
        )
    };
    let found = search.discover().await;
    let sentence = found.choice.map_or_else(|none| none, |serving| serving.why);
    expected.assert_eq(&sentence.replace(server.url().as_str().trim_end_matches('/'), "URL"));
}

#[tokio::test]
async fn embedding_models_are_never_chosen() {
    let tags = json!({ "models": [
        { "name": "nomic-embed-text:latest", "digest": "e1", "details": { "family": "nomic-bert" } },
        { "name": "qwen2.5:7b", "digest": "d2", "details": { "family": "qwen2" } },
    ] });
    let running = json!({ "models": [{ "name": "nomic-embed-text:latest" }] });
    let shown =
        |capabilities: Value| json!({ "template": "{{ .Prompt }}", "capabilities": capabilities });
    // The capabilities decide; a server that is older than those has names and families.
    check_choice(
        Kind::Ollama,
        &[
            ("GET /api/tags", tags.clone()),
            ("GET /api/ps", running.clone()),
            ("POST /api/show", shown(json!(["embedding"]))),
        ],
        expect!["Ollama at URL/ has no model that writes text; download a code model into it"],
    )
    .await;
    check_choice(
        Kind::Ollama,
        &[("GET /api/tags", tags), ("GET /api/ps", running), ("POST /api/show", shown(json!([])))],
        expect!["qwen2.5:7b at URL (Ollama): it can be loaded and continues text, as no model that fills in the middle was found"],
    )
    .await;
    let listed = |ids: &[&str]| {
        let data: Vec<_> = ids.iter().map(|id| json!({ "id": id, "object": "model" })).collect();
        json!({ "object": "list", "data": data })
    };
    let nothing = ("GET /api/v0/models", json!({ "error": "Unexpected endpoint or method." }));
    check_choice(
        Kind::OpenAi,
        &[("GET /v1/models", listed(&["BAAI/bge-m3"])), nothing.clone()],
        expect!["the OpenAI-compatible server at URL/ has no model that writes text; download a code model into it"],
    )
    .await;
    check_choice(
        Kind::OpenAi,
        &[("GET /v1/models", listed(&["BAAI/bge-m3", "llama-3.2-3b"])), nothing],
        expect!["llama-3.2-3b at URL (the OpenAI-compatible server): it is offered and continues text, as no model that fills in the middle was found"],
    )
    .await;
    check_choice(
        Kind::LlamaServer,
        &[("GET /v1/models", listed(&["nomic-embed-text-v1.5.Q8_0.gguf"]))],
        expect![
            "llama-server at URL/ has no model that writes text; download a code model into it"
        ],
    )
    .await;
}

#[tokio::test]
async fn a_look_at_llama_server() {
    check_look(
        Kind::LlamaServer,
        &FakeModel::llama_server().await,
        &expect![[r#"
            ["GET /props", "GET /v1/models"]
            {
              "kind": "llama-server",
              "version": "b11669-Debian",
              "slots": 2,
              "models": [
                {
                  "name": "coder",
                  "file": "/models/qwen2.5-coder-60m-Q8_0.gguf",
                  "loaded": true,
                  "context": 2048,
                  "trained_context": 8192,
                  "parameters": 62412288,
                  "quantization": "Q8_0",
                  "relayed": false
                }
              ]
            }"#]],
    )
    .await;
}

#[tokio::test]
async fn a_look_at_a_router_asks_only_loaded_models() {
    let server = FakeModel::llama_server().await;
    server.reply(
        "GET /v1/models",
        Reply::json(
            200,
            &json!({ "data": [
                { "id": "alpha", "status": { "value": "unloaded" }, "context_length": 4096 },
                { "id": "fim big", "status": { "value": "loaded" } },
            ] }),
        ),
    );
    check_look(
        Kind::LlamaServer,
        &server,
        &expect![[r#"
            ["GET /props", "GET /v1/models", "GET /props?model=fim+big&autoload=false"]
            {
              "kind": "llama-server",
              "version": "b11669-Debian",
              "slots": 2,
              "models": [
                {
                  "name": "alpha",
                  "loaded": false,
                  "relayed": false
                },
                {
                  "name": "fim big",
                  "file": "/models/qwen2.5-coder-60m-Q8_0.gguf",
                  "loaded": true,
                  "context": 2048,
                  "quantization": "Q8_0",
                  "relayed": false
                }
              ]
            }"#]],
    )
    .await;
}

#[tokio::test]
async fn a_look_at_lm_studio() {
    check_look(
        Kind::OpenAi,
        &FakeModel::open_ai().await,
        &expect![[r#"
            ["GET /v1/models", "GET /api/v0/models"]
            {
              "kind": "openai",
              "version": null,
              "slots": null,
              "models": [
                {
                  "name": "qwen2.5-coder-1.5b",
                  "loaded": true,
                  "context": 4096,
                  "trained_context": 32768,
                  "quantization": "Q4_K_M",
                  "architecture": "qwen2",
                  "relayed": false
                },
                {
                  "name": "llama-3.2-3b-instruct",
                  "loaded": false,
                  "trained_context": 131072,
                  "quantization": "Q4_K_M",
                  "architecture": "llama",
                  "relayed": false
                }
              ]
            }"#]],
    )
    .await;
}

#[tokio::test]
async fn a_second_look_at_ollama_does_not_ask_for_each_model() {
    let server = FakeModel::ollama().await;
    let provider = at(Kind::Ollama, &server.url());
    let first = provider.look().await;
    let before = server.requests().len();
    assert_eq!(provider.look().await, first);
    let paths = server.requests().split_off(before).into_iter().map(|request| request.path);
    assert!(!paths.collect::<Vec<_>>().contains(&"/api/show".to_owned()));
}

#[tokio::test]
async fn a_look_tells_servers_apart() {
    for (kind, server) in [
        (Kind::Ollama, FakeModel::llama_server().await),
        (Kind::Ollama, FakeModel::open_ai().await),
        (Kind::LlamaServer, FakeModel::ollama().await),
        (Kind::LlamaServer, FakeModel::open_ai().await),
        (Kind::OpenAi, FakeModel::ollama().await),
    ] {
        at(kind, &server.url()).look().await.expect_err("another server");
    }
}

#[tokio::test]
async fn a_loading_server_is_loading() {
    let server = FakeModel::llama_server().await;
    let loading = json!({ "error": { "message": "Loading model", "type": "unavailable_error", "code": 503 } });
    server.reply("GET /props", Reply::json(503, &loading));
    let looked = at(Kind::LlamaServer, &server.url()).look().await;
    assert!(matches!(looked, Err(ModelError::Loading { .. })), "{looked:?}");
}
