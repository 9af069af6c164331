//! The connection to one cloud: TLS, no redirects, no word sent without a permit.

use std::time::{Duration, SystemTime};

use reqwest::{
    Response,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION},
    redirect::Policy,
};
use serde_json::Value as Json;
use url::{Host, Url};

use super::{
    super::{ModelError, Patience, http::root as cause, refusal},
    CloudError,
};
use crate::egress::Permit;

/// A handshake round the world takes less than one.
const CONNECT: Duration = Duration::from_secs(10);

/// What is read of the body of a refusal.
const MAX_REFUSAL: usize = 64 << 10;

/// Statuses that say "later": too many requests, timeouts, failures of the service, and Anthropic's
/// own for a service that is overloaded (529).
const LATER: [u16; 7] = [408, 429, 500, 502, 503, 504, 529];

#[derive(Debug)]
pub(super) struct Line {
    http: reqwest::Client,
    url: Url,
    shown: String,
    patience: Patience,
}

impl Line {
    /// To `url`, the whole of it, which is `https` or a loopback address.
    pub(super) fn new(url: Url, patience: Patience) -> Result<Self, ModelError> {
        let here = match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(_)) | None => false,
        };
        let builder = reqwest::Client::builder()
            .redirect(Policy::none())
            .tcp_nodelay(true)
            .connect_timeout(CONNECT)
            .user_agent(concat!("hearth/", env!("CARGO_PKG_VERSION")));
        let builder = if here { builder.no_proxy() } else { builder.https_only(true) };
        let shown = url.origin().ascii_serialization();
        let http = builder.build().map_err(|error| ModelError::Unreachable {
            endpoint: shown.clone(),
            detail: cause(&error),
        })?;
        Ok(Self { http, url, shown, patience })
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Scheme, host and port, for people.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    pub(super) fn patience(&self) -> Patience {
        self.patience
    }

    /// Asks for nothing, to see whether anybody answers within `waited`.
    pub(super) async fn look(&self, waited: Duration) -> Result<(), CloudError> {
        let mut root = self.url.clone();
        root.set_path("/");
        let request = self.http.head(root).send();
        let endpoint = || self.shown.clone();
        let response = tokio::time::timeout(waited, request)
            .await
            .map_err(|_| ModelError::Silent { endpoint: endpoint(), waited })?
            .map_err(|error| self.unsent(&error))?;
        let status = response.status().as_u16();
        if LATER.contains(&status) {
            let wait = wait(response.headers(), SystemTime::now());
            return Err(CloudError::Busy {
                endpoint: endpoint(),
                status,
                detail: String::new(),
                wait,
            });
        }
        Ok(())
    }

    /// Why there is no response: nobody takes the connection, or it broke once it stood.
    fn unsent(&self, error: &reqwest::Error) -> ModelError {
        let (endpoint, detail) = (self.shown.clone(), cause(error));
        if error.is_connect() {
            ModelError::Unreachable { endpoint, detail }
        } else {
            ModelError::BrokenStream { endpoint, detail }
        }
    }

    /// Sends `body` if the permit is for this place.
    pub(super) async fn post(
        &self,
        permit: &Permit,
        headers: HeaderMap,
        body: &Json,
    ) -> Result<Response, CloudError> {
        permit.check(&self.url)?;
        permit.leaves().await?;
        let request = self
            .http
            .post(self.url.clone())
            .headers(headers)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(body.to_string())
            .send();
        let waited = self.patience.first_byte;
        let response = tokio::time::timeout(waited, request)
            .await
            .map_err(|_| ModelError::Silent { endpoint: self.shown.clone(), waited })?
            .map_err(|error| self.unsent(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        if let Some(target) = redirection(&response, &self.url) {
            // None is followed; one that leads to another host is written down at the border.
            permit.check(&target)?;
        }
        let status = status.as_u16();
        let wait = wait(response.headers(), SystemTime::now());
        let body = tokio::time::timeout(self.patience.idle, start(response)).await;
        let body = body.unwrap_or_default();
        if LATER.contains(&status) {
            let detail = refusal::reason(&body);
            return Err(CloudError::Busy { endpoint: self.shown.clone(), status, detail, wait });
        }
        Err(refusal::of(&self.shown, permit.model(), status, &body).into())
    }
}

/// Where a redirect leads.
fn redirection(response: &Response, from: &Url) -> Option<Url> {
    let target = response.headers().get(LOCATION).filter(|_| response.status().is_redirection())?;
    from.join(target.to_str().ok()?).ok()
}

/// The first bytes of a body, as far as they come.
async fn start(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_REFUSAL {
            body.truncate(MAX_REFUSAL);
            break;
        }
    }
    body
}

/// How long a service asks to be left alone: `retry-after-ms` (OpenAI's), or `Retry-After` in
/// seconds or as a date.
fn wait(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(milliseconds) = text("retry-after-ms").and_then(|text| text.parse::<f64>().ok()) {
        return Duration::try_from_secs_f64(milliseconds / 1e3).ok();
    }
    let text = text("retry-after")?;
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_read_in_every_form() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        for (name, value, expected) in [
            ("retry-after", "7", Some(7_000)),
            ("retry-after", " 0.5 ", Some(500)),
            ("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT", Some(60_000)),
            ("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("retry-after-ms", "120", Some(120)),
            ("retry-after", "-3", None),
            ("retry-after", "soon", None),
            ("retry-after", "inf", None),
            ("x-else", "1", None),
        ] {
            let headers = HeaderMap::from_iter([(
                name.parse::<reqwest::header::HeaderName>().unwrap(),
                HeaderValue::from_static(value),
            )]);
            let expected = expected.map(Duration::from_millis);
            assert_eq!(wait(&headers, now), expected, "{name}: {value}");
        }
    }
}
