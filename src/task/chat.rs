//! A question on its way down the router's decision, and the answer as it is written.
//!
//! The task says what it needs; who is asked, and who is asked instead, was decided before anything is
//! sent. Where that is a cloud, the question goes as a parcel past the border, or not at all.

use std::{
    future::ready,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::StreamExt;

use super::{
    Desk,
    ground::{Ground, Progress, Stage},
    question::Question,
    queue::Rank,
    send::{Sending, Unsent},
};
use crate::{
    egress::Refusal,
    model::{
        self, Budget, Event, ModelError, Prompt, Stop, Tier,
        budget::Overflow,
        cloud::{CloudError, Ending},
    },
    route::{
        Asked, Attempt, CloudLine, Decision, Failure, GaveUp, Need, Offer, Retries, Rung, Serving,
        Setback, State, retry,
    },
};

/// How long a server that is busy or loading is left alone before it is asked again.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// What a model said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) stop: Stop,
}

/// Why nothing was said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unasked {
    /// Nobody can be asked, or nobody may be.
    #[error("{0}")]
    Nobody(String),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Cloud(#[from] CloudError),
    #[error("it takes {needed} tokens where the model's context has room for {room}")]
    NoRoom { needed: usize, room: usize },
    /// What each of them said who were asked.
    #[error("{0}")]
    Unanswered(String),
}

/// One question, and who is asked it.
pub(super) struct Talk<'a> {
    ground: &'a Ground,
    progress: Progress<'a>,
    question: Question,
    /// From who answered last on.
    decision: Mutex<Decision>,
}

impl<'a> Talk<'a> {
    /// Decides who is asked, and says it. Waits for the first look around to end.
    pub(super) async fn open(
        ground: &'a Ground,
        progress: Progress<'a>,
        question: Question,
    ) -> Result<Self, Unasked> {
        let router = ground.desk.router();
        looked(&ground.desk).await;
        let also = question.also.iter().map(|(path, _)| Some(&**path));
        let farther = router.goes_farther();
        let mut private = Vec::new();
        for path in std::iter::once(question.path.as_deref()).chain(also) {
            if let Some(why) = path.and_then(|path| ground.hides(path)) {
                return Err(Unasked::Nobody(why));
            }
            for why in ground.reach.private(path, farther).await {
                if !private.contains(&why) {
                    private.push(why);
                }
            }
        }
        let need = Need {
            output: question.form,
            private,
            sent_up: ground.reach.goes_up(),
            ..Need::new(question.work, question.tokens())
        };
        let decision = router
            .decide(&need, |destination| ground.reach.standing(destination))
            .map_err(|nobody| Unasked::Nobody(nobody.why))?;
        progress(Stage::Decided(decision.why.clone()));
        Ok(Self { ground, progress, question, decision: Mutex::new(decision) })
    }

    /// Asks, with what the last answer got wrong. `heard` is shown all that was said so far.
    ///
    /// Dropping the future closes the connection, which stops the model.
    pub(super) async fn ask(&self, attempt: &Attempt) -> Result<Said, Unasked> {
        let decision = self.decision.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // What the one before said, if any, and whether it had no room.
        let last = Mutex::new(None::<Unasked>);
        let last = || last.lock().unwrap_or_else(PoisonError::into_inner);
        let ask = async |asked: Arc<Asked>, rung: Rung| {
            if let Some(why) = last().take() {
                let Offer { model, place, .. } = &rung.offer;
                (self.progress)(Stage::Decided(format!("{why}; so {model} at {place} is asked")));
            }
            (self.progress)(Stage::Asking);
            let said = match &*asked {
                Asked::Machine(serving) => self.near(serving, rung.tier, attempt).await,
                Asked::Network(lease) => self.near(&lease.serving, rung.tier, attempt).await,
                Asked::Cloud(line) => self.cloud(line, attempt).await,
            };
            if let Err(Failure::Outage(why) | Failure::Barred(why) | Failure::Task(why)) = &said {
                *last() = Some(why.clone());
            }
            said
        };
        match self.ground.desk.router().follow(&decision, ask).await {
            Ok(followed) => {
                let kept = decision.kept_to(&followed.by);
                *self.decision.lock().unwrap_or_else(PoisonError::into_inner) = kept;
                Ok(followed.answer)
            }
            Err(unanswered) => Err(match last().take() {
                Some(no_room @ Unasked::NoRoom { .. }) => no_room,
                _ => Unasked::Unanswered(unanswered.to_string()),
            }),
        }
    }

    fn heard(&self, text: &str) {
        (self.progress)(Stage::Writing(text.lines().count()));
    }

