//! An editor for tests: speaks to the real server over a pipe, by the protocol.
//!
//! ```ignore
//! let mut client = Setup::default().start().await;
//! let at = client.open("file:///w/src/main.rs", "fn main() { $0 }");
//! let items = client.request::<InlineCompletionRequest>(params).await.unwrap();
//! client.shutdown().await;
//! ```
//!
//! Messages are queued in order and never block the test. Waiting for anything has a limit, after
//! which the test fails with what it waited for. A client must be shut down; that fails when the
//! server sent something that the test did not look at.

use std::{
    collections::{HashMap, VecDeque},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use hearth::{
    lsp::ext::StatusParams,
    server::{self, End, Options},
    session::task::OwnedTask,
};
use serde_json::{Value as Json, json};
use tokio::{
    io::{
        AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader,
        DuplexStream, ReadHalf, WriteHalf,
    },
    sync::{Notify, mpsc, oneshot},
};
use tower_lsp::gen_lsp_types::{Notification, Position, Request};

/// Far above what anything here takes, also on a busy machine.
const LIMIT: Duration = Duration::from_mins(1);

/// What the editor can do and how it starts the server.
pub struct Setup {
    /// In the editor's order of preference; empty for an editor that offers none.
    pub encodings: Vec<&'static str>,
    /// Whether it shows ghost text.
    pub inline_completion: bool,
    /// The answer to `workspace/configuration`; `None` for an editor that cannot be asked.
    pub configuration: Option<Json>,
    /// Whether it tells of changed files once it is asked to.
    pub watched_files: bool,
    /// Whether it shows progress.
    pub progress: bool,
    /// URIs of the workspace folders.
    pub folders: Vec<String>,
    pub initialization_options: Json,
    pub process_id: Option<u32>,
    /// Notifications that may be left unread.
    pub ignored: Vec<&'static str>,
    /// Server requests that are never answered.
    pub unanswered: Vec<&'static str>,
    /// Server requests that the test answers ([`Client::asked`]).
    pub answered_by_test: Vec<&'static str>,
    /// Capabilities beside the above, laid over them.
    pub capabilities: Json,
    pub options: Options,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            encodings: vec!["utf-16"],
            inline_completion: true,
            configuration: None,
            watched_files: false,
            progress: false,
            folders: vec!["file:///w".to_owned()],
            initialization_options: json!({}),
            process_id: None,
            ignored: vec!["window/logMessage", "hearth/status"],
            unanswered: Vec::new(),
            answered_by_test: Vec::new(),
            capabilities: json!({}),
            options: Options::default(),
        }
    }
}

/// The ends of the pipe that the server gets.
pub type ServerReader = ReadHalf<DuplexStream>;
pub type ServerWriter = WriteHalf<DuplexStream>;

impl Setup {
    /// Starts Hearth and says `initialize` and `initialized`.
    pub async fn start(mut self) -> Client {
        let options = std::mem::take(&mut self.options);
        self.start_with(|reader, writer| server::run(reader, writer, options)).await
    }

    /// Starts another server on the pipe.
    pub async fn start_with<F>(self, serve: impl FnOnce(ServerReader, ServerWriter) -> F) -> Client
    where
        F: Future<Output = End> + Send + 'static,
    {
        let (near, far) = tokio::io::duplex(1 << 16);
        let (reader, writer) = tokio::io::split(far);
        let server = OwnedTask::spawn(serve(reader, writer));
        let (reader, writer) = tokio::io::split(near);
        let mut client = self.over(reader, writer).await;
        client.server = Some(server);
        client
    }

