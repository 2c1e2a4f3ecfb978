//! The bounds of a runner, and the waits between tries.

use std::time::Duration;

use crate::SagaId;

/// How far a runner goes. Each limit says why it is there.
#[derive(Debug, Clone)]
pub struct Limits {
    /// One call of one step: longer is as good as no answer, so it ends as not known.
    pub step_timeout: Duration,
    /// How long a runner owns a saga without a sign of life. Longer than a step and its write, so that two runners
    /// rarely do the same work; short, since it is how long a killed process keeps its sagas waiting, unless the next
    /// one knows by a lock that it is dead ([`Store::alone`](::store::Store::alone)).
    pub lease: Duration,
    /// Tries of one step before an operator must look: with the waits below about 25 minutes, longer than a
    /// restart of whatever is away.
    pub attempts_max: u32,
    /// The wait after the first try.
    pub wait_min: Duration,
    /// The longest wait: what comes back is noticed within it.
    pub wait_max: Duration,
    /// Writes to one saga before it is called endless: a definition that goes in circles must not run for ever.
    pub revisions_max: u32,
    /// Sagas that the background runner drives at once: bounds its connections and what it asks of others.
    pub concurrency: usize,
    /// How often the background runner looks for what is due although nothing told it to.
    pub poll: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            step_timeout: Duration::from_secs(5),
            lease: Duration::from_secs(15),
            attempts_max: 32,
            wait_min: Duration::from_millis(50),
            wait_max: Duration::from_secs(60),
            revisions_max: 1000,
            concurrency: 16,
            poll: Duration::from_secs(1),
        }
    }
}

impl Limits {
    /// How long to wait after `attempts` tries (at least one): doubles up to the longest, then between half and all
    /// of it, so that sagas which failed together do not come back together. The share comes from the saga's id
    /// and the attempt and not from a random source: a test sees the same waits again.
    pub(crate) fn wait(&self, saga: SagaId, attempts: u32) -> Duration {
        let doublings = attempts.saturating_sub(1).min(20);
        let whole = self.wait_min.saturating_mul(1 << doublings).min(self.wait_max);
        let half = whole / 2;
        half + half.mul_f64(share(saga, attempts))
    }
}

/// A number in `0..1` that looks random (the finaliser of SplitMix64 over the id).
fn share(saga: SagaId, attempts: u32) -> f64 {
    let (high, low) = saga.uuid().as_u64_pair();
    let mut mixed =
        high ^ low.rotate_left(32) ^ u64::from(attempts).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    let top = u32::try_from((mixed ^ (mixed >> 31)) >> 32).expect("32 bits remain");
    f64::from(top) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_are_spread() {
        let limits = Limits::default();
        for attempts in 1..=limits.attempts_max {
            let whole =
                limits.wait_min.saturating_mul(1 << (attempts - 1).min(20)).min(limits.wait_max);
            let waits: Vec<_> = (0..50).map(|_| limits.wait(SagaId::fresh(), attempts)).collect();
            assert!(
                waits.iter().all(|wait| (whole / 2..=whole).contains(wait)),
                "{attempts}: {waits:?}"
            );
            let spread = *waits.iter().max().unwrap() - *waits.iter().min().unwrap();
            assert!(spread > whole / 8, "{attempts}: waits lie within {spread:?}");
        }
    }
}
