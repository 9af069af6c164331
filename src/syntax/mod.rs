//! What is read off syntax trees.

pub mod skeleton;