    /// Meets a server that already runs at the other end of two streams.
    pub async fn over<R, W>(self, reader: R, writer: W) -> Client
    where
        R: AsyncRead + Unpin + Send + 'static,
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let (outgoing, mut queue) = mpsc::unbounded_channel::<Vec<u8>>();
        let mut writer = writer;
        let writing = OwnedTask::spawn(async move {
            while let Some(message) = queue.recv().await {
                if writer.write_all(&message).await.is_err() || writer.flush().await.is_err() {
                    return;
                }
            }
            let _ = writer.shutdown().await;
        });
        let shared = Arc::new(Shared {
            outgoing: Mutex::new(Some(outgoing)),
            configuration: Mutex::new(self.configuration.clone()),
            unanswered: self.unanswered.clone(),
            answered_by_test: self.answered_by_test.clone(),
            asked: Mutex::default(),
            answers: Mutex::default(),
            unread: Mutex::default(),
            arrived: Notify::new(),
            closed: AtomicBool::new(false),
        });
        let reading = OwnedTask::spawn({
            let shared = Arc::clone(&shared);
            async move {
                let mut reader = BufReader::new(reader);
                while let Some(message) = read_message(&mut reader).await {
                    shared.received(message);
                }
                shared.closed.store(true, Ordering::SeqCst);
                shared.answers.lock().unwrap().clear();
                shared.arrived.notify_waiters();
            }
        });
        let mut client = Client {
            initialized: Json::Null,
            shared,
            ignored: self.ignored.clone(),
            versions: HashMap::new(),
            next_id: AtomicI64::new(1),
            server: None,
            finished: false,
            writing: Some(writing),
            _reading: reading,
        };
        let initialize = client.send_raw("initialize", self.initialize());
        client.initialized = initialize.answer().await.expect("initialize is answered");
        client.notify_raw("initialized", json!({}));
        client
    }

    fn initialize(&self) -> Json {
        let folder = |uri: &String| json!({ "uri": uri, "name": uri });
        let mut params = json!({
            "processId": self.process_id,
            "clientInfo": { "name": "test" },
            "rootUri": self.folders.first(),
            "workspaceFolders": self.folders.iter().map(folder).collect::<Vec<_>>(),
            "initializationOptions": self.initialization_options,
            "capabilities": {
                "workspace": {
                    "workspaceFolders": true,
                    "configuration": self.configuration.is_some(),
                    "didChangeConfiguration": {
                        "dynamicRegistration": self.configuration.is_some(),
                    },
                },
                "textDocument": { "synchronization": {} },
                "window": { "workDoneProgress": self.progress },
            },
        });
        if self.watched_files {
            params["capabilities"]["workspace"]["didChangeWatchedFiles"] =
                json!({ "dynamicRegistration": true });
        }
        if !self.encodings.is_empty() {
            params["capabilities"]["general"]["positionEncodings"] = json!(self.encodings);
        }
        if self.inline_completion {
            params["capabilities"]["textDocument"]["inlineCompletion"] = json!({});
        }
        lay_over(&mut params["capabilities"], &self.capabilities);
        params
    }
}

/// Puts `over` into `tree`, branch by branch.
fn lay_over(tree: &mut Json, over: &Json) {
    match over {
        Json::Object(branches) if tree.is_object() => {
            for (name, branch) in branches {
                lay_over(&mut tree[name], branch);
            }
        }
        leaf => *tree = leaf.clone(),
    }
}

/// An editor that is connected to a server.
pub struct Client {
    /// The answer to `initialize`.
    pub initialized: Json,
    shared: Arc<Shared>,
    ignored: Vec<&'static str>,
    versions: HashMap<String, i32>,
    next_id: AtomicI64,
    server: Option<OwnedTask<End>>,
    finished: bool,
    writing: Option<OwnedTask>,
    _reading: OwnedTask,
}

/// An error that the server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseError {
    pub code: i64,
    pub message: String,
}

pub type Answer = Result<Json, ResponseError>;

/// A request of the server's that waits for the test.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    pub params: Json,
    id: Json,
}

/// A request that is under way.
pub struct Pending {
    pub id: i64,
    method: String,
    answer: oneshot::Receiver<Answer>,
}

impl Pending {
    /// The answer. Fails the test when there is none, also when the server is gone.
    pub async fn answer(self) -> Answer {
        within_limit(&self.method, self.answer).await.expect("the server answers before it goes")
    }
}

