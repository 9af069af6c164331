//! When a model is asked, and for how much, follows from how fast it is, which the status says; and it
//! is stopped by what disagrees with it, and by nothing later.
//!
//! A model that is slow here takes at least as long as it says, on any machine: what is asserted are
//! decisions that no further delay changes.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{
    CANCELLED, FILE, ask, editor, offered, shown,
    support::fake_model::{Ending, FakeModel, Generation, Reply},
};

/// Longer than anybody waits for another key.
const SLOW: Duration = Duration::from_millis(400);

/// The generation for the text that ends in `before`, not one that is asked for in advance.
async fn asked_behind(model: &FakeModel, before: &str) -> Generation {
    loop {
        let generation = model.generation().await;
        if shown(&generation).0.ends_with(before) {
            return generation;
        }
    }
}

#[tokio::test]
async fn the_wait_for_another_key_follows_the_model() {
    let model = FakeModel::llama_server().await;
    let mut client = editor(&model, json!({})).await;
    let mut at = client.open(FILE, "fn a() {\n    let x = $0\n}\n");
    let pending = ask(&client, at);
    let generation = asked_behind(&model, "let x = ").await;
    tokio::time::sleep(SLOW).await;
    generation.send("first();\n");
    generation.finish();
    assert_eq!(offered(&pending.answer().await.expect("no error")), ["first();"]);
    client.status(|status| status.wait_milliseconds == Some(300)).await;

    // A key, and the next one while the first waits: the model hears of the second alone.
    at = client.type_at(FILE, at, "a");
    let first = ask(&client, at);
    at = client.type_at(FILE, at, "b");
    let second = ask(&client, at);
    assert_eq!(first.answer().await.expect_err("it is overtaken").code, CANCELLED);
    let generation = asked_behind(&model, "let x = ab").await;
    generation.send("c();\n");
    generation.finish();
    assert_eq!(offered(&second.answer().await.expect("no error")), ["abc();"]);
    let heard = |request: &super::support::fake_model::Request| {
        request.body["prompt"].as_str().is_some_and(|prompt| prompt.contains("let x = a<|fim"))
    };
    assert!(!model.requests().iter().any(heard), "nobody waits for that");

    // The model has become faster than the longest wait.
    let mut typed = "let x = ab".to_owned();
    for _ in 0..20 {
        at = client.type_at(FILE, at, "b");
        typed.push('b');
        let pending = ask(&client, at);
        let generation = asked_behind(&model, &typed).await;
        generation.send("c();\n");
        generation.finish();
        pending.answer().await.expect("no error");
    }
    let fast = |wait: u64| wait < 300;
    let status = client.status(|status| status.wait_milliseconds.is_some_and(fast)).await;
    println!("a fast model is waited for {:?} ms at most", status.wait_milliseconds);
    client.shutdown().await;
}

#[tokio::test]
async fn what_is_set_is_what_is_waited() {
    let model = FakeModel::llama_server().await;
    let client = editor(&model, json!({})).await;
    let settings = json!({ "hearth": { "completion": { "debounce_ms": 70 } } });
    client.notify_raw("workspace/didChangeConfiguration", json!({ "settings": settings }));
    client.status(|status| status.wait_milliseconds == Some(70)).await;
    client.shutdown().await;
}

#[tokio::test]
async fn a_slow_model_is_shown_less_and_asked_for_less() {
    let model = FakeModel::llama_server().await;
    model.reply(
        "GET /props",
        Reply::json(
            200,
            &json!({
                "default_generation_settings": { "n_ctx": 16_384 },
                "total_slots": 1,
                "model_path": "/models/qwen2.5-coder-1.5b-Q8_0.gguf",
                "build_info": "b11669",
                "is_sleeping": false,
            }),
        ),
    );
    // Tokens are what the model's usage says of them.
    model.reply("POST /tokenize", Reply::json(404, &json!({ "error": "not found" })));
    let mut client = editor(&model, json!({})).await;
    let many =
        "    let kept = compute(snapshot.text, window.start..offset, &settings)?;\n".repeat(600);
    let mut at = client.open(FILE, &format!("fn a() {{\n{many}    if x $0\n{many}}}\n"));
    let (mut prompts_before, mut status) = (Vec::new(), None);
    // The first prompt is never cached: three tell.
    for (said, prompts) in [("if x ", 1_000), ("if x &", 2_000), ("if x &&", 3_000)] {
        let pending = ask(&client, at);
        let generation = asked_behind(&model, said).await;
        let (before, after) = shown(&generation);
        prompts_before
            .push((before.len() + after.len(), generation.request.body["n_predict"].clone()));
        // At most 2,500 tokens in a second, and 20.
        tokio::time::sleep(SLOW).await;
        generation.send("{\n");
        tokio::time::sleep(SLOW).await;
        generation.send("        y();\n    }\n");
        generation.finish_as(Ending {
            prompt_tokens: 1_000,
            cached_tokens: 0,
            output_tokens: 9,
            ..Ending::default()
        });
        pending.answer().await.expect("no error");
        // The server's last word comes after the answer.
        status = Some(client.status(|status| status.prompt_tokens == Some(prompts)).await);
        at = client.type_at(FILE, at, "&");
    }
    let status = status.expect("three times");
    let (first, wanted) = &prompts_before[0];
    let limits = (status.prompt_limit.expect("just seen"), status.output_limit.expect("both"));
    assert!((512..=750).contains(&limits.0) && (24..=40).contains(&limits.1), "{status:?}");

    let _pending = ask(&client, at);
    let generation = asked_behind(&model, "if x &&&").await;
    let (before, after) = shown(&generation);
    let (now, asked) = (before.len() + after.len(), generation.request.body["n_predict"].clone());
    println!(
        "{first} bytes and {wanted} tokens at first; {now} and {asked} with limits of {limits:?}"
    );
    assert!(now * 3 < first * 2, "{now} of {first} bytes");
    assert!(asked.as_u64() <= Some(limits.1 as u64) && asked.as_u64() < wanted.as_u64(), "{asked}");
    client.shutdown().await;
}

#[tokio::test]
async fn a_key_that_disagrees_stops_the_model_and_so_does_a_word() {
    let model = FakeModel::llama_server().await;
    let mut client = editor(&model, json!({ "debounce_ms": 0 })).await;
    let mut at = client.open(FILE, "fn a() {\n    let x = $0\n}\n");
    let pending = ask(&client, at);
    let mut generation = asked_behind(&model, "let x = ").await;
    generation.send("first();\n");
    assert_eq!(offered(&pending.answer().await.expect("no error")), ["first();"]);
    assert!(!generation.is_disconnected(), "it goes on behind what is shown");
    // No word of the model's, no request and no other key follows.
    at = client.type_at(FILE, at, "x");
    let key = Instant::now();
    println!("stopped {:?} after the key", generation.disconnected().await - key);

    // What has not said anything agrees with everything.
    let _pending = ask(&client, at);
    let mut generation = asked_behind(&model, "let x = x").await;
    generation.accept();
    client.type_at(FILE, at, "y");
    client.settle().await;
    assert!(!generation.is_disconnected(), "it may still say `y`");
    generation.send("no");
    let word = Instant::now();
    println!("stopped {:?} after the word", generation.disconnected().await - word);
    client.shutdown().await;
}
