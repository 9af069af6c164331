//! What the probe loop makes of servers as they change.

use crate::server::{Says, Server};
use crate::{
    check, coder, llama_server, loaded, nobody, ollama, reaches, search, soon, start, until,
};
use expect_test::expect;
use hearth::model::{Kind, ModelFacts};
use hearth::route::health::Load;
use hearth::route::{Health, Pace, Probe, State};
use std::sync::Arc;

#[tokio::test]
async fn the_choice_is_loaded_and_loaded_again() {
    let mut server = Server::start(ollama([coder("m", 1.5)])).await;
    let probe = start(&search(&[server.address]));
    server.is_asked("load m").await;
    let health = reaches(&probe, State::Warm).await;
    assert!(health.loaded_in.is_some());
    server.says(ollama([coder("m", 1.5)]));
    server.is_asked("load m").await;
    reaches(&probe, State::Warm).await;
}

#[tokio::test]
async fn a_sleeping_llama_server_is_left_alone() {
    let mut server = Server::start(llama_server(coder("m", 1.5))).await;
    let probe = start(&search(&[server.address]));
    server.is_asked("load m").await;
    reaches(&probe, State::Warm).await;
    server.says(llama_server(coder("m", 1.5)));
    reaches(&probe, State::Cold).await;
    for _ in 0..3 {
        let question = soon("a look", server.asked.recv()).await.unwrap();
        assert_eq!(question, "look LlamaServer");
    }
}

#[tokio::test]
async fn a_model_that_cannot_be_loaded_says_so() {
    let server = Server::start(Says::Full(Kind::Ollama, vec![coder("huge", 400.0)])).await;
    let search = search(&[server.address]);
    let probe = start(&search);
    let health = until(&probe, "the sentence", |health| health.message.contains("could not")).await;
    assert_eq!(health.state, State::Cold);
    check(
        &health.message,
        &search,
        &expect!["the model could not be loaded: the server at <A> refused: 404 no"],
    );
}

#[tokio::test]
async fn what_could_not_be_loaded_is_tried_again_in_time() {
    for loaded in [None, Some(false)] {
        let models = vec![ModelFacts { loaded, ..coder("m", 1.5) }];
        let mut server = Server::start(Says::Full(Kind::OpenAi, models.clone())).await;
        let probe = start(&search(&[server.address]));
        server.is_asked("load m").await;
        until(&probe, "the sentence", |health| health.message.contains("could not")).await;
        server.is_asked("load m").await;
        server.says(Says::Models(Kind::OpenAi, models));
        let health = reaches(&probe, State::Warm).await;
        assert!(health.message.contains("fills in the middle"), "{}", health.message);
        // Where the server does not say whether it is loaded, it stays what loading made of it.
        while server.asked.try_recv().is_ok() {}
        for _ in 0..3 {
            let question = soon("a look", server.asked.recv()).await.unwrap();
            assert!(question.starts_with("look"), "{loaded:?}: {question}");
        }
        assert_eq!(probe.health().state, State::Warm);
    }
}

#[tokio::test]
async fn a_nudge_does_not_load_again_what_has_just_failed() {
    let models = vec![ModelFacts { loaded: None, ..coder("m", 1.5) }];
    let mut server = Server::start(Says::Full(Kind::OpenAi, models)).await;
    let probe = Probe::start(
        search(&[server.address]),
        Pace::default(),
        Load { num_ctx: 8192, keep_alive: "30m".to_owned() },
    );
    until(&probe, "the sentence", |health| health.message.contains("could not")).await;
    while server.asked.try_recv().is_ok() {}
    for _ in 0..3 {
        probe.nudge();
        let question = soon("a look", server.asked.recv()).await.unwrap();
        assert!(question.starts_with("look"), "{question}");
    }
    assert_eq!(probe.health().state, State::Cold);
    assert!(probe.health().message.contains("could not"));
}