impl Client {
    // Documents. Ranges are (line, character) pairs in the agreed encoding.

    /// Opens a document whose language follows from its name. Returns the position of `$0` in `text`,
    /// which is taken out, or the document's start.
    pub fn open(&mut self, uri: &str, text: &str) -> Position {
        let (text, cursor) = self.cursor(text);
        let language_id = if Path::new(uri).extension().is_some_and(|extension| extension == "rs") {
            "rust"
        } else {
            "plaintext"
        };
        self.versions.insert(uri.to_owned(), 0);
        self.notify_raw(
            "textDocument/didOpen",
            json!({ "textDocument": {
                "uri": uri, "languageId": language_id, "version": 0, "text": text,
            }}),
        );
        cursor
    }

    /// Replaces `start..end` of an open document.
    pub fn change(&mut self, uri: &str, start: (u32, u32), end: (u32, u32), text: &str) {
        let point = |(line, character)| json!({ "line": line, "character": character });
        self.change_raw(
            uri,
            json!([{ "range": { "start": point(start), "end": point(end) }, "text": text }]),
        );
    }

    /// Types `text` at a position and returns the position behind it. Knows no line breaks.
    pub fn type_at(&mut self, uri: &str, at: Position, text: &str) -> Position {
        let (line, character) = (at.line, at.character);
        self.change(uri, (line, character), (line, character), text);
        Position { line, character: character + self.units(text) }
    }

    /// Sends changes as they are.
    pub fn change_raw(&mut self, uri: &str, changes: Json) {
        let version = self.versions.entry(uri.to_owned()).or_default();
        *version += 1;
        let document = json!({ "uri": uri, "version": *version });
        let params = json!({ "textDocument": document, "contentChanges": changes });
        self.notify_raw("textDocument/didChange", params);
    }

    pub fn close(&mut self, uri: &str) {
        self.versions.remove(uri);
        self.notify_raw("textDocument/didClose", json!({ "textDocument": { "uri": uri } }));
    }

    // Messages.

    /// Sends a request and waits for its answer.
    pub async fn request<R: Request>(&self, params: R::Params) -> Result<R::Result, ResponseError> {
        let answer = self.send::<R>(params).answer().await?;
        Ok(serde_json::from_value(answer).expect("the answer has the request's type"))
    }

    /// Sends a request.
    pub fn send<R: Request>(&self, params: R::Params) -> Pending {
        self.send_raw(R::METHOD.as_str(), serde_json::to_value(params).unwrap())
    }

    pub fn send_raw(&self, method: &str, params: Json) -> Pending {
        let id = self.next_id.fetch_add(1, Ordering::SeqCst);
        let (sender, answer) = oneshot::channel();
        self.shared.answers.lock().unwrap().insert(id, sender);
        let mut message = json!({ "jsonrpc": "2.0", "id": id, "method": method });
        if !params.is_null() {
            message["params"] = params;
        }
        self.shared.send(&message);
        Pending { id, method: method.to_owned(), answer }
    }

    pub fn cancel(&self, pending: &Pending) {
        self.notify_raw("$/cancelRequest", json!({ "id": pending.id }));
    }

    pub fn notify<N: Notification>(&self, params: N::Params) {
        self.notify_raw(N::METHOD.as_str(), serde_json::to_value(params).unwrap());
    }

