//! Every provider against a server that misbehaves on request, on real sockets.

mod support;

use std::{sync::Arc, time::Duration};

use expect_test::{Expect, expect};
use futures::StreamExt;
use hearth::{
    model::{
        Budget, Client, Endpoint, Event, Events, Job, Kind, ModelError, Patience, Prompt, Provider,
        Segment, Stop, TokenCounter,
        fim::{self, QWEN},
        provider,
    },
    route::Search,
};
use serde_json::{Value, json};
use support::fake_model::{Ending, FakeModel, Reply};
use tokio::net::TcpListener;
use url::Url;

const MODEL: &str = "qwen2.5-coder:1.5b-base";
const KINDS: [Kind; 3] = [Kind::Ollama, Kind::LlamaServer, Kind::OpenAi];

async fn fake(kind: Kind) -> FakeModel {
    match kind {
        Kind::Ollama => FakeModel::ollama().await,
        Kind::LlamaServer => FakeModel::llama_server().await,
        Kind::OpenAi => FakeModel::open_ai().await,
        Kind::BuiltIn => unreachable!("it has no socket"),
    }
}

fn at(kind: Kind, url: &Url) -> Arc<dyn Provider> {
    provider(kind, Endpoint::new(&Client::new().expect("a client"), url))
}

fn budget() -> Budget {
    Budget::new(2000, None, 64, TokenCounter::default())
}

fn raw(segments: Vec<Segment>) -> Prompt {
    budget().seal(segments).expect("it fits")
}

fn fim(prefix: &str, suffix: &str) -> Prompt {
    raw(vec![
        Segment::control(QWEN.prefix),
        Segment::text(prefix),
        Segment::control(QWEN.suffix),
        Segment::text(suffix),
        Segment::control(QWEN.middle),
    ])
}

fn chat(system: &str, user: &str) -> Prompt {
    budget().seal_chat(system, vec![Segment::text(user)]).expect("it fits")
}

fn job(prompt: Prompt) -> Job {
    Job {
        model: MODEL.into(),
        prompt: Arc::new(prompt),
        temperature: 0.0,
        stop: vec!["<|endoftext|>".into(), "\n\n".into()],
        num_ctx: 8192,
        keep_alive: "30m".into(),
        slot: Some(1),
    }
}

fn simple() -> Job {
    job(fim("fn add(", ") {}\n"))
}

/// All events, texts joined, up to the first error.
async fn read(events: Events) -> (String, Option<Result<Event, ModelError>>) {
    let (text, last) = events
        .fold((String::new(), None), async |(text, last), event| match event {
            Ok(Event::Text(more)) => (text + &more, last),
            last => (text, Some(last)),
        })
        .await;
    (text, last)
}

/// Starts a generation at a fresh server of each kind and hands both to `test`.
async fn each(test: impl AsyncFn(Kind, &FakeModel, &dyn Provider)) {
    for kind in KINDS {
        let server = fake(kind).await;
        test(kind, &server, &*at(kind, &server.url())).await;
    }
}

/// What a generation fails with whose answer is `reply`.
async fn refused(kind: Kind, reply: Reply) -> String {
    let server = fake(kind).await;
    let provider = at(kind, &server.url());
    let (started, ()) = tokio::join!(provider.generate(simple()), async {
        server.generation().await.refuse(reply);
    });
    let error = started.err().expect("a refusal");
    error.to_string().replace(&server.url().to_string().trim_end_matches('/').to_owned(), "URL")
}

/// Starts a generation, plays `play` on it and reads it to its end.
async fn played(
    kind: Kind,
    play: impl FnOnce(&support::fake_model::Generation),
) -> (String, Option<Result<Event, ModelError>>) {
    let server = fake(kind).await;
    let provider = at(kind, &server.url());
    let (events, _generation) = tokio::join!(provider.generate(simple()), async {
        let generation = server.generation().await;
        play(&generation);
        generation
    });
    read(events.expect("it starts")).await
}

fn error_of(last: Option<Result<Event, ModelError>>) -> ModelError {
    match last {
        Some(Err(error)) => error,
        other => panic!("no error but {other:?}"),
    }
}

