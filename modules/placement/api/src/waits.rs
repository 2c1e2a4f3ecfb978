//! How long callers were held, so that many processes' figures can be added up.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Each power of two is cut into this many parts: a quantile is at most 6.25 % above the truth.
const PARTS: u64 = 16;

/// How long callers were held at closed gates and in the proxy: a histogram whose parts grow with the wait.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Waits {
    /// How many waited about this long, by part.
    counts: BTreeMap<u16, u64>,
    /// The longest wait, in microseconds, exactly.
    max_us: u64,
}

impl Waits {
    /// Somebody waited this long.
    pub fn record(&mut self, us: u64) {
        *self.counts.entry(part_of(us)).or_default() += 1;
        self.max_us = self.max_us.max(us);
    }

    /// And these did, too.
    pub fn add(&mut self, others: &Self) {
        for (part, count) in &others.counts {
            let sum = self.counts.entry(*part).or_default();
            *sum = sum.saturating_add(*count);
        }
        self.max_us = self.max_us.max(others.max_us);
    }

    /// How many waited.
    pub fn count(&self) -> u64 {
        self.counts.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The longest wait, in microseconds.
    pub fn max_us(&self) -> u64 {
        self.max_us
    }

    /// So long waited at most `percent` of them; zero where nobody waited.
    pub fn percentile_us(&self, percent: u8) -> u64 {
        let rank = u128::from(self.count()) * u128::from(percent.min(100));
        let mut seen: u128 = 0;
        for (part, count) in &self.counts {
            seen += u128::from(*count) * 100;
            if seen >= rank {
                return upper_of(*part).min(self.max_us);
            }
        }
        self.max_us
    }
}

/// The part that a wait belongs to.
fn part_of(us: u64) -> u16 {
    let power = u64::from(us.max(PARTS).ilog2());
    // `power` is at least 4, and the quotient is 16 to 31 for what is above, the number itself below.
    let within = if us < PARTS { us } else { (us >> (power - 4)) - PARTS };
    let part = if us < PARTS { within } else { (power - 3) * PARTS + within };
    u16::try_from(part).unwrap_or(u16::MAX)
}

/// The longest wait that belongs to a part.
fn upper_of(part: u16) -> u64 {
    let part = u64::from(part);
    if part < PARTS {
        return part;
    }
    let shift = (part / PARTS).saturating_sub(1);
    let next = u128::from(part % PARTS + PARTS + 1) << shift.min(64);
    u64::try_from(next - 1).unwrap_or(u64::MAX)
}
