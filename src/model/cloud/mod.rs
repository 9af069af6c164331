//! Clouds: how a frontier model is asked, once the border has let a request through.
//!
//! A call takes a [`Permit`] and sends nothing but the text that it owns, to no host but the one that
//! it names. The one other way to make this room connect is a look at whether the host is there, which
//! takes nothing that it could send. Secrets that the border
//! replaced are back in the answer before anybody sees it. A key goes to the host it was meant for,
//! in a header that shows in no log, and to nobody else.
//!
//! Two wire formats, a file each. What may leave is the border's affair, who is asked and when again
//! the router's: nothing here tries twice.

mod anthropic;
mod bill;
mod compatible;
mod key;
mod line;
mod replies;

use std::time::Duration;

use futures::stream::BoxStream;
use serde::Serialize;
use url::Url;

pub use bill::Bill;

use super::{ModelError, Patience};
use crate::{
    config::{self, CloudKind},
    egress::{Destination, Permit, Price, Refusal, ToolCall},
};
use key::KeyRing;
use line::Line;

/// One cloud and the model that is asked there. Connects to nothing by itself.
#[derive(Debug)]
pub struct Cloud {
    name: String,
    kind: CloudKind,
    destination: Destination,
    line: Line,
    key: KeyRing,
}

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// More text, secrets restored. Of a request with an answer schema, JSON.
    Text(String),
    /// The model wants something called.
    Call(ToolCall),
    /// The last one.
    Done(Bill, Ending),
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// The model has said what it had to say.
    Complete,
    /// The output limit.
    Limit,
    /// It waits for the outcome of its calls.
    Calls,
    /// The model or its service refused to go on.
    Refused,
}

/// An answer as it is written. Dropping it closes the connection.
pub type Replies = BoxStream<'static, Result<Reply, CloudError>>;

/// Why a cloud did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloudError {
    /// The permit is for somewhere else, or there is none.
    #[error(transparent)]
    Border(#[from] Refusal),
    #[error("there is no key for {endpoint}: {detail}")]
    NoKey { endpoint: String, detail: String },
    /// It may answer later. `wait` is what it asked for.
    #[error("{endpoint} cannot answer now: {status} {detail}")]
    Busy { endpoint: String, status: u16, detail: String, wait: Option<Duration> },
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl CloudError {
    /// Whether the cloud is at fault or out of reach, so that another one may do better.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Busy { .. } | Self::NoKey { .. } => true,
            Self::Model(error) => error.is_outage(),
            Self::Border(_) => false,
        }
    }

    /// The same for a log: without a cloud's own words, which may quote what it was sent.
    #[must_use]
    pub fn unquoted(&self) -> Self {
        match self {
            Self::Busy { endpoint, status, wait, .. } => {
                let (endpoint, detail) = (endpoint.clone(), "…".to_owned());
                Self::Busy { endpoint, status: *status, detail, wait: *wait }
            }
            Self::Model(error) => Self::Model(error.unquoted()),
            Self::Border(_) | Self::NoKey { .. } => self.clone(),
        }
    }

    /// Whether the same request may succeed soon, and after which time if the cloud said so. A host
    /// that takes no connection is not waited for: whoever is next is asked.
    pub fn wait(&self) -> Option<Option<Duration>> {
        match self {
            Self::Busy { wait, .. } => Some(*wait),
            Self::Model(ModelError::BrokenStream { .. }) => Some(None),
            Self::Model(_) | Self::NoKey { .. } | Self::Border(_) => None,
        }
    }
}

impl Cloud {
    /// The cloud as the user set it up.
    pub fn new(settings: &config::Cloud) -> Result<Self, CloudError> {
        Self::with_patience(settings, Patience::default())
    }

    pub fn with_patience(settings: &config::Cloud, patience: Patience) -> Result<Self, CloudError> {
        let mut destination = Destination::new(&settings.endpoint, &settings.model)?;
        if let Some((input, output)) = settings.price {
            destination = destination.with_price(Price { input, output });
        }
        let path = match settings.kind {
            CloudKind::Anthropic => anthropic::path(&settings.endpoint),
            CloudKind::OpenAi => compatible::path(&settings.endpoint),
        };
        let mut url = settings.endpoint.clone();
        url.set_path(&path);
        Ok(Self {
            name: settings.name.clone(),
            kind: settings.kind,
            key: KeyRing::new(settings.key.clone(), &settings.endpoint),
            line: Line::new(url, patience)?,
            destination,
        })
    }

    /// The user's name for it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where a request for it goes: what the border has to examine a parcel for.
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    pub fn model(&self) -> &str {
        self.destination.model()
    }

    /// Whether anybody answers there within `timeout`: a `HEAD` of the host's root, without a key, a
    /// body or a path. Any answer will do but one that says "later".
    pub async fn look(&self, timeout: Duration) -> Result<(), CloudError> {
        self.line.look(timeout).await
    }

    /// Whether there is a key, before anybody is asked whether something may leave.
    pub async fn ready(&self) -> Result<(), CloudError> {
        self.key.get().await.map(drop)
    }

    /// Sends what the permit owns. `temperature` is left to the service where it is `None`: some
    /// models take none. The answer is the stream, once the cloud has accepted the request.
    pub async fn call(
        &self,
        permit: &Permit,
        temperature: Option<f32>,
    ) -> Result<Replies, CloudError> {
        permit.check(self.line.url())?;
        let key = self.key.get().await?;
        let request = match self.kind {
            CloudKind::Anthropic => anthropic::request(permit, temperature),
            CloudKind::OpenAi => compatible::request(permit, temperature),
        };
        let headers = match self.kind {
            CloudKind::Anthropic => anthropic::headers(key.as_ref()),
            CloudKind::OpenAi => compatible::headers(key.as_ref()),
        };
        let response = match self.line.post(permit, headers, &request).await {
            Ok(response) => response,
            Err(error) => {
                if let CloudError::Model(ModelError::Refused { status: 401 | 403, .. }) = &error {
                    // A command may print another one next time.
                    self.key.forget();
                }
                return Err(key::struck_out(error, key.as_ref()));
            }
        };
        let price = permit.destination().price();
        let endpoint = self.line.shown().to_owned();
        let patience = self.line.patience();
        let restorer = permit.restorer();
        Ok(match self.kind {
            CloudKind::Anthropic => replies::read(
                response,
                anthropic::Messages::new(permit.answer_schema().is_some()),
                restorer,
                price,
                endpoint,
                patience,
            ),
            CloudKind::OpenAi => replies::read(
                response,
                compatible::Chunks::default(),
                restorer,
                price,
                endpoint,
                patience,
            ),
        })
    }
}

/// `path` behind that of a base URL, whose end `overlap` it may share.
fn joined(base: &Url, overlap: &str, path: &str) -> String {
    let base = base.path().trim_end_matches('/');
    format!("{}{path}", base.strip_suffix(overlap).unwrap_or(base))
}
