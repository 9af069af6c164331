//! Where the user has just been: what was edited or looked at a moment ago is what the next line is
//! likely to be about, in whatever file that stands.
//!
//! Keeps places of texts that are open anyway, and copies none of them.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use ropey::Rope;

/// Places that are remembered.
const PLACES: usize = 6;

/// Lines within which one is still at the same place.
const SAME: usize = 12;

/// A place where the user has been.
#[derive(Debug, Clone)]
pub struct Visit {
    pub path: Arc<Path>,
    /// The document as it was.
    pub text: Rope,
    /// From 0.
    pub line_idx: usize,
}

/// The last places, the latest first.
#[derive(Debug, Default)]
pub struct Trail {
    visits: Mutex<VecDeque<Visit>>,
}

impl Trail {
    /// The user is at byte `offset` of `text` now.
    pub fn visit(&self, path: &Arc<Path>, text: &Rope, offset: usize) {
        let line_idx = text.byte_to_line(offset.min(text.len_bytes()));
        let mut visits = self.visits.lock().unwrap_or_else(PoisonError::into_inner);
        visits.retain(|before| before.path != *path || before.line_idx.abs_diff(line_idx) > SAME);
        visits.push_front(Visit { path: Arc::clone(path), text: text.clone(), line_idx });
        visits.truncate(PLACES);
    }

    /// The last places in other files than `path`.
    pub fn elsewhere(&self, path: Option<&Path>) -> Vec<Visit> {
        let visits = self.visits.lock().unwrap_or_else(PoisonError::into_inner);
        visits.iter().filter(|visit| Some(&*visit.path) != path).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_remembered_once_and_the_last_ones_only() {
        let trail = Trail::default();
        let text = Rope::from_str(&"line\n".repeat(100));
        let (a, b): (Arc<Path>, Arc<Path>) = (Path::new("a").into(), Path::new("b").into());
        for line in [0, 3, 50, 52] {
            trail.visit(&a, &text, line * 5);
        }
        trail.visit(&b, &text, 500);
        trail.visit(&b, &text, 9_999);
        let lines = |path: Option<&Path>| -> Vec<usize> {
            trail.elsewhere(path).iter().map(|visit| visit.line_idx).collect()
        };
        assert_eq!(lines(Some(&b)), [52, 3]);
        assert_eq!(lines(None), [100, 52, 3]);
        for line in 0..9 {
            trail.visit(&a, &text, line * 65);
        }
        assert_eq!(lines(None).len(), PLACES);
    }
}
