//! Servers that refuse, break off, fall silent or talk nonsense.

use crate::support::fake_model::{FakeModel, Reply};
use crate::{KINDS, MODEL, at, each, error_of, fake, played, read, refused, simple};
use expect_test::expect;
use futures::StreamExt;
use hearth::model::{Client, Endpoint, Event, Kind, ModelError, Patience, Stop, provider};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpListener;

#[tokio::test]
async fn no_server_is_said() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    for kind in KINDS {
        let provider = at(kind, &url.parse().expect("a URL"));
        let looked = provider.look().await.map(drop);
        let started = provider.generate(simple()).await.map(drop);
        assert_eq!(looked, started);
        let said = started.expect_err("nobody answers").to_string().replace(&url, "URL");
        expect!["no model server answers at URL: Connection refused (os error 111)"]
            .assert_eq(&said);
    }
}

#[tokio::test]
async fn a_refusal_says_what_is_wrong() {
    let said = async |kind, status, body: Value| refused(kind, Reply::json(status, &body)).await;
    let unknown = json!({ "error": format!("model '{MODEL}' not found") });
    expect!["the server at URL does not have the model 'qwen2.5-coder:1.5b-base': model 'qwen2.5-coder:1.5b-base' not found"].assert_eq(&said(Kind::Ollama, 404, unknown).await);
    let unknown = json!({ "error": { "code": 400, "message": "model 'zzz' not found", "type": "invalid_request_error" } });
    expect![
        "the server at URL does not have the model 'qwen2.5-coder:1.5b-base': model 'zzz' not found"
    ]
    .assert_eq(&said(Kind::LlamaServer, 400, unknown).await);
    let loading = json!({ "error": { "message": "Loading model", "type": "unavailable_error", "code": 503 } });
    expect!["the server at URL is loading its model"]
        .assert_eq(&said(Kind::LlamaServer, 503, loading).await);
    let busy =
        json!({ "error": "server busy, please try again.  maximum pending requests exceeded" });
    expect!["the server at URL is busy: server busy, please try again.  maximum pending requests exceeded"].assert_eq(&said(Kind::Ollama, 503, busy).await);
    for kind in KINDS {
        let key = json!({ "error": { "message": "Invalid API Key", "type": "authentication_error", "code": 401 } });
        expect!["the server at URL refused: 401 Invalid API Key"]
            .assert_eq(&said(kind, 401, key).await);
    }
}

#[tokio::test]
async fn a_prompt_that_is_too_long_tells_the_context() {
    let server = FakeModel::llama_server().await;
    let error = json!({ "error": { "code": 400, "message": "request (7200 tokens) exceeds the available context size (2048 tokens), try increasing it", "type": "exceed_context_size_error", "n_prompt_tokens": 7200, "n_ctx": 2048 } });
    server.reply("POST /completion", Reply::json(400, &error));
    let error = at(Kind::LlamaServer, &server.url()).generate(simple()).await.err();
    let Some(ModelError::TooLong { prompt_tokens, context, .. }) = error else {
        panic!("{error:?}")
    };
    assert_eq!((prompt_tokens, context), (Some(7200), Some(2048)));
}

#[tokio::test]
async fn a_stream_that_breaks_off_keeps_its_text() {
    for kind in KINDS {
        let (text, last) = played(kind, |generation| {
            generation.send("let x");
            generation.cut();
        })
        .await;
        assert_eq!(text, "let x");
        let error = error_of(last);
        assert!(matches!(error, ModelError::BrokenStream { .. }), "{kind:?}: {error}");
    }
}

#[tokio::test]
async fn a_stream_without_a_last_message_is_an_end() {
    for kind in KINDS {
        let (text, last) = played(kind, |generation| {
            generation.send("let x <");
            generation.end();
        })
        .await;
        assert_eq!(text, "let x <");
        let Some(Ok(Event::Done(usage))) = last else { panic!("{kind:?}: {last:?}") };
        assert_eq!(usage.stop, Stop::Unsaid);
    }
}

#[tokio::test]
async fn half_a_message_at_the_end_is_not() {
    for kind in KINDS {
        let (_, last) = played(kind, |generation| {
            generation.raw(if kind == Kind::Ollama { "{\"respo" } else { "data: {\"conte" });
            generation.end();
        })
        .await;
        let error = error_of(last);
        assert!(matches!(error, ModelError::BrokenStream { .. }), "{kind:?}: {error}");
    }
}

#[tokio::test]
async fn what_is_not_json_is_said() {
    for kind in KINDS {
        let (text, last) = played(kind, |generation| {
            generation.send("a");
            generation.raw(if kind == Kind::Ollama { "<html>\n" } else { "data: <html>\n\n" });
        })
        .await;
        assert_eq!(text, "a");
        let error = error_of(last);
        assert!(matches!(error, ModelError::Malformed { .. }), "{kind:?}: {error}");
    }
}

