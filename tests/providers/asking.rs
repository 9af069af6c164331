//! What each provider sends, and what comes of the answer.

use crate::support::fake_model::{Ending, FakeModel, Reply};
use crate::{KINDS, MODEL, at, chat, each, fake, fim, job, read, simple};
use expect_test::{Expect, expect};
use futures::StreamExt;
use hearth::model::{Event, Kind, Prompt, Stop};
use serde_json::{Value, json};

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