    pub fn notify_raw(&self, method: &str, params: Json) {
        self.shared.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    /// Sends a body that may be no message.
    pub fn send_bytes(&self, body: &[u8]) {
        self.shared.send_bytes(body);
    }

    /// Waits until the server has worked on everything that was sent before.
    pub async fn settle(&self) {
        let accepted = json!({ "command": "hearth.accepted" });
        self.send_raw("workspace/executeCommand", accepted).answer().await.unwrap();
    }

    /// What `workspace/configuration` is answered from now on.
    pub fn set_configuration(&self, settings: Json) {
        *self.shared.configuration.lock().unwrap() = Some(settings);
    }

    /// Takes the oldest unread notification or server request of this method out of the inbox, and
    /// waits for one if there is none.
    pub async fn received(&self, method: &str) -> Json {
        self.received_where(method, |_| true).await
    }

    /// Waits for a `hearth/status` that `is_it` agrees to; older ones are thrown away.
    pub async fn status(&self, is_it: impl Fn(&StatusParams) -> bool) -> StatusParams {
        loop {
            let status = self.received("hearth/status").await;
            let status = serde_json::from_value(status).expect("a status has its shape");
            if is_it(&status) {
                return status;
            }
        }
    }

    /// Takes everything of this method that has arrived out of the inbox.
    pub fn take(&self, method: &str) -> Vec<Json> {
        let mut unread = self.shared.unread.lock().unwrap();
        unread.extract_if(.., |(name, _)| name == method).map(|(_, params)| params).collect()
    }

    /// The next of the server's requests that the test answers.
    pub async fn asked(&self) -> Asked {
        let wait = async {
            loop {
                let arrived = self.shared.arrived.notified();
                if let Some(asked) = self.shared.asked.lock().unwrap().pop_front() {
                    return asked;
                }
                arrived.await;
            }
        };
        within_limit("a request of the server's", wait).await
    }

    /// Answers a request of the server's.
    pub fn answer(&self, asked: &Asked, result: &Json) {
        self.shared.send(&json!({ "jsonrpc": "2.0", "id": asked.id, "result": result }));
    }

    async fn received_where(&self, method: &str, is_it: impl Fn(&Json) -> bool) -> Json {
        let wait = async {
            loop {
                let arrived = self.shared.arrived.notified();
                {
                    let mut unread = self.shared.unread.lock().unwrap();
                    let found =
                        unread.iter().position(|(name, params)| name == method && is_it(params));
                    if let Some(idx) = found {
                        return unread.remove(idx).1;
                    }
                }
                assert!(
                    !self.shared.closed.load(Ordering::SeqCst),
                    "gone without sending {method}"
                );
                arrived.await;
            }
        };
        within_limit(method, wait).await
    }

    // The end.

    /// Leaves by the protocol. Fails when the server sent something that was not looked at.
    pub async fn shutdown(mut self) {
        self.send_raw("shutdown", Json::Null).answer().await.expect("shutdown is answered");
        self.notify_raw("exit", Json::Null);
        if let Some(end) = self.ended().await {
            assert_eq!(end, End::Orderly);
        }
    }

    /// Sends `exit` and nothing before it.
    pub async fn exit(mut self) -> Option<End> {
        self.notify_raw("exit", Json::Null);
        self.ended().await
    }

    /// Is gone without a word, as an editor that was killed.
    pub async fn vanish(mut self) -> Option<End> {
        self.ended().await
    }

    async fn ended(&mut self) -> Option<End> {
        self.finished = true;
        drop(self.shared.outgoing.lock().unwrap().take());
        if let Some(writing) = self.writing.take() {
            within_limit("everything is written", writing.join()).await;
        }
        let end = match self.server.take() {
            Some(server) => within_limit("the server ends", server.join()).await,
            None => None,
        };
        let unread = std::mem::take(&mut *self.shared.unread.lock().unwrap());
        let surprising: Vec<_> =
            unread.into_iter().filter(|(method, _)| !self.ignored.contains(&&**method)).collect();
        assert!(surprising.is_empty(), "left unread: {surprising:?}");
        end
    }

    // Positions.

    fn cursor(&self, text: &str) -> (String, Position) {
        let Some((before, after)) = text.split_once("$0") else {
            return (text.to_owned(), Position { line: 0, character: 0 });
        };
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = u32::try_from(before.matches('\n').count()).unwrap();
        let character = self.units(&before[line_start..]);
        (format!("{before}{after}"), Position { line, character })
    }

    fn units(&self, text: &str) -> u32 {
        let count = match self.initialized["capabilities"]["positionEncoding"].as_str() {
            Some("utf-8") => text.len(),
            Some("utf-32") => text.chars().count(),
            _ => text.encode_utf16().count(),
        };
        u32::try_from(count).unwrap()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        assert!(self.finished || std::thread::panicking(), "a client must be shut down");
    }
}

struct Shared {
    outgoing: Mutex<Option<mpsc::UnboundedSender<Vec<u8>>>>,
    configuration: Mutex<Option<Json>>,
    unanswered: Vec<&'static str>,
    answered_by_test: Vec<&'static str>,
    asked: Mutex<VecDeque<Asked>>,
    answers: Mutex<HashMap<i64, oneshot::Sender<Answer>>>,
    /// Notifications, and server requests that were not answered by themselves.
    unread: Mutex<Vec<(String, Json)>>,
    arrived: Notify,
    closed: AtomicBool,
}

impl Shared {
    fn received(&self, mut message: Json) {
        let method = message["method"].as_str().map(str::to_owned);
        match (method, message["id"].clone()) {
            (Some(method), Json::Null) => self.keep(method, message["params"].take()),
            (Some(method), id) => self.asked(method, &id, message["params"].take()),
            (None, id) => {
                let answer = match message.get_mut("error") {
                    Some(error) => Err(ResponseError {
                        code: error["code"].as_i64().unwrap(),
                        message: error["message"].as_str().unwrap().to_owned(),
                    }),
                    None => Ok(message["result"].take()),
                };
                let waiting = id.as_i64().and_then(|id| self.answers.lock().unwrap().remove(&id));
                match waiting {
                    // An error means that the test does not care any more.
                    Some(waiting) => drop(waiting.send(answer)),
                    None => self.keep(format!("answer to {id}, which was not asked"), json!(null)),
                }
            }
        }
    }

