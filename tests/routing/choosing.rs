//! Which model one search chooses, and what the user is told.

use crate::server::{Says, Server};
use crate::{
    chat, check, coder, finds, llama_server, loaded, nobody, ollama, quantized, relayed, search,
};
use expect_test::{Expect, expect};
use hearth::model::Kind;
use hearth::route::{Search, Serving, Wanted};

#[tokio::test]
async fn nothing_runs() {
    finds(&search(&[nobody().await, nobody().await]), expect!["no model server answers on this machine (ports <A>, <B>); start Ollama or llama-server, or set router.local_endpoint"]).await;
}

#[tokio::test]
async fn a_strangers_answer_is_no_model() {
    let stranger = Server::start(Says::Stranger).await;
    finds(&search(&[stranger.address, nobody().await]), expect!["no model server answers on this machine (ports <A>, <B>); start Ollama or llama-server, or set router.local_endpoint"]).await;
}

#[tokio::test]
async fn of_loadable_models_the_one_of_a_fit_size_is_taken() {
    let models = [
        coder("c:0.5b", 0.5),
        coder("c:32b", 32.0),
        coder("c:1.5b", 1.5),
        chat(coder("chat:3b", 3.0)),
    ];
    let server = Server::start(ollama(models)).await;
    finds(
        &search(&[server.address]),
        expect!["c:1.5b at <A> (Ollama): it can be loaded and fills in the middle"],
    )
    .await;
}

#[tokio::test]
async fn a_loaded_coder_goes_before_a_loadable_one_and_that_before_a_loaded_chat_model() {
    let first = Server::start(ollama([coder("fit", 3.0), loaded(chat(coder("chat", 3.0)))])).await;
    let second = Server::start(llama_server(loaded(coder("large", 14.0)))).await;
    let mut search = search(&[first.address, second.address]);
    finds(&search, expect!["large at <B> (llama-server): it is loaded and fills in the middle"])
        .await;
    search.places.truncate(1);
    finds(&search, expect!["fit at <A> (Ollama): it can be loaded and fills in the middle"]).await;
    first.says(ollama([chat(coder("other", 3.0)), loaded(chat(coder("chat", 3.0)))]));
    finds(&search, expect!["chat at <A> (Ollama): it is loaded and continues text, as no model that fills in the middle was found"]).await;
}

#[tokio::test]
async fn a_relayed_model_is_never_taken() {
    let server = Server::start(ollama([relayed(coder("big:cloud", 480.0))])).await;
    let mut search = search(&[server.address]);
    finds(&search, expect!["Ollama at <A> only relays its models (big:cloud) to another machine; download a code model into it"]).await;
    search.wanted.completion = Some("big:cloud".to_owned());
    finds(&search, expect!["the model 'big:cloud' is only relayed to another machine; Hearth asks models on this machine alone"]).await;
}

/// What one search says of the models for everything else.
async fn has_roles(search: &Search, expect: Expect) {
    let roles = search.discover().await.roles;
    let sentence = |serving: Result<Serving, String>| match serving {
        Ok(serving) => serving.why,
        Err(why_none) => why_none,
    };
    let both = format!("{}\n{}\n", sentence(roles.default), sentence(roles.high_precision));
    check(&both, search, &expect);
}

