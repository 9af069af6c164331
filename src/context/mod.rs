//! What the model sees.

pub mod layout;
