//! What a user asks for. A task says what it needs and never names a provider.

pub mod analyze;
mod candidates;
mod chat;
pub mod complete;
pub mod desk;
pub mod edit;
pub mod explain;
mod gate;
mod generation;
pub mod ground;
pub mod hunk;
mod prefill;
pub mod preview;
mod question;
pub mod queue;
mod quiet;
pub mod reach;
pub mod refactor;
mod send;
pub mod source;
mod speed;
pub mod test;

pub use analyze::analyze;
pub use complete::{Answer, Audience, ask, complete};
pub use desk::{Desk, Report};
pub use edit::Edit;
pub use explain::explain;
pub use gate::unsure;
pub use ground::{Ground, Outcome, Stage};
pub use prefill::view;
pub use preview::{Preview, preview};
pub use reach::{Grounds, Reach, Wish};
pub use refactor::refactor;
pub use source::Source;
pub use speed::Speed;
pub use test::test;
