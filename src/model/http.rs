//! HTTP to model servers on this machine and on the private network, and nowhere else.
//!
//! A pooled client for each, and one for each unix socket. They use no proxy and follow no redirect;
//! the one connects to loopback addresses alone, the other also to hosts that the user counts as
//! private. Names are resolved here, and a name that leads elsewhere is refused like an address that
//! does. Nothing that a server sends is read without a limit. Clouds have a client of their own, behind
//! the border: `cloud`.

use std::{error::Error, fmt::Display, sync::Arc, time::Duration};

use bytes::Bytes;
use reqwest::{
    Method, Response,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
    redirect::Policy,
};
use serde::{Serialize, de::DeserializeOwned};
use url::Url;

use super::{
    ModelError, refusal,
    tier::{OutOfReach, Within},
};
use crate::config::PrivateHost;

/// Loopback connects at once or not at all; only a full accept queue takes longer.
const CONNECT: Duration = Duration::from_secs(2);

/// llama-server closes idle connections after 5 s. Ours go first, so that no request meets a
/// connection that is being closed.
const KEEP_IDLE: Duration = Duration::from_secs(4);

/// The largest answer that is read as a whole. Ollama's `/api/show` is the longest.
const MAX_ANSWER: usize = 8 << 20;

/// What is read of the body of a refusal.
const MAX_REFUSAL: usize = 64 << 10;

/// How long a server may be silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For a whole answer to a question about the server.
    pub look: Duration,
    /// For the first byte of a generation, or for a model to load: minutes from a slow disk.
    pub first_byte: Duration,
    /// For each later piece of a generation.
    pub idle: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            look: Duration::from_secs(2),
            first_byte: Duration::from_mins(5),
            idle: Duration::from_mins(1),
        }
    }
}

/// The pool of connections. Cheap to clone; one for the whole process.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    within: Within,
}

impl Client {
    /// Connects to this machine alone.
    pub fn new() -> Result<Self, reqwest::Error> {
        // Certificates of the world are of no use on loopback and cost megabytes.
        let http = base(&Within::ThisMachine).tls_certs_only([]).build()?;
        Ok(Self { http, within: Within::ThisMachine })
    }

    /// Connects to this machine and to `hosts`.
    pub fn private(hosts: &[PrivateHost]) -> Result<Self, reqwest::Error> {
        let within = Within::PrivateNetwork(hosts.into());
        Ok(Self { http: base(&within).build()?, within })
    }
}

fn base(within: &Within) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .dns_resolver(Arc::new(within.clone()))
        .http1_only()
        .tcp_nodelay(true)
        .connect_timeout(CONNECT)
        .pool_idle_timeout(KEEP_IDLE)
}

/// The scheme of a unix socket's URL, whose path is the socket's.
pub(super) const UNIX: &str = "unix";

/// A pool of connections to the socket at a `unix:` URL.
#[cfg(unix)]
fn socket_client(url: &Url) -> Option<reqwest::Client> {
    let file = Url::parse(&url.as_str().replacen(UNIX, "file", 1)).ok()?;
    let path = file.to_file_path().ok()?;
    base(&Within::ThisMachine).tls_certs_only([]).unix_socket(path).build().ok()
}

#[cfg(not(unix))]
fn socket_client(_: &Url) -> Option<reqwest::Client> {
    None
}

/// One model server.
#[derive(Debug, Clone)]
pub struct Endpoint {
    http: reqwest::Client,
    within: Within,
    url: Url,
    shown: Arc<str>,
    /// Marked sensitive, so that it never shows in a log.
    key: Option<HeaderValue>,
    patience: Patience,
}

impl Endpoint {
    /// The server at `url`, whose path all requests start with. Every request to an address that is
    /// farther than `client` reaches fails with [`ModelError::NotLocal`].
    pub fn new(client: &Client, url: &Url) -> Self {
        if url.scheme() == UNIX {
            return Self::at_socket(client, url);
        }
        let mut url = url.clone();
        // Both fail for URLs that cannot be a base, and those cannot be requested either.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_query(None);
        url.set_fragment(None);
        let shown = url.as_str().trim_end_matches('/').into();
        Self {
            http: client.http.clone(),
            within: client.within.clone(),
            url,
            shown,
            key: None,
            patience: Patience::default(),
        }
    }

    /// The server at a unix socket, which is on this machine whoever listens. Where there are none, or
    /// the connections cannot be made, its URL stays what no client can request.
    fn at_socket(client: &Client, url: &Url) -> Self {
        let shown = url.as_str().trim_end_matches('/').into();
        let host = Url::parse("http://localhost").ok();
        let (http, url) =
            socket_client(url).zip(host).unwrap_or_else(|| (client.http.clone(), url.clone()));
        let (within, patience) = (Within::ThisMachine, Patience::default());
        Self { http, within, url, shown, key: None, patience }
    }

    /// With a key that each request carries. A key that is no header value is left out.
    #[must_use]
    pub fn with_key(mut self, key: &str) -> Self {
        self.key = HeaderValue::from_str(&format!("Bearer {key}")).ok().map(|mut key| {
            key.set_sensitive(true);
            key
        });
        self
    }

    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// The URL without credentials.
    pub fn as_str(&self) -> &str {
        &self.shown
    }

    /// Without `suffix` at the end of the path: people paste `http://localhost:1234/v1`.
    pub(super) fn without(mut self, suffix: &str) -> Self {
        if let Some(path) = self.url.path().trim_end_matches('/').strip_suffix(suffix) {
            let path = path.to_owned();
            self.url.set_path(&path);
            self.shown = self.url.as_str().trim_end_matches('/').into();
        }
        self
    }

