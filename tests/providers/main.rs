//! Every provider against a server that misbehaves on request, on real sockets.

mod asking;
mod failing;
mod looking;
mod reaching;
#[path = "../support/mod.rs"]
mod support;

use crate::support::fake_model::{FakeModel, Generation, Reply};
use futures::StreamExt;
use hearth::model::fim::QWEN;
use hearth::model::{
    Budget, Client, Endpoint, Event, Events, Job, Kind, ModelError, Prompt, Provider, Segment,
    TokenCounter, provider,
};
use std::sync::Arc;
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
    play: impl FnOnce(&Generation),
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