#[tokio::test]
async fn a_failure_in_the_middle_is_passed_on() {
    for kind in KINDS {
        let (text, last) = played(kind, |generation| {
            generation.send("a");
            generation.raw(match kind {
                Kind::Ollama => "{\"error\":\"the runner stopped\"}\n",
                Kind::LlamaServer => "error: {\"code\":500,\"message\":\"the runner stopped\",\"type\":\"server_error\"}\n\n",
                Kind::OpenAi => "data: {\"error\":{\"message\":\"the runner stopped\"}}\n\n",
                Kind::BuiltIn => unreachable!("it has no socket"),
            });
        })
        .await;
        assert_eq!(text, "a");
        let ModelError::BrokenStream { detail, .. } = error_of(last) else { panic!("{kind:?}") };
        assert_eq!(detail, "the runner stopped");
    }
}

#[tokio::test]
async fn an_endless_line_is_cut_off() {
    for kind in KINDS {
        let (_, last) = played(kind, |generation| {
            for _ in 0..10 {
                generation.raw(vec![b'x'; 1 << 20]);
            }
        })
        .await;
        let error = error_of(last);
        assert!(error.to_string().contains("more than 4194304 bytes"), "{kind:?}: {error}");
    }
}

#[tokio::test]
async fn an_endless_answer_to_a_look_is_cut_off() {
    for (kind, route) in [
        (Kind::Ollama, "GET /api/tags"),
        (Kind::LlamaServer, "GET /props"),
        (Kind::OpenAi, "GET /v1/models"),
    ] {
        let server = fake(kind).await;
        let mut body = b"{\"models\":[".to_vec();
        body.resize(9 << 20, b' ');
        server.reply(route, Reply::Answer { status: 200, headers: Vec::new(), body });
        let error = at(kind, &server.url()).look().await.expect_err("too long");
        assert!(error.to_string().contains("more than 8388608 bytes"), "{kind:?}: {error}");
    }
}

#[tokio::test]
async fn characters_may_be_cut_by_the_wire() {
    for kind in KINDS {
        let message = match kind {
            Kind::Ollama => "{\"response\":\"é漢🦀\",\"done\":false}\n",
            Kind::LlamaServer => "data: {\"content\":\"é漢🦀\",\"stop\":false}\n\n",
            Kind::OpenAi => "data: {\"choices\":[{\"text\":\"é漢🦀\"}]}\n\n",
            Kind::BuiltIn => unreachable!("it has no socket"),
        };
        let (text, _) = played(kind, |generation| {
            for byte in message.bytes() {
                generation.raw([byte]);
            }
            generation.finish();
        })
        .await;
        assert_eq!(text, "é漢🦀", "{kind:?}");
    }
}

/// Drops `dropped` and says how long the server took to notice, at best of five: other processes
/// may hold the processor for longer than a single attempt is allowed to take.
async fn notices(kind: Kind, before_the_head: bool) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let server = fake(kind).await;
        let provider = at(kind, &server.url());
        let mut started = provider.generate(simple());
        let mut generation = tokio::select! {
            generation = server.generation() => generation,
            _ = &mut started => panic!("nothing was answered yet"),
        };
        let dropped = if before_the_head {
            let dropped = std::time::Instant::now();
            drop(started);
            dropped
        } else {
            generation.send("x");
            let mut events = started.await.expect("it starts");
            assert_eq!(events.next().await, Some(Ok(Event::Text("x".into()))));
            let dropped = std::time::Instant::now();
            drop(events);
            dropped
        };
        best = best.min(generation.disconnected().await - dropped);
    }
    best
}

#[tokio::test]
async fn dropping_a_generation_closes_its_connection_at_once() {
    for kind in KINDS {
        for before_the_head in [true, false] {
            let taken = notices(kind, before_the_head).await;
            assert!(taken < Duration::from_millis(10), "{kind:?}: {taken:?}");
        }
    }
}

#[tokio::test]
async fn silence_ends_in_an_error() {
    let patience = Patience {
        look: Duration::from_millis(50),
        first_byte: Duration::from_millis(100),
        idle: Duration::from_millis(50),
    };
    for kind in KINDS {
        let server = fake(kind).await;
        let endpoint = Endpoint::new(&Client::new().expect("a client"), &server.url());
        let provider = provider(kind, endpoint.with_patience(patience));
        let silent = |error| matches!(error, Some(ModelError::Silent { .. }));
        assert!(silent(provider.generate(simple()).await.err()), "before the head");
        let _hung = server.generation().await;

        let (events, generation) = tokio::join!(provider.generate(simple()), async {
            let generation = server.generation().await;
            generation.send("x");
            generation
        });
        let (text, last) = read(events.expect("it starts")).await;
        assert_eq!(text, "x");
        assert!(silent(Some(error_of(last))), "in the middle");
        drop(generation);

        for route in ["GET /api/version", "GET /props", "GET /v1/models"] {
            server.reply(route, Reply::Never);
        }
        assert!(silent(provider.look().await.err()), "on a look");
    }
}

#[tokio::test]
async fn garbage_instead_of_http_is_no_answer() {
    each(async |kind, server, provider| {
        for route in ["GET /api/version", "GET /props", "GET /v1/models"] {
            server.reply(route, Reply::Garbage(b"\x16\x03\x01SSH-2.0\r\n\r\n".to_vec()));
        }
        let error = provider.look().await.expect_err("garbage");
        assert!(matches!(error, ModelError::Unreachable { .. }), "{kind:?}: {error}");
    })
    .await;
}
