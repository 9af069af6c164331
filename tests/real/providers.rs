//! Hearth's providers at the real server: what the recorded answers cannot show, that the server
//! takes each request as it is meant.

use std::sync::Arc;

use expect_test::{Expect, expect};
use futures::StreamExt;
use hearth::model::{
    Budget, Client, Endpoint, Event, Events, Job, Kind, ModelError, ModelFacts, Prompt, Provider,
    Segment, Stop, TokenCounter, Usage, fim::QWEN, provider,
};
use serde_json::{Value, json};
use url::Url;

use crate::{
    bigram::{ENDLESS, MIDDLE},
    server::{look, pass_on, tokens, url},
    support::fake_model::FakeModel,
};

const MODEL: &str = "qwen2.5-coder-bigram";

/// The wire formats that the server speaks itself.
const SPOKEN: [Kind; 2] = [Kind::LlamaServer, Kind::OpenAi];

fn at(kind: Kind, url: &Url) -> Arc<dyn Provider> {
    provider(kind, Endpoint::new(&Client::new().expect("a client"), url))
}

/// Asks for `output` tokens at the most.
fn job(segments: Vec<Segment>, output: usize) -> Job {
    let budget = Budget::new(200_000, None, output, TokenCounter::default());
    of(budget.seal(segments).expect("it fits"))
}

fn of(prompt: Prompt) -> Job {
    Job {
        model: MODEL.into(),
        prompt: Arc::new(prompt),
        temperature: 0.0,
        stop: Vec::new(),
        num_ctx: 8192,
        keep_alive: "30m".into(),
        slot: None,
    }
}

fn fim(prefix: &str, suffix: &str) -> Vec<Segment> {
    vec![
        Segment::control(QWEN.prefix),
        Segment::text(prefix),
        Segment::control(QWEN.suffix),
        Segment::text(suffix),
        Segment::control(QWEN.middle),
    ]
}

/// All text of a generation, in its pieces, and what it cost.
async fn read(mut events: Events) -> (Vec<String>, Usage) {
    let mut pieces = Vec::new();
    loop {
        match events.next().await.expect("it ends with its cost").expect("no error") {
            Event::Odds(_) | Event::Evaluating { .. } => {}
            Event::Text(text) => pieces.push(text),
            Event::Done(usage) => {
                assert_eq!(events.next().await, None);
                return (pieces, usage);
            }
        }
    }
}

async fn generate(kind: Kind, job: Job) -> (Vec<String>, Usage) {
    read(at(kind, &url()).generate(job).await.expect("it starts")).await
}

async fn check_look(kind: Kind, expected: Expect) {
    let sighting = at(kind, &url()).look().await.expect("it answers");
    let [model] = &sighting.models[..] else { panic!("one model: {sighting:?}") };
    // What differs from one server to the next.
    let file = model.file.as_deref().and_then(|file| Some(file.rsplit_once('/')?.1.to_owned()));
    let model = ModelFacts { file, template: None, quantization: None, ..model.clone() };
    expected.assert_debug_eq(&(sighting.slots, sighting.version.is_some(), model));
}

