//! The rules: from what a task needs and who is there to who is asked, in which order, and why.
//!
//! Pure: nothing is looked up, nothing is sent. The first rule that applies decides.
//!
//! 1. What is private stays on this machine, in parts if it is too large. Where privacy is not
//!    enforced, the user can send it up for one run, but for what is in an untrusted workspace.
//! 2. What the user sends up for this run goes up.
//! 3. More context than local models are given goes up, unless it can be done in parts.
//! 4. More steps than local models hold out goes up.
//! 5. Kinds of work that need a frontier model go up.
//! 6. All else, and everything unknown, stays as near as it can.
//!
//! Text travels no farther than it has to: of models that will do, the nearest is asked first, and a
//! cloud is asked instead of a nearer model only where the user's consent already stands. A completion
//! is asked for at every key, whatever file the cursor is in: it never leaves this machine.

use std::fmt::{self, Write as _};

use serde::Serialize;

use super::{
    need::{Need, Private, Work},
    roles::{FEWEST_BITS, Role},
};
use crate::{config::Settings, egress::Consent, model::Tier};

/// What the user sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Tokens that a local model is given at the most.
    pub context: usize,
    /// Tool calls that a local model is trusted with.
    pub steps: usize,
    /// No consent overrides privacy.
    pub privacy_enforced: bool,
}

impl From<&Settings> for Limits {
    fn from(settings: &Settings) -> Self {
        Self {
            context: settings.max_local_context_tokens.size(),
            steps: settings.max_tool_chain_length.size(),
            privacy_enforced: settings.privacy_enforced,
        }
    }
}

/// A model that could be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Offer {
    /// The endpoint, for people; of a cloud, the user's name for it.
    pub place: String,
    pub model: String,
    pub quantization: Option<String>,
    /// Bits a weight.
    #[serde(skip)]
    pub bits: Option<u32>,
    /// Tokens of context, where it is known.
    #[serde(skip)]
    pub room: Option<usize>,
}

/// A value for each role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ByRole<T> {
    pub completion: T,
    pub default: T,
    pub high_precision: T,
}

impl<T> ByRole<T> {
    pub fn of(mut value: impl FnMut(Role) -> T) -> Self {
        Self {
            completion: value(Role::Completion),
            default: value(Role::Default),
            high_precision: value(Role::HighPrecision),
        }
    }

    pub const fn get(&self, role: Role) -> &T {
        match role {
            Role::Completion => &self.completion,
            Role::Default => &self.default,
            Role::HighPrecision => &self.high_precision,
        }
    }
}

/// What the user said of sending to a cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Allowed for this workspace.
    Allowed,
    /// To be asked about at the border.
    Ask,
    /// Declined for good.
    Never,
}

impl From<Option<Consent>> for Standing {
    /// Of what the user decided; `None` where nothing was.
    fn from(decided: Option<Consent>) -> Self {
        match decided {
            Some(Consent::Workspace | Consent::Once) => Self::Allowed,
            Some(Consent::Never) => Self::Never,
            None => Self::Ask,
        }
    }
}

/// A cloud that could be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudOffer {
    pub offer: Offer,
    pub standing: Standing,
    /// Its last requests did not all fail.
    pub well: bool,
}

/// Who is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offers {
    /// This machine's models, or why there is none, as a sentence.
    pub machine: ByRole<Result<Offer, String>>,
    /// Those of the private network, from servers that are well.
    pub network: ByRole<Option<Offer>>,
    /// In the user's order.
    pub clouds: Vec<CloudOffer>,
}

/// The rule that decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    Private(Private),
    SentUp,
    Context,
    Steps,
    Frontier,
    Routine,
    Unknown,
}

/// How a model is given the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Manner {
    /// At once.
    Whole,
    /// Part by part, and the answers put together: map and reduce.
    Parts,
}

/// One model to ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rung {
    pub tier: Tier,
    pub manner: Manner,
    #[serde(flatten)]
    pub offer: Offer,
}

/// Who is asked, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    pub rule: Rule,
    pub role: Role,
    /// As a sentence.
    pub why: String,
    /// First the choice, then who is asked if that one does not answer. Never empty.
    rungs: Vec<Rung>,
}

