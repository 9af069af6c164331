//! The clouds that the user set up: which of them are well, and what they cost.
//!
//! A cloud is looked at only where the user's consent stands, since a task that may go there was last
//! decided, and by a request without a word in it: no key, no body, the root of its host. So under
//! privacy, in a workspace that is not trusted and before the user has agreed, nothing connects. One
//! that is busy is asked again as late as it wishes; one that keeps failing is left alone for a while.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use futures::StreamExt;
use tokio::time::Instant;

use super::{
    breaker::Breaker,
    retry::{GaveUp, Retries, Setback, retry},
};
use crate::{
    config::{self, Settings},
    egress::{Permit, ToolCall},
    model::{
        Patience,
        cloud::{Bill, Cloud, CloudError, Ending, Reply},
    },
    session::task::OwnedTask,
};

/// The first wait where a cloud does not say how long. Each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest such wait.
const LONGEST_WAIT: Duration = Duration::from_secs(16);

/// How long a cloud is looked at after a task was decided that may go there.
const WATCHED_FOR: Duration = Duration::from_mins(10);

/// How a cloud is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Between two looks; also how long an open breaker rests.
    pub interval: Duration,
    /// For one try.
    pub timeout: Duration,
    /// Further tries before it counts as down.
    pub retries: usize,
}

impl From<&Settings> for Look {
    fn from(settings: &Settings) -> Self {
        Self {
            interval: Duration::from_secs(settings.health_interval_seconds.get()),
            timeout: Duration::from_millis(settings.health_timeout_ms.get()),
            retries: settings.health_retry_count.size(),
        }
    }
}

/// All clouds, in the user's order.
#[derive(Debug, Default)]
pub struct Clouds {
    lines: Vec<Arc<CloudLine>>,
}

impl Clouds {
    /// Each cloud that can be asked, and what the others lack, as sentences. Connects to nothing.
    pub fn new(settings: &Settings) -> (Self, Vec<String>) {
        let (mut lines, mut complaints) = (Vec::new(), Vec::new());
        let look = Look::from(settings);
        for cloud in settings.clouds.resolve() {
            match cloud.and_then(|cloud| CloudLine::new(&cloud, look)) {
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
    cloud: Arc<Cloud>,
    look: Look,
    breaker: Breaker,
    /// What the last look came to.
    down: Arc<AtomicBool>,
    watch: Mutex<Option<Watch>>,
    bill: Mutex<Bill>,
}

/// The looks at one cloud; they end when this is dropped.
#[derive(Debug)]
struct Watch {
    until: Arc<Mutex<Instant>>,
    _task: OwnedTask,
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
    fn new(settings: &config::Cloud, look: Look) -> Result<Self, String> {
        let name = &settings.name;
        let cloud = Cloud::with_patience(settings, Patience::default())
            .map_err(|error| format!("the cloud '{name}' cannot be asked: {error}"))?;
        Ok(Self {
            cloud: Arc::new(cloud),
            breaker: Breaker::new(look.interval),
            look,
            down: Arc::default(),
            watch: Mutex::default(),
            bill: Mutex::default(),
        })
    }

    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    pub fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// Whether its last requests did not all fail, and the last look at it did not.
    pub fn is_well(&self) -> bool {
        self.breaker.is_well() && !self.down.load(Ordering::Relaxed)
    }

    /// Looks at it now and at every interval, until ten minutes after this was last called. For who
    /// has seen that the user's consent stands. Must be called inside a tokio runtime.
    pub fn watch(&self) {
        let end = Instant::now() + WATCHED_FOR;
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watch) = &*watch {
            let mut until = watch.until.lock().unwrap_or_else(PoisonError::into_inner);
            let over = *until < Instant::now();
            *until = end;
            if !over {
                return;
            }
        }
        let until = Arc::new(Mutex::new(end));
        let (cloud, look, down, ends) =
            (Arc::clone(&self.cloud), self.look, Arc::clone(&self.down), Arc::clone(&until));
        let task = OwnedTask::spawn(async move {
            while Instant::now() <= *ends.lock().unwrap_or_else(PoisonError::into_inner) {
                let failed = failed(&cloud, look).await;
                if let Some(why) = &failed {
                    tracing::info!(cloud = cloud.name(), "down: {}", why.unquoted());
                }
                down.store(failed.is_some(), Ordering::Relaxed);
                tokio::time::sleep(look.interval).await;
            }
            // What was seen that long ago says nothing.
            down.store(false, Ordering::Relaxed);
        });
        *watch = Some(Watch { until, _task: task });
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
                tracing::info!(
                    cloud = self.cloud.name(),
                    "{}; it is asked again",
                    error.unquoted()
                );
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

/// Why every try to reach it failed; `None` where it is there.
async fn failed(cloud: &Cloud, look: Look) -> Option<CloudError> {
    let mut last = None;
    for _ in 0..=look.retries {
        last = cloud.look(look.timeout).await.err();
        if last.is_none() {
            break;
        }
    }
    last
}
