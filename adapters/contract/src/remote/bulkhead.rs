//! The bulkhead: one slow module holds so many callers and no more.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{NotExecuted, Reason};

/// So many calls at once, so many waiting, for so long.
#[derive(Debug)]
pub(crate) struct Bulkhead {
    places: Semaphore,
    waiting: AtomicUsize,
    waiting_max: usize,
    wait: Duration,
}

/// Counts itself among the waiting until it is dropped.
struct Waiting<'b>(&'b AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Bulkhead {
    pub(crate) fn new(places: usize, waiting_max: usize, wait: Duration) -> Self {
        let places = Semaphore::new(places.min(Semaphore::MAX_PERMITS));
        Self { places, waiting: AtomicUsize::new(0), waiting_max, wait }
    }

    /// A place, at once or after a bounded wait.
    pub(crate) async fn enter(
        &self,
        remaining: Duration,
    ) -> Result<SemaphorePermit<'_>, NotExecuted> {
        if let Ok(place) = self.places.try_acquire() {
            return Ok(place);
        }
        let full = |detail: &str| NotExecuted::new(Reason::Overloaded, detail).after(self.wait);
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.waiting_max {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(full("too many calls wait for the module"));
        }
        let _waiting = Waiting(&self.waiting);
        match tokio::time::timeout(self.wait.min(remaining), self.places.acquire()).await {
            Ok(place) => Ok(place.expect("nobody closes the semaphore")),
            Err(_elapsed) => Err(full("no place among the calls to the module in time")),
        }
    }
}
