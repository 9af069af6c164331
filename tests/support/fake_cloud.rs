//! A cloud that says what a test wrote down, on a real socket: Anthropic's Messages API and OpenAI's
//! chat completions.
//!
//! ```ignore
//! let cloud = FakeCloud::start(Api::Anthropic).await;
//! cloud.says(Says::text(["Hel", "lo"]));             // the next request
//! cloud.says(Says::Status(429, &[("retry-after", "1")], "slow down"));   // the one after it
//! // … something asks it …
//! assert_eq!(cloud.requests()[0].body["model"], "m");
//! ```
//!
//! A request for which nothing is written down is answered with status 418, which nobody expects.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::fake_model::{Request, read_request};

/// Which service is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    Anthropic,
    OpenAi,
}

/// What happens to one request.
#[derive(Debug, Clone)]
pub enum Says {
    /// A whole answer: pieces of text, then calls (id, name, pieces of the input's JSON).
    Answer { text: Vec<String>, calls: Vec<(String, String, Vec<String>)>, reason: &'static str },
    /// These pieces of text, then the end of the connection in the middle of the answer.
    Cut(Vec<String>),
    /// These pieces of text, then a proper end of the response without the service's last words.
    Ends(Vec<String>),
    /// These pieces of text, then the service's word that it is overloaded.
    Overloaded(Vec<String>),
    /// A status with headers and a message.
    Status(u16, Vec<(String, String)>, String),
}

impl Says {
    pub fn text<'a>(pieces: impl IntoIterator<Item = &'a str>) -> Self {
        Self::Answer { text: owned(pieces), calls: Vec::new(), reason: "stop" }
    }

    pub fn call(id: &str, name: &str, input: &[&str]) -> Self {
        let call = (id.to_owned(), name.to_owned(), owned(input.iter().copied()));
        Self::Answer { text: vec!["Let me look. ".to_owned()], calls: vec![call], reason: "call" }
    }

    pub fn cut<'a>(pieces: impl IntoIterator<Item = &'a str>) -> Self {
        Self::Cut(owned(pieces))
    }

    pub fn status(status: u16, headers: &[(&str, &str)], message: &str) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Self::Status(status, headers.collect(), message.to_owned())
    }
}

fn owned<'a>(pieces: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    pieces.into_iter().map(str::to_owned).collect()
}

/// Tokens of every answer: input, of it cached, written to the cache (Anthropic alone), output.
pub const TOKENS: [usize; 4] = [1_000, 600, 100, 50];

/// The server. Dropping it closes its connections.
#[derive(Debug)]
pub struct FakeCloud {
    address: SocketAddr,
    shared: Arc<Shared>,
    _accepting: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    api: Api,
    script: Mutex<VecDeque<Says>>,
    requests: Mutex<Vec<Request>>,
    looks: Mutex<Vec<Request>>,
    /// The status that a look gets.
    look: Mutex<u16>,
    connections: Mutex<usize>,
}

impl FakeCloud {
    pub async fn start(api: Api) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            api,
            script: Mutex::default(),
            requests: Mutex::default(),
            looks: Mutex::default(),
            look: Mutex::new(404),
            connections: Mutex::default(),
        });
        let mut accepting = JoinSet::new();
        let answering = Arc::clone(&shared);
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                *answering.connections.lock().unwrap() += 1;
                let shared = Arc::clone(&answering);
                connections.spawn(async move {
                    let _ = serve(stream, &shared).await;
                });
            }
        });
        Self { address, shared, _accepting: accepting }
    }

    /// The base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Does this at the next request that nothing is written down for.
    pub fn says(&self, says: Says) {
        self.shared.script.lock().unwrap().push_back(says);
    }

    /// Answers looks with this status from now on; 404 before.
    pub fn look_status(&self, status: u16) {
        *self.shared.look.lock().unwrap() = status;
    }

    /// All looks so far, which are no requests.
    pub fn looks(&self) -> Vec<Request> {
        self.shared.looks.lock().unwrap().clone()
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// How many connections were opened.
    pub fn connections(&self) -> usize {
        *self.shared.connections.lock().unwrap()
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut buffer).await? {
        if request.method == "HEAD" {
            let status = *shared.look.lock().unwrap();
            shared.looks.lock().unwrap().push(request);
            stream.write_all(format!("HTTP/1.1 {status} Said\r\n\r\n").as_bytes()).await?;
            continue;
        }
        shared.requests.lock().unwrap().push(request);
        let says = shared.script.lock().unwrap().pop_front();
        let says = says.unwrap_or_else(|| Says::status(418, &[], "nothing is written down"));
        if !answer(&mut stream, shared.api, says).await? {
            return Ok(());
        }
    }
    Ok(())
}

