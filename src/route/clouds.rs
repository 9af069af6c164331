//! The clouds that the user set up: which of them are well, and what they cost.
//!
//! A cloud is never looked at: whatever goes to one needs a permit, so its health is what its own
//! requests say. One that is busy is asked again as late as it wishes; one that keeps failing is left
//! alone for a while.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures::StreamExt;

use super::{
    breaker::Breaker,
    retry::{GaveUp, Retries, Setback, retry},
};
use crate::{
    config::{self, Clouds as Settings},
    egress::{Permit, ToolCall},
    model::{
        Patience,
        cloud::{Bill, Cloud, CloudError, Ending, Reply},
    },
};

/// The first wait where a cloud does not say how long. Each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest such wait.
const LONGEST_WAIT: Duration = Duration::from_secs(16);

/// All clouds, in the user's order.
#[derive(Debug, Default)]
pub struct Clouds {
    lines: Vec<Arc<CloudLine>>,
}

impl Clouds {
    /// Each cloud that can be asked, and what the others lack, as sentences. Once open, a breaker
    /// rests for `rest`.
    pub fn new(settings: &Settings, rest: Duration) -> (Self, Vec<String>) {
        let (mut lines, mut complaints) = (Vec::new(), Vec::new());
        for cloud in settings.resolve() {
            match cloud.and_then(|cloud| CloudLine::new(&cloud, rest)) {
                Ok(line) => lines.push(Arc::new(line)),
                Err(complaint) => complaints.push(complaint),
            }
        }
        (Self { lines }, complaints)
    }

    pub fn iter(&self) -> impl Iterator<Item = &CloudLine> {
        self.lines.iter().map(|line| &**line)
    }

    /// The cloud that the user calls so.
    pub fn named(&self, name: &str) -> Option<Arc<CloudLine>> {
        self.lines.iter().find(|line| line.cloud.name() == name).cloned()
    }

    /// What all answers cost so far.
    pub fn bill(&self) -> Bill {
        let mut all = Bill::default();
        for line in &self.lines {
            all += line.bill();
        }
        all
    }
}

/// One cloud, and how it has been lately.
#[derive(Debug)]
pub struct CloudLine {
    cloud: Cloud,
    breaker: Breaker,
    bill: Mutex<Bill>,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub text: String,
    /// What the model wants called, in its order.
    pub calls: Vec<ToolCall>,
    pub ending: Ending,
    pub bill: Bill,
}

impl CloudLine {
    fn new(settings: &config::Cloud, rest: Duration) -> Result<Self, String> {
        let name = &settings.name;
        let cloud = Cloud::with_patience(settings, Patience::default())
            .map_err(|error| format!("the cloud '{name}' cannot be asked: {error}"))?;
        Ok(Self { cloud, breaker: Breaker::new(rest), bill: Mutex::default() })
    }

    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    pub fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// What its answers cost so far.
    pub fn bill(&self) -> Bill {
        *self.bill.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends what the permit owns, again while the cloud says that it is busy or the connection
    /// breaks, and waits for the whole answer. `heard` is shown the text of each try so far. The
    /// breaker is the caller's to tell.
    pub async fn ask(
        &self,
        permit: &Permit,
        temperature: Option<f32>,
        retries: Retries,
        heard: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<Answer, CloudError> {
        let waits = AtomicU32::new(0);
        let ask = |_| async {
            self.try_once(permit, temperature, heard).await.map_err(|error| {
                let Some(named) = error.wait() else { return Setback::Final(error) };
                let doubled = 2_u32.saturating_pow(waits.fetch_add(1, Ordering::Relaxed));
                tracing::info!(cloud = self.cloud.name(), "{error}; it is asked again");
                let own = FIRST_WAIT.saturating_mul(doubled).min(LONGEST_WAIT);
                Setback::Wait(named.unwrap_or(own), error)
            })
        };
        let answer = retry(retries, ask, |answer| async { Ok(answer) }).await;
        answer.map_err(|gave_up: GaveUp<CloudError>| match gave_up {
            GaveUp::Failed(error) => error,
            GaveUp::Wrong { .. } => unreachable!("no answer is wrong here"),
        })
    }

    async fn try_once(
        &self,
        permit: &Permit,
        temperature: Option<f32>,
        heard: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<Answer, CloudError> {
        let mut replies = self.cloud.call(permit, temperature).await?;
        let (mut text, mut calls) = (String::new(), Vec::new());
        while let Some(reply) = replies.next().await {
            match reply? {
                Reply::Text(more) => {
                    text.push_str(&more);
                    heard(&text);
                }
                Reply::Call(call) => calls.push(call),
                Reply::Done(bill, ending) => {
                    *self.bill.lock().unwrap_or_else(PoisonError::into_inner) += bill;
                    tracing::info!(
                        cloud = self.cloud.name(),
                        input = bill.prompt(),
                        cached = bill.cached,
                        output = bill.output,
                        dollars = bill.dollars,
                        "answered"
                    );
                    return Ok(Answer { text, calls, ending, bill });
                }
            }
        }
        unreachable!("a stream of replies ends with the last one or an error")
    }
}
