//! A bulkhead: at most so many requests of a route at once, over all workers, and at most so many that wait for a place,
//! the first come first.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Waker,
};

/// The places of a route.
#[derive(Debug, Default)]
pub struct Bulkhead {
    inside: AtomicUsize,
    size: AtomicUsize,
    /// How many are in `queue`, to be read without the lock.
    queued: AtomicUsize,
    queue: Mutex<VecDeque<Arc<Ticket>>>,
}

#[derive(Debug, Default)]
struct Ticket {
    called: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

/// A place. Free again when dropped.
#[derive(Debug)]
pub struct Place(Arc<Bulkhead>);

/// A place in the queue. Given up when dropped.
#[derive(Debug)]
pub struct Waiting {
    bulkhead: Arc<Bulkhead>,
    ticket: Arc<Ticket>,
}

/// How asking for a place came out.
#[derive(Debug)]
pub enum Entry {
    /// Here it is.
    Place(Place),
    /// There will be one.
    Wait(Waiting),
    /// Too many wait already.
    Full,
}

impl Bulkhead {
    /// From now on there are so many places. Those who are inside stay.
    pub fn resize(&self, size: u32) {
        self.size.store(usize::try_from(size).unwrap_or(usize::MAX), Ordering::SeqCst);
        self.call();
    }

    /// How many are inside.
    pub fn inside(&self) -> usize {
        self.inside.load(Ordering::Relaxed)
    }

    /// How many wait.
    pub fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    /// Asks for a place, or for one of `queue` places to wait.
    pub fn enter(self: &Arc<Self>, queue: u32) -> Entry {
        // Nobody overtakes those who wait.
        if self.queued.load(Ordering::SeqCst) == 0 && self.claim() {
            return Entry::Place(Place(Arc::clone(self)));
        }
        let mut waiting = self.queue();
        if waiting.len() >= usize::try_from(queue).unwrap_or(usize::MAX) {
            drop(waiting);
            // With no queue a place may still have become free.
            return if queue == 0 && self.claim() {
                Entry::Place(Place(Arc::clone(self)))
            } else {
                Entry::Full
            };
        }
        let ticket = Arc::new(Ticket::default());
        waiting.push_back(Arc::clone(&ticket));
        self.queued.store(waiting.len(), Ordering::SeqCst);
        drop(waiting);
        // A place that became free before it could be seen that somebody waits.
        self.call();
        Entry::Wait(Waiting { bulkhead: Arc::clone(self), ticket })
    }

    fn claim(&self) -> bool {
        let size = self.size.load(Ordering::SeqCst);
        let one_more = |inside: usize| (inside < size).then_some(inside + 1);
        self.inside.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).is_ok()
    }

    /// Gives free places to those who wait.
    fn call(&self) {
        if self.queued.load(Ordering::SeqCst) == 0 {
            return;
        }
        let mut waiting = self.queue();
        while !waiting.is_empty() && self.claim() {
            let Some(ticket) = waiting.pop_front() else { break };
            self.queued.store(waiting.len(), Ordering::SeqCst);
            let mut waker = ticket.waker.lock().unwrap_or_else(PoisonError::into_inner);
            ticket.called.store(true, Ordering::SeqCst);
            if let Some(waker) = waker.take() {
                waker.wake();
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Arc<Ticket>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::SeqCst);
        self.0.call();
    }
}

impl Waiting {
    /// The place, once there is one. Else `waker` is woken when there is.
    pub fn poll(&self, waker: &Waker) -> Option<Place> {
        let mut kept = self.ticket.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if self.ticket.called.swap(false, Ordering::SeqCst) {
            return Some(Place(Arc::clone(&self.bulkhead)));
        }
        *kept = Some(waker.clone());
        None
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut waiting = self.bulkhead.queue();
        waiting.retain(|ticket| !Arc::ptr_eq(ticket, &self.ticket));
        self.bulkhead.queued.store(waiting.len(), Ordering::SeqCst);
        drop(waiting);
        // Called and not taken: the place goes to the next.
        if self.ticket.called.swap(false, Ordering::SeqCst) {
            drop(Place(Arc::clone(&self.bulkhead)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::{Wake, Waker},
        thread,
    };

    use super::{Bulkhead, Entry, Place, Waiting};

    fn bulkhead(size: u32) -> Arc<Bulkhead> {
        let made = Arc::new(Bulkhead::default());
        made.resize(size);
        made
    }

    fn place(bulkhead: &Arc<Bulkhead>, queue: u32) -> Place {
        match bulkhead.enter(queue) {
            Entry::Place(place) => place,
            other => panic!("{other:?}"),
        }
    }

    fn waiting(bulkhead: &Arc<Bulkhead>, queue: u32) -> Waiting {
        match bulkhead.enter(queue) {
            Entry::Wait(waiting) => waiting,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn places_and_queue_are_bounded_and_the_first_come_is_the_first_served() {
        let bulkhead = bulkhead(2);
        let (one, _two) = (place(&bulkhead, 2), place(&bulkhead, 2));
        let (first, second) = (waiting(&bulkhead, 2), waiting(&bulkhead, 2));
        assert!(matches!(bulkhead.enter(2), Entry::Full));
        assert!(first.poll(Waker::noop()).is_none());
        drop(one);
        assert!(second.poll(Waker::noop()).is_none(), "it is not its turn");
        let first_place = first.poll(Waker::noop()).expect("its turn");
        drop(first);
        assert_eq!(bulkhead.inside(), 2);
        drop(first_place);
        assert!(second.poll(Waker::noop()).is_some());
        drop(second);
        assert_eq!((bulkhead.inside(), bulkhead.queued()), (1, 0));
    }

    #[test]
    fn who_leaves_the_queue_blocks_nobody() {
        let bulkhead = bulkhead(1);
        let only = place(&bulkhead, 9);
        let (gone, called, last) =
            (waiting(&bulkhead, 9), waiting(&bulkhead, 9), waiting(&bulkhead, 9));
        drop(gone);
        drop(only);
        drop(called);
        assert!(last.poll(Waker::noop()).is_some(), "a call that nobody took goes on");
    }

    #[test]
    fn more_places_call_those_who_wait() {
        let bulkhead = bulkhead(1);
        let _only = place(&bulkhead, 9);
        let waits = waiting(&bulkhead, 9);
        bulkhead.resize(2);
        assert!(waits.poll(Waker::noop()).is_some());
        bulkhead.resize(1);
        assert!(matches!(bulkhead.enter(0), Entry::Full));
    }

    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    /// A lost wake-up would hang here, a place given twice would show.
    #[test]
    fn threads_never_exceed_it_and_never_wait_for_nothing() {
        let (bulkhead, inside) = (bulkhead(2), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    let waker = Waker::from(Arc::new(Unpark(thread::current())));
                    for _ in 0..2_000 {
                        let place = match bulkhead.enter(100) {
                            Entry::Place(place) => place,
                            Entry::Full => panic!("there is room to wait"),
                            Entry::Wait(waiting) => loop {
                                match waiting.poll(&waker) {
                                    Some(place) => break place,
                                    None => thread::park(),
                                }
                            },
                        };
                        assert!(inside.fetch_add(1, Ordering::SeqCst) < 2);
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(place);
                    }
                });
            }
        });
        assert_eq!((bulkhead.inside(), bulkhead.queued()), (0, 0));
    }
}
