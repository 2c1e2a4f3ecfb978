//! Cheap random numbers for jitter and rehearsals: SplitMix64, one atomic addition each.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// A stream of numbers that its seed determines. Not for secrets.
#[derive(Debug)]
pub(crate) struct Dice(AtomicU64);

impl Dice {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    pub(crate) fn fresh() -> Self {
        // Without a random source all processes jitter alike, which is no reason to refuse a call.
        Self::seeded(getrandom::u64().unwrap_or(0))
    }

    fn roll(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut bits = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// True in `percent` of 100 cases.
    pub(crate) fn hits(&self, percent: u8) -> bool {
        self.roll() % 100 < u64::from(percent)
    }

    /// A duration between the two, both included.
    pub(crate) fn between(&self, least: Duration, most: Duration) -> Duration {
        let span = u64::try_from(most.saturating_sub(least).as_micros()).unwrap_or(u64::MAX - 1);
        least + Duration::from_micros(self.roll() % (span + 1))
    }
}