#[tokio::test]
async fn text_comes_as_it_is_generated() {
    each(async |kind, server, provider| {
        let (events, generation) = tokio::join!(provider.generate(simple()), async {
            let generation = server.generation().await;
            generation.send("a: u8");
            generation
        });
        let mut events = events.expect("it starts");
        assert_eq!(events.next().await, Some(Ok(Event::Text("a: u8".into()))), "{kind:?}");
        generation.send(", b: u8");
        assert_eq!(events.next().await, Some(Ok(Event::Text(", b: u8".into()))));
        generation.finish_as(Ending { limit: true, ..Ending::default() });
        let Some(Ok(Event::Done(usage))) = events.next().await else { panic!("no end") };
        assert_eq!(usage.prompt_tokens, Some(20));
        assert_eq!(usage.cached_tokens, (kind != Kind::Ollama).then_some(12));
        assert_eq!(usage.output_tokens, Some(3));
        assert_eq!(usage.stop, Stop::Limit);
        assert_eq!(events.next().await, None);
    })
    .await;
}

#[tokio::test]
async fn a_connection_serves_one_generation_after_another() {
    each(async |kind, server, provider| {
        for _ in 0..3 {
            server.script_completion(["x"]);
            let (text, last) = read(provider.generate(simple()).await.expect("it starts")).await;
            assert_eq!(text, "x");
            assert!(matches!(last, Some(Ok(Event::Done(_)))), "{last:?}");
        }
        assert_eq!(server.connections(), 1, "{kind:?}");
    })
    .await;
}

async fn check_request(kind: Kind, prompt: Prompt, request: &Expect) {
    let server = fake(kind).await;
    server.script_completion([]);
    let _events = at(kind, &server.url()).generate(job(prompt)).await.expect("it starts");
    let sent = server.next_request().await;
    request.assert_eq(&format!("{} {}\n{:#}", sent.method, sent.path, sent.body));
    assert_eq!(sent.headers["content-type"], "application/json");
}

