//! The engine's own threads.
//!
//! A rayon pool, because its idle threads sleep: a pool that spins at its barriers collapses as
//! soon as the user's compiler wants the same cores. Work for one thread never leaves it.

use std::ops::Range;

use rayon::prelude::*;

/// How many threads a piece of work may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Team {
    pub(crate) n_threads: usize,
}

impl Team {
    /// Calls `work` on ranges that cover `0..n_items`, each a multiple of `step` long but the
    /// last. Must be called inside the engine's pool.
    pub(crate) fn run(self, n_items: usize, step: usize, work: impl Fn(Range<usize>) + Sync) {
        if self.n_threads <= 1 || n_items <= step {
            work(0..n_items);
            return;
        }
        // Several pieces a thread, so that a thread whose core is taken away holds up nobody; for
        // small work as many pieces as threads, as each costs a hand-over.
        let n_pieces = if n_items >= 16 * step * self.n_threads { 4 } else { 1 } * self.n_threads;
        let piece = n_items.div_ceil(n_pieces).next_multiple_of(step);
        (0..n_items.div_ceil(piece))
            .into_par_iter()
            .with_max_len(1)
            .for_each(|i| work(i * piece..((i + 1) * piece).min(n_items)));
    }
}

/// A mutable slice that several threads write to, each its own elements.
#[derive(Clone, Copy)]
pub(crate) struct Shared<T>(*mut T, usize);

// SAFETY: it is only a pointer and a length; whoever makes slices of it promises disjointness.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    pub(crate) fn new(slice: &mut [T]) -> Self {
        Self(slice.as_mut_ptr(), slice.len())
    }

    /// # Safety
    /// No two threads may hold slices that overlap.
    #[allow(clippy::mut_from_ref, reason = "that is its purpose")]
    pub(crate) unsafe fn slice(&self, range: Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.1);
        // SAFETY: inside the slice this was made of; disjointness is the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(range.start), range.len()) }
    }
}