impl Decision {
    /// The choice.
    pub fn first(&self) -> &Rung {
        &self.rungs[0]
    }

    /// The choice, and who is asked instead if it does not answer, in this order.
    pub fn rungs(&self) -> &[Rung] {
        &self.rungs
    }

    pub fn is_private(&self) -> bool {
        matches!(self.rule, Rule::Private(_))
    }

    /// Without those who were asked in vain before `by` answered: for what is asked next.
    #[must_use]
    pub fn kept_to(mut self, by: &Rung) -> Self {
        let before = self.rungs.iter().position(|rung| rung == by).unwrap_or_default();
        self.rungs.drain(..before);
        self
    }
}

/// Nobody can be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Nobody {
    pub why: String,
}

/// Chooses by the rules.
pub fn decide(need: &Need, limits: Limits, offers: &Offers) -> Result<Decision, Nobody> {
    let rule = applies(need, limits);
    let choosing = Choosing { need, limits, offers, role: wanted(need) };
    let (rungs, aside) = match &rule {
        Rule::Private(_) => (choosing.machine().into_iter().collect(), None),
        Rule::SentUp | Rule::Context | Rule::Steps | Rule::Frontier => choosing.up(&rule),
        Rule::Routine | Rule::Unknown => (choosing.near(), None),
    };
    let Some(first) = rungs.first() else {
        let why = choosing.why_nobody(&rule);
        return Err(Nobody { why });
    };
    let why = choosing.why(&rule, first, aside);
    Ok(Decision { rule, role: choosing.role, why, rungs })
}

/// The first rule that applies.
fn applies(need: &Need, limits: Limits) -> Rule {
    // What was not trusted is not sent, whatever the user's settings leave to the user.
    let untrusted = need.private.iter().find(|why| **why == Private::Untrusted);
    let yields = need.sent_up && !limits.privacy_enforced;
    let private = if yields { untrusted } else { need.private.first() };
    if let Some(why) = private {
        Rule::Private(why.clone())
    } else if need.sent_up {
        Rule::SentUp
    } else if need.context > limits.context && !need.work.can_be_chunked() {
        Rule::Context
    } else if need.steps > limits.steps {
        Rule::Steps
    } else if need.work.needs_frontier() {
        Rule::Frontier
    } else if need.work == Work::Unknown {
        Rule::Unknown
    } else {
        Rule::Routine
    }
}

/// Strict output and work of several steps want the most precise model.
fn wanted(need: &Need) -> Role {
    if need.work == Work::Completion {
        Role::Completion
    } else if need.output.is_strict() || need.steps > 1 || need.work.needs_frontier() {
        Role::HighPrecision
    } else {
        Role::Default
    }
}

struct Choosing<'a> {
    need: &'a Need,
    limits: Limits,
    offers: &'a Offers,
    role: Role,
}

