//! Who answers, and why: which model servers run on this machine, which of their models is taken,
//! and whether it is well.
//!
//! Knows what models can do, not how they are asked: it never sees a wire format, a prompt or a
//! document, and it never takes a model that its server only relays.

pub mod discover;
pub mod health;
pub mod retry;
pub mod roles;
pub mod router;

pub use discover::{Search, Seen, Serving};
pub use health::{Health, Pace, Probe, State};
pub use retry::{Attempt, GaveUp, Mistake, Retries, Setback, retry};
pub use roles::{Role, Roles, Wanted};
pub use router::Router;
