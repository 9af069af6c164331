//! What a user asks for. A task says what it needs and never names a provider.

pub mod complete;
pub mod desk;
pub mod preview;

pub use complete::{Answer, Audience, complete, unasked};
pub use desk::{Desk, Report};
pub use preview::{Preview, preview};
