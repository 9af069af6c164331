//! A model server that does what a test says, byte by byte, on a real socket.
//!
//! ```ignore
//! let server = FakeModel::llama_server().await;
//! // … something asks it …
//! let mut generation = server.generation().await;   // the request, and the say over its answer
//! assert_eq!(generation.request.body["n_predict"], 64);
//! generation.send("let x");                          // goes out now
//! generation.send(" = 1;");
//! generation.finish();                               // or `cut`, `raw`, or nothing at all
//! let gone = generation.disconnected().await;        // when the client hung up
//! ```
//!
//! - [`FakeModel::llama_server`], [`ollama`](FakeModel::ollama) and [`open_ai`](FakeModel::open_ai)
//!   answer questions about the server as recorded servers do; [`reply`](FakeModel::reply) changes
//!   the answer of a route.
//! - [`script_completion`](FakeModel::script_completion) answers the next generation by itself.
//! - [`next_request`](FakeModel::next_request) hands out every request in the order of arrival;
//!   [`requests`](FakeModel::requests) shows all so far.
//! - `/tokenize` makes each character a token whose id is its code point.
//!
//! Whatever is awaited here panics after a minute, so that a broken test ends. Dropping the server
//! closes all its connections; dropping a [`Generation`] closes its own.

#[path = "recorded.rs"]
mod recorded;

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedWriteHalf},
    sync::{mpsc, watch},
    task::JoinSet,
};

/// Longer than anything that a test waits for, a build of a crate among it.
const PATIENCE: Duration = Duration::from_mins(1);

/// Which server is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    LlamaServer,
    Ollama,
    OpenAi,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// With the query.
    pub path: String,
    /// Names in lower case.
    pub headers: HashMap<String, String>,
    /// `Null` if there is none or it is not JSON.
    pub body: Value,
    /// The body's bytes.
    pub bytes: Vec<u8>,
    /// When the head was complete.
    pub head_at: Instant,
    /// When the body was complete.
    pub body_at: Instant,
}

/// A fixed answer of a route.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A whole response.
    Answer { status: u16, headers: Vec<(String, String)>, body: Vec<u8> },
    /// Exactly these bytes, then the end of the connection.
    Garbage(Vec<u8>),
    /// Nothing, for ever.
    Never,
}

impl Reply {
    pub fn json(status: u16, body: &Value) -> Self {
        let headers = vec![("Content-Type".into(), "application/json; charset=utf-8".into())];
        Self::Answer { status, headers, body: body.to_string().into_bytes() }
    }

    pub fn redirect(to: &str) -> Self {
        let headers = vec![("Location".into(), to.into())];
        Self::Answer { status: 307, headers, body: Vec::new() }
    }
}

/// The server.
#[derive(Debug)]
pub struct FakeModel {
    address: SocketAddr,
    shared: Arc<Shared>,
    requests: tokio::sync::Mutex<mpsc::UnboundedReceiver<Request>>,
    generations: tokio::sync::Mutex<mpsc::UnboundedReceiver<Generation>>,
    _accepting: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    dialect: Dialect,
    replies: Mutex<HashMap<String, Reply>>,
    scripts: Mutex<VecDeque<Vec<String>>>,
    seen: Mutex<Vec<Request>>,
    connections: AtomicUsize,
    arrived: mpsc::UnboundedSender<Request>,
    started: mpsc::UnboundedSender<Generation>,
}

impl FakeModel {
    /// llama-server b11669 with one model, `coder`, 2 slots and 2048 tokens of context.
    pub async fn llama_server() -> Self {
        Self::start(Dialect::LlamaServer, &recorded::llama_server()).await
    }

    /// Ollama 0.33 with `qwen2.5-coder:1.5b-base`, loaded with 8192 tokens of context, a model that
    /// is not loaded and one of ollama.com.
    pub async fn ollama() -> Self {
        Self::start(Dialect::Ollama, &recorded::ollama()).await
    }

    /// LM Studio with a loaded model, `qwen2.5-coder-1.5b`, one that is not, and one for embeddings.
    pub async fn open_ai() -> Self {
        Self::start(Dialect::OpenAi, &recorded::lm_studio()).await
    }

