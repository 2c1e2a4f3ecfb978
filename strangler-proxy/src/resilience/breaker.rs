//! The breaker of one side of one route: after too many failures the side is left alone for a while, then asked by a few
//! probes, and used again when these have succeeded.
//!
//! A failure is a request that got no whole answer, or 502, 503 or 504. A 500 is none: it is the answer of a side that
//! lives, and else one page that fails could shut the route for everybody.
//!
//! Shared by all workers. While it is closed a request reads two atomics and counts in its worker's own cells; everything
//! else stands behind a lock, which is taken for failures and while the breaker is not closed.

use std::{
    cell::Cell,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use super::Tick;
use crate::{config::Breaker as Settings, seen::cells::Count};

/// A window moves on in so many steps.
const STEPS: u64 = 10;
const STEPS_KEPT: usize = 10;

/// The breaker, as all workers see it.
#[derive(Debug)]
pub struct Breaker {
    closed: AtomicBool,
    /// Failures in a row.
    streak: AtomicU32,
    opened: AtomicU64,
    state: Mutex<State>,
    shards: Mutex<Vec<Arc<Shard>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In use; what was counted before `since` is forgotten.
    Closed { since: Tick },
    /// Left alone.
    Open { until: Tick },
    /// Asked by probes.
    HalfOpen { under_way: u32, proved: u32 },
}

/// How a breaker is, for metrics and `top`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// In use.
    Closed,
    /// Left alone, or about to be asked by the first probe.
    Open,
    /// Asked by probes.
    HalfOpen,
}

/// What one worker has counted, by steps of the window. Written by that worker only; made with the first request, for most of
/// many routes have none.
#[derive(Debug, Default)]
pub struct Shard(OnceLock<Box<[Step; STEPS_KEPT]>>);

impl Shard {
    fn step(&self, at: usize) -> Option<&Step> {
        self.0.get_or_init(Box::default).get(at)
    }
}

#[derive(Debug, Default)]
struct Step {
    number: AtomicU64,
    good: Count,
    bad: Count,
}

/// The breaker as one worker uses it, with the settings of its configuration.
#[derive(Debug)]
pub struct Fuse {
    breaker: Arc<Breaker>,
    own: Arc<Shard>,
    settings: Settings,
    step_millis: u64,
    /// The step of now and when it ends, so that a request need not divide.
    at: Cell<usize>,
    ends: Cell<u64>,
}

/// A request that was let through. Dropped without a word it counts for nothing.
#[derive(Debug)]
#[must_use]
pub struct Pass(Option<Probe>);

/// A request that tries out whether the side is back.
#[derive(Debug)]
struct Probe {
    breaker: Arc<Breaker>,
    /// How often the breaker had opened then: what is still under way when it opens again says nothing of the next round.
    round: u64,
}

/// The side is left alone for about so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened(pub Duration);

impl Default for Breaker {
    fn default() -> Self {
        Self {
            closed: AtomicBool::new(true),
            streak: AtomicU32::new(0),
            opened: AtomicU64::new(0),
            state: Mutex::new(State::Closed { since: Tick::of(0) }),
            shards: Mutex::default(),
        }
    }
}

impl Breaker {
    /// Cells for one worker, which keeps them: those that another one has left, or new ones.
    pub fn shard(&self) -> Arc<Shard> {
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(left) = shards.iter().find(|shard| Arc::strong_count(shard) == 1) {
            return Arc::clone(left);
        }
        let made = Arc::new(Shard::default());
        shards.push(Arc::clone(&made));
        made
    }

    /// How it is now.
    pub fn shown(&self) -> Shown {
        match *self.state() {
            State::Closed { .. } => Shown::Closed,
            State::Open { .. } => Shown::Open,
            State::HalfOpen { .. } => Shown::HalfOpen,
        }
    }

    /// How often it has opened.
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Would a request be let through?
    pub fn admits(&self, now: Tick, probes: u32) -> bool {
        if self.closed.load(Ordering::Relaxed) {
            return true;
        }
        match *self.state() {
            State::Closed { .. } => true,
            State::Open { until } => now >= until,
            State::HalfOpen { under_way, proved } => has_room(under_way, proved, probes),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, state: &mut State, until: Tick) {
        *state = State::Open { until };
        self.closed.store(false, Ordering::Relaxed);
        self.opened.fetch_add(1, Ordering::Relaxed);
    }
}

impl Fuse {
    /// For a worker that counts in `own`.
    pub fn new(breaker: Arc<Breaker>, own: Arc<Shard>, settings: Settings) -> Self {
        let window = u64::try_from(settings.window.as_millis()).unwrap_or(u64::MAX);
        let step_millis = (window / STEPS).max(1);
        Self { breaker, own, settings, step_millis, at: Cell::new(0), ends: Cell::new(0) }
    }

    /// Would a request be let through?
    pub fn admits(&self, now: Tick) -> bool {
        self.breaker.admits(now, self.settings.probes)
    }

