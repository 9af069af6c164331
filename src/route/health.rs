//! The one probe loop: whether the model that answers is there, loaded, and still the best choice.
//!
//! Every endpoint goes through it, and whoever wants to know watches one value. It looks now and
//! then, sooner while nothing serves, and at once when nudged; it loads the model that was chosen.
//! It never generates, and never wakes a llama-server that sleeps because its owner said so.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{FutureExt, future::BoxFuture};
use serde::Serialize;
use tokio::sync::{Notify, watch};

use crate::{
    model::{Kind, ModelError},
    session::task::OwnedTask,
};

use super::{
    discover::{Discovery, Search, Seen, Serving},
    roles::{Role, Roles},
};

/// When to look.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Between two looks while a model serves.
    pub interval: Duration,
    /// Between two looks while nothing serves, so that a server started later is found.
    pub when_down: Duration,
    /// Between two looks while a server loads its model.
    pub when_loading: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(30),
            when_down: Duration::from_secs(5),
            when_loading: Duration::from_millis(500),
        }
    }
}

/// What a model is loaded with; the same for every role, or the server loads it again.
#[derive(Debug, Clone)]
pub struct Load {
    /// Tokens of context, at the most.
    pub num_ctx: usize,
    /// How long the server keeps it, in Ollama's notation.
    pub keep_alive: String,
}

/// Whether a suggestion can be expected, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// A model was found that is not in memory, or nothing has been looked at yet.
    Cold,
    /// It is being loaded.
    Loading,
    /// It is in memory.
    Warm,
    /// There is no model to ask.
    Down,
}

/// What the last look came to.
#[derive(Debug, Clone)]
pub struct Health {
    pub state: State,
    /// When `state` began.
    pub since: Instant,
    /// How long the chosen model took to load, once it was loaded by us.
    pub loaded_in: Option<Duration>,
    /// The model that completes.
    pub choice: Option<Serving>,
    /// The models for everything else. They are loaded when they are first asked.
    pub roles: Roles,
    /// Which model and why, or why there is none, as a sentence.
    pub message: String,
    pub seen: Vec<Seen>,
}

impl Health {
    /// The model that serves `role`, or why there is none, as a sentence.
    pub fn serving(&self, role: Role) -> Result<&Serving, &str> {
        match role {
            Role::Completion => self.choice.as_ref().ok_or(&self.message),
            Role::Default => self.roles.default.as_ref().map_err(String::as_str),
            Role::HighPrecision => self.roles.high_precision.as_ref().map_err(String::as_str),
        }
    }
}

/// What is said before the first look is over.
const LOOKING: &str = "looking for a model server";

/// The running loop. Dropping it ends the loop and what it was loading.
#[derive(Debug)]
pub struct Probe {
    health: watch::Receiver<Arc<Health>>,
    nudge: Arc<Notify>,
    _task: OwnedTask,
}

impl Probe {
    /// Starts to look, at once. Must be called inside a tokio runtime.
    pub fn start(search: Search, pace: Pace, load: Load) -> Self {
        let (publish, health) = watch::channel(Arc::new(Health {
            state: State::Cold,
            since: Instant::now(),
            loaded_in: None,
            choice: None,
            roles: Roles::unknown(LOOKING),
            message: LOOKING.to_owned(),
            seen: Vec::new(),
        }));
        let nudge = Arc::new(Notify::new());
        let probing = Probing {
            search,
            pace,
            load,
            publish,
            loading: None,
            failed: None,
            looked_everywhere: None,
        };
        let task = OwnedTask::spawn(probing.run(Arc::clone(&nudge)));
        Self { health, nudge, _task: task }
    }

    /// The last look's result, and every later one.
    pub fn watch(&self) -> watch::Receiver<Arc<Health>> {
        self.health.clone()
    }

    /// The last look's result.
    pub fn health(&self) -> Arc<Health> {
        Arc::clone(&self.health.borrow())
    }

    /// Looks now: a request has failed. Nudges during a look make for one more look.
    pub fn nudge(&self) {
        self.nudge.notify_one();
    }
}

/// The model that is being loaded.
struct Loading {
    began: Instant,
    done: BoxFuture<'static, Result<(), ModelError>>,
}

impl Drop for Probing {
    /// Reports keep providers; weights shall not stay in memory with them.
    fn drop(&mut self) {
        if let Some(choice) = &self.publish.borrow().choice {
            choice.provider.release();
        }
    }
}

struct Probing {
    search: Search,
    pace: Pace,
    load: Load,
    publish: watch::Sender<Arc<Health>>,
    loading: Option<Loading>,
    /// When loading the present choice began that failed.
    failed: Option<Instant>,
    looked_everywhere: Option<Instant>,
}

