//! The probe loop under the user's settings: started anew when they change, watched as one value.

use std::{sync::Arc, time::Duration};

use tokio::sync::{Notify, watch};

use super::{
    discover::Search,
    health::{Health, Load, Pace, Probe},
};
use crate::{
    config::{ProviderSetting, Settings},
    model::{self, BuiltIn, Client, Endpoint, Kind, Provider, fim},
    session::task::OwnedTask,
};

/// Says at any time which model answers. Dropping it stops looking.
#[derive(Debug)]
pub struct Router {
    health: watch::Receiver<Arc<Health>>,
    nudge: Arc<Notify>,
    _task: OwnedTask,
}

impl Router {
    /// Starts to look, and to load what is chosen. Must be called inside a tokio runtime.
    pub fn start(client: Client, mut settings: watch::Receiver<Arc<Settings>>) -> Self {
        let nudge = Arc::new(Notify::new());
        let nudged = Arc::clone(&nudge);
        let mut now = settings.borrow_and_update().clone();
        let mut probe = probe(&client, &now);
        let (publish, health) = watch::channel(probe.health());
        let task = OwnedTask::spawn(async move {
            let mut watched = probe.watch();
            let mut live = true;
            loop {
                tokio::select! {
                    changed = watched.changed() => {
                        if changed.is_ok() {
                            publish.send_replace(watched.borrow_and_update().clone());
                        }
                    }
                    changed = settings.changed(), if live => {
                        live = changed.is_ok();
                        let new = settings.borrow_and_update().clone();
                        if concerns(&new) != concerns(&now) {
                            now = new;
                            probe = self::probe(&client, &now);
                            watched = probe.watch();
                        }
                    }
                    () = nudged.notified() => probe.nudge(),
                }
            }
        });
        Self { health, nudge, _task: task }
    }

    /// What the last look came to.
    pub fn health(&self) -> Arc<Health> {
        self.health.borrow().clone()
    }

    /// The last look's result, and every later one.
    pub fn watch(&self) -> watch::Receiver<Arc<Health>> {
        self.health.clone()
    }

    /// Looks now: a request has failed.
    pub fn nudge(&self) {
        self.nudge.notify_one();
    }
}

/// Where and how to look under these settings.
pub fn search(client: &Client, settings: &Settings) -> Search {
    let client = client.clone();
    let connect = Arc::new(move |kind: Kind, url: &url::Url| {
        model::provider(kind, Endpoint::new(&client, url))
    });
    let mut search =
        Search::usual(connect, |facts| matches!(fim::choose(facts), fim::Mode::Fim(_)));
    if let Some(endpoint) = settings.local_endpoint.set() {
        search.places = vec![endpoint.clone()];
    }
    match settings.provider.set() {
        Some(ProviderSetting::Ollama) => search.kinds = vec![Kind::Ollama],
        Some(ProviderSetting::LlamaServer) => search.kinds = vec![Kind::LlamaServer],
        Some(ProviderSetting::OpenAi) => search.kinds = vec![Kind::OpenAi],
        Some(ProviderSetting::BuiltIn) => search.places.clear(),
        None => {}
    }
    let may_answer = match settings.provider.set() {
        Some(provider) => *provider == ProviderSetting::BuiltIn,
        // Who says where to look wants to hear that nothing is there.
        None => settings.local_endpoint.set().is_none(),
    };
    search.built_in = may_answer.then(|| Arc::new(BuiltIn::recorded()) as Arc<dyn Provider>);
    search.model = settings.completion_model.set().or(settings.default_model.set()).cloned();
    search.timeout = Duration::from_millis(settings.health_timeout_ms.get());
    search.retries = settings.health_retry_count.size();
    search
}

fn probe(client: &Client, settings: &Settings) -> Probe {
    let interval = Duration::from_secs(settings.health_interval_seconds.get());
    let usual = Pace::default();
    let pace = Pace { interval, when_down: usual.when_down.min(interval), ..usual };
    let load = Load {
        num_ctx: settings.max_local_context_tokens.size(),
        keep_alive: settings.keep_alive.as_str().to_owned(),
    };
    Probe::start(search(client, settings), pace, load)
}

/// The settings that a change of which makes for a new search.
fn concerns(settings: &Settings) -> impl PartialEq + use<'_> {
    (
        &settings.local_endpoint,
        &settings.provider,
        &settings.completion_model,
        &settings.default_model,
        &settings.keep_alive,
        settings.max_local_context_tokens,
        (settings.health_interval_seconds, settings.health_timeout_ms, settings.health_retry_count),
    )
}
