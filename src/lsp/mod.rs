//! The edge to the protocol: what the client can do, what Hearth adds, and conversions.
//!
//! Used by `server` and `handlers` alone: everything below them speaks of text, paths and bytes.

pub mod client_caps;
pub mod convert;
pub mod ext;
pub mod outbox;

pub use client_caps::ClientCaps;
pub use outbox::Outbox;
