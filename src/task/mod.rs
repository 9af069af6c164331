//! What a user asks for. A task says what it needs and never names a provider.

pub mod complete;
pub mod desk;
pub mod refactor;

pub use complete::{Answer, complete};
pub use desk::{Desk, Report};