    /// Asks a model of this machine or of the private network, again while its server is busy or
    /// loads it.
    async fn near(
        &self,
        serving: &Serving,
        tier: Tier,
        attempt: &Attempt,
    ) -> Result<Said, Failure<Unasked>> {
        let Ground { reach, .. } = self.ground;
        let may_see = |path: &Path| self.ground.hides(path).is_none() && reach.may_see(tier, path);
        let mistake = attempt.mistake.as_ref();
        let mistake = mistake.map(|mistake| self.question.told(mistake, tier, may_see));
        let attempt = Attempt { mistake, ..attempt.clone() };
        let retries = Retries { max: 0, ..self.ground.retries() };
        let ask = async |_| self.near_once(serving, &attempt).await;
        let said = retry(retries, ask, async |said| Ok(said)).await;
        said.map_err(|gave_up| match gave_up {
            GaveUp::Failed(unasked @ Unasked::NoRoom { .. }) => Failure::Task(unasked),
            GaveUp::Failed(Unasked::Model(error)) if !error.is_outage() => {
                Failure::Task(error.into())
            }
            GaveUp::Failed(unasked) => Failure::Outage(unasked),
            GaveUp::Wrong { .. } => unreachable!("no answer is wrong here"),
        })
    }

    async fn near_once(
        &self,
        serving: &Serving,
        attempt: &Attempt,
    ) -> Result<Said, Setback<Unasked>> {
        let Ground { desk, settings, .. } = self.ground;
        let sending = Sending {
            desk,
            settings,
            serving,
            ceiling: settings.max_local_context_tokens.size(),
            output: self.question.output,
            temperature: attempt.temperature,
            stop: &[],
        };
        let build = |budget| self.question.prompt(&budget, attempt.mistake.as_ref());
        answer(&sending, build, &|text| self.heard(text)).await
    }

    /// Asks a cloud, past the border.
    async fn cloud(&self, line: &CloudLine, attempt: &Attempt) -> Result<Said, Failure<Unasked>> {
        let destination = line.cloud().destination().clone();
        let parcel = self.question.parcel(destination, attempt.mistake.as_ref());
        let barred = |refusal: Refusal| Failure::Barred(Unasked::Cloud(refusal.into()));
        // Text of no file knows no place that it comes from.
        let parcel = parcel.ok_or_else(|| barred(Refusal::Untrusted))?;
        let unanswered = |error: CloudError| match error {
            CloudError::Border(_) => Failure::Barred(error.into()),
            _ if error.is_outage() => Failure::Outage(error.into()),
            _ => Failure::Task(error.into()),
        };
        line.cloud().ready().await.map_err(unanswered)?;
        let permit = self.ground.reach.clear(parcel).await.map_err(barred)?;
        let heard = |text: &str| self.heard(text);
        // Not every model there takes a temperature.
        let answer = line.ask(&permit, None, self.ground.retries(), &heard).await;
        let answer = answer.map_err(unanswered)?;
        let (model, name) = (line.cloud().model(), line.cloud().name());
        (self.progress)(Stage::Answered(format!("{model} at {name}: {}", answer.bill)));
        let stop = match answer.ending {
            Ending::Complete => Stop::Complete,
            Ending::Limit => Stop::Limit,
            Ending::Calls | Ending::Refused => Stop::Unsaid,
        };
        Ok(Said { text: answer.text, stop })
    }
}

/// Waits for a turn at a model of this machine or of the private network, and asks it. `heard` is shown
/// all that was said so far. Dropping the future closes the connection, which stops the model.
pub(super) async fn answer(
    sending: &Sending<'_>,
    build: impl Fn(Budget) -> Result<Prompt, Overflow>,
    heard: &(dyn Fn(&str) + Send + Sync),
) -> Result<Said, Setback<Unasked>> {
    let Sending { desk, serving, output, .. } = *sending;
    let _turn = desk.queue(serving).enter(Rank::Work, serving.slots.unwrap_or(1)).await;
    let build = |budget| ready(build(budget));
    let (prompt, mut events) = sending.send(build).await.map_err(|unsent| match unsent {
        Unsent::Unbuilt(Overflow { tokens, left }) => {
            Setback::Final(Unasked::NoRoom { needed: tokens + output, room: left + output })
        }
        Unsent::Model(error) => setback(error),
    })?;
    let mut said = Said { text: String::new(), stop: Stop::Unsaid };
    while let Some(event) = events.next().await {
        match event.map_err(setback)? {
            Event::Text(text) => {
                said.text.push_str(&text);
                heard(&said.text);
            }
            Event::Evaluating { .. } | Event::Odds(_) => {}
            Event::Done(usage) => {
                said.stop = usage.stop;
                if let Some(reported) = usage.prompt_tokens {
                    desk.counter(serving).calibrate(&prompt, reported);
                }
                let context = serving.context(sending.ceiling);
                if let Some(cut) = model::budget::truncated(&prompt, &usage, context) {
                    desk.warn_once(serving, &cut);
                }
            }
        }
    }
    Ok(said)
}

/// Waits for the first look around to end.
pub(super) async fn looked(desk: &Desk) {
    let mut watched = desk.router().watch();
    let looked = watched.wait_for(|health| health.state != State::Cold || !health.seen.is_empty());
    // An error says that nobody looks any more: the process is about to end.
    let _ = looked.await.map(drop);
    desk.router().cluster().looked().await;
}

fn setback(error: ModelError) -> Setback<Unasked> {
    tracing::warn!("{}", error.unquoted());
    match error {
        ModelError::Busy { .. } | ModelError::Loading { .. } => {
            Setback::Wait(LOOK_AGAIN, error.into())
        }
        _ => Setback::Final(error.into()),
    }
}
