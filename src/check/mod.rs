//! Whether a text holds. Knows source text and trees, not models.

pub mod fit;
mod gate;

pub use fit::{Place, Surroundings, Unfit};

use gate::Gate;
