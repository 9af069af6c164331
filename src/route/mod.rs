//! Who answers, and why: which models there are on this machine, on the private network and in
//! clouds, which of them is asked for which work, and who is asked when one does not answer.
//!
//! Knows what models can do, not how they are asked: it never sees a wire format, a prompt or a
//! document. It never takes a model that its server only relays for a local one, and no failure makes
//! a private task go farther than this machine.

pub mod breaker;
mod card;
pub mod clouds;
pub mod cluster;
pub mod discover;
pub mod fallback;
pub mod health;
pub mod need;
pub mod policy;
pub mod retry;
pub mod roles;
pub mod router;
pub mod structured;

pub use clouds::{Answer, CloudLine, Clouds};
pub use cluster::{Cluster, Lease};
pub use discover::{Search, Seen, Serving};
pub use fallback::{Asked, Failure, Followed, Unanswered};
pub use health::{Health, Pace, Probe, State};
pub use need::{Need, Output, Private, Work};
pub use policy::{Decision, Limits, Manner, Nobody, Offer, Rule, Rung, Standing};
pub use retry::{Attempt, GaveUp, Mistake, Retries, Setback, Witness, retry};
pub use roles::{Role, Roles, Wanted};
pub use router::Router;
pub use structured::Schema;
