//! `provider = "auto"`: what runs on this machine, and which model of it answers.
//!
//! A configured endpoint or provider goes the same way, with fewer places or fewer wire formats to
//! try. What was found is reported in full; what was chosen comes with its reason.

use std::{fmt, sync::Arc, time::Duration};

use futures::future::{join, join_all};
use url::{Host, Url};

use super::roles::{Role, Roles, Wanted};
use crate::{
    config::PrivateHost,
    model::{Kind, ModelError, ModelFacts, Provider, Sighting, Tier},
};

/// Where model servers listen unless told otherwise: Ollama, LM Studio, llama-server (its default,
/// its default of earlier years, and the one in llama.vim's manual), vLLM.
pub const USUAL_PORTS: [u16; 6] = [11_434, 1_234, 9_931, 8_080, 8_012, 8_000];

/// Makes a provider that speaks one wire format with one server. Must not connect by itself.
pub type Connect = Arc<dyn Fn(Kind, &Url) -> Arc<dyn Provider> + Send + Sync>;

/// What to look for, and where.
#[derive(Clone)]
pub struct Search {
    /// Model servers that may be there, the preferred first.
    pub places: Vec<Url>,
    /// Wire formats to try, in this order: the telling ones first.
    pub kinds: Vec<Kind>,
    /// What the user configured by name.
    pub wanted: Wanted,
    /// The farthest tier that is looked at, and what counts as the private network.
    pub farthest: Tier,
    pub private_hosts: Vec<PrivateHost>,
    /// How long one server may take to say what it is.
    pub timeout: Duration,
    /// How often a server that answered before and is now silent is asked again.
    pub retries: usize,
    pub connect: Connect,
    /// Whether a model can fill in the middle.
    pub fills: fn(&ModelFacts) -> bool,
    /// Whether a model follows instructions.
    pub follows: fn(&ModelFacts) -> bool,
    /// The model in this process, where it may answer. A server's comes first if it is capable:
    /// fills in the middle, and is not known to be smaller.
    pub built_in: Option<Arc<dyn Provider>>,
}

/// One place and what was found there.
#[derive(Debug, Clone)]
pub struct Seen {
    pub place: Url,
    /// Who to talk to, where a model server was recognized.
    pub provider: Option<Arc<dyn Provider>>,
    pub outcome: Result<Sighting, ModelError>,
}

/// The model that answers.
#[derive(Debug, Clone)]
pub struct Serving {
    pub provider: Arc<dyn Provider>,
    pub model: ModelFacts,
    /// Requests the server can work on at once; `None` where it does not say.
    pub slots: Option<usize>,
    /// Why this one, as a sentence.
    pub why: String,
}

impl Serving {
    /// Tokens of context to load the model with: the ceiling, or what it was trained for if that is
    /// less. The same for every role, or the server loads the model again.
    pub fn num_ctx(&self, ceiling: usize) -> usize {
        self.model.trained_context.map_or(ceiling, |trained| trained.min(ceiling))
    }

    /// Tokens of context that it has, or will have been loaded with: prompt and answer. `ceiling` as in
    /// [`Serving::num_ctx`]; `None` where the server does not say.
    pub fn context(&self, ceiling: usize) -> Option<usize> {
        match self.provider.kind() {
            // Loaded with what each request asks for.
            Kind::Ollama => Some(self.num_ctx(ceiling)),
            Kind::LlamaServer | Kind::OpenAi | Kind::BuiltIn => self.model.context,
        }
    }

    /// Whether `other` is the same model in the same state of being loaded: nothing to do again.
    pub fn same_load(&self, other: &Self) -> bool {
        self.provider.endpoint() == other.provider.endpoint()
            && self.provider.kind() == other.provider.kind()
            && (&self.model.name, &self.model.file) == (&other.model.name, &other.model.file)
            && (self.model.context == other.model.context
                || self.model.context.is_none()
                || other.model.context.is_none())
    }
}

/// What a search came to.
#[derive(Debug, Clone)]
pub struct Discovery {
    /// The model that completes, or why there is none, as a sentence.
    pub choice: Result<Serving, String>,
    /// Those for everything else.
    pub roles: Roles,
    pub seen: Vec<Seen>,
    /// What the model in this process is, or why it cannot answer; `None` where it may not.
    pub built_in: Option<Result<Sighting, ModelError>>,
}

impl Search {
    /// Every usual port of this machine, every wire format, any model.
    pub fn usual(
        connect: Connect,
        fills: fn(&ModelFacts) -> bool,
        follows: fn(&ModelFacts) -> bool,
    ) -> Self {
        let place = |port| Url::parse(&format!("http://127.0.0.1:{port}")).ok();
        Self {
            places: USUAL_PORTS.into_iter().filter_map(place).collect(),
            kinds: vec![Kind::Ollama, Kind::LlamaServer, Kind::OpenAi],
            wanted: Wanted::default(),
            farthest: Tier::ThisMachine,
            private_hosts: Vec::new(),
            timeout: Duration::from_secs(2),
            retries: 2,
            connect,
            fills,
            follows,
            built_in: None,
        }
    }

