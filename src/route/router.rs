//! Everybody who can be asked, under the user's settings as they are now: the probe loop of this
//! machine, the private network, the clouds. Each is started anew when its settings change.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dashmap::DashMap;
use tokio::sync::{Notify, watch};

use super::{
    breaker::Breaker,
    clouds::{CloudLine, Clouds},
    cluster::Cluster,
    discover::{Search, Serving, is_loopback},
    health::{Health, Load, Pace, Probe},
    need::{Need, Private, Work},
    policy::{self, ByRole, CloudOffer, Decision, Limits, Nobody, Offer, Offers, Standing},
    roles::{Role, Wanted, bits},
};
use crate::{
    config::{self, ProviderSetting, Settings},
    egress::Destination,
    model::{self, BuiltIn, Client, Endpoint, Kind, Provider, Tier, fim},
    session::task::OwnedTask,
};

/// Says at any time which model answers. Dropping it stops looking.
#[derive(Debug)]
pub struct Router {
    health: watch::Receiver<Arc<Health>>,
    farther: watch::Receiver<Arc<Farther>>,
    /// Of this machine's servers, by endpoint.
    breakers: DashMap<String, Arc<Breaker>>,
    nudge: Arc<Notify>,
    settings: watch::Receiver<Arc<Settings>>,
    completion: Mutex<Option<Standby>>,
    _task: OwnedTask,
}

/// That a model of this machine completes, and what that was decided by.
#[derive(Debug)]
struct Standby {
    health: Arc<Health>,
    settings: Arc<Settings>,
    role: Role,
}

/// Who can be asked beyond this machine.
#[derive(Debug)]
struct Farther {
    cluster: Arc<Cluster>,
    clouds: Arc<Clouds>,
}

impl Farther {
    /// Where every task is private, there is nobody: nothing that could connect is made.
    fn new(client: &Client, settings: &Settings) -> Self {
        let interval = Duration::from_secs(settings.health_interval_seconds.get());
        let nowhere = || Search { places: Vec::new(), ..search(client, settings) };
        if settings.local_only {
            return Self {
                cluster: Arc::new(Cluster::start(nowhere(), interval)),
                clouds: Arc::default(),
            };
        }
        let (clouds, complaints) = Clouds::new(settings);
        for complaint in complaints {
            tracing::warn!("{complaint}");
        }
        // Its certificates of the world cost megabytes: only where there is somebody to connect to.
        let cluster = match private_places(settings).next() {
            None => nowhere(),
            Some(_) => match Client::private(&settings.private_hosts) {
                Ok(private) => network_search(&private, settings),
                Err(error) => {
                    tracing::error!("the private network cannot be reached: {error}");
                    nowhere()
                }
            },
        };
        Self { cluster: Arc::new(Cluster::start(cluster, interval)), clouds: Arc::new(clouds) }
    }
}