impl Probing {
    async fn run(mut self, nudge: Arc<Notify>) {
        loop {
            self.look().await;
            let next = tokio::time::Instant::now() + self.wait();
            loop {
                let loaded = async {
                    match &mut self.loading {
                        Some(loading) => (&mut loading.done).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    result = loaded => {
                        // What could not be loaded is tried again when it is time to look.
                        if self.loaded(result) {
                            break;
                        }
                    }
                    () = nudge.notified() => break,
                    () = tokio::time::sleep_until(next) => break,
                }
            }
        }
    }

    fn wait(&self) -> Duration {
        let health = self.publish.borrow();
        match health.state {
            State::Down => self.pace.when_down,
            // A server that is started later is preferred.
            State::Warm if !self.search.places.is_empty() && !by_server(&health) => {
                self.pace.when_down
            }
            State::Loading if health.choice.is_none() => self.pace.when_loading,
            State::Cold | State::Loading | State::Warm => self.pace.interval,
        }
    }

    /// Looks where it is time to. While a model serves, that is at model servers alone; else
    /// everywhere, but at a server of another trade (the user's own, most likely) no more often
    /// than while one serves.
    async fn look(&mut self) {
        let before = Arc::clone(&self.publish.borrow());
        let serving = by_server(&before);
        let everywhere = !serving
            && self.looked_everywhere.is_none_or(|last| last.elapsed() >= self.pace.interval);
        let mut found = self
            .search
            .again(&before.seen, |seen| match &seen.outcome {
                Ok(_) | Err(ModelError::Loading { .. }) => true,
                Err(ModelError::Unreachable { .. }) => !serving || seen.provider.is_some(),
                Err(_) => everywhere,
            })
            .await;
        let lost = serving && found.choice.is_err();
        if lost {
            found = self.search.again(&found.seen, |seen| seen.outcome.is_err()).await;
        }
        if everywhere || lost {
            self.looked_everywhere = Some(Instant::now());
        }
        self.conclude(&before, found);
    }

    fn conclude(&mut self, before: &Health, found: Discovery) {
        if let Some(old) = &before.choice
            && !found.choice.as_ref().is_ok_and(|new| Arc::ptr_eq(&new.provider, &old.provider))
        {
            old.provider.release();
        }
        let seen = found.seen;
        let mut health =
            Health { seen, roles: found.roles, loaded_in: None, choice: None, ..before.clone() };
        let state = match found.choice {
            Ok(serving) => {
                health.message.clone_from(&serving.why);
                self.serve(before, &mut health, serving)
            }
            Err(why_none) => {
                self.loading = None;
                health.message = why_none;
                let loading = |seen: &Seen| matches!(seen.outcome, Err(ModelError::Loading { .. }));
                if health.seen.iter().any(loading) { State::Loading } else { State::Down }
            }
        };
        self.publish(health, state);
    }

    /// Takes a choice over: loads the model where that is ours to do.
    fn serve(&mut self, before: &Health, health: &mut Health, serving: Serving) -> State {
        let same = before.choice.as_ref().filter(|old| old.same_load(&serving));
        let is_new = same.is_none();
        if is_new {
            self.loading = None;
            self.failed = None;
        } else {
            health.loaded_in = before.loaded_in;
        }
        // Ollama unloads what has been idle; a llama-server only what its owner told it to. What is
        // built in is loaded by nobody else.
        let ours = matches!(serving.provider.kind(), Kind::Ollama | Kind::BuiltIn);
        let unloaded = ours && serving.model.loaded == Some(false);
        // Somebody else may have loaded it since.
        self.failed = self.failed.filter(|_| serving.model.loaded != Some(true));
        let due = match self.failed {
            None => unloaded,
            // Nudges must not make a server try over and over what it has just failed at.
            Some(began) => began.elapsed() >= self.pace.interval,
        };
        if self.failed.is_some() && !due {
            health.message.clone_from(&before.message);
        }
        if self.loading.is_none() && (is_new || due) {
            let (provider, model) = (Arc::clone(&serving.provider), serving.model.name.clone());
            let num_ctx = serving.num_ctx(self.load.num_ctx);
            let keep_alive = self.load.keep_alive.clone();
            let done = async move { provider.preload(&model, num_ctx, &keep_alive).await };
            self.loading = Some(Loading { began: Instant::now(), done: done.boxed() });
        }
        let state = match serving.model.loaded {
            Some(true) => State::Warm,
            _ if self.loading.is_some() => State::Loading,
            Some(false) => State::Cold,
            None => before.state,
        };
        health.choice = Some(serving);
        state
    }

    /// Takes note that loading ended; says whether it is time to look again.
    fn loaded(&mut self, result: Result<(), ModelError>) -> bool {
        let Some(loading) = self.loading.take() else { return false };
        let mut health = Health::clone(&self.publish.borrow());
        let mut look_again = result.is_ok();
        self.failed = (!look_again).then_some(loading.began);
        match result {
            Ok(()) => {
                health.loaded_in = Some(loading.began.elapsed());
                if let Some(serving) = &mut health.choice {
                    serving.model.loaded = serving.model.loaded.map(|_| true);
                }
                self.publish(health, State::Warm);
            }
            Err(error) => {
                health.message = format!("the model could not be loaded: {error}");
                // Of its own process it is known at once what else there is.
                let kind = health.choice.as_ref().map(|choice| choice.provider.kind());
                look_again = kind == Some(Kind::BuiltIn);
                self.publish(health, State::Cold);
            }
        }
        look_again
    }

    fn publish(&self, mut health: Health, state: State) {
        if health.state != state {
            tracing::info!(?state, message = health.message, "model");
            health.since = Instant::now();
            health.state = state;
        }
        self.publish.send_replace(Arc::new(health));
    }
}

/// Whether a model server's model was chosen, not the one in this process.
fn by_server(health: &Health) -> bool {
    health.choice.as_ref().is_some_and(|choice| choice.provider.kind() != Kind::BuiltIn)
}
