//! What a model says of its own sureness decides what is shown to somebody who did not ask.

use std::sync::Arc;

use hearth::{lsp::ext::StatusState, server::Options, session::Session};
use serde_json::json;

use super::{
    FILE, ask, ask_as, editor, offered,
    support::{
        client::Setup,
        fake_model::{FakeModel, Generation},
    },
};

/// `foo(1);`, which the model gives a probability of e^`logprob`, and more behind it that it is sure of.
fn say(generation: &Generation, logprob: f32) {
    generation.send_likely("foo", logprob);
    generation.send_likely("(1);", -0.01);
    generation.send_likely("\n", -0.01);
    generation.send_likely("bar(2);\n", -9.0);
    generation.finish();
}

#[tokio::test]
async fn what_a_model_is_unsure_of_is_not_shown_unasked() {
    for model in
        [FakeModel::llama_server().await, FakeModel::ollama().await, FakeModel::open_ai().await]
    {
        let settings = json!({ "debounce_ms": 0, "show_above": 0.1 });
        let mut client = editor(&model, settings).await;
        let at = client.open(FILE, "fn a() {\n    let x = $0\n}\n");
        let pending = ask(&client, at);
        say(&model.generation().await, -3.0);
        assert_eq!(pending.answer().await.expect("no error"), json!({ "items": [] }));
        let status = client.status(|status| status.last_no_suggestion.is_some()).await;
        assert_eq!(
            status.last_no_suggestion.as_deref(),
            Some("the model was not sure enough: 0.05, and completion.show_above is 0.10")
        );
        // Once its unlikely beginning is typed, the rest is likely, and there without a request.
        let at = client.type_at(FILE, at, "foo");
        let answer = ask(&client, at).answer().await.expect("no error");
        assert_eq!(offered(&answer), ["foo(1);"]);
        client.shutdown().await;
    }
}

#[tokio::test]
async fn what_a_model_is_sure_of_is_shown_and_stays() {
    let model = FakeModel::llama_server().await;
    let mut client = editor(&model, json!({ "debounce_ms": 0, "show_above": 0.1 })).await;
    let at = client.open(FILE, "fn a() {\n    let x = $0\n}\n");
    let pending = ask(&client, at);
    say(&model.generation().await, -0.2);
    assert_eq!(offered(&pending.answer().await.expect("no error")), ["foo(1);"]);
    let at = client.type_at(FILE, at, "f");
    let answer = ask(&client, at).answer().await.expect("no error");
    assert_eq!(offered(&answer), ["foo(1);"]);
    client.shutdown().await;
}

#[tokio::test]
async fn whoever_asks_gets_what_there_is_the_likeliest_first() {
    let model = FakeModel::llama_server().await;
    let session = Arc::<Session>::default();
    let options = json!({
        "router": { "local_endpoint": model.url().as_str() },
        "completion": { "debounce_ms": 0, "show_above": 1.0 },
    });
    let setup = Setup {
        initialization_options: options,
        options: Options { session: Arc::clone(&session), ..Options::default() },
        ..Setup::default()
    };
    let mut client = setup.start().await;
    client.status(|status| status.state == StatusState::Warm).await;
    let at = client.open(FILE, "fn a() {\n    let x = $0;\n}\n");
    client.settle().await;
    session.document(FILE).expect("it is open").parsed().await;
    let pending = ask_as(&client, at, 1);
    let more = async {
        // One that leaves a parse error comes last, however likely.
        let all = [("foo(1)", -5.0), ("bar +", -0.1), ("baz(2)", -4.0)];
        for (text, logprob) in all {
            let generation = model.generation().await;
            generation.send_likely(text, logprob);
            generation.finish();
        }
        std::future::pending::<()>().await;
    };
    let answer = tokio::select! {
        answer = pending.answer() => answer.expect("no error"),
        () = more => unreachable!("it never ends"),
    };
    assert_eq!(offered(&answer), ["foo(1);", "baz(2);", "bar +;"]);
    client.shutdown().await;
}
