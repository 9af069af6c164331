//! Open documents and what is going on in them. Knows text and time, not how models are asked.

pub mod owner;
pub mod task;

/// One edit of a document's text, in bytes of the text before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteEdit {
    pub start: usize,
    pub old_end: usize,
    /// End of the inserted text, in bytes of the text after the edit.
    pub new_end: usize,
}
