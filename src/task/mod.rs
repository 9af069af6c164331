//! What a user asks for. A task says what it needs and never names a provider.

mod chat;
pub mod complete;
pub mod desk;
pub mod edit;
pub mod explain;
pub mod ground;
pub mod hunk;
pub mod preview;
mod question;
pub mod refactor;
pub mod source;
pub mod test;

pub use complete::{Answer, Audience, complete, unasked};
pub use desk::{Desk, Report};
pub use edit::Edit;
pub use explain::explain;
pub use ground::{Ground, Outcome, Stage};
pub use preview::{Preview, preview};
pub use refactor::refactor;
pub use source::Source;
pub use test::test;
