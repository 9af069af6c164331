//! Whose turn it is at a model: no slot of a server ever runs two generations of ours, and what a
//! user waits for goes before what might be of use.
//!
//! Completions that nobody waits for any more give their turn to the next one; work that a user has
//! asked for in so many words (a refactor, an analysis) keeps its turn until it is done.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// What a turn is for, the most urgent last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Computing what a later prompt begins with.
    Prefill,
    /// What may be asked for next.
    Ahead,
    /// A task that was asked for and takes its time.
    Work,
    /// A completion that somebody waits for.
    Foreground,
}

/// The slots of one model.
#[derive(Debug, Default)]
pub struct Queue {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    running: Vec<Entry>,
    waiting: Vec<Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    number: u64,
    rank: Rank,
    /// It has to go: a more urgent one waits.
    called: bool,
}

impl Queue {
    /// Waits for a turn at a model with `slots` slots. Among those of one rank the newest goes first:
    /// a user has one cursor.
    pub async fn enter(self: &Arc<Self>, rank: Rank, slots: usize) -> Turn {
        let number = {
            let mut state = self.lock();
            state.next += 1;
            let number = state.next;
            state.waiting.push(Entry { number, rank, called: false });
            number
        };
        let turn = Turn { queue: Arc::clone(self), number };
        let mut changed = self.changed.subscribe();
        while !self.admit(number, slots.max(1)) {
            // The sender lives in the queue, which the turn holds.
            let _ = changed.changed().await;
        }
        turn
    }

    /// A turn, unless somebody has it, or wants it as urgently.
    pub fn try_enter(self: &Arc<Self>, rank: Rank, slots: usize) -> Option<Turn> {
        let mut state = self.lock();
        let wanted = state.waiting.iter().any(|waiting| waiting.rank >= rank);
        if state.running.len() >= slots.max(1) || wanted {
            return None;
        }
        state.next += 1;
        let number = state.next;
        state.running.push(Entry { number, rank, called: false });
        Some(Turn { queue: Arc::clone(self), number })
    }

    /// Generations that run now.
    pub fn running(&self) -> usize {
        self.lock().running.len()
    }

    /// Whether `number` may run. Where it may not, the least urgent that runs is called back.
    fn admit(&self, number: u64, slots: usize) -> bool {
        let mut state = self.lock();
        let first = state.waiting.iter().max_by_key(|entry| (entry.rank, entry.number)).copied();
        let Some(entry) = first.filter(|first| first.number == number) else { return false };
        if state.running.len() < slots {
            state.waiting.retain(|waiting| waiting.number != number);
            state.running.push(entry);
            drop(state);
            // Whoever waits may be more urgent than this one.
            self.changed.send_replace(());
            return true;
        }
        let gives_way = |running: &&mut Entry| {
            running.rank < entry.rank && running.rank != Rank::Work
                || running.rank == Rank::Foreground && entry.rank == Rank::Foreground
        };
        let enough = state.running.iter().any(|running| running.called);
        let least = state.running.iter_mut().filter(gives_way).min_by_key(|entry| entry.rank);
        if let Some(least) = least.filter(|_| !enough) {
            least.called = true;
            drop(state);
            self.changed.send_replace(());
        }
        false
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to run one generation; given back when dropped.
#[derive(Debug)]
pub struct Turn {
    queue: Arc<Queue>,
    number: u64,
}

impl Turn {
    /// From now on this is less urgent, or more.
    pub fn rank(&self, rank: Rank) {
        let mut state = self.queue.lock();
        if let Some(entry) = state.running.iter_mut().find(|entry| entry.number == self.number) {
            entry.rank = rank;
        }
        drop(state);
        self.queue.changed.send_replace(());
    }

    /// Waits until somebody more urgent needs the slot: stop, and drop the turn.
    pub async fn called_back(&self) {
        let mut changed = self.queue.changed.subscribe();
        loop {
            let called = |entry: &Entry| entry.number == self.number && entry.called;
            if self.queue.lock().running.iter().any(called) {
                return;
            }
            let _ = changed.changed().await;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.running.retain(|entry| entry.number != self.number);
        state.waiting.retain(|entry| entry.number != self.number);
        drop(state);
        self.queue.changed.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_at_a_time_and_the_newest_first() {
        let queue = Arc::new(Queue::default());
        let first = queue.enter(Rank::Work, 1).await;
        let mut second = Box::pin(queue.enter(Rank::Foreground, 1));
        let mut third = Box::pin(queue.enter(Rank::Foreground, 1));
        assert!((&mut second).now_or_never().is_none());
        assert!((&mut third).now_or_never().is_none());
        assert!(first.called_back().now_or_never().is_none(), "work is done in peace");
        drop(first);
        assert!((&mut second).now_or_never().is_none());
        let third = third.await;
        assert_eq!(queue.running(), 1);
        assert!((&mut second).now_or_never().is_none());
        third.called_back().await;
        drop(third);
        second.await;
    }

    #[tokio::test]
    async fn what_is_ahead_gives_way_and_waits() {
        let queue = Arc::new(Queue::default());
        let ahead = queue.enter(Rank::Ahead, 1).await;
        let mut foreground = Box::pin(queue.enter(Rank::Foreground, 1));
        assert!((&mut foreground).now_or_never().is_none(), "never two in one slot");
        ahead.called_back().await;
        drop(ahead);
        let foreground = foreground.await;
        let mut ahead = Box::pin(queue.enter(Rank::Ahead, 1));
        assert!((&mut ahead).now_or_never().is_none());
        assert!(foreground.called_back().now_or_never().is_none());
        drop(foreground);
        ahead.await;
    }

    #[tokio::test]
    async fn a_turn_that_becomes_less_urgent_gives_way() {
        let queue = Arc::new(Queue::default());
        let turn = queue.enter(Rank::Foreground, 1).await;
        turn.rank(Rank::Ahead);
        let mut prefill = Box::pin(queue.enter(Rank::Prefill, 1));
        assert!((&mut prefill).now_or_never().is_none());
        assert!(turn.called_back().now_or_never().is_none());
        let mut foreground = Box::pin(queue.enter(Rank::Foreground, 1));
        assert!((&mut foreground).now_or_never().is_none());
        turn.called_back().await;
        drop(turn);
        foreground.await;
    }

    #[tokio::test]
    async fn who_gives_up_waiting_is_forgotten() {
        let queue = Arc::new(Queue::default());
        let turn = queue.enter(Rank::Work, 1).await;
        let mut gone = Box::pin(queue.enter(Rank::Foreground, 1));
        assert!((&mut gone).now_or_never().is_none());
        drop(gone);
        drop(turn);
        queue.enter(Rank::Prefill, 1).await;
    }

    #[tokio::test]
    async fn slots_run_side_by_side() {
        let queue = Arc::new(Queue::default());
        let _first = queue.enter(Rank::Work, 2).await;
        let _second = queue.enter(Rank::Foreground, 2).await;
        assert_eq!(queue.running(), 2);
    }
}
