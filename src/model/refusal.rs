//! What a server means that refuses: status codes and error bodies of all formats.
//!
//! Ollama sends `{"error":"…"}`, the others `{"error":{"message":"…",…}}`, some only text.

use serde::Deserialize;

use super::ModelError;

/// Longest sentence of a server that is passed on, in characters.
const MAX_DETAIL: usize = 300;

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Body {
    Named { error: Reason },
    Bare(Details),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Reason {
    Text(String),
    Details(Details),
}

#[derive(Debug, Default, Deserialize)]
struct Details {
    message: String,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    /// llama-server sends the status, others a word.
    #[serde(default)]
    code: Option<serde_json::Value>,
    #[serde(default)]
    n_prompt_tokens: Option<usize>,
    #[serde(default)]
    n_ctx: Option<usize>,
}

impl Details {
    fn read(body: &[u8]) -> Self {
        match serde_json::from_slice(body) {
            Ok(Body::Named { error: Reason::Details(details) } | Body::Bare(details)) => details,
            Ok(Body::Named { error: Reason::Text(message) }) => Self { message, ..Self::default() },
            Err(_) => {
                let message = String::from_utf8_lossy(body).trim().to_owned();
                Self { message, ..Self::default() }
            }
        }
    }

    fn is(&self, kind: &str) -> bool {
        self.kind.as_deref() == Some(kind)
            || self.code.as_ref().and_then(serde_json::Value::as_str) == Some(kind)
    }
}

/// What a refusal with `status` means for a request for `model`, which may be empty.
pub(super) fn of(endpoint: &str, model: &str, status: u16, body: &[u8]) -> ModelError {
    let details = Details::read(body);
    if (300..400).contains(&status) {
        let detail = "it redirects, and redirects are not followed".to_owned();
        return ModelError::Refused { endpoint: endpoint.to_owned(), status, detail };
    }
    meant(endpoint, model, status, &details).unwrap_or_else(|| ModelError::Refused {
        endpoint: endpoint.to_owned(),
        status,
        detail: detail(&details.message),
    })
}

/// What a failure means that is reported inside a stream, after a status of 200.
pub(super) fn in_stream(endpoint: &str, model: &str, body: &[u8]) -> ModelError {
    let details = Details::read(body);
    let code = details.code.as_ref().and_then(serde_json::Value::as_u64);
    let status = code.and_then(|code| u16::try_from(code).ok()).unwrap_or_default();
    meant(endpoint, model, status, &details).unwrap_or_else(|| ModelError::BrokenStream {
        endpoint: endpoint.to_owned(),
        detail: detail(&details.message),
    })
}

/// The reason that a body gives, shortened.
pub(super) fn reason(body: &[u8]) -> String {
    detail(&Details::read(body).message)
}

fn meant(endpoint: &str, model: &str, status: u16, details: &Details) -> Option<ModelError> {
    let endpoint = endpoint.to_owned();
    let said = details.message.to_lowercase();
    if details.is("exceed_context_size_error")
        || details.is("context_length_exceeded")
        || too_long(&said)
    {
        return Some(ModelError::TooLong {
            endpoint,
            prompt_tokens: details.n_prompt_tokens.or_else(|| number_after(&said, "request (")),
            context: details
                .n_ctx
                .or_else(|| number_after(&said, "maximum context length is "))
                .or_else(|| number_after(&said, "available context size (")),
        });
    }
    let unknown = details.is("model_not_found")
        || said.contains("not found") && said.contains("model")
        || said.contains("model") && said.contains("does not exist");
    match status {
        400 | 404 if unknown && !model.is_empty() => Some(ModelError::NoModel {
            endpoint,
            model: model.to_owned(),
            detail: detail(&details.message),
        }),
        503 if said.contains("loading") => Some(ModelError::Loading { endpoint }),
        429 | 503 => Some(ModelError::Busy { endpoint, detail: detail(&details.message) }),
        _ => None,
    }
}

/// The sentences of Ollama (`server/routes.go`), llama-server inside Ollama, vLLM and LM Studio for
/// a prompt that is too long.
fn too_long(said: &str) -> bool {
    [
        "longer than the context length",
        "exceeds the available context size",
        "maximum context length",
        "greater than the context length",
    ]
    .iter()
    .any(|sentence| said.contains(sentence))
}

fn number_after(said: &str, words: &str) -> Option<usize> {
    let (_, rest) = said.split_once(words)?;
    let digits = rest.find(|char: char| !char.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

fn detail(message: &str) -> String {
    match message.char_indices().nth(MAX_DETAIL) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None if message.is_empty() => "it gave no reason".to_owned(),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(status: u16, body: &str, meant: &Expect) {
        meant.assert_eq(&of("http://127.0.0.1:1", "m", status, body.as_bytes()).to_string());
    }

    #[test]
    fn each_server_is_understood() {
        check(
            503,
            r#"{"error":{"message":"Loading model","type":"unavailable_error","code":503}}"#,
            &expect!["the server at http://127.0.0.1:1 is loading its model"],
        );
        check(
            503,
            r#"{"error":"server busy, please try again.  maximum pending requests exceeded"}"#,
            &expect![
                "the server at http://127.0.0.1:1 is busy: server busy, please try again.  maximum pending requests exceeded"
            ],
        );
        check(
            404,
            r#"{"error":"model 'm' not found"}"#,
            &expect![
                "the server at http://127.0.0.1:1 does not have the model 'm': model 'm' not found"
            ],
        );
        check(
            400,
            r#"{"error":{"code":400,"message":"model 'm' not found","type":"invalid_request_error"}}"#,
            &expect![
                "the server at http://127.0.0.1:1 does not have the model 'm': model 'm' not found"
            ],
        );
        check(
            404,
            r#"{"error":{"message":"The model `m` does not exist.","type":"NotFoundError","param":null,"code":404}}"#,
            &expect![
                "the server at http://127.0.0.1:1 does not have the model 'm': The model `m` does not exist."
            ],
        );
        check(
            404,
            r#"{"error":{"message":"File Not Found","type":"not_found_error","code":404}}"#,
            &expect!["the server at http://127.0.0.1:1 refused: 404 File Not Found"],
        );
        check(
            400,
            r#"{"error":{"code":400,"message":"request (7200 tokens) exceeds the available context size (2048 tokens), try increasing it","type":"exceed_context_size_error","n_prompt_tokens":7200,"n_ctx":2048}}"#,
            &expect![
                "the prompt of 7200 tokens is larger than the context of 2048 tokens at http://127.0.0.1:1"
            ],
        );
        check(
            400,
            r#"{"error":{"message":"This model's maximum context length is 4096 tokens. However, you requested 5000 tokens","type":"BadRequestError","param":null,"code":400}}"#,
            &expect!["the prompt is larger than the context of 4096 tokens at http://127.0.0.1:1"],
        );
        check(
            400,
            r#"{"error":"request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it"}"#,
            &expect![
                "the prompt of 5000 tokens is larger than the context of 4096 tokens at http://127.0.0.1:1"
            ],
        );
        check(
            401,
            r#"{"error":{"message":"Invalid API Key","type":"authentication_error","code":401}}"#,
            &expect!["the server at http://127.0.0.1:1 refused: 401 Invalid API Key"],
        );
        check(
            302,
            "",
            &expect![
                "the server at http://127.0.0.1:1 refused: 302 it redirects, and redirects are not followed"
            ],
        );
        check(
            500,
            "<html>oops",
            &expect!["the server at http://127.0.0.1:1 refused: 500 <html>oops"],
        );
        check(
            500,
            &"x".repeat(1000),
            &expect![
                "the server at http://127.0.0.1:1 refused: 500 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…"
            ],
        );
        check(502, "", &expect!["the server at http://127.0.0.1:1 refused: 502 it gave no reason"]);
    }
}
