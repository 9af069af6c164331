//! A change of one item, asked for in words and shown only after it held.
//!
//! The model gets the item whole and answers it whole; the item's bytes are replaced, and imports are
//! added where the module has them. Each answer climbs the ladder of checks; what falls goes back to
//! the model with the rung's own message. What the user types meanwhile is kept: as long as the item
//! itself is untouched, the edit is moved onto the newer text, and checked there.
//!
//! Not a byte outside of the item and its module's imports is ever changed, and nothing is written to
//! disk.

pub mod action;
pub mod answer;
pub mod blocks;
pub(super) mod import_lines;
pub mod imports;
pub mod target;
mod work;

use std::{ops::Range, sync::Arc};

pub use action::Action;
pub use target::Target;

use self::work::{Stopped, Work};
use super::{
    ground::{Ground, Outcome, Progress},
    source::Source,
};
use crate::session::{Document, Snapshot};

/// What a user asks for.
#[derive(Debug, Clone)]
pub struct Request {
    pub document: Arc<Document>,
    /// The document when the user asked.
    pub snapshot: Snapshot,
    /// Bytes of the snapshot; empty for a cursor.
    pub selection: Range<usize>,
    pub action: Action,
    /// Whether a function's signature may change.
    pub free_signature: bool,
}

/// Changes an item. Dropping the future stops the model and the checks.
pub async fn refactor(ground: &Ground, request: &Request, progress: Progress<'_>) -> Outcome {
    let Some(source) = Source::of(&request.snapshot) else {
        return Outcome::Refused("there is no grammar for this language".to_owned());
    };
    let Some(target) = source.target(request.selection.clone()) else {
        return Outcome::Refused("there is no item here; select inside of one".to_owned());
    };
    let work = Work { ground, request, progress };
    let why = match work.item(&source, &target, &[]).await {
        Ok(edit) => return ground.settle(edit, progress).await,
        Err(Stopped::Large(room)) => match work.parts(&source, &target).await {
            Ok(Some(edit)) => return ground.settle(edit, progress).await,
            Ok(None) => {
                format!("the {} `{}` is too large: {room}", target.noun(), target.name)
            }
            Err(why) => why,
        },
        Err(Stopped::Fell { why, attempt: Some(attempt) }) => {
            return Outcome::Fell { why, attempt };
        }
        Err(Stopped::Fell { why, attempt: None } | Stopped::Failed(why)) => why,
    };
    Outcome::Refused(why)
}
