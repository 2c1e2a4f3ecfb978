//! The time that all workers and the health checks count by.

use std::time::{Duration, Instant};

/// Milliseconds since the engine started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Tick(u64);

impl Tick {
    /// A deadline that is never reached.
    pub const NEVER: Self = Self(u64::MAX);

    /// So many milliseconds after the start.
    pub const fn of(millis: u64) -> Self {
        Self(millis)
    }

    /// What the clock says in an engine that started then.
    pub fn at(now: Instant, started: Instant) -> Self {
        let since = now.saturating_duration_since(started).as_millis();
        Self(u64::try_from(since).unwrap_or(u64::MAX))
    }

    /// The milliseconds.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// So much later.
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long until then; nothing where it has passed.
    pub fn until(self, later: Self) -> Duration {
        Duration::from_millis(later.0.saturating_sub(self.0))
    }
}

/// Whole seconds for `Retry-After`: rounded up, and at least one.
pub fn seconds(wait: Duration) -> u32 {
    let whole = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    u32::try_from(whole).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Tick, seconds};

    #[test]
    fn a_wait_is_told_in_whole_seconds_and_never_as_none() {
        for (millis, told) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (5000, 5)] {
            assert_eq!(seconds(Duration::from_millis(millis)), told, "{millis}");
        }
        assert_eq!(Tick::of(5).until(Tick::of(3)), Duration::ZERO);
    }
}
