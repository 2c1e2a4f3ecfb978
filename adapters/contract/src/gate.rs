//! The gate before a module: it holds commands for the moment of a switch.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use crate::{Deadline, NotExecuted, Reason};

/// How many callers a closed gate holds, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateLimits {
    /// Parked callers: enough for a busy second of a shop, little memory.
    pub parked_max: usize,
    /// How long a caller is held: several times the pause that a switch should take.
    pub wait_max: Duration,
    /// How long a call that is told `Moved` is asked again before its caller hears of it: as long as a gate would hold
    /// it, and several times what it takes to learn of a switch.
    pub moved_max: Duration,
}

impl Default for GateLimits {
    fn default() -> Self {
        let held = Duration::from_secs(5);
        Self { parked_max: 4096, wait_max: held, moved_max: held }
    }
}

/// A gate, closed or open, and who is behind and before it.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Written only while the watch's value is changed, so the two agree. Together with `in_flight` it is the gate:
    /// who enters counts itself and then looks; who closes shuts and then counts. Both are sequentially consistent, so
    /// at least one of them sees the other.
    closed: AtomicBool,
    state: watch::Sender<State>,
    in_flight: AtomicUsize,
    idle: Notify,
    parked: Mutex<Parked>,
    pub(crate) limits: GateLimits,
}

/// Who waits before a closed gate, by a number of their own, and since when.
#[derive(Debug, Default)]
struct Parked {
    next: u64,
    since: BTreeMap<u64, Instant>,
}

#[derive(Debug, Clone)]
enum State {
    Open,
    Closed { by: Option<Arc<str>>, until: Option<Instant> },
}

impl State {
    fn is_open(&self) -> bool {
        matches!(self, Self::Open)
    }

    fn has_expired(&self) -> bool {
        matches!(self, Self::Closed { until: Some(until), .. } if *until <= Instant::now())
    }
}

impl Gate {
    pub(crate) fn new(limits: GateLimits) -> Self {
        Self {
            closed: AtomicBool::new(false),
            state: watch::Sender::new(State::Open),
            in_flight: AtomicUsize::new(0),
            idle: Notify::new(),
            parked: Mutex::default(),
            limits,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        if !self.closed.load(Ordering::SeqCst) {
            return true;
        }
        // Nobody is needed to open a gate whose time has run out: whoever comes by does it.
        self.change(|state| state.has_expired().then_some(State::Open));
        !self.closed.load(Ordering::SeqCst)
    }

    pub(crate) fn close(&self) {
        self.change(|_| Some(State::Closed { by: None, until: None }));
    }

    pub(crate) fn open(&self) {
        self.change(|_| Some(State::Open));
    }

    pub(crate) fn hold(&self, by: &str, time: Duration) -> bool {
        let until = Some(Instant::now() + time);
        let next = State::Closed { by: Some(by.into()), until };
        self.change(|state| match state {
            State::Closed { by: Some(other), .. }
                if other.as_ref() != by && !state.has_expired() =>
            {
                None
            }
            State::Closed { .. } | State::Open => Some(next),
        })
    }

    pub(crate) fn release(&self, by: &str) -> bool {
        self.change(|state| match state {
            State::Closed { by: Some(holder), .. } if holder.as_ref() == by => Some(State::Open),
            State::Closed { .. } | State::Open => None,
        })
    }

    fn change(&self, next: impl FnOnce(&State) -> Option<State>) -> bool {
        self.state.send_if_modified(|state| {
            let Some(next) = next(state) else { return false };
            *state = next;
            self.closed.store(!state.is_open(), Ordering::SeqCst);
            true
        })
    }

    pub(crate) fn holder(&self) -> Option<Arc<str>> {
        match &*self.state.borrow() {
            State::Closed { by, .. } => by.clone(),
            State::Open => None,
        }
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::SeqCst)
    }

    pub(crate) fn parked(&self) -> usize {
        self.waiting().since.len()
    }

    pub(crate) fn waits(&self) -> Vec<Duration> {
        self.waiting().since.values().map(Instant::elapsed).collect()
    }

    /// One insertion or removal cannot be half done.
    fn waiting(&self) -> MutexGuard<'_, Parked> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn drained(&self) {
        loop {
            let idle = self.idle.notified();
            tokio::pin!(idle);
            // From here on a notification is not missed.
            idle.as_mut().enable();
            if self.in_flight() == 0 {
                return;
            }
            idle.await;
        }
    }

    pub(crate) async fn enter(&self, deadline: Deadline) -> Result<Counted<'_>, NotExecuted> {
        loop {
            self.in_flight.fetch_add(1, Ordering::SeqCst);
            let entered = Counted { count: &self.in_flight, idle: &self.idle };
            if self.is_open() {
                return Ok(entered);
            }
            drop(entered);
            self.park(deadline).await?;
        }
    }

    async fn park(&self, deadline: Deadline) -> Result<(), NotExecuted> {
        let closed = |detail: &str| {
            NotExecuted::new(Reason::GateClosed, detail).after(Duration::from_secs(1))
        };
        let Some(_place) = Place::take(self) else {
            return Err(closed("the gate is closed and too many wait before it"));
        };
        let mut state = self.state.subscribe();
        let wait = self.limits.wait_max.min(deadline.remaining());
        match tokio::time::timeout(wait, until_open(&mut state)).await {
            Ok(()) => Ok(()),
            Err(_elapsed) => Err(closed("the gate stayed closed")),
        }
    }
}

/// Comes back when the gate is open, or its time has run out. A hold may be prolonged meanwhile.
async fn until_open(state: &mut watch::Receiver<State>) {
    loop {
        let now = state.borrow_and_update().clone();
        let State::Closed { until, .. } = now else { return };
        let changed = state.changed();
        let still = match until {
            Some(until) => tokio::time::timeout_at(until, changed).await,
            None => Ok(changed.await),
        };
        match still {
            Ok(Ok(())) => {}
            // Out of time, or nobody is left who could open it.
            Ok(Err(_)) | Err(_) => return,
        }
    }
}

/// A place before the gate, given up when it is dropped.
struct Place<'s> {
    gate: &'s Gate,
    number: u64,
}

impl<'s> Place<'s> {
    fn take(gate: &'s Gate) -> Option<Self> {
        let mut parked = gate.waiting();
        if parked.since.len() >= gate.limits.parked_max {
            return None;
        }
        let number = parked.next;
        parked.next += 1;
        parked.since.insert(number, Instant::now());
        Some(Self { gate, number })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.gate.waiting().since.remove(&self.number);
    }
}

/// Counts down when it is dropped.
pub(crate) struct Counted<'s> {
    count: &'s AtomicUsize,
    idle: &'s Notify,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let before = self.count.fetch_sub(1, Ordering::SeqCst);
        if before == 1 {
            self.idle.notify_waiters();
        }
    }
}
