//! Asked of a real llama-server with the model of `bigram.rs`: run by `tests/real/run`.
//!
//! These hold the ground the other tests stand on: that the server loads the model, says the answers
//! that are known beforehand, and treats control tokens and text as Hearth believes it does.

mod bigram;

use serde_json::{Value, json};

/// Asks the server that `tests/real/run` started.
async fn ask(path: &str, body: Value) -> Value {
    #[expect(clippy::disallowed_methods, reason = "how tests/real/run names the server")]
    let endpoint = std::env::var("HEARTH_REAL_ENDPOINT")
        .expect("HEARTH_REAL_ENDPOINT names no server: start these tests by tests/real/run");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let reply = client.post(format!("{endpoint}{path}")).json(&body).send().await.unwrap();
    assert!(reply.status().is_success(), "{path}: {}", reply.status());
    reply.json().await.unwrap()
}

/// Token ids of `content`, in which control tokens count as such if `special`.
async fn tokens(content: &str, special: bool) -> Vec<Value> {
    let body = json!({ "content": content, "parse_special": special });
    ask("/tokenize", body).await["tokens"].as_array().unwrap().clone()
}

async fn complete(prompt: Value) -> (String, String) {
    let reply = ask("/completion", json!({ "prompt": prompt, "n_predict": 24 })).await;
    let text = |key: &str| reply[key].as_str().unwrap().to_owned();
    (text("content"), text("stop_type"))
}

fn middle() -> (String, String) {
    (bigram::MIDDLE.concat(), "eos".to_owned())
}

#[tokio::test]
async fn after_the_middle_token_comes_the_known_answer() {
    let prompt = json!("<|fim_prefix|>fn sum() {<|fim_suffix|>}<|fim_middle|>");
    assert_eq!(complete(prompt).await, middle());
    let reply = ask("/infill", json!({ "input_prefix": "fn a", "input_suffix": "}" })).await;
    assert_eq!(reply["content"], bigram::MIDDLE.concat());
}

#[tokio::test]
async fn after_text_comes_text_without_end() {
    let (content, stop) = complete(json!("let a = 1;")).await;
    assert_eq!((content, stop.as_str()), (bigram::ENDLESS.concat().repeat(6), "limit"));
}

#[tokio::test]
async fn a_control_token_acts_unless_it_is_sent_as_the_ids_of_its_characters() {
    let spelled = "<|fim_middle|>";
    assert_eq!(complete(json!(tokens(spelled, true).await)).await, middle());
    let ids = tokens(spelled, false).await;
    assert!(ids.len() > 1);
    assert_eq!(complete(json!(ids)).await.1, "limit");
}

#[tokio::test]
async fn merged_words_are_one_token_each() {
    for word in bigram::WORDS {
        assert_eq!(tokens(word, true).await.len(), 1, "{word:?}");
    }
    assert_eq!(tokens("é", true).await.len(), 2);
}