#[tokio::test]
async fn a_look() {
    check_look(
        Kind::LlamaServer,
        expect![[r#"
            (
                Some(
                    2,
                ),
                true,
                ModelFacts {
                    name: "qwen2.5-coder-bigram",
                    file: Some(
                        "qwen2.5-coder-bigram.gguf",
                    ),
                    loaded: Some(
                        true,
                    ),
                    context: Some(
                        8192,
                    ),
                    trained_context: Some(
                        32768,
                    ),
                    parameters: Some(
                        654080,
                    ),
                    quantization: None,
                    architecture: None,
                    inserts: None,
                    template: None,
                    relayed: false,
                    card: None,
                },
            )
        "#]],
    )
    .await;
    check_look(
        Kind::OpenAi,
        expect![[r#"
            (
                None,
                false,
                ModelFacts {
                    name: "qwen2.5-coder-bigram",
                    file: None,
                    loaded: None,
                    context: None,
                    trained_context: None,
                    parameters: None,
                    quantization: None,
                    architecture: None,
                    inserts: None,
                    template: None,
                    relayed: false,
                    card: None,
                },
            )
        "#]],
    )
    .await;
    let props = look("/props").await;
    let sighting = at(Kind::LlamaServer, &url()).look().await.expect("it answers");
    assert_eq!(sighting.version.as_deref(), props["build_info"].as_str());
    let context = sighting.models[0].context.map(|context| context as u64);
    assert_eq!(context, props["default_generation_settings"]["n_ctx"].as_u64());
}

#[tokio::test]
async fn a_look_by_another_format_finds_nothing() {
    let error = at(Kind::Ollama, &url()).look().await.expect_err("it is no Ollama");
    assert!(matches!(error, ModelError::Refused { status: 404, .. }), "{error:?}");
}

#[tokio::test]
async fn text_streams_and_ends_with_its_cost() {
    for kind in SPOKEN {
        let prefix = format!("fn {kind}(left: i64, right: i64) -> i64 {{\n    ");
        let segments = fim(&prefix, "\n}\n");
        let sent = tokens(&prefix, false).await.len() + tokens("\n}\n", false).await.len() + 3;
        let (pieces, usage) = generate(kind, job(segments.clone(), 64)).await;
        assert_eq!(pieces, MIDDLE, "{kind}");
        assert_eq!(usage.stop, Stop::Complete);
        assert_eq!(usage.prompt_tokens, Some(sent), "{kind}");
        assert!(usage.output_tokens.is_some_and(|tokens| tokens >= MIDDLE.len()), "{usage:?}");
        let (pieces, usage) = generate(kind, job(segments, 64)).await;
        assert_eq!(pieces, MIDDLE);
        let cached = usage.cached_tokens.expect("it says what was there");
        assert!((sent - 2..sent).contains(&cached), "{kind}: {cached} of {sent}");
    }
}

#[tokio::test]
async fn the_output_limit_and_stop_strings_hold() {
    for kind in SPOKEN {
        let endless = || job(vec![Segment::text("let a = 1;")], 6);
        let (pieces, usage) = generate(kind, endless()).await;
        assert_eq!(pieces.concat(), ENDLESS.concat().repeat(2)[..pieces.concat().len()]);
        assert_eq!((usage.output_tokens, usage.stop), (Some(6), Stop::Limit), "{kind}");
        let stopped = Job { stop: vec!["\n".into()], ..endless() };
        let (pieces, usage) = generate(kind, stopped).await;
        assert_eq!(pieces.concat(), ENDLESS[..3].concat(), "{kind}");
        assert_eq!(usage.stop, Stop::Complete);
    }
}

#[tokio::test]
async fn a_chat_is_answered() {
    for kind in SPOKEN {
        let budget = Budget::new(2_000, None, 8, TokenCounter::default());
        let prompt = budget.seal_chat("Complete.", vec![Segment::text("let a = <HOLE>")]);
        let (pieces, usage) = generate(kind, of(prompt.expect("it fits"))).await;
        // The template ends the prompt with text, after which the model has no end.
        assert_eq!(pieces.concat(), ENDLESS.concat().repeat(2), "{kind}");
        assert_eq!(usage.stop, Stop::Limit);
    }
}

/// What an analysis asks for when it reads on: the server holds the model to it, whatever the model
/// would say.
#[tokio::test]
async fn an_answer_keeps_to_a_schema() {
    let schema = Arc::new(json!({
        "type": "object",
        "properties": {
            "tool": { "enum": ["read_symbol", "search", "list", "answer"] },
            "argument": { "type": "string", "maxLength": 8 },
        },
        "required": ["tool", "argument"],
        "additionalProperties": false,
    }));
    for kind in SPOKEN {
        let budget = Budget::new(2_000, None, 512, TokenCounter::default());
        let prompt = budget.seal_chat("Complete.", vec![Segment::text("let a = <HOLE>")]);
        let prompt = prompt.expect("it fits").answered_in(Arc::clone(&schema));
        let (pieces, usage) = generate(kind, of(prompt)).await;
        let answer: Value = serde_json::from_str(&pieces.concat())
            .unwrap_or_else(|error| panic!("{kind}: {error}: {}", pieces.concat()));
        let tools = schema["properties"]["tool"]["enum"].as_array().expect("names");
        assert!(
            tools.contains(&answer["tool"]) && answer["argument"].is_string(),
            "{kind}: {answer}"
        );
        assert_eq!(usage.stop, Stop::Complete, "{kind}");
    }
}

/// How many tokens the server has written of a generation of `output` tokens that it works on.
async fn written(output: u64) -> Option<u64> {
    let slots = look("/slots").await;
    let mut slots = slots.as_array().expect("slots").iter();
    let ours = slots
        .find(|slot| slot["is_processing"] == true && slot["params"]["n_predict"] == output)?;
    ours["next_token"][0]["n_decoded"].as_u64()
}

#[tokio::test]
async fn dropping_the_stream_frees_the_slot() {
    for (kind, output) in SPOKEN.into_iter().zip([7_001, 7_002]) {
        let endless = job(vec![Segment::text("let a = 1;")], output);
        let output = output as u64;
        let mut events = at(kind, &url()).generate(endless).await.expect("it starts");
        let mut first = events.next().await;
        if let Some(Ok(Event::Evaluating { .. })) = first {
            first = events.next().await;
        }
        assert!(matches!(first, Some(Ok(Event::Odds(_)))), "{kind}: {first:?}");
        assert!(written(output).await.is_some(), "{kind}");
        drop(events);
        while let Some(written) = written(output).await {
            assert!(written < output / 2, "{kind}: {written} tokens for nobody");
        }
    }
}

#[tokio::test]
async fn counts_are_the_servers() {
    let text = include_str!("../../src/model/control.rs");
    let sent = tokens(text, false).await.len();
    let counted = at(Kind::LlamaServer, &url()).count(MODEL, text).await;
    assert_eq!(counted, Ok(Some(sent)));
    assert!(sent > tokens(text, true).await.len(), "the text spells control tokens");
}

#[tokio::test]
async fn a_prompt_that_is_too_long_says_so() {
    let text = "let a = 1;\n".repeat(3_000);
    let sent = tokens(&text, false).await.len();
    let context = look("/props").await["default_generation_settings"]["n_ctx"].as_u64().unwrap();
    for kind in SPOKEN {
        let job = job(vec![Segment::text(text.as_str())], 16);
        let error = at(kind, &url()).generate(job).await.err();
        let told = ModelError::TooLong {
            endpoint: url().as_str().trim_end_matches('/').to_owned(),
            prompt_tokens: Some(sent),
            context: usize::try_from(context).ok(),
        };
        assert_eq!(error, Some(told), "{kind}");
    }
}

#[tokio::test]
async fn control_tokens_in_source_text_do_not_act() {
    for kind in SPOKEN {
        let acting = vec![Segment::text("a"), Segment::control(QWEN.middle)];
        assert_eq!(generate(kind, job(acting, 8)).await.0, MIDDLE, "{kind}");
        let spelled = vec![Segment::text("a"), Segment::text(QWEN.middle)];
        let (pieces, usage) = generate(kind, job(spelled, 8)).await;
        assert_eq!(pieces.concat(), ENDLESS.concat().repeat(2), "{kind}");
        // Where ids cannot be sent, a character more breaks the token.
        let text = if kind == Kind::LlamaServer { "a<|fim_middle|>" } else { "a<¦|fim_middle|>" };
        assert_eq!(usage.prompt_tokens, Some(tokens(text, false).await.len()), "{kind}");
    }
}

/// Ollama and LM Studio: their servers are played from recorded and documented answers, what they
/// say is the real server's.
#[tokio::test]
async fn played_servers_pass_on_what_the_real_one_says() {
    for kind in [Kind::Ollama, Kind::OpenAi] {
        let played = match kind {
            Kind::Ollama => FakeModel::ollama().await,
            _ => FakeModel::open_ai().await,
        };
        let there = at(kind, &played.url());
        let generate = async |job: Job| {
            let (events, ()) = tokio::join!(
                async { read(there.generate(job).await.expect("it starts")).await },
                pass_on(&played)
            );
            events
        };
        let (pieces, usage) = generate(job(fim("fn a() {", "}"), 64)).await;
        assert_eq!(pieces, MIDDLE, "{kind}");
        assert_eq!(usage.stop, Stop::Complete);
        assert_eq!(usage.prompt_tokens, Some(tokens("fn a() {}", false).await.len() + 3));
        let spelled = vec![Segment::text("a"), Segment::text(QWEN.middle)];
        let (pieces, usage) = generate(job(spelled, 8)).await;
        assert_eq!(pieces.concat(), ENDLESS.concat().repeat(2), "{kind}");
        assert_eq!((usage.output_tokens, usage.stop), (Some(8), Stop::Limit));
    }
}
