//! Parking: the gate in front of a group of routes, and the exact barrier behind it.
//!
//! A gate belongs to one worker and lives on its thread, so "closed" and "how many are inside" need no atomics and the
//! barrier is exact: once a worker has taken up the word to close, nothing more enters there, and what is inside is a
//! plain number. What all workers share is only the count of those who wait, which nobody touches while the gate is open.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, VecDeque},
    rc::Rc,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::Waker,
    time::Duration,
};

use tokio::sync::oneshot;

/// How many requests of a group may wait at once, over all workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Requests.
    pub requests: usize,
    /// Bytes of them that are held.
    pub bytes: usize,
}

/// Those who wait at the gates of one group, over all workers.
#[derive(Debug)]
pub struct Lot {
    requests: AtomicUsize,
    bytes: AtomicUsize,
    /// Those of all lots.
    all: Arc<AtomicUsize>,
}

/// The lots of all groups. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Lots {
    by_group: Arc<Mutex<HashMap<Box<str>, Arc<Lot>>>>,
    waiting: Arc<AtomicUsize>,
}

/// The gate of one group in one worker.
#[derive(Debug)]
pub struct Gate {
    lot: Arc<Lot>,
    /// By a call of [`Handle::park`](super::Handle::park).
    held: Cell<bool>,
    said: Cell<Said>,
    /// Requests that have entered and are not done.
    inside: Cell<usize>,
    waiting: RefCell<VecDeque<Rc<Ticket>>>,
    /// Who wants to know when nobody is inside.
    emptied: RefCell<Vec<oneshot::Sender<()>>>,
    /// How many of the waiting may enter per tick; none: all at once.
    pace: Cell<Option<usize>>,
    /// Another one, or none, stands in its place: nobody enters any more.
    retired: Cell<bool>,
    /// How many of `waiting` have left.
    left: Cell<usize>,
}

/// What the configuration says of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// Nothing: it is closed while somebody holds it.
    Nothing,
    /// It is closed.
    Parked,
    /// It is open, whoever holds it: the kill switch is on.
    Open,
}

/// So many places of those who left are kept at most, or as many as there are of those who wait.
const LEFT_MAX: usize = 64;

#[derive(Debug, Default)]
struct Ticket {
    called: Cell<bool>,
    left: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// A request that is inside. Leaves when dropped.
#[derive(Debug)]
pub struct Inside(Rc<Gate>);

/// A request that waits. Gives its place up when dropped.
#[derive(Debug)]
pub struct Waiting {
    gate: Rc<Gate>,
    ticket: Rc<Ticket>,
    bytes: usize,
}

/// There is no room to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl Lots {
    /// The lot of a group.
    pub fn of(&self, group: &str) -> Arc<Lot> {
        let mut lots = self.by_group.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || {
            let all = Arc::clone(&self.waiting);
            Arc::new(Lot { requests: AtomicUsize::new(0), bytes: AtomicUsize::new(0), all })
        };
        Arc::clone(lots.entry(group.into()).or_insert_with(made))
    }

    /// Forgets those without a gate.
    pub fn forget_unused(&self) {
        let mut lots = self.by_group.lock().unwrap_or_else(PoisonError::into_inner);
        lots.retain(|_, lot| Arc::strong_count(lot) > 1);
    }

    /// Does anybody wait at any gate? Else no gate has anybody to call, and looking at a thousand of them fifty times a
    /// second can be spared.
    pub fn are_awaited(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }
}