    async fn start(dialect: Dialect, replies: &[(&str, Value)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (arrived, requests) = mpsc::unbounded_channel();
        let (started, generations) = mpsc::unbounded_channel();
        let replies = replies
            .iter()
            .map(|(route, body)| ((*route).to_owned(), Reply::json(200, body)))
            .collect();
        let shared = Arc::new(Shared {
            dialect,
            replies: Mutex::new(replies),
            scripts: Mutex::default(),
            seen: Mutex::default(),
            connections: AtomicUsize::new(0),
            arrived,
            started,
        });
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, Arc::clone(&shared)));
        Self {
            address,
            shared,
            requests: requests.into(),
            generations: generations.into(),
            _accepting: accepting,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:…`
    pub fn url(&self) -> url::Url {
        format!("http://{}", self.address).parse().expect("an address makes a URL")
    }

    /// Answers `route`, such as `GET /props`, with `reply` from now on. The query is not part of it.
    pub fn reply(&self, route: &str, reply: Reply) {
        self.shared.replies.lock().unwrap().insert(route.to_owned(), reply);
    }

    /// Answers the next generation that no other script takes with these pieces, and ends it.
    pub fn script_completion<'a>(&self, pieces: impl IntoIterator<Item = &'a str>) {
        let pieces = pieces.into_iter().map(str::to_owned).collect();
        self.shared.scripts.lock().unwrap().push_back(pieces);
    }

    /// The next request of any kind.
    pub async fn next_request(&self) -> Request {
        let mut requests = self.requests.lock().await;
        within("a request", requests.recv()).await.expect("the server runs")
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// The next generation that no script answers.
    pub async fn generation(&self) -> Generation {
        within("a generation", self.generation_whenever()).await
    }

    /// The same, however long nobody asks for any.
    pub async fn generation_whenever(&self) -> Generation {
        let mut generations = self.generations.lock().await;
        generations.recv().await.expect("the server runs")
    }

    /// How many connections were opened.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

/// A request for text, and the say over its answer. Until something is sent, not even the head of
/// the response is.
#[derive(Debug)]
pub struct Generation {
    pub request: Request,
    say: mpsc::UnboundedSender<Say>,
    gone: watch::Receiver<Option<Instant>>,
}

/// How a generation ends.
#[derive(Debug, Clone, Copy)]
pub struct Ending {
    pub prompt_tokens: usize,
    pub cached_tokens: usize,
    pub output_tokens: usize,
    /// The output limit ended it.
    pub limit: bool,
}

impl Default for Ending {
    fn default() -> Self {
        Self { prompt_tokens: 20, cached_tokens: 12, output_tokens: 3, limit: false }
    }
}

#[derive(Debug)]
enum Say {
    Accept,
    Text(String),
    Likely(String, f32),
    Raw(Vec<u8>),
    Finish(Ending),
    /// The end of the body without the last message.
    End,
    Cut,
    Refuse(Reply),
}

impl Generation {
    /// Sends the head of the response.
    pub fn accept(&self) {
        self.say(Say::Accept);
    }

    /// Sends text as the server would.
    pub fn send(&self, text: &str) {
        self.say(Say::Text(text.to_owned()));
    }

    /// Sends text and how likely the model found it: the natural logarithm of its probability.
    pub fn send_likely(&self, text: &str, logprob: f32) {
        self.say(Say::Likely(text.to_owned(), logprob));
    }

    /// Sends bytes of the body as they are.
    pub fn raw(&self, bytes: impl Into<Vec<u8>>) {
        self.say(Say::Raw(bytes.into()));
    }

    /// Ends it as the server would, with [`Ending::default`].
    pub fn finish(&self) {
        self.finish_as(Ending::default());
    }

    pub fn finish_as(&self, ending: Ending) {
        self.say(Say::Finish(ending));
    }

    /// Ends the response properly, but without the last message.
    pub fn end(&self) {
        self.say(Say::End);
    }

    /// Closes the connection in the middle of the response.
    pub fn cut(&self) {
        self.say(Say::Cut);
    }

    /// Answers with something else than a stream.
    pub fn refuse(&self, reply: Reply) {
        self.say(Say::Refuse(reply));
    }

    /// Waits until the client closes the connection, and says when it did.
    pub async fn disconnected(&mut self) -> Instant {
        let gone = within("a disconnect", self.gone.wait_for(Option::is_some)).await;
        gone.expect("the connection outlives it").expect("just checked")
    }

    /// Whether the client has closed the connection by now.
    pub fn is_disconnected(&self) -> bool {
        self.gone.borrow().is_some()
    }

    fn say(&self, say: Say) {
        // A connection that is gone hears nothing, like a real one.
        let _ = self.say.send(say);
    }
}

pub(super) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let value = tokio::time::timeout(PATIENCE, future).await;
    value.unwrap_or_else(|elapsed| panic!("the fake model waited for {what}: {elapsed}"))
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let _ = serve(stream, &shared).await;
        });
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut buffer).await? {
        shared.seen.lock().unwrap().push(request.clone());
        let _ = shared.arrived.send(request.clone());
        let path = request.path.split('?').next().unwrap_or_default();
        let route = format!("{} {path}", request.method);
        let fixed = shared.replies.lock().unwrap().get(&route).cloned();
        let reply = match fixed {
            Some(reply) => reply,
            None if route == "POST /tokenize" => tokenized(&request.body),
            None if !generates(shared.dialect, &route) => not_found(shared.dialect, path),
            None if request.body["stream"] != json!(true) => Reply::json(200, &json!({})),
            None => {
                stream = generate(stream, request, shared).await?;
                continue;
            }
        };
        answer(&mut stream, reply).await?;
    }
    Ok(())
}

/// Reads one request; `None` at the end of the connection.
pub(super) async fn read_request(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
) -> std::io::Result<Option<Request>> {
    let head_end = loop {
        if let Some(at) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head_at = Instant::now();
    let head = String::from_utf8_lossy(&buffer[..head_end]).into_owned();
    buffer.drain(..head_end + 4);
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (method, path) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap_or(0));
    while buffer.len() < length {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    let bytes: Vec<u8> = buffer.drain(..length).collect();
    Ok(Some(Request {
        method: method.to_owned(),
        path: path.to_owned(),
        headers,
        body: serde_json::from_slice(&bytes).unwrap_or_default(),
        bytes,
        head_at,
        body_at: Instant::now(),
    }))
}

async fn answer(stream: &mut TcpStream, reply: Reply) -> std::io::Result<()> {
    match reply {
        Reply::Answer { status, headers, body } => {
            let mut head = format!("HTTP/1.1 {status} Said\r\nContent-Length: {}\r\n", body.len());
            for (name, value) in headers {
                head.extend([&name, ": ", &value, "\r\n"]);
            }
            head.push_str("\r\n");
            stream.write_all(&[head.as_bytes(), &body].concat()).await
        }
        Reply::Garbage(bytes) => {
            stream.write_all(&bytes).await?;
            stream.shutdown().await
        }
        Reply::Never => {
            // Ends when the client hangs up.
            while stream.read(&mut [0; 1024]).await? > 0 {}
            Ok(())
        }
    }
}

/// Plays one generation; gives the stream back if it ended properly.
async fn generate(
    stream: TcpStream,
    request: Request,
    shared: &Shared,
) -> std::io::Result<TcpStream> {
    let (say, mut said) = mpsc::unbounded_channel();
    let (leave, gone) = watch::channel(None);
    let mut answer = Answer { path: request.path.clone(), begun: false };
    // Takes the script before the test can see the request.
    let script = shared.scripts.lock().unwrap().pop_front();
    if let Some(pieces) = script {
        for piece in pieces {
            let _ = say.send(Say::Text(piece));
        }
        let _ = say.send(Say::Finish(Ending::default()));
    } else {
        let _ = shared.started.send(Generation { request, say, gone });
    }
    let (mut reader, mut writer) = stream.into_split();
    let mut ignored = [0; 1024];
    loop {
        tokio::select! {
            // Hanging up comes first, so that nothing is written to a client that is gone.
            biased;
            read = reader.read(&mut ignored) => if !matches!(read, Ok(n) if n > 0) {
                let _ = leave.send(Some(Instant::now()));
                return Err(std::io::ErrorKind::ConnectionReset.into());
            },
            say = said.recv() => match say {
                None | Some(Say::Cut) => return Err(std::io::ErrorKind::ConnectionAborted.into()),
                Some(Say::Refuse(reply)) => {
                    let mut stream = reader.reunite(writer).expect("two halves of one stream");
                    self::answer(&mut stream, reply).await?;
                    return Ok(stream);
                }
                Some(say) => {
                    if answer.write(&mut writer, say).await? {
                        break;
                    }
                }
            },
        }
    }
    Ok(reader.reunite(writer).expect("two halves of one stream"))
}

/// A streamed response in the format of its route.
struct Answer {
    path: String,
    begun: bool,
}

impl Answer {
    /// Writes what was said; `true` at the end.
    async fn write(&mut self, writer: &mut OwnedWriteHalf, say: Say) -> std::io::Result<bool> {
        let mut bytes = Vec::new();
        if !self.begun {
            self.begun = true;
            let kind = if self.path.starts_with("/api/") { "x-ndjson" } else { "event-stream" };
            let family = if self.path.starts_with("/api/") { "application" } else { "text" };
            bytes.extend_from_slice(
                format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: {family}/{kind}\r\n\
                     Transfer-Encoding: chunked\r\n\r\n"
                )
                .as_bytes(),
            );
        }
        let (body, last) = match say {
            Say::Accept => (Vec::new(), false),
            Say::Text(text) => (self.message(&self.text(&text)), false),
            Say::Likely(text, logprob) => {
                let mut message = self.text(&text);
                let token = json!({ "token": text, "logprob": logprob, "top_logprobs": [] });
                match self.path.as_str() {
                    "/api/generate" => message["logprobs"] = json!([token]),
                    "/v1/completions" => {
                        message["choices"][0]["logprobs"] =
                            json!({ "tokens": [text], "token_logprobs": [logprob] });
                    }
                    _ => message["completion_probabilities"] = json!([token]),
                }
                (self.message(&message), false)
            }
            Say::Raw(raw) => (raw, false),
            Say::Finish(ending) => (self.finish(ending), true),
            Say::End => (Vec::new(), true),
            Say::Cut | Say::Refuse(_) => unreachable!("handled by the caller"),
        };
        if !body.is_empty() {
            bytes.extend_from_slice(format!("{:x}\r\n", body.len()).as_bytes());
            bytes.extend_from_slice(&body);
            bytes.extend_from_slice(b"\r\n");
        }
        if last {
            bytes.extend_from_slice(b"0\r\n\r\n");
        }
        writer.write_all(&bytes).await?;
        Ok(last)
    }

    fn message(&self, message: &Value) -> Vec<u8> {
        if self.path.starts_with("/api/") {
            format!("{message}\n").into_bytes()
        } else {
            format!("data: {message}\n\n").into_bytes()
        }
    }

    fn text(&self, text: &str) -> Value {
        match self.path.as_str() {
            "/api/generate" => json!({ "model": "m", "response": text, "done": false }),
            "/api/chat" => {
                json!({ "model": "m", "message": { "role": "assistant", "content": text }, "done": false })
            }
            "/v1/completions" => {
                json!({ "choices": [{ "text": text, "index": 0, "logprobs": null, "finish_reason": null }], "object": "text_completion" })
            }
            "/v1/chat/completions" => {
                json!({ "choices": [{ "finish_reason": null, "index": 0, "delta": { "content": text } }], "object": "chat.completion.chunk" })
            }
            _ => {
                json!({ "index": 0, "content": text, "tokens": [7], "stop": false, "id_slot": 0, "tokens_predicted": 1, "tokens_evaluated": 20 })
            }
        }
    }

    fn finish(&self, ending: Ending) -> Vec<u8> {
        let Ending { prompt_tokens, cached_tokens, output_tokens, limit } = ending;
        let openai = |choice: Value| {
            let usage = json!({ "completion_tokens": output_tokens, "prompt_tokens": prompt_tokens, "prompt_tokens_details": { "cached_tokens": cached_tokens } });
            let mut last = self.message(&json!({ "choices": [choice] }));
            last.extend(self.message(&json!({ "choices": [], "usage": usage })));
            last.extend_from_slice(b"data: [DONE]\n\n");
            last
        };
        let reason = if limit { "length" } else { "stop" };
        match self.path.as_str() {
            "/api/generate" => self.message(&json!({ "response": "", "done": true, "done_reason": reason, "prompt_eval_count": prompt_tokens, "eval_count": output_tokens })),
            "/api/chat" => self.message(&json!({ "message": { "role": "assistant", "content": "" }, "done": true, "done_reason": reason, "prompt_eval_count": prompt_tokens, "eval_count": output_tokens })),
            "/v1/completions" => openai(json!({ "text": "", "index": 0, "finish_reason": reason })),
            "/v1/chat/completions" => openai(json!({ "delta": {}, "index": 0, "finish_reason": reason })),
            _ => self.message(&json!({ "content": "", "stop": true, "stop_type": if limit { "limit" } else { "eos" }, "tokens_evaluated": prompt_tokens, "tokens_predicted": output_tokens, "timings/cache_n": cached_tokens })),
        }
    }
}

fn generates(dialect: Dialect, route: &str) -> bool {
    let own: &[&str] = match dialect {
        Dialect::LlamaServer => &["POST /completion"],
        Dialect::Ollama => &["POST /api/generate", "POST /api/chat"],
        Dialect::OpenAi => &[],
    };
    own.contains(&route) || ["POST /v1/completions", "POST /v1/chat/completions"].contains(&route)
}

fn tokenized(request: &Value) -> Reply {
    let text = request["content"].as_str().unwrap_or_default();
    Reply::json(200, &json!({ "tokens": text.chars().map(u32::from).collect::<Vec<_>>() }))
}

fn not_found(dialect: Dialect, path: &str) -> Reply {
    match dialect {
        Dialect::LlamaServer => Reply::json(
            404,
            &json!({ "error": { "message": "File Not Found", "type": "not_found_error", "code": 404 } }),
        ),
        Dialect::Ollama => Reply::Answer {
            status: 404,
            headers: vec![("Content-Type".into(), "text/plain".into())],
            body: b"404 page not found".to_vec(),
        },
        // LM Studio answers unknown routes like this.
        Dialect::OpenAi => Reply::json(
            200,
            &json!({ "error": format!("Unexpected endpoint or method. ({path})") }),
        ),
    }
}
