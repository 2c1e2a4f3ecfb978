//! Which endpoint is asked. Everything here belongs to one worker: workers need not agree, and what they each see of an
//! endpoint's speed is what counts for them.
//!
//! Peak EWMA with the power of two choices is Finagle's: of two endpoints drawn at random the one with the lower
//! "latency times load" is asked, where the latency jumps up at once and decays slowly.

use std::{
    cell::Cell,
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use super::{Tick, fleet::Vitals};
use crate::config::Balance;

/// How long a peak is remembered, as in Finagle.
const DECAY: Duration = Duration::from_secs(10);

/// What a failure counts as: an endpoint that fails fast must not look like a fast one.
const FAILED: Duration = Duration::from_secs(1);

/// What a worker knows of an endpoint.
#[derive(Debug)]
pub struct Load {
    /// Requests under way, each on a connection of its own.
    busy: Cell<u32>,
    /// At most this many.
    most: Cell<u32>,
    /// The latency that is expected, in seconds, and when that was.
    cost: Cell<f64>,
    stamp: Cell<Tick>,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            busy: Cell::new(0),
            most: Cell::new(u32::MAX),
            cost: Cell::new(0.0),
            stamp: Cell::new(Tick::of(0)),
        }
    }
}

impl Load {
    /// One more is under way.
    pub fn begin(&self) {
        self.busy.set(self.busy.get().saturating_add(1));
    }

    /// One is over.
    pub fn end(&self) {
        self.busy.set(self.busy.get().saturating_sub(1));
    }

    /// Allows any number at once.
    pub fn allow_all(&self) {
        self.most.set(u32::MAX);
    }

    /// Allows so many at once, or fewer where another upstream with the same endpoint has said so.
    pub fn restrict(&self, most: u32) {
        self.most.set(self.most.get().min(most));
    }

    /// Is there no place for one more?
    #[inline]
    pub fn is_full(&self) -> bool {
        self.busy.get() >= self.most.get()
    }

    /// An exchange took so long.
    pub fn took(&self, time: Duration, now: Tick) {
        let time = time.as_secs_f64();
        let cost = self.cost.get();
        let kept = self.decay(now);
        self.stamp.set(now);
        // Up at once, down slowly.
        self.cost.set(if time > cost { time } else { cost * kept + time * (1.0 - kept) });
    }

    /// An exchange failed after so long.
    pub fn failed(&self, time: Duration, now: Tick) {
        self.took(time.max(FAILED), now);
    }

    fn decay(&self, now: Tick) -> f64 {
        let age = self.stamp.get().until(now).as_secs_f64();
        (-age / DECAY.as_secs_f64()).exp()
    }

    fn score(&self, now: Tick) -> f64 {
        // Who is never asked must become attractive again. One microsecond, so that of two unknown ones the idle one wins.
        let cost = (self.cost.get() * self.decay(now)).max(1e-6);
        cost * f64::from(self.busy.get().saturating_add(1))
    }
}

/// Random numbers that guard nothing (xorshift64*, Vigna 2016).
#[derive(Debug)]
pub struct Dice(Cell<u64>);

impl Default for Dice {
    fn default() -> Self {
        // The standard library's hasher is seeded by the system.
        Self(Cell::new(RandomState::new().hash_one(0_u8) | 1))
    }
}

impl Dice {
    /// The same numbers each time.
    #[cfg(test)]
    pub fn seeded(seed: u64) -> Self {
        Self(Cell::new(seed | 1))
    }

    fn next(&self) -> u64 {
        let mut state = self.0.get();
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        self.0.set(state);
        state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `sides`; 0 where there are none.
    pub fn below(&self, sides: usize) -> usize {
        let spread = u128::from(self.next()) * (sides as u128);
        usize::try_from(spread >> 64).unwrap_or(0)
    }

    /// A number from 0 to 1.
    pub fn share(&self) -> f64 {
        let high = u32::try_from(self.next() >> 32).unwrap_or(u32::MAX);
        f64::from(high) / (f64::from(u32::MAX) + 1.0)
    }
}

/// Something that can be chosen.
pub trait Candidate {
    /// What this worker knows of it.
    fn load(&self) -> &Load;
    /// How it is.
    fn vitals(&self) -> &Vitals;
}

/// Chooses among the endpoints of an upstream.
#[derive(Debug, Default)]
pub struct Chooser {
    how: Balance,
    next: Cell<usize>,
    dice: Dice,
}

/// Why none is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoChoice {
    /// There is none.
    Nobody,
    /// All have as many connections as they may.
    AllFull,
}