#[tokio::test]
async fn a_server_comes_loads_serves_and_dies() {
    let address = nobody().await;
    let search = search(&[address]);
    let probe = start(&search);
    reaches(&probe, State::Down).await;

    let server = Server::at(address, Says::Loading).await;
    let health = reaches(&probe, State::Loading).await;
    check(&health.message, &search, &expect!["the server at <A> is loading its model"]);

    server.says(llama_server(loaded(coder("m", 1.5))));
    let health = reaches(&probe, State::Warm).await;
    check(
        &health.message,
        &search,
        &expect!["m at <A> (llama-server): it is loaded and fills in the middle"],
    );

    drop(server);
    let health = reaches(&probe, State::Down).await;
    assert!(health.choice.is_none());
    check(&health.message, &search, &expect!["no model server answers at <A>: connection refused"]);
}

#[tokio::test]
async fn another_server_takes_over_and_another_model_is_loaded() {
    let first = Server::start(llama_server(loaded(coder("one", 1.5)))).await;
    let search = search(&[first.address, nobody().await]);
    let probe = start(&search);
    reaches(&probe, State::Warm).await;

    first.says(llama_server(loaded(coder("two", 1.5))));
    let named = |name: &'static str| {
        move |health: &Arc<Health>| health.choice.as_ref().is_some_and(|it| it.model.name == name)
    };
    until(&probe, "two", named("two")).await;

    let second_place = search.places[1].socket_addrs(|| None).unwrap()[0];
    let _second = Server::at(second_place, ollama([loaded(coder("three", 1.5))])).await;
    drop(first);
    let health = until(&probe, "three", named("three")).await;
    check(
        &health.message,
        &search,
        &expect!["three at <B> (Ollama): it is loaded and fills in the middle"],
    );
}

#[tokio::test]
async fn a_larger_context_is_noticed() {
    let server = Server::start(llama_server(loaded(coder("m", 1.5)))).await;
    let probe = start(&search(&[server.address]));
    reaches(&probe, State::Warm).await;
    let larger = ModelFacts { context: Some(16_384), ..loaded(coder("m", 1.5)) };
    server.says(llama_server(larger));
    until(&probe, "16,384 tokens", |health| {
        health.choice.as_ref().is_some_and(|it| it.model.context == Some(16_384))
    })
    .await;
}

#[tokio::test]
async fn while_a_model_serves_strangers_are_left_alone() {
    let mut server = Server::start(llama_server(loaded(coder("m", 1.5)))).await;
    let mut stranger = Server::start(Says::Stranger).await;
    let probe = start(&search(&[server.address, stranger.address]));
    reaches(&probe, State::Warm).await;
    while stranger.asked.try_recv().is_ok() {}
    for _ in 0..3 {
        server.is_asked("look LlamaServer").await;
    }
    assert!(stranger.asked.try_recv().is_err());
}

#[tokio::test]
async fn a_nudge_looks_at_once() {
    let mut server = Server::start(llama_server(loaded(coder("m", 1.5)))).await;
    let probe = Probe::start(
        search(&[server.address]),
        Pace::default(),
        Load { num_ctx: 8192, keep_alive: "30m".to_owned() },
    );
    server.is_asked("load m").await;
    reaches(&probe, State::Warm).await;
    let until_loaded = |health: &Arc<Health>| health.loaded_in.is_some();
    until(&probe, "loaded", until_loaded).await;
    server.is_asked("look LlamaServer").await;
    server.says(llama_server(loaded(coder("n", 1.5))));
    probe.nudge();
    server.is_asked("load n").await;
}

#[tokio::test]
async fn dropping_the_probe_stops_what_it_was_loading() {
    let mut server = Server::start(ollama([coder("slow", 1.5)])).await;
    let probe = start(&search(&[server.address]));
    server.is_asked("load slow").await;
    reaches(&probe, State::Loading).await;
    drop(probe);
    server.is_asked("gone").await;
}
