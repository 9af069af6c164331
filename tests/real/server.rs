//! The llama-server that `tests/real/run` started, asked without Hearth.

use futures::StreamExt;
use serde_json::{Value, json};
use url::Url;

use crate::support::fake_model::{Ending, FakeModel};

/// The server's address.
pub(crate) fn url() -> Url {
    #[expect(clippy::disallowed_methods, reason = "how tests/real/run names the server")]
    let endpoint = std::env::var("HEARTH_REAL_ENDPOINT")
        .expect("HEARTH_REAL_ENDPOINT names no server: start these tests by tests/real/run");
    endpoint.parse().expect("a URL")
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

async fn post(path: &str, body: &Value) -> reqwest::Response {
    let reply = client().post(url().join(path).unwrap()).json(body).send().await.unwrap();
    assert!(reply.status().is_success(), "{path}: {}", reply.status());
    reply
}

pub(crate) async fn ask(path: &str, body: Value) -> Value {
    post(path, &body).await.json().await.unwrap()
}

pub(crate) async fn look(path: &str) -> Value {
    client().get(url().join(path).unwrap()).send().await.unwrap().json().await.unwrap()
}

/// Token ids of `content`, in which control tokens count as such if `special`.
pub(crate) async fn tokens(content: &str, special: bool) -> Vec<Value> {
    let body = json!({ "content": content, "parse_special": special });
    ask("/tokenize", body).await["tokens"].as_array().unwrap().clone()
}

/// Takes the next generation that a played server is asked for and passes it on: what the real one
/// writes goes out piece by piece in the played one's format, and so does its end. A client that
/// hangs up ends it at the real server too.
pub(crate) async fn pass_on(played: &FakeModel) {
    let mut generation = played.generation().await;
    let asked = &generation.request.body;
    let options = if asked["options"].is_object() { &asked["options"] } else { asked };
    let mut request = json!({ "prompt": asked["prompt"], "stream": true });
    for (name, value) in [
        ("n_predict", &options["num_predict"]),
        ("n_predict", &options["max_tokens"]),
        ("temperature", &options["temperature"]),
        ("stop", &options["stop"]),
    ] {
        if !value.is_null() {
            request[name] = value.clone();
        }
    }
    let mut body = post("/completion", &request).await.bytes_stream();
    let mut unread = String::new();
    loop {
        let bytes = tokio::select! {
            bytes = body.next() => bytes.expect("it says when it ends").unwrap(),
            _ = generation.disconnected() => return,
        };
        unread.push_str(str::from_utf8(&bytes).expect("the model writes ASCII"));
        while let Some((message, rest)) = unread.split_once("\n\n") {
            let event: Value = serde_json::from_str(message.trim_start_matches("data: ")).unwrap();
            unread = rest.to_owned();
            generation.send(event["content"].as_str().unwrap());
            if event["stop"] == true {
                let count = |key: &str| usize::try_from(event[key].as_u64().unwrap()).unwrap();
                return generation.finish_as(Ending {
                    prompt_tokens: count("tokens_evaluated"),
                    cached_tokens: usize::try_from(event["timings"]["cache_n"].as_u64().unwrap())
                        .unwrap(),
                    output_tokens: count("tokens_predicted"),
                    limit: event["stop_type"] == "limit",
                });
            }
        }
    }
}
