//! The bounds of subscriptions, and the waits between tries.

use std::time::Duration;

/// How far a subscription goes. Each limit says why it is there.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Events in one transaction: enough that the commit's cost is shared, few enough that the writer of the module
    /// is not kept from its callers for long.
    pub batch: u32,
    /// How long a process keeps a subscription after its last step. It is how long the others wait after a crash,
    /// unless they know by a lock that it is dead ([`Store::alone`](::store::Store::alone)).
    pub lease: Duration,
    /// Tries of one event before an operator must look: with the waits below about half an hour, longer than the
    /// restart of a module that an effect needs.
    pub attempts_max: u32,
    /// The wait after the first try.
    pub wait_min: Duration,
    /// The longest wait: what heals is noticed within it.
    pub wait_max: Duration,
    /// Rows that one subscription may have parked and dead. Beyond it the subscription stands still instead of
    /// filling the module's database with what it cannot apply.
    pub parked_max: u64,
    /// Events of one parked key that are given their effect in one transaction.
    pub drain: u32,
    /// How often to look for what nothing announces: tries that became due, an operator's word, a lease that ended.
    pub poll: Duration,
    /// One read or write of the module's own database.
    pub call: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            batch: 256,
            lease: Duration::from_secs(5),
            attempts_max: 16,
            wait_min: Duration::from_millis(100),
            wait_max: Duration::from_secs(300),
            parked_max: 10_000,
            drain: 100,
            poll: Duration::from_secs(1),
            call: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// How long to wait after so many tries: doubles up to the longest, then between half and all of it, spread by the
    /// position, so that keys which failed together do not come back together.
    pub(crate) fn wait(&self, attempts: u32, position: u64) -> Duration {
        let doublings = attempts.saturating_sub(1).min(20);
        let whole = self.wait_min.saturating_mul(1 << doublings).min(self.wait_max);
        let half = whole / 2;
        let spread = u32::try_from(position.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54)
            .expect("ten bits remain");
        half + half.mul_f64(f64::from(spread) / 1024.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let limits = Limits::default();
        for attempts in 1..=limits.attempts_max {
            let whole =
                limits.wait_min.saturating_mul(1 << (attempts - 1).min(20)).min(limits.wait_max);
            for position in 1..50 {
                let wait = limits.wait(attempts, position);
                assert!((whole / 2..=whole).contains(&wait), "{attempts}, {position}: {wait:?}");
            }
        }
    }
}
