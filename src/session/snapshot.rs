//! A document at one moment. Cheap to take and to clone, valid for ever.

use std::{path::Path, sync::Arc};

use ropey::Rope;
use tree_sitter::Tree;

use super::{HoldCell, Owner, document::splice};
use crate::syntax::Language;

/// A document at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// As the editor spells it.
    pub uri: Arc<str>,
    /// `None` for a buffer without a file.
    pub path: Option<Arc<Path>>,
    /// From the innermost workspace folder, with `/`.
    pub relative_path: Arc<str>,
    /// The editor's identifier of the language.
    pub language_id: Arc<str>,
    /// `None` for a language without a grammar.
    pub language: Option<&'static Language>,
    /// The editor's count.
    pub version: i32,
    pub text: Rope,
    /// The last tree, shifted by the edits since: its bytes fit `text`, its shape may lag behind.
    /// `None` before the first parse has ended, without a grammar and for very large documents.
    pub tree: Option<Tree>,
    /// Of this document's generation.
    pub owner: Arc<Owner>,
    /// Where the prompt's window is held while one types.
    pub hold: HoldCell,
}

impl Snapshot {
    /// The document as it would be with `inserted` at byte `offset`, its tree shifted as by an edit.
    /// `None` when that is not between two characters.
    pub fn supposing(&self, offset: usize, inserted: &str) -> Option<Self> {
        self.text.get_byte_slice(..offset)?;
        let mut supposed = self.clone();
        let old_len = supposed.text.len_bytes();
        let (edit, _) =
            splice(&mut supposed.text, supposed.tree.as_mut(), offset..offset, inserted);
        supposed.hold = self.hold.detached();
        supposed.hold.edited(edit, old_len);
        Some(supposed)
    }
}
