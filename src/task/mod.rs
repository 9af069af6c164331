//! What a user asks for. A task says what it needs and never names a provider.

mod candidates;
pub mod complete;
pub mod desk;
mod generation;
pub mod queue;
mod quiet;
mod speed;

pub use complete::{Answer, Audience, ask, complete};
pub use desk::{Desk, Report};
pub use generation::unasked;
pub use speed::Speed;
