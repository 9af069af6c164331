//! The border: what may leave this machine, and the one place that can let it.
//!
//! ```text
//! Parcel (pieces that know where they come from, the user's words, a Destination)
//!   ──► Border::examine ──► Examined (a Manifest to show, standing consent or none)
//!   ──► Examined::seal(Consent) ──► Permit ──► a cloud provider's call
//! ```
//!
//! [`Border::clear`] goes the whole way.
//!
//! A cloud provider takes a [`&Permit`](Permit) and can send nothing but the text that the permit
//! owns, to no host but the one it names. A permit has no constructor outside of this room, so code
//! that would send without permission does not compile. Everything here fails closed: what cannot be
//! read, resolved, parsed or written down stays at home.
//!
//! This room never sends anything, asks the user only through [`User`], and never writes source text
//! anywhere: the audit log counts, it does not quote.

pub mod audit;
mod border;
mod consent;
mod exclude;
mod inspect;
mod manifest;
mod off_limits;
mod parcel;
mod permit;
mod piece;
mod redact;
mod refusal;
pub mod secrets;
mod trust;
mod user;

pub use border::{Border, Examined, Preview};
pub use consent::{Consent, Decisions, Standing};
pub use manifest::{FilePart, Manifest};
pub use off_limits::OffLimits;
pub use parcel::{Content, Destination, Parcel, Price, Role, Tool, ToolCall, Turn};
pub use permit::{Cleared, ClearedTurn, Permit};
pub use piece::{Origin, Piece};
pub use redact::Restorer;
pub use refusal::{Refusal, Withheld};
pub use trust::Trust;
pub use user::{Nobody, OneTask, User};
