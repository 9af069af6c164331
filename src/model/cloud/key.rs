//! Where the key of a cloud comes from, and the one host that it goes to.
//!
//! From the environment, else from a command of the user's, when it is first needed; kept in memory
//! alone. It is never part of an error, of a log line, or of what `Debug` prints.

use std::{
    process::Stdio,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use reqwest::header::HeaderValue;
use tokio::{io::AsyncReadExt as _, process::Command};
use url::Url;

use super::{super::ModelError, CloudError};
use crate::config::KeySource;

/// How long a command may take: one that asks the user for a password takes longest.
const COMMAND: Duration = Duration::from_mins(1);

/// What is read of a command's output. Keys have some hundred bytes, tokens some thousand.
const LONGEST: u64 = 16 << 10;

/// A key. Shows itself to nobody.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Key(String);

impl Key {
    /// A header with `prefix` before the key. `None` where the key is no header value.
    pub(super) fn header(&self, prefix: &str) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&format!("{prefix}{}", self.0)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

/// The key of one host, fetched when it is first asked for.
#[derive(Debug)]
pub(super) struct KeyRing {
    source: KeySource,
    /// The base URL that it belongs to, for people.
    endpoint: String,
    /// A gateway on this machine may need none.
    optional: bool,
    known: Mutex<Option<Key>>,
}

impl KeyRing {
    pub(super) fn new(source: KeySource, endpoint: &Url) -> Self {
        let optional = source == KeySource::default() && endpoint.scheme() == "http";
        let endpoint = endpoint.origin().ascii_serialization();
        Self { source, endpoint, optional, known: Mutex::default() }
    }

    /// The key; `None` where none is needed.
    pub(super) async fn get(&self) -> Result<Option<Key>, CloudError> {
        if let Some(key) = self.known().clone() {
            return Ok(Some(key));
        }
        let missing = |detail| CloudError::NoKey { endpoint: self.endpoint.clone(), detail };
        let text = match (self.source.in_environment(), self.source.command.as_slice()) {
            (Some(text), _) => text,
            (None, [program, arguments @ ..]) => {
                printed(program, arguments).await.map_err(missing)?
            }
            (None, []) if self.optional => return Ok(None),
            (None, []) => {
                return Err(missing(match &self.source.variable {
                    Some(variable) => format!("{variable} is not set in the environment"),
                    None => "set router.cloud.NAME.api_key or .api_key_command".to_owned(),
                }));
            }
        };
        let key = Key(text.trim().to_owned());
        if key.0.is_empty() || key.header("").is_none() {
            return Err(missing("what it should be found in holds no key".to_owned()));
        }
        *self.known() = Some(key.clone());
        Ok(Some(key))
    }

    /// Fetches it anew next time.
    pub(super) fn forget(&self) {
        *self.known() = None;
    }

    fn known(&self) -> MutexGuard<'_, Option<Key>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first line that a command prints, or why there is none, without a word of its output.
async fn printed(program: &str, arguments: &[String]) -> Result<String, String> {
    let failed = |detail: &dyn std::fmt::Display| format!("{program}: {detail}");
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(&error))?;
    let stdout = child.stdout.take();
    let reading = async {
        let mut text = Vec::new();
        if let Some(stdout) = stdout {
            stdout.take(LONGEST).read_to_end(&mut text).await?;
        }
        Ok::<_, std::io::Error>((text, child.wait().await?))
    };
    let (text, status) = tokio::time::timeout(COMMAND, reading)
        .await
        .map_err(|_| failed(&format!("no answer within {} s", COMMAND.as_secs())))?
        .map_err(|error| failed(&error))?;
    if !status.success() {
        return Err(failed(&status));
    }
    let text = String::from_utf8(text).map_err(|_| failed(&"its output is not UTF-8"))?;
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() { Err(failed(&"it prints nothing")) } else { Ok(line.to_owned()) }
}

/// An error without the key, which a server may have repeated.
pub(super) fn struck_out(error: CloudError, key: Option<&Key>) -> CloudError {
    let Some(Key(key)) = key else { return error };
    let clean = |detail: String| detail.replace(key.as_str(), "(the key)");
    match error {
        CloudError::Busy { endpoint, status, detail, wait } => {
            CloudError::Busy { endpoint, status, detail: clean(detail), wait }
        }
        CloudError::Model(ModelError::Refused { endpoint, status, detail }) => {
            ModelError::Refused { endpoint, status, detail: clean(detail) }.into()
        }
        CloudError::Model(ModelError::NoModel { endpoint, model, detail }) => {
            ModelError::NoModel { endpoint, model, detail: clean(detail) }.into()
        }
        other => other,
    }
}
