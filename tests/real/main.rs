//! Asked of a real llama-server with the model of `bigram.rs`: run by `tests/real/run`.
//!
//! The tests of this file hold the ground the others stand on: that the server loads the model, says
//! the answers that are known beforehand, and treats control tokens and text as Hearth believes it
//! does. `providers.rs` meets it by Hearth's providers, `editor.rs` by the program itself.

mod bigram;
mod editor;
mod providers;
mod server;
#[path = "../support/mod.rs"]
mod support;

use serde_json::{Value, json};
use server::{ask, tokens};

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
