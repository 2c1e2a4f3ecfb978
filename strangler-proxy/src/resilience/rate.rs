//! So many requests in a time, by key: the generic cell rate algorithm (ITU-T I.371), which keeps one number for a key,
//! the time at which its next request would be due if all came evenly.
//!
//! The table is bounded. Keys whose debt is paid are forgotten; where all of a full part of the table still owe, one of
//! those that owe least goes, so that an attacker with many keys gains no more than a fresh key gives anyway.

use std::{
    collections::HashMap,
    hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::config::Rate;

/// Parts of the table, each behind a lock of its own, so that workers hardly meet.
const PARTS: usize = 16;

/// Keys in a part: 65,536 in all, about 1 MiB.
const KEYS_PER_PART: usize = 4096;

/// How many are looked at to find one to forget.
const LOOKED_AT: usize = 16;

/// The limit of a route. Shared by all workers.
#[derive(Debug)]
pub struct Limiter {
    rate: Rate,
    /// Nanoseconds between two requests of a key that come evenly.
    step: u64,
    /// How far ahead of that a key may be.
    ahead: u64,
    /// Seeded, so that nobody can choose keys that meet.
    hasher: RandomState,
    parts: [Mutex<Part>; PARTS],
}

type Part = HashMap<u64, u64, BuildHasherDefault<Hashed>>;

/// The keys of the parts are hashes already.
#[derive(Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

/// It is too early for this key by so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooEarly(pub Duration);

impl Limiter {
    /// For this rate.
    pub fn new(rate: Rate) -> Self {
        let per = u64::try_from(rate.per.as_nanos()).unwrap_or(u64::MAX);
        let step = (per / u64::from(rate.requests.max(1))).max(1);
        let ahead = step.saturating_mul(u64::from(rate.burst.saturating_sub(1)));
        Self { rate, step, ahead, hasher: RandomState::new(), parts: Default::default() }
    }

    /// The rate.
    pub fn rate(&self) -> &Rate {
        &self.rate
    }

    /// Counts a request of this key at this time since the start.
    pub fn count(&self, key: &[u8], now: Duration) -> Result<(), TooEarly> {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let hash = self.hasher.hash_one(key);
        // Bits in the middle: the table uses those at both ends.
        let part = usize::try_from((hash >> 32) % PARTS as u64).unwrap_or(0);
        let Some(part) = self.parts.get(part) else { return Ok(()) };
        let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
        let due = part.get(&hash).copied().unwrap_or(0).max(now);
        if due - now > self.ahead {
            return Err(TooEarly(Duration::from_nanos(due - now - self.ahead)));
        }
        if part.len() >= KEYS_PER_PART && !part.contains_key(&hash) {
            make_room(&mut part, now);
        }
        part.insert(hash, due.saturating_add(self.step));
        Ok(())
    }

    /// How many keys are known.
    #[cfg(test)]
    pub fn keys(&self) -> usize {
        let count = |part: &Mutex<Part>| part.lock().unwrap_or_else(PoisonError::into_inner).len();
        self.parts.iter().map(count).sum()
    }
}

#[cold]
fn make_room(part: &mut Part, now: u64) {
    part.retain(|_, due| *due > now);
    // Not only when it is full to the last place: else every new key would look through all of them.
    while part.len() > KEYS_PER_PART * 7 / 8 {
        let least = part.iter().take(LOOKED_AT).min_by_key(|(_, due)| **due).map(|(key, _)| *key);
        let Some(least) = least else { return };
        part.remove(&least);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{KEYS_PER_PART, Limiter, PARTS, TooEarly};
    use crate::config::{Rate, RateKey};

    fn limiter(requests: u32, per: Duration, burst: u32) -> Limiter {
        Limiter::new(Rate { requests, per, burst, key: RateKey::Route })
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_burst_is_let_through_and_then_one_each_step() {
        let limiter = limiter(10, SECOND, 3);
        let at = |millis| limiter.count(b"a", SECOND + Duration::from_millis(millis));
        assert_eq!([at(0), at(0), at(0)], [Ok(()); 3]);
        assert_eq!(at(0), Err(TooEarly(Duration::from_millis(100))));
        assert_eq!(at(60), Err(TooEarly(Duration::from_millis(40))));
        assert_eq!(at(100), Ok(()));
        assert!(at(199).is_err() && at(200).is_ok());
        assert_eq!(limiter.count(b"b", SECOND), Ok(()), "another key has its own count");
    }

    #[test]
    fn over_a_long_time_the_rate_holds() {
        let limiter = limiter(100, SECOND, 1);
        let passed = (0..10_000_u64)
            .filter(|step| limiter.count(b"a", Duration::from_millis(*step)).is_ok())
            .count();
        assert_eq!(passed, 1000, "ten seconds, asked every millisecond");
    }

    #[test]
    fn the_table_is_bounded_and_forgets_who_owes_nothing() {
        let limiter = limiter(1, Duration::from_secs(3600), 1);
        for key in 0..200_000_u32 {
            limiter.count(&key.to_be_bytes(), SECOND).unwrap();
        }
        assert!(limiter.keys() <= PARTS * KEYS_PER_PART);
        assert!(limiter.keys() > PARTS * KEYS_PER_PART / 2);
        for key in 0..200_000_u32 {
            limiter.count(&(key + 1_000_000).to_be_bytes(), SECOND * 7200).unwrap();
        }
        assert!(limiter.keys() <= PARTS * KEYS_PER_PART);
    }
}