    /// Looks at every place at once and chooses.
    pub async fn discover(&self) -> Discovery {
        self.again(&[], |_| true).await
    }

    /// Looks once more at the places that are due, and chooses from those and from what was `seen`
    /// at the others. A server that is known is asked in its own format first, and again if slow.
    pub async fn again(&self, before: &[Seen], due: impl Fn(&Seen) -> bool) -> Discovery {
        let due = &due;
        let looks = self.places.iter().map(|place| async move {
            let known = before.iter().find(|seen| seen.place == *place);
            match known {
                Some(known) if !due(known) => known.clone(),
                _ => self.look(place, known.and_then(|seen| seen.provider.clone())).await,
            }
        });
        let own = async {
            match &self.built_in {
                Some(provider) => Some(provider.look().await),
                None => None,
            }
        };
        let (seen, built_in) = join(join_all(looks), own).await;
        let choose = |role| self.choose(role, &seen, built_in.as_ref());
        let roles =
            Roles { default: choose(Role::Default), high_precision: choose(Role::HighPrecision) };
        Discovery { choice: choose(Role::Completion), roles, seen, built_in }
    }

    async fn look(&self, place: &Url, known: Option<Arc<dyn Provider>>) -> Seen {
        if !self.may_reach(place).await {
            let outcome = Err(ModelError::NotLocal { endpoint: place.to_string() });
            return Seen { place: place.clone(), provider: None, outcome };
        }
        let attempts = if known.is_some() { self.retries + 1 } else { 1 };
        for _ in 0..attempts {
            let look = self.recognize(place, known.as_ref());
            if let Ok(seen) = tokio::time::timeout(self.timeout, look).await {
                return seen;
            }
        }
        let detail = format!("silent for {} ms", self.timeout.as_millis());
        let outcome = Err(ModelError::Unreachable { endpoint: place.to_string(), detail });
        // Still known: when it answers again, it is most likely the same server.
        Seen { place: place.clone(), provider: known, outcome }
    }

    /// Whether a place is as near as is looked. A name that cannot be resolved (in time) is a place
    /// where nobody answers, and says so when it is asked.
    async fn may_reach(&self, place: &Url) -> bool {
        let tier = tokio::time::timeout(self.timeout, Tier::of(place, &self.private_hosts)).await;
        tier.ok().flatten().is_none_or(|tier| tier <= self.farthest)
    }

    /// Tries one wire format after the other; the first whose questions the server answers is it.
    async fn recognize(&self, place: &Url, known: Option<&Arc<dyn Provider>>) -> Seen {
        let fresh = self.kinds.iter().map(|&kind| (self.connect)(kind, place));
        let mut why_not = None;
        for provider in known.cloned().into_iter().chain(fresh) {
            let error = match provider.look().await {
                Ok(sighting) => {
                    let provider = Some(provider);
                    return Seen { place: place.clone(), provider, outcome: Ok(sighting) };
                }
                Err(error) => error,
            };
            match error {
                ModelError::Unreachable { .. } | ModelError::NotLocal { .. } => {
                    return Seen { place: place.clone(), provider: None, outcome: Err(error) };
                }
                // It says what it is, if not yet what it has.
                ModelError::Loading { .. } => why_not = Some(error),
                // Each format is refused in its own way; of several, the most general one's counts.
                other if !matches!(why_not, Some(ModelError::Loading { .. })) => {
                    why_not = Some(other);
                }
                _ => {}
            }
        }
        let outcome = Err(why_not.unwrap_or_else(|| ModelError::Unreachable {
            endpoint: place.to_string(),
            detail: "no wire format to try".to_owned(),
        }));
        Seen { place: place.clone(), provider: None, outcome }
    }
}

impl fmt::Debug for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Search")
            .field("places", &self.places)
            .field("kinds", &self.kinds)
            .field("wanted", &self.wanted)
            .finish_non_exhaustive()
    }
}

/// Whether a URL leads to this machine by what it says, whatever names resolve to.
pub(super) fn is_loopback(place: &Url) -> bool {
    match place.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        // A unix socket.
        None => place.scheme() == "unix",
    }
}

/// A kind of server, for people.
pub(super) fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Ollama => "Ollama",
        Kind::LlamaServer => "llama-server",
        Kind::OpenAi => "the OpenAI-compatible server",
        Kind::BuiltIn => "the built-in engine",
    }
}
