//! How far a provider reaches: this machine, no redirect, no proxy, no model that a server only relays.

use crate::support::fake_model::{FakeModel, Reply};
use crate::{KINDS, at, refused, simple};
use expect_test::expect;
use hearth::model::{Client, Endpoint, Job, Kind, ModelError, provider};
use serde_json::json;
use url::Url;

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = FakeModel::ollama().await;
    for kind in KINDS {
        let said = refused(kind, Reply::redirect(elsewhere.url().as_str())).await;
        expect!["the server at URL refused: 307 it redirects, and redirects are not followed"]
            .assert_eq(&said);
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn addresses_off_this_machine_are_refused() {
    for url in [
        "http://192.0.2.1:11434",
        "http://0.0.0.0:11434",
        "http://[2001:db8::1]:8080/v1",
        "http://[::ffff:192.0.2.1]:8080",
    ] {
        for kind in KINDS {
            let provider = at(kind, &url.parse().expect("a URL"));
            let started = provider.generate(simple()).await.map(drop);
            assert!(matches!(started, Err(ModelError::NotLocal { .. })), "{url}: {started:?}");
            let looked = provider.look().await;
            assert!(matches!(looked, Err(ModelError::NotLocal { .. })), "{url}: {looked:?}");
        }
    }
}

#[tokio::test]
async fn localhost_is_this_machine() {
    let server = FakeModel::ollama().await;
    let url = format!("http://localhost:{}/", server.address().port()).parse().expect("a URL");
    at(Kind::Ollama, &url).look().await.expect("it answers");
    // Nothing listens on IPv6 there; the IPv4 address must be tried as well.
    assert_eq!(server.next_request().await.headers["host"], url.authority());
}

/// Runs another test in a process whose environment names proxies.
#[test]
fn proxies_are_not_used() {
    let myself = std::env::current_exe().expect("a test binary");
    let output = std::process::Command::new(myself)
        .args(["--exact", "asking::text_comes_as_it_is_generated"])
        .envs(
            ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]
                .map(|name| (name, "http://127.0.0.1:1")),
        )
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
async fn a_key_is_sent_and_never_shown() {
    let server = FakeModel::open_ai().await;
    let url: Url = format!("http://user:hunter2@{}/v1/", server.address()).parse().expect("a URL");
    let endpoint = Endpoint::new(&Client::new().expect("a client"), &url).with_key("sk-secret");
    let provider = provider(Kind::OpenAi, endpoint);
    provider.look().await.expect("it answers");
    assert_eq!(server.next_request().await.headers["authorization"], "Bearer sk-secret");
    let shown = format!("{provider:?} {}", provider.endpoint());
    assert!(!shown.contains("secret") && !shown.contains("hunter2"), "{shown}");
    assert_eq!(provider.endpoint(), server.url().as_str().trim_end_matches('/'));
}

#[tokio::test]
async fn relayed_models_are_not_asked() {
    let server = FakeModel::ollama().await;
    let tags = json!({ "models": [{ "name": "mine", "remote_host": "https://ollama.com:443" }] });
    server.reply("GET /api/tags", Reply::json(200, &tags));
    let provider = at(Kind::Ollama, &server.url());
    let seen = provider.look().await.expect("it answers");
    assert!(seen.models[0].relayed);
    let before = server.requests().len();
    for model in ["mine", "gpt-oss:120b-cloud", "kimi:cloud"] {
        let started = provider.generate(Job { model: model.into(), ..simple() }).await.map(drop);
        assert!(matches!(started, Err(ModelError::Relayed { .. })), "{started:?}");
        let loaded = provider.preload(model, 8192, "30m").await;
        assert!(matches!(loaded, Err(ModelError::Relayed { .. })), "{loaded:?}");
    }
    assert_eq!(server.requests().len(), before);
    // Ollama's other format.
    let openai = at(Kind::OpenAi, &server.url());
    let started = openai.generate(Job { model: "kimi:cloud".into(), ..simple() }).await.map(drop);
    assert!(matches!(started, Err(ModelError::Relayed { .. })), "{started:?}");
    assert_eq!(server.requests().len(), before);
    // There an own name for it hides nothing either.
    let listed = json!({ "data": [{ "id": "mine", "object": "model" }] });
    server.reply("GET /v1/models", Reply::json(200, &listed));
    let seen = openai.look().await.expect("it answers");
    assert!(seen.models[0].relayed);
    let before = server.requests().len();
    let started = openai.generate(Job { model: "mine".into(), ..simple() }).await.map(drop);
    assert!(matches!(started, Err(ModelError::Relayed { .. })), "{started:?}");
    assert_eq!(server.requests().len(), before);
}
