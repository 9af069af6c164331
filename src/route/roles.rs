//! Which model of this machine serves which purpose, and the sentence why.
//!
//! A pure choice over what was seen; it connects to nothing. It never takes a model that its server
//! only relays, nor one that runs on another machine.

use std::{cmp::Reverse, sync::Arc};

use super::discover::{Search, Seen, Serving, name};
use crate::model::{Kind, ModelError, ModelFacts, Provider, Sighting};

/// What a model is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Code at the cursor: a base model that fills in the middle.
    Completion,
    /// Everything that follows instructions.
    Default,
    /// Strict output and work of several steps.
    HighPrecision,
}

impl Role {
    /// The last part of its setting's name, `model_routing.local.…`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completion => "completion",
            Self::Default => "default",
            Self::HighPrecision => "high_precision",
        }
    }
}

/// What the user wants by name; `None` leaves the choice to Hearth.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    pub completion: Option<String>,
    pub default: Option<String>,
    pub high_precision: Option<String>,
    /// `Q4_K_M`, `Q8_0`, …: taken where a model is there in it.
    pub quantization: Option<String>,
}

impl Wanted {
    /// The name that counts for `role`.
    pub fn model(&self, role: Role) -> Option<&str> {
        match role {
            Role::Completion => self.completion.as_ref().or(self.default.as_ref()),
            Role::Default => self.default.as_ref(),
            Role::HighPrecision => self.high_precision.as_ref().or(self.default.as_ref()),
        }
        .map(String::as_str)
    }
}

/// The models that serve beside the completion, each with why there is none.
#[derive(Debug, Clone)]
pub struct Roles {
    pub default: Result<Serving, String>,
    pub high_precision: Result<Serving, String>,
}

impl Roles {
    /// Before anything was looked at.
    pub(super) fn unknown(why: &str) -> Self {
        Self { default: Err(why.to_owned()), high_precision: Err(why.to_owned()) }
    }
}

/// With fewer bits a weight, models lose what instructions and strict output need: the tables of
/// perplexity in llama.cpp's `quantize` README bend upwards under 4.
pub(super) const FEWEST_BITS: u32 = 4;

/// What a model that follows instructions is best sized at on this machine, in parameters: the size
/// from which small models hold a format (7 to 8 billion).
const USEFUL: f64 = 7.6e9;

/// What answers while one types and is still of use, in parameters.
const QUICK: f64 = 3e9;

impl Search {
    /// The best model for `role` of all that were seen and of the one in this process, `own`, or why
    /// none will do.
    pub fn choose(
        &self,
        role: Role,
        seen: &[Seen],
        own: Option<&Result<Sighting, ModelError>>,
    ) -> Result<Serving, String> {
        let servers = seen
            .iter()
            .filter_map(|seen| Some((seen.provider.as_ref()?, seen.outcome.as_ref().ok()?)));
        // It completes, and follows no instructions.
        let own = self.built_in.as_ref().zip(own).filter(|_| role == Role::Completion);
        let box_model = own.and_then(|(_, look)| look.as_ref().ok()?.models.first());
        let offers = servers
            .chain(own.and_then(|(provider, look)| Some((provider, look.as_ref().ok()?))))
            .flat_map(|(provider, sighting)| {
                sighting.models.iter().map(move |model| (provider, sighting, model))
            });
        let best = offers
            .filter(|(_, _, model)| !model.relayed && self.will_do(role, model))
            // Of equals the first is taken: the order of places is one of preference.
            .min_by_key(|(_, _, model)| self.rank(role, model, box_model));
        let Some((provider, sighting, model)) = best else {
            let why_none = || self.why_none(role, seen);
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
                _ => self.why(role, provider.as_ref(), model),
            },
        })
    }

    /// A model that was named will do whatever it can; one that was not must be able to.
    fn will_do(&self, role: Role, model: &ModelFacts) -> bool {
        match self.wanted.model(role) {
            Some(wanted) => is_named(model, wanted),
            None => role == Role::Completion || (self.follows)(model),
        }
    }

    /// Smaller is better.
    fn rank(
        &self,
        role: Role,
        model: &ModelFacts,
        built_in: Option<&ModelFacts>,
    ) -> impl Ord + use<> {
        let class = match role {
            Role::Completion if model.card.is_some() => {
                if (self.fills)(model) {
                    1
                } else {
                    3
                }
            }
            Role::Completion if !self.capable(model, built_in) => 2,
            _ => 0,
        };
        let coarse = role != Role::Completion && bits(model).is_some_and(|it| it < FEWEST_BITS);
        let as_wanted = self.wanted.quantization.as_ref().is_none_or(|wanted| {
            model.quantization.as_ref().is_some_and(|it| it.eq_ignore_ascii_case(wanted))
        });
        let size = match role {
            Role::Completion => model.parameters.map(|it| distance(it, QUICK)),
            Role::Default => model.parameters.map(|it| distance(it, USEFUL)),
            Role::HighPrecision => model.parameters.map(|it| u64::MAX - it),
        };
        let precise = (role == Role::HighPrecision).then(|| Reverse(bits(model)));
        let unloaded = model.loaded != Some(true);
        (class, coarse, !as_wanted, unloaded, size.unwrap_or(u64::MAX), precise)
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

    fn why(&self, role: Role, provider: &dyn Provider, model: &ModelFacts) -> String {
        let loaded = match model.loaded {
            Some(true) => "is loaded",
            Some(false) => "can be loaded",
            None => "is offered",
        };
        let able = match role {
            Role::Completion if (self.fills)(model) => "fills in the middle",
            Role::Completion => "continues text, as no model that fills in the middle was found",
            _ if (self.follows)(model) => "follows instructions",
            _ => "was named for them, though it does not seem to follow instructions",
        };
        let chosen = if self.wanted.model(role).is_some() { ", as configured" } else { "" };
        format!(
            "{} at {} ({}){chosen}: it {loaded} and {able}",
            model.name,
            provider.endpoint(),
            name(provider.kind())
        )
    }

    fn why_none(&self, role: Role, seen: &[Seen]) -> String {
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
        if let Some(wanted) = self.wanted.model(role)
            && !found.is_empty()
        {
            if models().any(|model| model.relayed && is_named(model, wanted)) {
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
        if role != Role::Completion && models().any(|model| !model.relayed) {
            return format!(
                "none of the models on this machine follows instructions (there are: {}); install one that does, such as qwen2.5-coder:7b in Ollama, or name one in model_routing.local.{}",
                names(false),
                role.as_str()
            );
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

fn is_named(model: &ModelFacts, wanted: &str) -> bool {
    // Ollama's name without a tag means its tag `latest`.
    model.name == wanted || model.name.strip_suffix(":latest") == Some(wanted)
}

/// Bits a weight that a quantization's name tells: 4 for `Q4_K_M` and `IQ4_XS`, 16 for `F16`.
pub fn bits(model: &ModelFacts) -> Option<u32> {
    let name = model.quantization.as_deref()?;
    let digits = name.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

/// How far a model's size is from the best one, on a logarithmic scale. A thousandth of a doubling
/// is one.
fn distance(parameters: u64, best: f64) -> u64 {
    let doublings = (parameters.max(1) as f64 / best).log2().abs();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 64,000")]
    let thousandths = (doublings * 1000.0) as u64;
    thousandths
}
