//! The one owner of a document's generation.

use super::ByteEdit;

/// Holds a document's running generation and its last result.
#[derive(Debug, Default)]
pub struct Owner {}

impl Owner {
    /// Called for every edit, in order, on the read loop, before anything else sees the new text.
    /// Stops the running generation at once if `inserted` disagrees with what it has produced.
    pub fn edited(&self, _edit: ByteEdit, _inserted: &str) {}
}