impl Lot {
    /// How many requests wait now.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    fn enter(&self, bytes: usize, room: Room) -> Result<(), Full> {
        let claim = |counter: &AtomicUsize, more: usize, most: usize| {
            counter
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
                    now.checked_add(more).filter(|sum| *sum <= most)
                })
                .map_err(|_full| Full)
        };
        claim(&self.requests, 1, room.requests)?;
        if let Err(full) = claim(&self.bytes, bytes, room.bytes) {
            self.requests.fetch_sub(1, Ordering::Relaxed);
            return Err(full);
        }
        self.all.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn leave(&self, bytes: usize) {
        self.all.fetch_sub(1, Ordering::Relaxed);
        self.requests.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Gate {
    /// An open gate.
    pub fn new(lot: Arc<Lot>) -> Rc<Self> {
        Rc::new(Self {
            lot,
            held: Cell::new(false),
            said: Cell::new(Said::Nothing),
            inside: Cell::new(0),
            waiting: RefCell::default(),
            emptied: RefCell::default(),
            pace: Cell::new(None),
            retired: Cell::new(false),
            left: Cell::new(0),
        })
    }

    /// One that stands in its place from now on, closed where this one is. Those who wait here are called, all of them and
    /// in their order: they decide anew. Those inside stay inside.
    pub fn renewed(&self) -> Rc<Self> {
        let new = Self::new(Arc::clone(&self.lot));
        new.held.set(self.held.get());
        new.said.set(self.said.get());
        self.retire();
        new
    }

    /// Nothing stands in its place.
    pub fn retire(&self) {
        self.retired.set(true);
        self.held.set(false);
        self.said.set(Said::Nothing);
        // Who waits for an empty gate means the one that is there then, and must ask again.
        self.emptied.borrow_mut().clear();
        self.pace.set(None);
        self.call();
    }

    /// Is anybody inside?
    pub fn is_empty(&self) -> bool {
        self.inside.get() == 0
    }

    /// Enters, where the gate is open.
    pub fn enter(self: &Rc<Self>) -> Option<Inside> {
        if self.is_closed() || self.retired.get() {
            return None;
        }
        self.inside.set(self.inside.get() + 1);
        Some(Inside(Rc::clone(self)))
    }

    /// Takes a place to wait.
    pub fn wait(self: &Rc<Self>, bytes: usize, room: Room) -> Result<Waiting, Full> {
        self.lot.enter(bytes, room)?;
        let ticket = Rc::new(Ticket::default());
        self.waiting.borrow_mut().push_back(Rc::clone(&ticket));
        Ok(Waiting { gate: Rc::clone(self), ticket, bytes })
    }

    /// Does it hold requests back?
    pub fn is_closed(&self) -> bool {
        match self.said.get() {
            Said::Nothing => self.held.get(),
            Said::Parked => true,
            Said::Open => false,
        }
    }

    /// Closes by call.
    pub fn hold(&self) {
        self.held.set(true);
    }

    /// Takes the call back. Where the configuration does not hold them too, those who wait are called in their order,
    /// over the time `spread`, so that they do not all arrive at once.
    pub fn release(&self, spread: Duration, tick: Duration) {
        let was = self.is_closed();
        self.held.set(false);
        self.opened(was, spread, tick);
    }

    /// Closes or opens as the configuration says.
    pub fn obey(&self, said: Said, spread: Duration, tick: Duration) {
        let was = self.is_closed();
        self.said.set(said);
        self.opened(was, spread, tick);
    }

    fn opened(&self, was_closed: bool, spread: Duration, tick: Duration) {
        if !was_closed || self.is_closed() {
            return;
        }
        // Whoever waits for an empty gate waits for a closed one.
        self.emptied.borrow_mut().clear();
        let ticks = spread.as_millis() / tick.as_millis().max(1);
        let ticks = usize::try_from(ticks).unwrap_or(usize::MAX).max(1);
        let waiting = self.waiting.borrow().len().saturating_sub(self.left.get());
        self.pace.set(Some(waiting.div_ceil(ticks).max(1)));
        self.call();
    }

    /// `emptied` hears when nobody is inside any more. Of a gate that is open it hears nothing: its sender is dropped.
    pub fn when_empty(&self, emptied: oneshot::Sender<()>) {
        if self.is_closed() || self.retired.get() {
            self.emptied.borrow_mut().push(emptied);
            self.tell_if_empty();
        }
    }

    /// Calls the next of those who wait. The worker's ticker does this while the gate is open.
    pub fn call(&self) {
        if self.is_closed() {
            return;
        }
        let mut waiting = self.waiting.borrow_mut();
        let mut left = self.pace.get().unwrap_or(usize::MAX);
        while left > 0 {
            let Some(ticket) = waiting.pop_front() else { return };
            if ticket.left.get() {
                self.left.set(self.left.get().saturating_sub(1));
                continue;
            }
            left -= 1;
            ticket.called.set(true);
            if let Some(waker) = ticket.waker.borrow_mut().take() {
                waker.wake();
            }
        }
    }

    fn tell_if_empty(&self) {
        if (self.is_closed() || self.retired.get()) && self.inside.get() == 0 {
            for emptied in self.emptied.borrow_mut().drain(..) {
                // Whoever asked may have given up.
                emptied.send(()).unwrap_or_default();
            }
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.inside.set(self.0.inside.get().saturating_sub(1));
        self.0.tell_if_empty();
    }
}

impl Waiting {
    /// May it go on? If not, `waker` is woken when it may. It then asks the gate anew: it may have closed again.
    pub fn called(&self, waker: &Waker) -> bool {
        let called = self.ticket.called.get();
        if !called {
            *self.ticket.waker.borrow_mut() = Some(waker.clone());
        }
        called
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let gate = &self.gate;
        gate.lot.leave(self.bytes);
        if self.ticket.called.get() {
            return;
        }
        self.ticket.left.set(true);
        let mut left = gate.left.get() + 1;
        let mut waiting = gate.waiting.borrow_mut();
        while waiting.front().is_some_and(|ticket| ticket.left.get()) {
            waiting.pop_front();
            left = left.saturating_sub(1);
        }
        if left > LEFT_MAX.max(waiting.len() / 2) {
            // Now and then, so that a long parking does not gather them.
            waiting.retain(|ticket| !ticket.left.get());
            gate.left.set(0);
        } else {
            gate.left.set(left);
        }
    }
}

#[cfg(test)]
mod tests;
