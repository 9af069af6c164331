//! Whether a text holds. Knows source text and trees, not models.

pub mod fit;
pub mod gate;

pub use fit::{Place, Unfit, fit};
pub use gate::Gate;
