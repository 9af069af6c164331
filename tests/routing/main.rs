//! Which model answers, and what the user is told, with servers on real sockets that come, go, load
//! and change. Their wire format is this file's own: routing knows none.

mod choosing;
mod probing;
mod server;

use crate::server::{Client, Says};
use expect_test::Expect;
use hearth::model::{Kind, ModelFacts};
use hearth::route::health::Load;
use hearth::route::{Health, Pace, Probe, Search, State};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use url::Url;

/// A model that fills in the middle and is not loaded.
fn coder(name: &str, billions: f64) -> ModelFacts {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
    let parameters = Some((billions * 1e9) as u64);
    ModelFacts {
        name: name.to_owned(),
        parameters,
        loaded: Some(false),
        inserts: Some(true),
        ..ModelFacts::default()
    }
}

fn loaded(model: ModelFacts) -> ModelFacts {
    ModelFacts { loaded: Some(true), context: Some(4096), ..model }
}

fn chat(model: ModelFacts) -> ModelFacts {
    ModelFacts { inserts: Some(false), ..model }
}

fn quantized(name: &str, quantization: &str) -> ModelFacts {
    ModelFacts { quantization: Some(quantization.to_owned()), ..chat(coder(name, 7.0)) }
}

fn relayed(model: ModelFacts) -> ModelFacts {
    ModelFacts { relayed: true, ..model }
}

fn ollama(models: impl Into<Vec<ModelFacts>>) -> Says {
    Says::Models(Kind::Ollama, models.into())
}

fn llama_server(model: ModelFacts) -> Says {
    Says::Models(Kind::LlamaServer, vec![model])
}

/// An address on which nothing listens.
async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

fn search(places: &[SocketAddr]) -> Search {
    let places = places.iter().map(|place| Url::parse(&format!("http://{place}")).unwrap());
    Search {
        places: places.collect(),
        timeout: Duration::from_millis(300),
        retries: 1,
        ..Search::usual(
            Arc::new(Client::connect),
            |model| model.inserts == Some(true),
            |model| model.name.contains("chat"),
        )
    }
}

fn start(search: &Search) -> Probe {
    let moment = Duration::from_millis(20);
    let pace = Pace { interval: moment, when_down: moment, when_loading: moment };
    Probe::start(search.clone(), pace, Load { num_ctx: 8192, keep_alive: "30m".to_owned() })
}

/// Fails where something that must happen does not.
async fn soon<T>(what: &str, event: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(20);
    tokio::time::timeout(limit, event).await.unwrap_or_else(|_| panic!("never: {what}"))
}

async fn until(probe: &Probe, what: &str, holds: impl FnMut(&Arc<Health>) -> bool) -> Arc<Health> {
    let mut watch = probe.watch();
    soon(what, watch.wait_for(holds)).await.unwrap().clone()
}

async fn reaches(probe: &Probe, state: State) -> Arc<Health> {
    until(probe, &format!("{state:?}"), |health| health.state == state).await
}

/// Compares a sentence in which every place goes by its letter.
fn check(sentence: &str, search: &Search, expect: &Expect) {
    let mut sentence = sentence.to_owned();
    for (place, letter) in search.places.iter().zip('A'..) {
        sentence = sentence.replace(place.as_str(), &format!("<{letter}>"));
        if let Some(port) = place.port() {
            sentence = sentence.replace(&port.to_string(), &format!("<{letter}>"));
        }
    }
    expect.assert_eq(&sentence);
}

/// What one search says, chosen or not.
async fn finds(search: &Search, expect: Expect) {
    let sentence = match search.discover().await.choice {
        Ok(serving) => serving.why,
        Err(why_none) => why_none,
    };
    check(&sentence, search, &expect);
}
