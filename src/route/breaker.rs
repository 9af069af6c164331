//! A circuit breaker: an endpoint that keeps failing is left alone for a while.
//!
//! Requests tell it how they went, and nothing else does: no text of an error is looked at. After
//! [`FAILURES`] in a row it opens; when the rest is over, one request is let through as a trial, and
//! how that goes decides.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Failures in a row that open it: one may be a restart, two a slow one.
pub const FAILURES: usize = 3;

#[derive(Debug)]
pub struct Breaker {
    rest: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Requests pass.
    Closed { failures: usize },
    /// None does before this moment.
    Open { until: Instant },
    /// One is on its way as a trial, since this moment.
    Trial { since: Instant },
}

impl Breaker {
    /// Closed. Once open, it rests for `rest`.
    pub fn new(rest: Duration) -> Self {
        Self { rest, state: Mutex::new(State::Closed { failures: 0 }) }
    }

    /// Whether a request would be let through. Changes nothing.
    pub fn is_well(&self) -> bool {
        self.lets_through(*self.state())
    }

    /// Lets a request through, or not.
    pub fn pass(&self) -> bool {
        let mut state = self.state();
        let well = self.lets_through(*state);
        if well && !matches!(*state, State::Closed { .. }) {
            *state = State::Trial { since: Instant::now() };
        }
        well
    }

    fn lets_through(&self, state: State) -> bool {
        match state {
            State::Closed { .. } => true,
            State::Open { until } => Instant::now() >= until,
            // A trial that never ended (its task was dropped) does not keep the door shut.
            State::Trial { since } => since.elapsed() >= self.rest,
        }
    }

    /// A request that was let through was answered, if only with a refusal of that very request.
    pub fn succeeded(&self) {
        *self.state() = State::Closed { failures: 0 };
    }

    /// A request that was let through failed by the endpoint's fault.
    pub fn failed(&self) {
        let mut state = self.state();
        let open = State::Open { until: Instant::now() + self.rest };
        *state = match *state {
            State::Closed { failures } if failures + 1 < FAILURES => {
                State::Closed { failures: failures + 1 }
            }
            // One that had passed before it opened.
            State::Open { until } if Instant::now() < until => State::Open { until },
            State::Closed { .. } | State::Trial { .. } | State::Open { .. } => open,
        };
    }

    /// A request that was let through went well, or was an outage.
    pub fn told(&self, outage: bool) {
        if outage { self.failed() } else { self.succeeded() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Duration = Duration::from_secs(30);

    fn open() -> Breaker {
        let breaker = Breaker::new(REST);
        for _ in 0..FAILURES {
            assert!(breaker.pass());
            breaker.failed();
        }
        breaker
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_failures_in_a_row_and_not_before() {
        let breaker = Breaker::new(REST);
        for _ in 0..5 {
            breaker.failed();
            breaker.failed();
            breaker.succeeded();
        }
        assert!(breaker.pass());
        assert!(!open().pass());
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_rest_one_trial_decides() {
        let breaker = open();
        tokio::time::advance(Duration::from_millis(29_999)).await;
        assert!(!breaker.pass());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(breaker.pass());
        assert!(!breaker.pass(), "a second one beside the trial");
        breaker.failed();
        assert!(!breaker.pass());
        tokio::time::advance(REST).await;
        assert!(breaker.pass());
        breaker.succeeded();
        assert!(breaker.pass() && breaker.pass());
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_after_the_rest_opens_it_again() {
        let breaker = open();
        breaker.failed();
        tokio::time::advance(REST).await;
        assert!(breaker.is_well());
        breaker.failed();
        assert!(!breaker.is_well());
    }

    #[tokio::test(start_paused = true)]
    async fn a_trial_that_was_given_up_is_forgotten() {
        let breaker = open();
        tokio::time::advance(REST).await;
        assert!(breaker.pass());
        tokio::time::advance(REST).await;
        assert!(breaker.pass());
    }
}
