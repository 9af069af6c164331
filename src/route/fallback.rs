//! Down the rungs of a decision: the choice is asked, and if it does not answer, whoever comes next.
//!
//! Who comes next was decided before anything was sent, by the task's policy and the user's consent;
//! a failure adds nobody. So a private task's failure on this machine ends there. What counts as a
//! failure is what happened to the request, by its type; no text of an error is looked at.

use std::{fmt, sync::Arc};

use super::{
    clouds::CloudLine,
    cluster::Lease,
    discover::Serving,
    policy::{Decision, Rule, Rung},
    router::Router,
};
use crate::model::Tier;

/// Who is asked now.
#[derive(Debug)]
pub enum Asked {
    /// A model of this machine.
    Machine(Serving),
    /// A server of the private network.
    Network(Lease),
    Cloud(Arc<CloudLine>),
}

impl Asked {
    /// The local model; `None` for a cloud.
    pub fn serving(&self) -> Option<&Serving> {
        match self {
            Self::Machine(serving) => Some(serving),
            Self::Network(lease) => Some(&lease.serving),
            Self::Cloud(_) => None,
        }
    }
}

/// Why one of them did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure<E> {
    /// It is out of order or out of reach.
    Outage(E),
    /// The border, or the user, let nothing through. It is as well as before.
    Barred(E),
    /// The task failed, and would fail elsewhere.
    Task(E),
}

/// An answer, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed<T> {
    pub answer: T,
    pub by: Rung,
    /// What those said who were asked before, each as a sentence.
    pub before: Vec<String>,
}

/// Nobody answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unanswered {
    /// What each said, in the order of asking.
    pub said: Vec<String>,
    /// Why nobody else was asked, where privacy forbids it.
    pub kept_here: Option<String>,
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said.join("; then "))?;
        match &self.kept_here {
            Some(why) => write!(f, "; nobody else is asked, as {why}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Unanswered {}

impl Router {
    /// Asks down the rungs of `decision` until somebody answers.
    pub async fn follow<T, E: fmt::Display, Asking>(
        &self,
        decision: &Decision,
        mut ask: impl FnMut(Arc<Asked>, Rung) -> Asking,
    ) -> Result<Followed<T>, Unanswered>
    where
        Asking: Future<Output = Result<T, Failure<E>>>,
    {
        let clouds = self.clouds();
        let mut said = Vec::new();
        for rung in decision.rungs() {
            let asked = match rung.tier {
                Tier::ThisMachine => self.machine(decision.role).and_then(|serving| {
                    let endpoint = serving.provider.endpoint();
                    if self.breaker(endpoint).pass() {
                        Ok(Asked::Machine(serving))
                    } else {
                        Err(format!("{endpoint} is on trial after several failures"))
                    }
                }),
                Tier::PrivateNetwork => self
                    .cluster()
                    .lease(decision.role)
                    .map(Asked::Network)
                    .ok_or_else(|| "no server of the private network is well".to_owned()),
                Tier::Cloud => clouds
                    .named(&rung.offer.place)
                    .filter(|line| line.breaker().pass())
                    .map(Asked::Cloud)
                    .ok_or_else(|| format!("the cloud '{}' is left alone", rung.offer.place)),
            };
            let asked = match asked {
                Ok(asked) => Arc::new(asked),
                Err(why) => {
                    said.push(why);
                    continue;
                }
            };
            let outcome = ask(Arc::clone(&asked), rung.clone()).await;
            self.tell(&asked, matches!(outcome, Err(Failure::Outage(_))));
            match outcome {
                Ok(answer) => return Ok(Followed { answer, by: rung.clone(), before: said }),
                Err(Failure::Outage(error) | Failure::Barred(error)) => {
                    said.push(error.to_string());
                }
                Err(Failure::Task(error)) => {
                    said.push(error.to_string());
                    return Err(Unanswered { said, kept_here: None });
                }
            }
        }
        let kept_here = match &decision.rule {
            Rule::Private(private) => Some(private.to_string()),
            _ => None,
        };
        Err(Unanswered { said, kept_here })
    }

    /// Takes note of how it went.
    fn tell(&self, asked: &Asked, outage: bool) {
        match asked {
            Asked::Machine(serving) => self.did(serving, outage),
            Asked::Network(lease) => lease.breaker().told(outage),
            Asked::Cloud(line) => line.breaker().told(outage),
        }
    }
}
