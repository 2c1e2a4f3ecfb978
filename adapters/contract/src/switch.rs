//! The switchable binding: where a module is can change while it is being called.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};

use crate::{Binding, Context, Contract, Deadline, Kind, Method, NotExecuted, Outcome, Reason};

/// Where a module is now, and the gate before it. One per module and process.
///
/// A closed gate holds commands, bounded in count and time; queries go on to the target, for the switch of a module
/// pauses only its writes.
pub struct Switch<C: ?Sized> {
    target: ArcSwap<Target<C>>,
    /// Written only while the watch's value is changed, so the two agree. Together with `in_flight` it is the gate:
    /// who enters counts itself and then looks; who closes shuts and then counts. Both are sequentially consistent, so
    /// at least one of them sees the other.
    closed: AtomicBool,
    opened: watch::Sender<bool>,
    in_flight: AtomicUsize,
    idle: Notify,
    parked: AtomicUsize,
    limits: GateLimits,
}

struct Target<C: ?Sized> {
    epoch: u64,
    service: Arc<C>,
}

/// How many callers a closed gate holds, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateLimits {
    /// Parked callers: enough for a busy second of a shop, little memory.
    pub parked_max: usize,
    /// How long a caller is held: several times the pause that a switch should take.
    pub wait_max: Duration,
}

impl Default for GateLimits {
    fn default() -> Self {
        Self { parked_max: 4096, wait_max: Duration::from_secs(5) }
    }
}

/// A switch to an epoch that is not later than the one in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("epoch {offered} is not later than epoch {current}")]
pub struct StaleEpoch {
    /// The epoch that was offered.
    pub offered: u64,
    /// The epoch in force.
    pub current: u64,
}

impl<C: Contract + ?Sized> Switch<C> {
    /// The module is at `target` since `epoch`; the gate is open.
    pub fn new(epoch: u64, target: Arc<C>) -> Arc<Self> {
        Self::with_limits(epoch, target, GateLimits::default())
    }

    /// The same with these limits for the gate.
    pub fn with_limits(epoch: u64, target: Arc<C>, limits: GateLimits) -> Arc<Self> {
        Arc::new(Self {
            target: ArcSwap::from_pointee(Target { epoch, service: target }),
            closed: AtomicBool::new(false),
            opened: watch::Sender::new(true),
            in_flight: AtomicUsize::new(0),
            idle: Notify::new(),
            parked: AtomicUsize::new(0),
            limits,
        })
    }

    /// The epoch in force.
    pub fn epoch(&self) -> u64 {
        self.target.load().epoch
    }

    /// Is the gate open?
    pub fn is_open(&self) -> bool {
        !self.closed.load(Ordering::SeqCst)
    }

    /// Holds commands from now on. Those under way go on: wait for [`Self::drained`].
    pub fn close(&self) {
        self.opened.send_modify(|open| {
            *open = false;
            self.closed.store(true, Ordering::SeqCst);
        });
    }

    /// Lets commands through again, to the target in force.
    pub fn open(&self) {
        self.opened.send_modify(|open| {
            *open = true;
            self.closed.store(false, Ordering::SeqCst);
        });
    }

    /// Sends calls to `target` from now on and opens the gate. Calls under way end where they began.
    pub fn swap(&self, epoch: u64, target: Arc<C>) -> Result<(), StaleEpoch> {
        let next = Arc::new(Target { epoch, service: target });
        let before = self.target.rcu(|current| {
            if current.epoch < epoch { Arc::clone(&next) } else { Arc::clone(current) }
        });
        if before.epoch >= epoch {
            return Err(StaleEpoch { offered: epoch, current: before.epoch });
        }
        self.open();
        Ok(())
    }

    /// Commands under way.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::SeqCst)
    }

    /// Commands that the gate holds.
    pub fn parked(&self) -> usize {
        self.parked.load(Ordering::Relaxed)
    }

    /// Comes back when no command is under way. With the gate closed, none will be.
    pub async fn drained(&self) {
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

    async fn enter(&self, deadline: Deadline) -> Result<Counted<'_>, NotExecuted> {
        loop {
            self.in_flight.fetch_add(1, Ordering::SeqCst);
            let entered = Counted { count: &self.in_flight, idle: Some(&self.idle) };
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
        let parked = self.parked.fetch_add(1, Ordering::Relaxed);
        let _parked = Counted { count: &self.parked, idle: None };
        if parked >= self.limits.parked_max {
            return Err(closed("the gate is closed and too many wait before it"));
        }
        let mut opened = self.opened.subscribe();
        let wait = self.limits.wait_max.min(deadline.remaining());
        match tokio::time::timeout(wait, opened.wait_for(|open| *open)).await {
            Ok(_open) => Ok(()),
            Err(_elapsed) => Err(closed("the gate stayed closed")),
        }
    }
}

/// Counts down when it is dropped.
struct Counted<'s> {
    count: &'s AtomicUsize,
    idle: Option<&'s Notify>,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let before = self.count.fetch_sub(1, Ordering::SeqCst);
        if let (1, Some(idle)) = (before, self.idle) {
            idle.notify_waiters();
        }
    }
}

/// The contract of a module wherever it is. Whoever holds it never learns of a switch.
pub fn switchable<C: Contract + ?Sized>(switch: &Arc<Switch<C>>) -> Arc<C> {
    C::bind(Switchable(Arc::clone(switch)))
}

struct Switchable<C: ?Sized>(Arc<Switch<C>>);

impl<C: Contract + ?Sized> Binding<C> for Switchable<C> {
    async fn carry<M: Method<C>>(
        &self,
        context: &M::Context,
        argument: M::Argument,
    ) -> Outcome<C, M> {
        let _entered = match M::Context::KIND {
            Kind::Command => Some(self.0.enter(context.call().deadline).await?),
            Kind::Query => None,
        };
        let target = self.0.target.load_full();
        M::call(&target.service, context, argument).await
    }
}