/// Answers one request; `false` where the connection ends with it.
async fn answer(stream: &mut TcpStream, api: Api, says: Says) -> std::io::Result<bool> {
    let (messages, whole) = match says {
        Says::Status(status, headers, message) => {
            let body = json!({ "type": "error", "error": { "type": "said", "message": message } });
            let body = body.to_string();
            let mut head = format!("HTTP/1.1 {status} Said\r\nContent-Length: {}\r\n", body.len());
            for (name, value) in headers {
                head.extend([&name, ": ", &value, "\r\n"]);
            }
            stream.write_all(format!("{head}\r\n{body}").as_bytes()).await?;
            return Ok(true);
        }
        Says::Answer { text, calls, reason } => {
            let mut messages = begin(api, &text);
            messages.extend(end(api, &calls, reason));
            (messages, true)
        }
        Says::Ends(text) => (begin(api, &text), true),
        Says::Cut(text) => (begin(api, &text), false),
        Says::Overloaded(text) => {
            let mut messages = begin(api, &text);
            let error = json!({ "type": "overloaded_error", "message": "Overloaded", "code": 529 });
            messages.push(json!({ "type": "error", "error": error }).to_string());
            (messages, true)
        }
    };
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    for message in messages {
        let event = format!(": comment\ndata: {message}\n\n");
        stream.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).await?;
        stream.flush().await?;
    }
    if whole {
        stream.write_all(b"0\r\n\r\n").await?;
    }
    Ok(whole)
}

fn begin(api: Api, text: &[String]) -> Vec<String> {
    let [input, cached, written, _] = TOKENS;
    let mut messages = Vec::new();
    match api {
        Api::Anthropic => {
            let usage = json!({ "input_tokens": input - cached - written, "cache_read_input_tokens": cached,
                "cache_creation_input_tokens": written, "output_tokens": 1 });
            messages.push(
                json!({ "type": "message_start", "message": { "id": "msg_1", "role": "assistant",
                "content": [], "stop_reason": null, "usage": usage } }),
            );
            messages.push(json!({ "type": "content_block_start", "index": 0,
                "content_block": { "type": "text", "text": "" } }));
            messages.push(json!({ "type": "ping" }));
            for piece in text {
                messages.push(json!({ "type": "content_block_delta", "index": 0,
                    "delta": { "type": "text_delta", "text": piece } }));
            }
        }
        Api::OpenAi => {
            let role = json!({ "role": "assistant", "content": "", "refusal": null });
            messages.push(json!({ "object": "chat.completion.chunk", "choices": [
                { "index": 0, "delta": role, "finish_reason": null }], "usage": null }));
            for piece in text {
                messages.push(json!({ "choices": [
                    { "index": 0, "delta": { "content": piece }, "finish_reason": null }], "usage": null }));
            }
        }
    }
    messages.iter().map(Value::to_string).collect()
}

fn end(api: Api, calls: &[(String, String, Vec<String>)], reason: &str) -> Vec<String> {
    let [input, cached, _, output] = TOKENS;
    let mut messages = Vec::new();
    match api {
        Api::Anthropic => {
            messages.push(json!({ "type": "content_block_stop", "index": 0 }));
            for (index, (id, name, pieces)) in (1..).zip(calls) {
                messages.push(json!({ "type": "content_block_start", "index": index,
                    "content_block": { "type": "tool_use", "id": id, "name": name, "input": {} } }));
                for piece in pieces {
                    messages.push(json!({ "type": "content_block_delta", "index": index,
                        "delta": { "type": "input_json_delta", "partial_json": piece } }));
                }
                messages.push(json!({ "type": "content_block_stop", "index": index }));
            }
            let reason = match reason {
                "call" => "tool_use",
                "limit" => "max_tokens",
                _ => "end_turn",
            };
            messages.push(json!({ "type": "message_delta", "delta": { "stop_reason": reason },
                "usage": { "output_tokens": output } }));
            messages.push(json!({ "type": "message_stop" }));
            messages.iter().map(Value::to_string).collect()
        }
        Api::OpenAi => {
            let delta = |delta: Value, reason: Value| json!({ "choices": [{ "index": 0, "delta": delta, "finish_reason": reason }], "usage": null });
            for (index, (id, name, pieces)) in calls.iter().enumerate() {
                let call = json!({ "index": index, "id": id, "type": "function",
                    "function": { "name": name, "arguments": "" } });
                messages.push(delta(json!({ "tool_calls": [call] }), Value::Null));
                for piece in pieces {
                    let call = json!({ "index": index, "function": { "arguments": piece } });
                    messages.push(delta(json!({ "tool_calls": [call] }), Value::Null));
                }
            }
            let reason = match reason {
                "call" => "tool_calls",
                "limit" => "length",
                _ => "stop",
            };
            messages.push(delta(json!({}), json!(reason)));
            messages.push(json!({ "choices": [], "usage": { "prompt_tokens": input,
                "completion_tokens": output, "prompt_tokens_details": { "cached_tokens": cached } } }));
            let mut messages: Vec<String> = messages.iter().map(Value::to_string).collect();
            messages.push("[DONE]".to_owned());
            messages
        }
    }
}
