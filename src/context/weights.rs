//! What [`super::rank::FEATURES`] weigh: made by `cargo bench --bench recall -- --fit`, not by hand.

use super::rank::FEATURES;

/// In the order of [`FEATURES`].
pub(super) const WEIGHTS: [f32; FEATURES.len()] = [
    -6.0, 1.5, 1.5, 1.5, 0.5, 0.2, 0.5, 1.0, 1.0, 0.0, 1.0, 1.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
    0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.0, 0.0, 0.0, 0.3, 0.3, -2.0,
    0.5, 0.5, 0.0, 0.5, 0.5, 0.0, -0.5, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
];
