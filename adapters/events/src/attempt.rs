//! How a batch with a failing event in it is cut, so that everything else in it has its effect: pure.

use std::{
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use contract::{Answer, Fault, NotExecuted, Reason};

/// One try to commit a stretch of a batch.
///
/// Invariant: with a `poison` the stretch ends with the event that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// The events, by their place in the batch; never empty.
    pub range: Range<usize>,
    /// Why the last of them is to be parked instead of applied.
    pub poison: Option<String>,
}

/// Why a transaction gave itself up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Halt {
    /// The cursor does not stand where it was read: another process went on, or an operator moved it.
    Superseded,
    /// No room for one more parked event.
    Full,
    /// The handler refused this event.
    Poisoned {
        /// Its place in the batch.
        index: usize,
        /// Why.
        error: String,
    },
}

/// What comes after a try.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<T> {
    /// It stands.
    Done(T),
    /// Nothing stands: this instead.
    Again(Attempt),
    /// Nothing more can be done now.
    Give(Undelivered),
}

/// Why a stretch of events had no effect, through no fault of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Undelivered {
    /// Read the cursor again.
    Superseded,
    /// Wait until an operator has made room.
    Full,
    /// The same again, later.
    Away(NotExecuted),
    /// It may stand or not: read the cursor again.
    Unclear,
}

/// Where a transaction is, seen from outside it, so that a panic or a broken constraint can be blamed on one event.
#[derive(Debug)]
pub(crate) struct Progress {
    index: AtomicUsize,
    error: Mutex<Option<String>>,
}

/// Between events: the transaction's own statements and its commit.
const NOWHERE: usize = usize::MAX;

impl Progress {
    pub fn new() -> Self {
        Self { index: AtomicUsize::new(NOWHERE), error: Mutex::new(None) }
    }

    /// The handler has this event in hand.
    pub fn enter(&self, index: usize) {
        self.index.store(index, Ordering::Release);
    }

    /// The handler is done with it.
    pub fn leave(&self) {
        self.index.store(NOWHERE, Ordering::Release);
    }

    /// Keeps the error that the handler met; the store tells its callers less about it.
    pub fn fail(&self, error: String) {
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    fn blamed(&self) -> Option<usize> {
        Some(self.index.load(Ordering::Acquire)).filter(|index| *index != NOWHERE)
    }

    fn error(&self) -> Option<String> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Attempt {
    /// Everything.
    pub fn all(range: Range<usize>) -> Self {
        Self { range, poison: None }
    }

    /// The same up to the failing event, which is parked. What follows it is the next stretch: each failing event
    /// costs one transaction that is rolled back, and the whole never more than twice the work.
    fn park(&self, index: usize, error: String) -> Self {
        Self { range: self.range.start..index + 1, poison: Some(error) }
    }

    /// What comes after this try ended in `answer`. A failure that no event is to blame for is met with a stretch of
    /// one, so that a second one says which event it is.
    pub fn after<T>(&self, answer: Answer<T, Halt>, progress: &Progress) -> Next<T> {
        let refused = match answer {
            Ok(done) => return Next::Done(done),
            Err(Fault::Refused(Halt::Superseded)) => return Next::Give(Undelivered::Superseded),
            Err(Fault::Refused(Halt::Full)) => return Next::Give(Undelivered::Full),
            Err(Fault::Refused(Halt::Poisoned { index, error })) => {
                return Next::Again(self.park(index, error));
            }
            Err(Fault::Unknown(_)) => return Next::Give(Undelivered::Unclear),
            Err(Fault::NotExecuted(refused)) => refused,
        };
        if refused.reason != Reason::Failed {
            return Next::Give(Undelivered::Away(refused));
        }
        match progress.blamed() {
            Some(index) => {
                Next::Again(self.park(index, progress.error().unwrap_or(refused.detail)))
            }
            None if self.poison.is_some() => Next::Give(Undelivered::Away(refused)),
            None if self.range.len() > 1 => {
                Next::Again(Self::all(self.range.start..self.range.start + 1))
            }
            None => Next::Again(self.park(self.range.start, refused.detail)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> Answer<(), Halt> {
        Err(Fault::not_executed(Reason::Failed, "failed"))
    }

    fn parked(range: Range<usize>, error: &str) -> Next<()> {
        Next::Again(Attempt { range, poison: Some(error.into()) })
    }

    #[test]
    fn a_poisoned_event_ends_the_stretch_and_is_parked() {
        let refused = Err(Fault::Refused(Halt::Poisoned { index: 7, error: "bad".into() }));
        let next: Next<()> = Attempt::all(3..20).after(refused, &Progress::new());
        assert_eq!(next, parked(3..8, "bad"));
    }

    #[test]
    fn a_panic_or_a_broken_constraint_is_blamed_on_the_event_in_hand() {
        let progress = Progress::new();
        progress.enter(5);
        assert_eq!(Attempt::all(3..20).after(failed(), &progress), parked(3..6, "failed"));
        progress.fail("CHECK".into());
        assert_eq!(Attempt::all(3..20).after(failed(), &progress), parked(3..6, "CHECK"));
    }

    #[test]
    fn a_failing_commit_is_narrowed_down_to_one_event() {
        let progress = Progress::new();
        let one = Attempt::all(3..4);
        assert_eq!(Attempt::all(3..20).after(failed(), &progress), Next::Again(one.clone()));
        assert_eq!(one.after(failed(), &progress), parked(3..4, "failed"));
        let poison = Attempt { range: 3..4, poison: Some("failed".into()) };
        assert!(
            matches!(poison.after(failed(), &progress), Next::Give(Undelivered::Away(_))),
            "parking fails too"
        );
    }

    #[test]
    fn a_database_that_is_away_is_no_events_fault() {
        let progress = Progress::new();
        progress.enter(5);
        for reason in [Reason::Unavailable, Reason::Moved, Reason::DeadlinePassed] {
            let away: Answer<(), Halt> = Err(Fault::not_executed(reason, "away"));
            assert!(matches!(
                Attempt::all(3..20).after(away, &progress),
                Next::Give(Undelivered::Away(_))
            ));
        }
        let unknown: Answer<(), Halt> = Err(Fault::unknown("lost"));
        assert_eq!(Attempt::all(3..20).after(unknown, &progress), Next::Give(Undelivered::Unclear));
    }
}
