//! Coarse time-outs: one ticker per worker over plain slots, instead of a timer of the runtime for each wait.
//!
//! Setting a deadline is one store. Every wait of a connection has a deadline and hardly any is reached, so what is cheap
//! must be the setting.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

pub use crate::resilience::Tick;

/// The slots of a worker.
#[derive(Debug)]
pub struct Timers {
    started: Instant,
    now: Cell<Tick>,
    slots: RefCell<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    /// Apart from the wakers, so that looking at all of them reads as little memory as can be.
    deadlines: Vec<Tick>,
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

/// The deadline of one task. Freed when dropped.
#[derive(Debug)]
pub struct Slot {
    timers: Rc<Timers>,
    index: usize,
    /// The same as in the slots, to be read without looking there.
    deadline: Cell<Tick>,
}

impl Timers {
    /// With no slot. The time counts from `started`, for all workers the same.
    pub fn new(started: Instant) -> Rc<Self> {
        Rc::new(Self {
            started,
            now: Cell::new(Tick::at(Instant::now(), started)),
            slots: RefCell::new(Slots::default()),
        })
    }

    /// The time of the last look at the clock.
    pub fn now(&self) -> Tick {
        self.now.get()
    }

    /// The time since the start at that reading of the clock.
    pub fn since_start(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }

    /// Takes over a reading of the clock that somebody had to make anyway.
    pub fn seen(&self, now: Instant) {
        self.now.set(Tick::at(now, self.started));
    }

    /// Looks at the clock and wakes every task whose deadline has passed.
    pub fn advance(&self) {
        self.seen(Instant::now());
        let now = self.now.get();
        let mut slots = self.slots.borrow_mut();
        let Slots { deadlines, wakers, .. } = &mut *slots;
        for (deadline, waker) in deadlines.iter_mut().zip(wakers) {
            if *deadline <= now {
                // Once: whoever was woken sets its next deadline itself.
                *deadline = Tick::NEVER;
                if let Some(waker) = waker {
                    waker.wake_by_ref();
                }
            }
        }
    }

    /// Wakes every task, for a change that all must see.
    pub fn wake_all(&self) {
        for waker in self.slots.borrow().wakers.iter().flatten() {
            waker.wake_by_ref();
        }
    }

    /// A slot whose deadline is never reached.
    pub fn slot(self: &Rc<Self>) -> Slot {
        let mut slots = self.slots.borrow_mut();
        let index = slots.free.pop().unwrap_or_else(|| {
            slots.deadlines.push(Tick::NEVER);
            slots.wakers.push(None);
            slots.deadlines.len() - 1
        });
        drop(slots);
        Slot { timers: Rc::clone(self), index, deadline: Cell::new(Tick::NEVER) }
    }
}

impl Slot {
    /// The task to wake. Once per task: its waker stays the same.
    pub fn listen(&self, cx: &Context<'_>) {
        if let Some(waker) = self.timers.slots.borrow_mut().wakers.get_mut(self.index)
            && !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker()))
        {
            *waker = Some(cx.waker().clone());
        }
    }

    /// Sets the deadline.
    pub fn set(&self, deadline: Tick) {
        self.deadline.set(deadline);
        if let Some(slot) = self.timers.slots.borrow_mut().deadlines.get_mut(self.index) {
            *slot = deadline;
        }
    }

    /// Sets the deadline to so long from now.
    pub fn set_after(&self, wait: Duration) {
        self.set(self.timers.now().after(wait));
    }

    /// Has the deadline passed?
    pub fn passed(&self) -> bool {
        self.deadline.get() <= self.timers.now()
    }

    /// Ready once the deadline has passed.
    pub fn poll(&self) -> Poll<()> {
        if self.passed() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut slots = self.timers.slots.borrow_mut();
        if let Some(deadline) = slots.deadlines.get_mut(self.index) {
            *deadline = Tick::NEVER;
        }
        if let Some(waker) = slots.wakers.get_mut(self.index) {
            *waker = None;
        }
        slots.free.push(self.index);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicU32, Ordering},
        },
        task::{Context, Wake, Waker},
        time::Duration,
    };

    use super::{Tick, Timers};

    #[derive(Default)]
    struct Count(AtomicU32);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_passed_deadline_wakes_its_task_once_and_no_other() {
        let timers = Timers::new(std::time::Instant::now());
        let (early, late) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let (one, two) = (timers.slot(), timers.slot());
        one.listen(&Context::from_waker(&Waker::from(Arc::clone(&early))));
        two.listen(&Context::from_waker(&Waker::from(Arc::clone(&late))));
        one.set(timers.now());
        two.set_after(Duration::from_secs(3600));
        timers.advance();
        timers.advance();
        assert!(one.passed() && !two.passed());
        assert_eq!(early.0.load(Ordering::Relaxed), 1);
        assert_eq!(late.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_freed_slot_is_used_again_and_wakes_nobody() {
        let timers = Timers::new(std::time::Instant::now());
        let count = Arc::new(Count::default());
        let slot = timers.slot();
        slot.listen(&Context::from_waker(&Waker::from(Arc::clone(&count))));
        slot.set(Tick::default());
        drop(slot);
        timers.advance();
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        let again = timers.slot();
        assert_eq!(again.index, 0);
        assert!(!again.passed());
    }
}