#[tokio::test]
async fn instructions_go_to_a_model_that_follows_them() {
    let models = [
        loaded(coder("base:7b", 7.0)),
        chat(coder("chat:0.5b", 0.5)),
        chat(coder("chat:32b", 32.0)),
        chat(coder("chat:8b", 8.0)),
    ];
    let server = Server::start(ollama(models)).await;
    let mut search = search(&[server.address]);
    has_roles(
        &search,
        expect![[r#"
        chat:8b at <A> (Ollama): it can be loaded and follows instructions
        chat:32b at <A> (Ollama): it can be loaded and follows instructions
    "#]],
    )
    .await;
    search.wanted.default = Some("chat:0.5b".to_owned());
    has_roles(
        &search,
        expect![[r#"
        chat:0.5b at <A> (Ollama), as configured: it can be loaded and follows instructions
        chat:0.5b at <A> (Ollama), as configured: it can be loaded and follows instructions
    "#]],
    )
    .await;
    search.wanted.high_precision = Some("base:7b".to_owned());
    has_roles(&search, expect![[r#"
        chat:0.5b at <A> (Ollama), as configured: it can be loaded and follows instructions
        base:7b at <A> (Ollama), as configured: it is loaded and was named for them, though it does not seem to follow instructions
    "#]]).await;
    server.says(ollama([loaded(coder("base:7b", 7.0)), relayed(chat(coder("chat:cloud", 7.0)))]));
    search.wanted = Wanted::default();
    has_roles(&search, expect![[r#"
        none of the models on this machine follows instructions (there are: base:7b); install one that does, such as qwen2.5-coder:7b in Ollama, or name one in model_routing.local.default
        none of the models on this machine follows instructions (there are: base:7b); install one that does, such as qwen2.5-coder:7b in Ollama, or name one in model_routing.local.high_precision
    "#]]).await;
}

#[tokio::test]
async fn a_model_is_taken_in_the_quantization_that_its_work_wants() {
    let models = [
        quantized("chat:q2", "Q2_K"),
        quantized("chat:q4", "Q4_K_M"),
        quantized("chat:q8", "Q8_0"),
        quantized("chat:q5", "Q5_K_S"),
    ];
    let server = Server::start(ollama(models)).await;
    let mut search = search(&[server.address]);
    has_roles(
        &search,
        expect![[r#"
        chat:q4 at <A> (Ollama): it can be loaded and follows instructions
        chat:q8 at <A> (Ollama): it can be loaded and follows instructions
    "#]],
    )
    .await;
    search.wanted.quantization = Some("q5_k_s".to_owned());
    has_roles(
        &search,
        expect![[r#"
        chat:q5 at <A> (Ollama): it can be loaded and follows instructions
        chat:q5 at <A> (Ollama): it can be loaded and follows instructions
    "#]],
    )
    .await;
    server.says(ollama([quantized("chat:q2", "Q2_K"), coder("base:7b", 7.0)]));
    has_roles(
        &search,
        expect![[r#"
        chat:q2 at <A> (Ollama): it can be loaded and follows instructions
        chat:q2 at <A> (Ollama): it can be loaded and follows instructions
    "#]],
    )
    .await;
}

#[tokio::test]
async fn an_empty_server_says_what_to_do() {
    let server = Server::start(ollama([])).await;
    finds(
        &search(&[server.address]),
        expect!["Ollama at <A> has no model that writes text; download a code model into it"],
    )
    .await;
}

#[tokio::test]
async fn a_configured_model_is_taken_or_missed_by_name() {
    let server = Server::start(ollama([coder("a:latest", 1.5), coder("b:7b", 7.0)])).await;
    let mut search = search(&[server.address, nobody().await]);
    search.wanted.completion = Some("a".to_owned());
    finds(
        &search,
        expect![
            "a:latest at <A> (Ollama), as configured: it can be loaded and fills in the middle"
        ],
    )
    .await;
    search.wanted.completion = Some("c".to_owned());
    finds(
        &search,
        expect!["no server on this machine has the model 'c'; there are: a:latest, b:7b"],
    )
    .await;
}

#[tokio::test]
async fn a_configured_endpoint_says_what_is_wrong_with_it() {
    finds(
        &search(&[nobody().await]),
        expect!["no model server answers at <A>: connection refused"],
    )
    .await;
    finds(
        &search(&["192.0.2.1:8080".parse().unwrap()]),
        expect!["<A> is not on this machine; Hearth sends code to loopback addresses, to router.private_hosts and, behind the border, to router.cloud only"],
    )
    .await;
    let stranger = Server::start(Says::Stranger).await;
    finds(&search(&[stranger.address]), expect!["the server at <A> refused: 404 no"]).await;
    let silent = Server::start(Says::Silence).await;
    finds(&search(&[silent.address]), expect!["no model server answers at <A>: silent for 300 ms"])
        .await;
}

#[tokio::test]
async fn a_configured_kind_is_the_only_one_tried() {
    let mut server = Server::start(llama_server(loaded(coder("m", 1.5)))).await;
    let search = Search { kinds: vec![Kind::Ollama], ..search(&[server.address]) };
    finds(&search, expect!["the server at <A> refused: 404 no"]).await;
    assert_eq!(server.asked.recv().await.as_deref(), Some("look Ollama"));
    assert!(server.asked.try_recv().is_err());
}
