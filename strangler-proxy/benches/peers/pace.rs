//! When requests are sent: as fast as the answers come, or at a rate.
//!
//! A request that is late counts from when it was due: else a proxy that stalls would be asked nothing meanwhile, and its stall
//! would count once.

use std::time::{Duration, Instant};

/// The pace of a load.
pub struct Pace {
    /// In a second; 0: as fast as the answers come.
    rate: u64,
    started: Instant,
    begun: u64,
    left: u64,
}

impl Pace {
    /// Of so many requests.
    pub fn new(rate: u64, requests: u64) -> Self {
        Self { rate, started: Instant::now(), begun: 0, left: requests }
    }

    /// How long nothing is due; nothing where that depends on answers only.
    pub fn wait(&self) -> Option<Duration> {
        let waits = self.rate > 0 && self.left > 0;
        waits.then(|| self.due().saturating_duration_since(Instant::now()))
    }

    /// The time from which the next request counts, where it is to be sent now.
    pub fn next(&mut self) -> Option<Instant> {
        let now = Instant::now();
        let from = if self.rate == 0 { now } else { self.due() };
        if self.left == 0 || from > now {
            return None;
        }
        (self.begun, self.left) = (self.begun + 1, self.left - 1);
        Some(from)
    }

    /// By whole milliseconds, which is as finely as the event loop waits.
    fn due(&self) -> Instant {
        self.started + Duration::from_millis(self.begun * 1000 / self.rate)
    }
}