    /// Lets a request through, or says how long to wait.
    #[inline]
    pub fn enter(&self, now: Tick) -> Result<Pass, Opened> {
        if self.breaker.closed.load(Ordering::Relaxed) {
            return Ok(Pass(None));
        }
        self.probe(now)
    }

    #[cold]
    fn probe(&self, now: Tick) -> Result<Pass, Opened> {
        let mut state = self.breaker.state();
        match &mut *state {
            State::Closed { .. } => return Ok(Pass(None)),
            State::Open { until } if now < *until => return Err(Opened(now.until(*until))),
            State::Open { .. } => *state = State::HalfOpen { under_way: 1, proved: 0 },
            State::HalfOpen { under_way, proved }
                if has_room(*under_way, *proved, self.settings.probes) =>
            {
                *under_way += 1;
            }
            // The probes that are under way will tell; how soon nobody knows.
            State::HalfOpen { .. } => return Err(Opened(Duration::ZERO)),
        }
        let round = self.breaker.opened();
        Ok(Pass(Some(Probe { breaker: Arc::clone(&self.breaker), round })))
    }

    /// The request got an answer.
    #[inline]
    pub fn succeeded(&self, mut pass: Pass, now: Tick) {
        if self.breaker.streak.load(Ordering::Relaxed) != 0 {
            self.breaker.streak.store(0, Ordering::Relaxed);
        }
        if let Some(step) = self.step(now) {
            step.good.add(1);
        }
        if let Some(probe) = pass.0.take() {
            self.proved(&probe, now);
        }
    }

    #[cold]
    fn proved(&self, probe: &Probe, now: Tick) {
        let mut state = self.breaker.state();
        if !probe.is_of_this_round() {
            return;
        }
        let State::HalfOpen { under_way, proved } = &mut *state else { return };
        (*under_way, *proved) = (under_way.saturating_sub(1), *proved + 1);
        if *proved >= self.settings.probes {
            *state = State::Closed { since: now };
            self.breaker.streak.store(0, Ordering::Relaxed);
            self.breaker.closed.store(true, Ordering::Relaxed);
            tracing::info!("a side that had failed is used again");
        }
    }

    /// The request failed. Says whether the breaker has opened by this.
    #[cold]
    pub fn failed(&self, mut pass: Pass, now: Tick) -> bool {
        let probe = pass.0.take();
        if let Some(step) = self.step(now) {
            step.bad.add(1);
        }
        let streak = self.breaker.streak.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let mut state = self.breaker.state();
        let opens = match *state {
            State::Closed { since } => {
                streak >= self.settings.failures || self.is_rate_reached(since, now)
            }
            State::HalfOpen { .. } => probe.is_some_and(|probe| probe.is_of_this_round()),
            // Was let through before it opened.
            State::Open { .. } => false,
        };
        if opens {
            self.breaker.open(&mut state, now.after(self.settings.open));
        }
        opens
    }

    fn is_rate_reached(&self, since: Tick, now: Tick) -> bool {
        // 0 switches the rate off: "by failures in a row only".
        if self.settings.rate_percent == 0 {
            return false;
        }
        let last = now.millis() / self.step_millis;
        let first = (last + 1).saturating_sub(STEPS).max(since.millis().div_ceil(self.step_millis));
        let (mut good, mut bad) = (0_u64, 0_u64);
        for shard in &*self.breaker.shards.lock().unwrap_or_else(PoisonError::into_inner) {
            for step in shard.0.get().iter().flat_map(|steps| steps.iter()) {
                if (first..=last).contains(&step.number.load(Ordering::Relaxed)) {
                    good += step.good.get();
                    bad += step.bad.get();
                }
            }
        }
        let all = good + bad;
        all >= u64::from(self.settings.requests_min)
            && bad * 100 >= all * u64::from(self.settings.rate_percent)
    }

    #[inline]
    fn step(&self, now: Tick) -> Option<&Step> {
        if now.millis() >= self.ends.get() {
            self.go_on(now);
        }
        self.own.step(self.at.get())
    }

    fn go_on(&self, now: Tick) {
        let number = now.millis() / self.step_millis;
        let at = usize::try_from(number % STEPS).unwrap_or(0);
        self.at.set(at);
        self.ends.set((number + 1).saturating_mul(self.step_millis));
        if let Some(step) = self.own.step(at)
            && step.number.swap(number, Ordering::Relaxed) != number
        {
            step.good.set(0);
            step.bad.set(0);
        }
    }
}

impl Probe {
    /// Asked with the state locked: the breaker opens only so.
    fn is_of_this_round(&self) -> bool {
        self.breaker.opened() == self.round
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(probe) = self.0.take()
            && let State::HalfOpen { under_way, .. } = &mut *probe.breaker.state()
            && probe.is_of_this_round()
        {
            *under_way = under_way.saturating_sub(1);
        }
    }
}

/// May one more probe go? One may in any case: where the configuration has come to ask for fewer, nobody else would tell
/// that the side is well.
fn has_room(under_way: u32, proved: u32, probes: u32) -> bool {
    under_way == 0 || under_way.saturating_add(proved) < probes
}

#[cfg(test)]
mod tests;