    /// Asks for JSON.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        expected: &'static str,
    ) -> Result<T, ModelError> {
        let patience = self.patience.look;
        let asked = self.exchange(Method::GET, path, None, "", expected);
        self.within(patience, asked).await
    }

    /// Sends JSON and gets JSON.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        model: &str,
        expected: &'static str,
    ) -> Result<T, ModelError> {
        let body = self.written(body)?;
        let patience = self.patience.first_byte;
        self.within(patience, self.exchange(Method::POST, path, Some(body), model, expected)).await
    }

    /// Like [`post`](Self::post) for a question that the server answers at once.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        model: &str,
        expected: &'static str,
    ) -> Result<T, ModelError> {
        let body = self.written(body)?;
        let patience = self.patience.look;
        self.within(patience, self.exchange(Method::POST, path, Some(body), model, expected)).await
    }

    /// Starts a stream; answers once the server has accepted the request.
    pub(super) async fn stream(
        &self,
        path: &str,
        body: &impl Serialize,
        model: &str,
    ) -> Result<Body, ModelError> {
        let body = self.written(body)?;
        let patience = self.patience.first_byte;
        let response =
            self.within(patience, self.send(Method::POST, path, Some(body), model)).await?;
        Ok(Body { response, endpoint: self.clone(), model: model.to_owned(), begun: false })
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        model: &str,
        expected: &'static str,
    ) -> Result<T, ModelError> {
        let response = self.send(method, path, body, model).await?;
        let (answer, whole) = self.read(response, MAX_ANSWER).await?;
        if !whole {
            let detail = format!("more than {MAX_ANSWER} bytes");
            return Err(self.malformed(expected, &detail));
        }
        serde_json::from_slice(&answer).map_err(|error| self.malformed(expected, &error))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        model: &str,
    ) -> Result<Response, ModelError> {
        if !self.within.covers(&self.url) {
            return Err(self.not_local());
        }
        let mut url = self.url.clone();
        let (path, query) = path.split_once('?').map_or((path, None), |(p, q)| (p, Some(q)));
        url.set_path(&format!("{}{path}", self.url.path().trim_end_matches('/')));
        url.set_query(query);
        let mut request = self.http.request(method, url);
        if let Some(key) = &self.key {
            request = request.header(AUTHORIZATION, key);
        }
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let (body, _) = self.read(response, MAX_REFUSAL).await.unwrap_or_default();
        Err(refusal::of(self.as_str(), model, status.as_u16(), &body))
    }

    /// Reads a body up to `limit` bytes, and whether that was all of it.
    async fn read(
        &self,
        mut response: Response,
        limit: usize,
    ) -> Result<(Vec<u8>, bool), ModelError> {
        let mut body = Vec::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|error| self.broken(&root(&error)))?
        {
            body.extend_from_slice(&chunk);
            if body.len() > limit {
                body.truncate(limit);
                return Ok((body, false));
            }
        }
        Ok((body, true))
    }

    async fn within<T>(
        &self,
        patience: Duration,
        answer: impl Future<Output = Result<T, ModelError>>,
    ) -> Result<T, ModelError> {
        tokio::time::timeout(patience, answer).await.unwrap_or_else(|_| Err(self.silent(patience)))
    }

    fn written(&self, body: &impl Serialize) -> Result<Vec<u8>, ModelError> {
        serde_json::to_vec(body).map_err(|error| self.malformed("JSON", &error))
    }

    fn unreachable(&self, error: &reqwest::Error) -> ModelError {
        let mut source: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(cause) = source {
            if cause.is::<OutOfReach>() {
                return self.not_local();
            }
            source = cause.source();
        }
        ModelError::Unreachable { endpoint: self.shown.to_string(), detail: root(error) }
    }

    fn not_local(&self) -> ModelError {
        ModelError::NotLocal { endpoint: self.shown.to_string() }
    }

    fn silent(&self, waited: Duration) -> ModelError {
        ModelError::Silent { endpoint: self.shown.to_string(), waited }
    }

    pub(super) fn broken(&self, detail: &str) -> ModelError {
        ModelError::BrokenStream { endpoint: self.shown.to_string(), detail: detail.to_owned() }
    }

    pub(super) fn malformed(&self, expected: &'static str, detail: &impl Display) -> ModelError {
        ModelError::Malformed {
            endpoint: self.shown.to_string(),
            expected,
            detail: detail.to_string(),
        }
    }
}

/// The body of a stream. Dropping it closes the connection.
#[derive(Debug)]
pub(super) struct Body {
    response: Response,
    endpoint: Endpoint,
    model: String,
    begun: bool,
}

impl Body {
    /// More bytes; `None` at the end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, ModelError> {
        let Patience { first_byte, idle, .. } = self.endpoint.patience;
        let patience = if self.begun { idle } else { first_byte };
        let chunk = tokio::time::timeout(patience, self.response.chunk()).await;
        self.begun = true;
        match chunk {
            Ok(chunk) => chunk.map_err(|error| self.endpoint.broken(&root(&error))),
            Err(_) => Err(self.endpoint.silent(patience)),
        }
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What a server means that reports a failure in the middle of a stream.
    pub(super) fn failed(&self, body: &[u8]) -> ModelError {
        refusal::in_stream(self.endpoint.as_str(), &self.model, body)
    }
}

/// The innermost reason: the outer ones say no more than that a request failed.
pub(super) fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
