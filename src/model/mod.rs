//! How a model is asked: templates, token counts, wire formats, a file a provider.

pub mod fim;
mod segment;

pub use segment::Segment;
