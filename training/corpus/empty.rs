//! Cargo wants a target; this package exists only for its list of dependencies.
