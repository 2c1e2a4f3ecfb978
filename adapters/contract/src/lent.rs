//! A copy of a module's data that answers queries in the owner's place for a while.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::{Contract, Fault, Method, Outcome, binding::Context};

/// A copy of a module's data in this process, which the module's owner keeps fresh and lends for a moment at a time.
///
/// Invariant: an answer counts only if the copy stood without a break from before the question until after the answer. So
/// whoever takes it back may do with the data what it likes at once, and whoever stops prolonging it has it back in time,
/// also from a process that stood still: what was under way is asked of the owner instead.
pub struct Lent<C: ?Sized> {
    service: Arc<C>,
    made: Instant,
    /// Until when it stands: microseconds since `made`; [`TAKEN_BACK`] where it was taken back, which is for good.
    until: AtomicU64,
    answered: AtomicU64,
}

const TAKEN_BACK: u64 = u64::MAX;

impl<C: ?Sized> Lent<C> {
    /// The module over the copied data. It stands from when it is prolonged.
    pub fn new(service: Arc<C>) -> Arc<Self> {
        let (until, answered) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self { service, made: Instant::now(), until, answered })
    }

    /// It stands for so long from now on; false where it was taken back.
    pub fn prolong(&self, time: Duration) -> bool {
        let until = micros(self.made.elapsed().saturating_add(time));
        let prolonged = self.until.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |before| {
            (before != TAKEN_BACK).then_some(until)
        });
        prolonged.is_ok()
    }

    /// It stands no more, and never again.
    pub fn take_back(&self) {
        self.until.store(TAKEN_BACK, Ordering::SeqCst);
    }

    /// How many queries it has answered.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// How long it stands; nothing where it does not.
    fn stands(&self) -> Option<Duration> {
        let until = self.until.load(Ordering::SeqCst);
        let gone = micros(self.made.elapsed());
        (until != TAKEN_BACK && gone < until).then(|| Duration::from_micros(until - gone))
    }
}

impl<C: Contract + ?Sized> Lent<C> {
    /// What it says to a query; nothing where it does not stand, or cannot tell.
    pub(crate) async fn answer<M: Method<C>>(
        &self,
        context: &M::Context,
        argument: M::Argument,
    ) -> Option<Outcome<C, M>> {
        let time = self.stands()?;
        // Whom the module itself asks is asked where it is.
        let call = crate::Call { from_copy: false, ..context.call().clone() };
        let context = M::Context::from_parts(call, context.key().cloned())?;
        let asked = M::call(&self.service, &context, argument);
        // One that hangs is not waited for: there is somebody else to ask.
        let answer = tokio::time::timeout(time, asked).await.ok()?;
        let is_told = matches!(answer, Ok(_) | Err(Fault::Refused(_)));
        if !is_told || self.stands().is_none() {
            return None;
        }
        self.answered.fetch_add(1, Ordering::Relaxed);
        Some(answer)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX).min(TAKEN_BACK - 1)
}