impl Choosing<'_> {
    fn machine(&self) -> Option<Rung> {
        let offer = self.offers.machine.get(self.role).as_ref().ok()?;
        Some(self.local(Tier::ThisMachine, offer))
    }

    fn network(&self) -> Option<Rung> {
        let offer = self.offers.network.get(self.role).as_ref()?;
        Some(self.local(Tier::PrivateNetwork, offer))
    }

    fn local(&self, tier: Tier, offer: &Offer) -> Rung {
        // A completion's context is cut to what fits.
        let fits = self.need.work == Work::Completion || self.need.context <= self.room(offer);
        let manner = if fits { Manner::Whole } else { Manner::Parts };
        Rung { tier, manner, offer: offer.clone() }
    }

    fn room(&self, offer: &Offer) -> usize {
        offer.room.map_or(self.limits.context, |room| room.min(self.limits.context))
    }

    fn clouds(&self, may: impl Fn(&CloudOffer) -> bool) -> impl Iterator<Item = Rung> {
        self.offers.clouds.iter().filter(move |cloud| cloud.well && may(cloud)).map(|cloud| Rung {
            tier: Tier::Cloud,
            manner: Manner::Whole,
            offer: cloud.offer.clone(),
        })
    }

    /// The nearest first.
    fn near(&self) -> Vec<Rung> {
        let network = self.network().filter(|_| self.need.work != Work::Completion);
        let mut rungs: Vec<Rung> = self.machine().into_iter().chain(network).collect();
        if self.need.output.is_strict() {
            // A model that is too coarse for strict output comes after one that is not.
            rungs.sort_by_key(|rung| is_coarse(&rung.offer));
        }
        if self.need.work.may_go_up() {
            rungs.extend(self.clouds(|cloud| cloud.standing == Standing::Allowed));
        }
        rungs
    }

    /// Clouds first; and why not, where none can be asked.
    fn up(&self, rule: &Rule) -> (Vec<Rung>, Option<&'static str>) {
        let mut rungs: Vec<Rung> = self.clouds(|cloud| cloud.standing != Standing::Never).collect();
        let aside = if !rungs.is_empty() {
            None
        } else if self.offers.clouds.is_empty() {
            Some("no cloud is set up (router.cloud)")
        } else if self.offers.clouds.iter().all(|cloud| cloud.standing == Standing::Never) {
            Some("sending to a cloud was declined for this workspace")
        } else {
            Some("no cloud is well")
        };
        let network = self.network();
        let holds_all = |rung: &Rung| rung.offer.room.is_some_and(|room| room >= self.need.context);
        if *rule == Rule::Context
            && let Some(mut near) = network.clone().filter(holds_all)
        {
            // The private network is near, and has the room.
            near.manner = Manner::Whole;
            rungs.insert(0, near);
            rungs.extend(self.machine());
            return (rungs, None);
        }
        rungs.extend(network);
        rungs.extend(self.machine());
        (rungs, aside)
    }

    fn why(&self, rule: &Rule, first: &Rung, aside: Option<&str>) -> String {
        let mut why = self.reason(rule);
        if let Some(aside) = aside {
            let _ = write!(why, "; {aside}, so it stays {}", at(first.tier));
        }
        if first.manner == Manner::Parts {
            let room = self.room(&first.offer);
            let _ = write!(why, "; {room} tokens fit at once, so it is done in parts");
        }
        let for_what = match self.role {
            _ if first.tier == Tier::Cloud => "",
            Role::Completion => ", which completes code",
            Role::Default => ", which follows instructions",
            Role::HighPrecision if self.need.output.is_strict() => {
                ", the most precise one, as the output is strict"
            }
            Role::HighPrecision => ", the most precise one",
        };
        let Offer { place, model, quantization, .. } = &first.offer;
        let quantized = quantization.as_ref().map(|it| format!(" ({it})")).unwrap_or_default();
        let _ = write!(why, ": {model}{quantized} at {place}{for_what}");
        if self.need.output.is_strict() && is_coarse(&first.offer) {
            why.push_str(", though coarse for that");
        }
        why
    }

    fn reason(&self, rule: &Rule) -> String {
        let Need { work, context, steps, .. } = self.need;
        match rule {
            Rule::Private(private) => format!("it stays on this machine, as {private}"),
            Rule::SentUp => "it was sent up for this run".to_owned(),
            Rule::Context => format!(
                "its {context} tokens are more than the {} of router.thresholds.max_local_context_tokens, and {work} cannot be done in parts",
                self.limits.context
            ),
            Rule::Steps => format!(
                "its {steps} tool calls are more than the {} of router.thresholds.max_tool_chain_length",
                self.limits.steps
            ),
            Rule::Frontier => format!("{work} needs a frontier model"),
            Rule::Routine => format!("{work} is routine work"),
            Rule::Unknown => "nothing says that it needs more than a local model".to_owned(),
        }
    }

    fn why_nobody(&self, rule: &Rule) -> String {
        let none = match self.offers.machine.get(self.role) {
            Err(none) => none.as_str(),
            Ok(_) => "no model can be asked",
        };
        match rule {
            Rule::Private(private) => {
                format!("{none}; and nobody else is asked, as {private}")
            }
            _ => none.to_owned(),
        }
    }
}

fn is_coarse(offer: &Offer) -> bool {
    offer.bits.is_some_and(|bits| bits < FEWEST_BITS)
}

fn at(tier: Tier) -> &'static str {
    match tier {
        Tier::ThisMachine => "on this machine",
        Tier::PrivateNetwork => "on the private network",
        Tier::Cloud => "in the cloud",
    }
}

impl fmt::Display for Manner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole => "at once",
            Self::Parts => "in parts",
        })
    }
}
