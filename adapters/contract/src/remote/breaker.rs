//! The circuit breaker: a module that does not answer is left alone for a while.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::Deadline;

/// Opens after `failures_max` tries in a row without an answer; after `open` it lets one probe through.
#[derive(Debug)]
pub(crate) struct Breaker {
    failures_max: u32,
    open: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Deadline,
    },
    /// One probe is on its way; everybody else waits for its outcome.
    Probing,
}

/// Leave to try. Dropped without a word (the caller gave up), it changes nothing but frees the probe's place.
#[must_use]
pub(crate) struct Leave<'b> {
    breaker: &'b Breaker,
    probe: bool,
}

impl Breaker {
    pub(crate) fn new(failures_max: u32, open: Duration) -> Self {
        Self { failures_max, open, state: Mutex::new(State::Closed { failures: 0 }) }
    }

    /// Leave to try, or how long to wait.
    pub(crate) fn admit(&self) -> Result<Leave<'_>, Duration> {
        let mut state = self.state();
        match *state {
            State::Closed { .. } => Ok(Leave { breaker: self, probe: false }),
            State::Open { until } => {
                let wait = until.remaining();
                if wait.is_zero() {
                    *state = State::Probing;
                    return Ok(Leave { breaker: self, probe: true });
                }
                Err(wait)
            }
            State::Probing => Err(self.open),
        }
    }

    /// A panic while it is held leaves a whole state.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Leave<'_> {
    /// There was an answer, whichever.
    pub(crate) fn answered(mut self) {
        self.probe = false;
        *self.breaker.state() = State::Closed { failures: 0 };
    }

    /// There was none.
    pub(crate) fn silent(mut self) {
        let mut state = self.breaker.state();
        let opens = match &mut *state {
            State::Closed { failures } => {
                *failures += 1;
                *failures >= self.breaker.failures_max
            }
            // A try that began before it opened says nothing new.
            State::Open { .. } | State::Probing => self.probe,
        };
        if opens {
            *state = State::Open { until: Deadline::within(self.breaker.open) };
        }
        drop(state);
        self.probe = false;
    }
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let mut state = self.breaker.state();
        // An answer to an older try may have closed it meanwhile, which a probe that was given up does not undo.
        if self.probe && matches!(*state, State::Probing) {
            *state = State::Open { until: Deadline::within(Duration::ZERO) };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Breaker;

    fn opened(open: Duration) -> Breaker {
        let breaker = Breaker::new(2, open);
        for _ in 0..2 {
            breaker.admit().expect("closed until the second silence").silent();
        }
        breaker
    }

    #[test]
    fn opens_after_so_many_in_a_row() {
        assert!(opened(Duration::from_secs(60)).admit().is_err());
        let breaker = Breaker::new(2, Duration::from_secs(60));
        for _ in 0..3 {
            breaker.admit().expect("an answer lies between").silent();
            breaker.admit().expect("one in a row").answered();
        }
    }

    #[test]
    fn one_probe_decides() {
        let breaker = opened(Duration::ZERO);
        let probe = breaker.admit().expect("it is time for a probe");
        assert!(breaker.admit().is_err(), "one probe at a time");
        drop(probe);
        let probe = breaker.admit().expect("a probe that was given up frees its place");
        probe.silent();
        breaker.admit().expect("the next probe").answered();
        let _first = breaker.admit().expect("closed");
        let _second = breaker.admit().expect("closed for all");
    }

    #[test]
    fn a_probe_that_is_given_up_opens_nothing() {
        let breaker = Breaker::new(1, Duration::ZERO);
        let older = breaker.admit().expect("closed");
        breaker.admit().expect("closed").silent();
        let probe = breaker.admit().expect("it is time for a probe");
        older.answered();
        drop(probe);
        let _first = breaker.admit().expect("closed by the older answer");
        let _second = breaker.admit().expect("closed for all");
    }

    #[test]
    fn it_may_stay_open_for_ever() {
        let wait = opened(Duration::MAX).admit().err();
        assert!(wait > Some(Duration::from_secs(3600)));
    }
}