impl Chooser {
    /// In this way.
    pub fn new(how: Balance) -> Self {
        Self { how, ..Self::default() }
    }

    /// With these dice.
    #[cfg(test)]
    pub fn with(how: Balance, dice: Dice) -> Self {
        Self { how, next: Cell::new(0), dice }
    }

    /// Must the time of each exchange be measured?
    pub fn wants_times(&self) -> bool {
        self.how == Balance::PeakEwma
    }

    /// Jitter.
    pub fn dice(&self) -> &Dice {
        &self.dice
    }

    /// The place of the endpoint to ask; another one than `not`, where there is another one that is in use.
    #[inline]
    pub fn choose<C: Candidate>(
        &self,
        among: &[C],
        not: Option<usize>,
        now: Tick,
    ) -> Result<usize, NoChoice> {
        match among {
            [] => Err(NoChoice::Nobody),
            [only] if only.load().is_full() => Err(NoChoice::AllFull),
            [_] => Ok(0),
            _ => self.among_many(among, not, now),
        }
    }

    fn among_many<C: Candidate>(
        &self,
        among: &[C],
        not: Option<usize>,
        now: Tick,
    ) -> Result<usize, NoChoice> {
        let share = |at: usize| {
            let one = among.get(at)?;
            let other = not != Some(at) && !one.load().is_full();
            one.vitals().share(now).filter(|_| other)
        };
        let found = match self.how {
            Balance::PeakEwma => self.of_two(among, now, share),
            Balance::RoundRobin => self.in_turn(among.len(), share),
            Balance::LeastRequests => self.least(among, share),
        };
        found.or_else(|| self.any(among, not)).ok_or(NoChoice::AllFull)
    }

    fn of_two<C: Candidate>(
        &self,
        among: &[C],
        now: Tick,
        share: impl Fn(usize) -> Option<f64>,
    ) -> Option<usize> {
        let first = self.dice.below(among.len());
        let second = (first + 1 + self.dice.below(among.len() - 1)) % among.len();
        let score = |at: usize| Some(among.get(at)?.load().score(now) / share(at)?);
        match (score(first), score(second)) {
            (Some(one), Some(two)) => Some(if two < one { second } else { first }),
            (Some(_), None) => Some(first),
            (None, Some(_)) => Some(second),
            (None, None) => from(first, among.len()).find(|at| share(*at).is_some()),
        }
    }

    fn in_turn(&self, count: usize, share: impl Fn(usize) -> Option<f64>) -> Option<usize> {
        let start = self.next.get();
        let usable = |at: &usize| {
            // One that is just back is passed over now and then.
            share(*at).is_some_and(|share| share >= 1.0 || self.dice.share() < share)
        };
        let found = from(start, count).find(usable);
        let found = found.or_else(|| from(start, count).find(|at| share(*at).is_some()))?;
        self.next.set((found + 1) % count);
        Some(found)
    }

    fn least<C: Candidate>(
        &self,
        among: &[C],
        share: impl Fn(usize) -> Option<f64>,
    ) -> Option<usize> {
        // From a random place, so that equals share.
        let start = self.dice.below(among.len());
        let mut best = None;
        for at in from(start, among.len()) {
            let Some(share) = share(at) else { continue };
            let busy = among.get(at).map_or(u32::MAX, |one| one.load().busy.get());
            let score = (f64::from(busy) + 1.0) / share;
            if best.is_none_or(|(_, least)| score < least) {
                best = Some((at, score));
            }
        }
        best.map(|(at, _)| at)
    }

    /// All are out, or the only other one has just failed: whoever has a place.
    fn any<C: Candidate>(&self, among: &[C], not: Option<usize>) -> Option<usize> {
        let start = self.dice.below(among.len());
        let has_place = |at: &usize| among.get(*at).is_some_and(|one| !one.load().is_full());
        let in_use = |at: &usize| among.get(*at).is_some_and(|one| one.vitals().is_in_use());
        let places = || from(start, among.len()).filter(has_place);
        places()
            .find(in_use)
            .or_else(|| places().find(|at| not != Some(*at)))
            .or_else(|| places().next())
    }
}

/// Every place once, from this one on.
fn from(start: usize, count: usize) -> impl Iterator<Item = usize> {
    (start..count).chain(0..start.min(count))
}

#[cfg(test)]
mod tests;