    fn asked(&self, method: String, id: &Json, params: Json) {
        if self.unanswered.contains(&&*method) {
            return self.keep(method, params);
        }
        if self.answered_by_test.contains(&&*method) {
            let asked = Asked { method, params, id: id.clone() };
            self.asked.lock().unwrap().push_back(asked);
            return self.arrived.notify_waiters();
        }
        let result = match &*method {
            "workspace/configuration" => {
                let settings = self.configuration.lock().unwrap().clone();
                let items = params["items"].as_array().unwrap();
                Some(items.iter().map(|_| settings.clone().unwrap_or_default()).collect())
            }
            "client/registerCapability" => Some(Json::Null),
            // Kept as well: it begins what is waited for.
            "window/workDoneProgress/create" => {
                self.keep(method.clone(), params.clone());
                Some(Json::Null)
            }
            _ => None,
        };
        if let Some(result) = result {
            self.send(&json!({ "jsonrpc": "2.0", "id": id, "result": result }));
        } else {
            let error = json!({ "code": -32601, "message": "not in this editor" });
            self.send(&json!({ "jsonrpc": "2.0", "id": id, "error": error }));
            self.keep(method, params);
        }
    }

    fn keep(&self, method: String, params: Json) {
        self.unread.lock().unwrap().push((method, params));
        self.arrived.notify_waiters();
    }

    fn send(&self, message: &Json) {
        self.send_bytes(message.to_string().as_bytes());
    }

    fn send_bytes(&self, body: &[u8]) {
        let message = [format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat();
        if let Some(outgoing) = &*self.outgoing.lock().unwrap() {
            // An error means that the server is gone, which the test notices elsewhere.
            let _ = outgoing.send(message);
        }
    }
}

async fn read_message(reader: &mut (impl AsyncBufReadExt + Unpin)) -> Option<Json> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end().split_once(": ") {
            Some(("Content-Length", value)) => length = value.parse().unwrap(),
            Some(other) => panic!("unexpected header {other:?}"),
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).await.ok()?;
    Some(serde_json::from_slice(&body).expect("the server sends JSON"))
}

async fn within_limit<T>(what: &str, wait: impl Future<Output = T>) -> T {
    let result = tokio::time::timeout(LIMIT, wait).await;
    result.unwrap_or_else(|_| panic!("waited {} s for {what}", LIMIT.as_secs()))
}
