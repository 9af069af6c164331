//! `provider = "auto"`: what runs on this machine, and which model of it answers.
//!
//! A configured endpoint or provider goes the same way, with fewer places or fewer wire formats to
//! try. What was found is reported in full; what was chosen comes with its reason.

use std::{fmt, sync::Arc, time::Duration};

use futures::future::{join, join_all};
use url::{Host, Url};

use crate::model::{Kind, ModelError, ModelFacts, Provider, Sighting};

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
    /// The model's name where the user configured one.
    pub model: Option<String>,
    /// How long one server may take to say what it is.
    pub timeout: Duration,
    /// How often a server that answered before and is now silent is asked again.
    pub retries: usize,
    pub connect: Connect,
    /// Whether a model can fill in the middle.
    pub fills: fn(&ModelFacts) -> bool,
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
    /// The model to take, or why there is none, as a sentence.
    pub choice: Result<Serving, String>,
    pub seen: Vec<Seen>,
    /// What the model in this process is, or why it cannot answer; `None` where it may not.
    pub built_in: Option<Result<Sighting, ModelError>>,
}

impl Search {
    /// Every usual port of this machine, every wire format, any model.
    pub fn usual(connect: Connect, fills: fn(&ModelFacts) -> bool) -> Self {
        let place = |port| Url::parse(&format!("http://127.0.0.1:{port}")).ok();
        Self {
            places: USUAL_PORTS.into_iter().filter_map(place).collect(),
            kinds: vec![Kind::Ollama, Kind::LlamaServer, Kind::OpenAi],
            model: None,
            timeout: Duration::from_secs(2),
            retries: 2,
            connect,
            fills,
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
        Discovery { choice: self.choose(&seen, built_in.as_ref()), seen, built_in }
    }

    async fn look(&self, place: &Url, known: Option<Arc<dyn Provider>>) -> Seen {
        if !is_loopback(place) {
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

    /// The best model of all that were seen, or why none will do.
    fn choose(
        &self,
        seen: &[Seen],
        own: Option<&Result<Sighting, ModelError>>,
    ) -> Result<Serving, String> {
        let servers = seen
            .iter()
            .filter_map(|seen| Some((seen.provider.as_ref()?, seen.outcome.as_ref().ok()?)));
        let own = self.built_in.as_ref().zip(own);
        let box_model = own.and_then(|(_, look)| look.as_ref().ok()?.models.first());
        let offers = servers
            .chain(own.and_then(|(provider, look)| Some((provider, look.as_ref().ok()?))))
            .flat_map(|(provider, sighting)| {
                sighting.models.iter().map(move |model| (provider, sighting, model))
            });
        let best = offers
            .filter(|(_, _, model)| !model.relayed && self.wants(model))
            // Of equals the first is taken: the order of places is one of preference.
            .min_by_key(|(_, _, model)| self.rank(model, box_model));
        let Some((provider, sighting, model)) = best else {
            let why_none = || self.why_none(seen);
            return Err(match own.and_then(|(_, look)| look.as_ref().err()) {
                Some(error) if seen.is_empty() => error.to_string(),
                Some(error) => format!("{}; {error}", why_none()),
                None => why_none(),
            });
        };
        Ok(Serving {
            provider: Arc::clone(provider),
            model: model.clone(),
            slots: sighting.slots,
            why: match provider.kind() {
                Kind::BuiltIn => self.why_built_in(seen, model),
                _ => self.why(provider.as_ref(), model),
            },
        })
    }

    fn wants(&self, model: &ModelFacts) -> bool {
        let Some(wanted) = &self.model else { return true };
        // Ollama's name without a tag means its tag `latest`.
        model.name == *wanted || model.name.strip_suffix(":latest") == Some(wanted)
    }

    /// Smaller is better.
    fn rank(&self, model: &ModelFacts, built_in: Option<&ModelFacts>) -> (u8, u64) {
        let loaded = model.loaded == Some(true);
        let class = match (self.capable(model, built_in), loaded) {
            _ if model.card.is_some() => {
                if (self.fills)(model) {
                    2
                } else {
                    5
                }
            }
            (true, true) => 0,
            (true, false) => 1,
            (false, true) => 3,
            (false, false) => 4,
        };
        (class, model.parameters.map_or(u64::MAX, distance))
    }

    /// Whether a server's model is worth more than the one in this process.
    fn capable(&self, model: &ModelFacts, built_in: Option<&ModelFacts>) -> bool {
        let own = built_in.and_then(|built_in| built_in.parameters);
        let smaller = model.parameters.zip(own).is_some_and(|(theirs, own)| theirs < own);
        (self.fills)(model) && !smaller
    }

    fn why_built_in(&self, seen: &[Seen], model: &ModelFacts) -> String {
        let servers: Vec<_> = seen
            .iter()
            .filter_map(|seen| Some((&seen.place, seen.outcome.as_ref().ok()?)))
            .map(|(place, sighting)| format!("{} at {place}", name(sighting.kind)))
            .collect();
        let reason = match &*servers {
            _ if seen.is_empty() => "as configured".to_owned(),
            [] => "as no model server answers on this machine".to_owned(),
            servers => format!("as {} has no more capable model for code", servers.join(", ")),
        };
        let fills = if (self.fills)(model) {
            "it fills in the middle"
        } else {
            "it continues text, as it was not trained to fill in the middle"
        };
        format!("{} in this process (built-in), {reason}: {fills}", model.name)
    }

    fn why(&self, provider: &dyn Provider, model: &ModelFacts) -> String {
        let loaded = match model.loaded {
            Some(true) => "is loaded",
            Some(false) => "can be loaded",
            None => "is offered",
        };
        let fills = if (self.fills)(model) {
            "fills in the middle"
        } else {
            "continues text, as no model that fills in the middle was found"
        };
        let chosen = if self.model.is_some() { ", as configured" } else { "" };
        format!(
            "{} at {} ({}){chosen}: it {loaded} and {fills}",
            model.name,
            provider.endpoint(),
            name(provider.kind())
        )
    }

    fn why_none(&self, seen: &[Seen]) -> String {
        // The most telling thing first: a server that is coming up, then one without a fit model,
        // then one that could not be understood, then silence.
        let errors = || seen.iter().filter_map(|seen| seen.outcome.as_ref().err());
        if let Some(loading) = errors().find(|error| matches!(error, ModelError::Loading { .. })) {
            return loading.to_string();
        }
        let found: Vec<_> = seen
            .iter()
            .filter_map(|seen| Some((&seen.place, seen.outcome.as_ref().ok()?)))
            .collect();
        let models = || found.iter().flat_map(|(_, sighting)| &sighting.models);
        let names = |relayed: bool| {
            let names = models().filter(|model| model.relayed == relayed);
            names.map(|model| model.name.as_str()).collect::<Vec<_>>().join(", ")
        };
        if let Some(wanted) = &self.model
            && !found.is_empty()
        {
            if models().any(|model| model.relayed && self.wants(model)) {
                return format!(
                    "the model '{wanted}' is only relayed to another machine; Hearth asks models on this machine alone"
                );
            }
            let others = match names(false) {
                names if names.is_empty() => "there is no other".to_owned(),
                names => format!("there are: {names}"),
            };
            return format!("no server on this machine has the model '{wanted}'; {others}");
        }
        if let Some((place, sighting)) = found.first() {
            let server = name(sighting.kind);
            return match names(true) {
                names if names.is_empty() => {
                    format!(
                        "{server} at {place} has no model that writes text; download a code model into it"
                    )
                }
                names => format!(
                    "{server} at {place} only relays its models ({names}) to another machine; download a code model into it"
                ),
            };
        }
        if let [only] = seen
            && let Err(error) = &only.outcome
        {
            return error.to_string();
        }
        let ports: Vec<_> = seen
            .iter()
            .filter_map(|seen| seen.place.port_or_known_default())
            .map(|port| port.to_string())
            .collect();
        format!(
            "no model server answers on this machine (ports {}); start Ollama or llama-server, or set router.local_endpoint",
            ports.join(", ")
        )
    }
}

impl fmt::Debug for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Search")
            .field("places", &self.places)
            .field("kinds", &self.kinds)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

/// How far a model's size is from three billion parameters, on a logarithmic scale: about what
/// answers while one types and is still of use. A thousandth of a doubling is one.
fn distance(parameters: u64) -> u64 {
    let doublings = (parameters.max(1) as f64 / 3e9).log2().abs();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 64,000")]
    let thousandths = (doublings * 1000.0) as u64;
    thousandths
}

fn is_loopback(place: &Url) -> bool {
    match place.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// A kind of server, for people.
fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Ollama => "Ollama",
        Kind::LlamaServer => "llama-server",
        Kind::OpenAi => "the OpenAI-compatible server",
        Kind::BuiltIn => "the built-in engine",
    }
}