#[tokio::test]
async fn prompts_go_out_raw() {
    let prompt = || fim("fn add(", ") {}\n");
    check_request(
        Kind::Ollama,
        prompt(),
        &expect![[r#"
            POST /api/generate
            {
              "model": "qwen2.5-coder:1.5b-base",
              "prompt": "<|fim_prefix|>fn add(<|fim_suffix|>) {}\n<|fim_middle|>",
              "raw": true,
              "logprobs": true,
              "stream": true,
              "truncate": false,
              "keep_alive": "30m",
              "options": {
                "num_ctx": 8192,
                "num_predict": 64,
                "temperature": 0.0,
                "stop": [
                  "<|endoftext|>",
                  "\n\n"
                ]
              }
            }"#]],
    )
    .await;
    check_request(
        Kind::LlamaServer,
        prompt(),
        &expect![[r#"
            POST /completion
            {
              "model": "qwen2.5-coder:1.5b-base",
              "prompt": "<|fim_prefix|>fn add(<|fim_suffix|>) {}\n<|fim_middle|>",
              "n_predict": 64,
              "temperature": 0.0,
              "stop": [
                "<|endoftext|>",
                "\n\n"
              ],
              "stream": true,
              "cache_prompt": true,
              "return_progress": true,
              "n_probs": 1,
              "id_slot": 1,
              "response_fields": [
                "content",
                "stop",
                "stop_type",
                "tokens_evaluated",
                "tokens_predicted",
                "timings/cache_n"
              ]
            }"#]],
    )
    .await;
    check_request(
        Kind::OpenAi,
        prompt(),
        &expect![[r#"
            POST /v1/completions
            {
              "model": "qwen2.5-coder:1.5b-base",
              "prompt": "<|fim_prefix|>fn add(<|fim_suffix|>) {}\n<|fim_middle|>",
              "max_tokens": 64,
              "temperature": 0.0,
              "stop": [
                "<|endoftext|>",
                "\n\n"
              ],
              "stream": true,
              "stream_options": {
                "include_usage": true
              },
              "logprobs": 1
            }"#]],
    )
    .await;
}

#[tokio::test]
async fn hole_prompts_go_out_as_chats() {
    let prompt = || chat("Fill the hole.", "fn add(<hole>) {}");
    check_request(
        Kind::Ollama,
        prompt(),
        &expect![[r#"
            POST /api/chat
            {
              "model": "qwen2.5-coder:1.5b-base",
              "messages": [
                {
                  "role": "system",
                  "content": "Fill the hole."
                },
                {
                  "role": "user",
                  "content": "fn add(<hole>) {}"
                }
              ],
              "think": false,
              "stream": true,
              "truncate": false,
              "keep_alive": "30m",
              "options": {
                "num_ctx": 8192,
                "num_predict": 64,
                "temperature": 0.0,
                "stop": [
                  "<|endoftext|>",
                  "\n\n"
                ]
              }
            }"#]],
    )
    .await;
    check_request(
        Kind::LlamaServer,
        prompt(),
        &expect![[r#"
            POST /v1/chat/completions
            {
              "model": "qwen2.5-coder:1.5b-base",
              "messages": [
                {
                  "role": "system",
                  "content": "Fill the hole."
                },
                {
                  "role": "user",
                  "content": "fn add(<hole>) {}"
                }
              ],
              "max_tokens": 64,
              "temperature": 0.0,
              "stop": [
                "<|endoftext|>",
                "\n\n"
              ],
              "stream": true,
              "stream_options": {
                "include_usage": true
              },
              "cache_prompt": true,
              "return_progress": true,
              "id_slot": 1,
              "chat_template_kwargs": {
                "enable_thinking": false
              }
            }"#]],
    )
    .await;
    check_request(
        Kind::OpenAi,
        prompt(),
        &expect![[r#"
            POST /v1/chat/completions
            {
              "model": "qwen2.5-coder:1.5b-base",
              "messages": [
                {
                  "role": "system",
                  "content": "Fill the hole."
                },
                {
                  "role": "user",
                  "content": "fn add(<hole>) {}"
                }
              ],
              "max_tokens": 64,
              "temperature": 0.0,
              "stop": [
                "<|endoftext|>",
                "\n\n"
              ],
              "stream": true,
              "stream_options": {
                "include_usage": true
              }
            }"#]],
    )
    .await;
}

#[tokio::test]
async fn chats_stream_text_too() {
    each(async |kind, server, provider| {
        server.script_completion(["a", "b"]);
        let events = provider.generate(job(chat("Fill.", "x"))).await.expect("it starts");
        let (text, last) = read(events).await;
        assert_eq!(text, "ab", "{kind:?}");
        let Some(Ok(Event::Done(usage))) = last else { panic!("{last:?}") };
        assert_eq!((usage.prompt_tokens, usage.stop), (Some(20), Stop::Complete));
    })
    .await;
}

#[tokio::test]
async fn control_tokens_in_source_text_do_not_reach_the_model_as_such() {
    let prefix = "let stop = \"<|endo\u{66}text|>\"; // </s>\n";
    let mut prompts = Vec::new();
    for kind in KINDS {
        let server = fake(kind).await;
        server.script_completion([]);
        let job = job(fim(prefix, "\n"));
        let _events = at(kind, &server.url()).generate(job).await.expect("it starts");
        let sent = server.requests().pop().expect("a request");
        prompts.push(sent.body["prompt"].clone());
    }
    // At llama-server each of them is the ids of its characters.
    let ids = |text: &str| text.chars().map(|char| json!(u32::from(char))).collect::<Vec<_>>();
    let mut mixed = vec![json!("<|fim_prefix|>let stop = \"")];
    mixed.extend(ids("<|endoftext|>"));
    mixed.push(json!("\"; // "));
    mixed.extend(ids("</s>"));
    mixed.push(json!("\n<|fim_suffix|>\n<|fim_middle|>"));
    assert_eq!(prompts[1], Value::Array(mixed));
    // Elsewhere they are broken.
    let broken =
        "<|fim_prefix|>let stop = \"<¦|endoftext|>\"; // <¦/s>\n<|fim_suffix|>\n<|fim_middle|>";
    assert_eq!([&prompts[0], &prompts[2]], [broken, broken]);
}

#[tokio::test]
async fn ids_of_a_spelled_token_are_asked_for_once() {
    let server = FakeModel::llama_server().await;
    let provider = at(Kind::LlamaServer, &server.url());
    for _ in 0..3 {
        server.script_completion([]);
        let _events = provider.generate(job(fim("<|im_end|>", ""))).await.expect("it starts");
    }
    let paths: Vec<String> = server.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/tokenize", "/completion", "/completion", "/completion"]);
    assert_eq!(
        server.requests()[0].body,
        json!({ "model": MODEL, "content": "<|im_end|>", "add_special": false, "parse_special": false })
    );
}

#[tokio::test]
async fn broken_tokens_are_mended_in_the_output() {
    for kind in [Kind::Ollama, Kind::OpenAi] {
        let server = fake(kind).await;
        server.script_completion(["a == \"<¦|im", "_end|>\""]);
        let job = job(fim("if b == \"<|im_end|>\" && ", ""));
        let events = at(kind, &server.url()).generate(job).await.expect("it starts");
        assert_eq!(read(events).await.0, "a == \"<|im_end|>\"");
    }
}

#[tokio::test]
async fn stop_strings_and_control_tokens_are_never_shown() {
    each(async |kind, server, provider| {
        for stop in ["<|fim_", "<|endof", "\n"] {
            let rest = match stop {
                "<|fim_" => "suffix|>",
                "<|endof" => "text|>",
                _ => "\n",
            };
            server.script_completion(["x", stop, rest, "never"]);
            let (text, last) = read(provider.generate(simple()).await.expect("it starts")).await;
            assert_eq!(text, "x", "{kind:?} {stop:?}");
            let Some(Ok(Event::Done(usage))) = last else { panic!("{last:?}") };
            assert_eq!(usage.stop, Stop::Complete);
        }
    })
    .await;
}

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

/// Runs another test of this file in a process whose environment names proxies.
#[test]
fn proxies_are_not_used() {
    let myself = std::env::current_exe().expect("a test binary");
    let output = std::process::Command::new(myself)
        .args(["--exact", "text_comes_as_it_is_generated"])
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
}

#[tokio::test]
async fn preloading_asks_for_next_to_nothing() {
    let mut sent = String::new();
    for kind in KINDS {
        let server = fake(kind).await;
        at(kind, &server.url()).preload(MODEL, 8192, "30m").await.expect("it loads");
        let request = server.next_request().await;
        sent.extend([request.path, " ".into(), request.body.to_string(), "\n".into()]);
    }
    expect![[r#"
        /api/generate {"model":"qwen2.5-coder:1.5b-base","prompt":"","raw":false,"stream":false,"truncate":false,"keep_alive":"30m","options":{"num_ctx":8192}}
        /completion {"model":"qwen2.5-coder:1.5b-base","prompt":"","n_predict":0}
        /v1/completions {"model":"qwen2.5-coder:1.5b-base","prompt":" ","max_tokens":1,"temperature":0.0,"stream":false}
    "#]].assert_eq(&sent);
}

#[tokio::test]
async fn only_llama_server_counts() {
    let mut counts = Vec::new();
    for kind in KINDS {
        let server = fake(kind).await;
        counts.push(at(kind, &server.url()).count(MODEL, "<|im_end|>").await.expect("an answer"));
    }
    assert_eq!(counts, [None, Some(10), None]);
}

#[tokio::test]
async fn how_likely_a_text_is_comes_before_it() {
    each(async |kind, server, provider| {
        let (events, generation) = tokio::join!(provider.generate(simple()), async {
            let generation = server.generation().await;
            generation.send_likely("a: u8", -0.5);
            generation
        });
        let mut events = events.expect("it starts");
        assert_eq!(events.next().await, Some(Ok(Event::Odds(-0.5))), "{kind:?}");
        assert_eq!(events.next().await, Some(Ok(Event::Text("a: u8".into()))));
        // What may be the start of a stop string is held back, and its odds with it.
        generation.send_likely(", b\n", -1.0);
        generation.send_likely("c", -2.0);
        generation.finish();
        let mut odds = 0.0;
        let mut text = String::new();
        while let Some(event) = events.next().await {
            match event.expect("no error") {
                Event::Odds(more) => odds += more,
                Event::Text(more) => text += &more,
                Event::Evaluating { .. } | Event::Done(_) => {}
            }
        }
        assert_eq!((&*text, odds), (", b\nc", -3.0), "{kind:?}");
    })
    .await;
}

#[tokio::test]
async fn a_server_that_refuses_to_say_how_likely_is_asked_without() {
    let server = FakeModel::open_ai().await;
    let provider = at(Kind::OpenAi, &server.url());
    for asked in [2, 1] {
        let (started, requests) = tokio::join!(provider.generate(simple()), async {
            let mut requests = Vec::new();
            for _ in 0..asked {
                let generation = server.generation().await;
                requests.push(generation.request.body["logprobs"].clone());
                if requests.last() == Some(&json!(1)) {
                    let body = json!({ "error": { "message": "'logprobs' is not supported" } });
                    generation.refuse(Reply::json(400, &body));
                } else {
                    generation.send("x");
                    generation.finish();
                }
            }
            requests
        });
        assert_eq!(read(started.expect("it starts")).await.0, "x");
        assert_eq!(requests.last(), Some(&json!(null)), "{requests:?}");
    }
}