impl Router {
    /// Starts to look, and to load what is chosen. Must be called inside a tokio runtime.
    pub fn start(client: Client, settings: watch::Receiver<Arc<Settings>>) -> Self {
        let nudge = Arc::new(Notify::new());
        let nudged = Arc::clone(&nudge);
        let mut tree = settings.clone();
        let mut now = tree.borrow_and_update().clone();
        let mut probe = probe(&client, &now);
        let (publish, health) = watch::channel(probe.health());
        let (publish_farther, farther) = watch::channel(Arc::new(Farther::new(&client, &now)));
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
                    changed = tree.changed(), if live => {
                        live = changed.is_ok();
                        let new = tree.borrow_and_update().clone();
                        let old = std::mem::replace(&mut now, new);
                        if concerns(&now) != concerns(&old) {
                            probe = self::probe(&client, &now);
                            watched = probe.watch();
                        }
                        if concerns_farther(&now) != concerns_farther(&old) {
                            publish_farther.send_replace(Arc::new(Farther::new(&client, &now)));
                        }
                    }
                    () = nudged.notified() => probe.nudge(),
                }
            }
        });
        let breakers = DashMap::new();
        let completion = Mutex::default();
        Self { health, farther, breakers, nudge, settings, completion, _task: task }
    }

    /// Chooses who is asked. `standing` tells what the user said of sending to a cloud; nobody is
    /// asked about it here.
    pub fn decide(
        &self,
        need: &Need,
        standing: impl Fn(&Destination) -> Standing,
    ) -> Result<Decision, Nobody> {
        let settings = self.settings.borrow().clone();
        let machine = |role| self.machine(role);
        let clouds = self.clouds();
        let offers = offers(&settings, machine, &self.cluster(), &clouds, &standing);
        let decision = decide(&settings, need, &offers)?;
        for rung in decision.rungs().iter().filter(|rung| rung.tier == Tier::Cloud) {
            let line = clouds.named(&rung.offer.place);
            // What the user has not consented to is not as much as looked at.
            if let Some(line) =
                line.filter(|it| standing(it.cloud().destination()) == Standing::Allowed)
            {
                line.watch();
            }
        }
        Ok(decision)
    }

    /// Who completes, as [`decide`](Self::decide) says of a completion: which stays on this machine, so
    /// that nobody's consent is looked up. Asked at every key, and decided anew only when what is known
    /// of this machine has changed.
    pub fn completes(&self) -> Result<Serving, String> {
        let (health, settings) = (self.health(), self.settings.borrow().clone());
        let mut standby = self.completion.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = standby.as_ref().is_some_and(|it| {
            Arc::ptr_eq(&it.health, &health) && Arc::ptr_eq(&it.settings, &settings)
        });
        if !fresh {
            let need = Need::new(Work::Completion, 0);
            let decided = self.decide(&need, |_| Standing::Never);
            let role = decided.map_err(|nobody| nobody.why)?.role;
            *standby = Some(Standby { health, settings, role });
        }
        let role = standby.as_ref().map_or(Role::Completion, |standby| standby.role);
        drop(standby);
        self.machine(role)
    }

    /// Takes note of how a model of this machine did.
    pub fn did(&self, serving: &Serving, outage: bool) {
        if outage {
            self.nudge();
        }
        self.breaker(serving.provider.endpoint()).told(outage);
    }

    /// Whether anybody beyond this machine could be asked, were it allowed.
    pub fn goes_farther(&self) -> bool {
        let farther = self.farther.borrow();
        !farther.cluster.is_empty() || farther.clouds.iter().next().is_some()
    }

    /// This machine's model for `role`, if it is well, else a sentence.
    pub(super) fn machine(&self, role: Role) -> Result<Serving, String> {
        let health = self.health();
        let serving = health.serving(role).map_err(str::to_owned)?;
        let endpoint = serving.provider.endpoint();
        if self.breaker(endpoint).is_well() {
            Ok(serving.clone())
        } else {
            Err(format!("{endpoint} failed several times in a row and is left alone for a while"))
        }
    }

    pub(super) fn breaker(&self, endpoint: &str) -> Arc<Breaker> {
        let rest = Pace::default().when_down;
        let breaker = self.breakers.entry(endpoint.to_owned());
        Arc::clone(&breaker.or_insert_with(|| Arc::new(Breaker::new(rest))))
    }

    /// The private network.
    pub fn cluster(&self) -> Arc<Cluster> {
        Arc::clone(&self.farther.borrow().cluster)
    }

    /// The clouds that are set up.
    pub fn clouds(&self) -> Arc<Clouds> {
        Arc::clone(&self.farther.borrow().clouds)
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

/// What would be decided now. Looks at every server once; loads nothing and keeps nothing running.
/// Must be called inside a tokio runtime.
pub async fn preview(
    client: &Client,
    settings: &Settings,
    need: &Need,
    standing: impl Fn(&Destination) -> Standing,
) -> Result<Decision, Nobody> {
    let Farther { cluster, clouds } = Farther::new(client, settings);
    let search = search(client, settings);
    let (found, ()) = tokio::join!(search.discover(), cluster.looked());
    let machine = |role| search.choose(role, &found.seen, found.built_in.as_ref());
    decide(settings, need, &offers(settings, machine, &cluster, &clouds, standing))
}

/// Applies the rules, and the setting that makes every task private.
fn decide(settings: &Settings, need: &Need, offers: &Offers) -> Result<Decision, Nobody> {
    let mut need = need.clone();
    if settings.local_only {
        need.private.push(Private::Setting);
    }
    policy::decide(&need, Limits::from(settings), offers)
}

fn offers(
    settings: &Settings,
    machine: impl Fn(Role) -> Result<Serving, String>,
    cluster: &Cluster,
    clouds: &Clouds,
    standing: impl Fn(&Destination) -> Standing,
) -> Offers {
    let ceiling = settings.max_local_context_tokens.size();
    let offer = |serving: Serving| Offer {
        room: serving.context(ceiling),
        place: serving.provider.endpoint().to_owned(),
        quantization: serving.model.quantization.clone(),
        bits: bits(&serving.model),
        model: serving.model.name,
    };
    let cloud = |line: &CloudLine| CloudOffer {
        offer: Offer {
            place: line.cloud().name().to_owned(),
            model: line.cloud().model().to_owned(),
            quantization: None,
            bits: None,
            room: None,
        },
        standing: standing(line.cloud().destination()),
        well: line.is_well(),
    };
    Offers {
        machine: ByRole::of(|role| machine(role).map(offer)),
        network: ByRole::of(|role| cluster.best(role).map(offer)),
        clouds: clouds.iter().map(cloud).collect(),
    }
}

/// Where and how to look under these settings.
pub fn search(client: &Client, settings: &Settings) -> Search {
    let client = client.clone();
    let connect = Arc::new(move |kind: Kind, url: &url::Url| {
        model::provider(kind, Endpoint::new(&client, url))
    });
    let mut search = Search::usual(
        connect,
        |facts| matches!(fim::choose(facts), fim::Mode::Fim(_)),
        fim::follows,
    );
    if let Some(endpoint) = settings.local_endpoint.set() {
        search.places = vec![endpoint.clone()];
    }
    // A tunnel, or a gateway of the user's own: what is asked at a loopback address is on this
    // machine, whatever the setting's name.
    search.places.extend(settings.private_endpoints.iter().filter(|url| is_loopback(url)).cloned());
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
    search.wanted = Wanted {
        completion: settings.completion_model.set().cloned(),
        default: settings.default_model.set().cloned(),
        high_precision: settings.high_precision_model.set().cloned(),
        quantization: settings.quantization.set().cloned(),
    };
    search.timeout = Duration::from_millis(settings.health_timeout_ms.get());
    search.retries = settings.health_retry_count.size();
    search
}

/// Where and how to look on the private network.
pub fn network_search(client: &Client, settings: &Settings) -> Search {
    let (http, key) = (client.clone(), config::private_network_key());
    let connect = move |kind: Kind, url: &url::Url| {
        let endpoint = Endpoint::new(&http, url);
        let endpoint = match &key {
            Some(key) => endpoint.with_key(key.trim()),
            None => endpoint,
        };
        model::provider(kind, endpoint)
    };
    Search {
        connect: Arc::new(connect),
        places: private_places(settings).cloned().collect(),
        farthest: Tier::PrivateNetwork,
        private_hosts: settings.private_hosts.clone(),
        // Servers of a team say little of their models; one that does not fill in the middle is there
        // to be talked to.
        follows: |facts| fim::follows(facts) || !matches!(fim::choose(facts), fim::Mode::Fim(_)),
        ..search(client, settings)
    }
}

/// The servers beyond this machine that are configured.
fn private_places(settings: &Settings) -> impl Iterator<Item = &url::Url> {
    let configured = settings.private_endpoints.iter().chain(settings.local_endpoint.set());
    configured.filter(|url| !is_loopback(url))
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
        (&settings.high_precision_model, &settings.quantization),
        &settings.keep_alive,
        settings.max_local_context_tokens,
        (settings.health_interval_seconds, settings.health_timeout_ms, settings.health_retry_count),
        settings.private_endpoints.iter().filter(|url| is_loopback(url)).collect::<Vec<_>>(),
    )
}

/// The settings that a change of which makes for a new look at the private network and the clouds.
fn concerns_farther(settings: &Settings) -> impl PartialEq + use<'_> {
    (
        (&settings.private_endpoints, &settings.private_hosts, &settings.local_endpoint),
        (&settings.provider, &settings.clouds, settings.local_only),
        (&settings.completion_model, &settings.default_model, &settings.high_precision_model),
        &settings.quantization,
        (settings.health_interval_seconds, settings.health_timeout_ms, settings.health_retry_count),
    )
}
