//! The bounded queue between callers and the threads that own connections.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Jobs wait here for a thread. Bounded: a queue that is full says so at once instead of making everyone late.
pub(crate) struct Queue<J> {
    state: Mutex<State<J>>,
    filled: Condvar,
    limit: usize,
}

struct State<J> {
    jobs: VecDeque<J>,
    open: bool,
    /// Threads asleep in here, so that a push on a busy queue costs no system call.
    asleep: usize,
    /// How many jobs must wait before a sleeper is woken.
    wanted: usize,
    /// How often all threads were roused.
    roused: u64,
}

/// What a thread got from the queue.
pub(crate) enum Taken<J> {
    /// The oldest job.
    Job(J),
    /// None: all threads are roused, for this time.
    Roused(u64),
}

/// A job that the queue did not take.
pub(crate) enum Rejected {
    Full,
    Closed,
}

impl<J> Queue<J> {
    pub fn new(limit: usize) -> Self {
        let state = State { jobs: VecDeque::new(), open: true, asleep: 0, wanted: 1, roused: 0 };
        Self { state: Mutex::new(state), filled: Condvar::new(), limit }
    }

    fn state(&self) -> MutexGuard<'_, State<J>> {
        // Nothing below can leave the state half changed, so a poisoned lock is still good.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a job at the end.
    pub fn put(&self, job: J) -> Result<(), Rejected> {
        let mut state = self.state();
        if !state.open {
            return Err(Rejected::Closed);
        }
        if state.jobs.len() >= self.limit {
            return Err(Rejected::Full);
        }
        state.jobs.push_back(job);
        if state.asleep > 0 && state.jobs.len() >= state.wanted {
            drop(state);
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Puts a job that was taken back to the front, for another thread.
    pub fn put_back(&self, job: J) {
        self.state().jobs.push_front(job);
        self.filled.notify_one();
    }

    /// Wakes every thread that waits for a job, and has those that are at one look up after it.
    pub fn rouse(&self) {
        self.state().roused += 1;
        self.filled.notify_all();
    }

    /// Takes the oldest job, waiting for one; `None` once the queue is closed and empty.
    pub fn take(&self) -> Option<J> {
        loop {
            match self.take_since(u64::MAX)? {
                Taken::Job(job) => return Some(job),
                Taken::Roused(_) => {}
            }
        }
    }

    /// Takes the oldest job, waiting for one, unless the threads were roused more often than this one knows; `None` once the
    /// queue is closed and empty.
    pub fn take_since(&self, known: u64) -> Option<Taken<J>> {
        let mut state = self.state();
        loop {
            if state.roused > known {
                return Some(Taken::Roused(state.roused));
            }
            if let Some(job) = state.jobs.pop_front() {
                return Some(Taken::Job(job));
            }
            if !state.open {
                return None;
            }
            state.asleep += 1;
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.asleep -= 1;
        }
    }

    /// Takes the oldest job if there is one.
    pub fn take_now(&self) -> Option<J> {
        self.state().jobs.pop_front()
    }

    /// Sleeps until `wanted` jobs wait, at most for `patience`, and takes the oldest if there is one then. For a queue
    /// with one taker.
    pub fn take_of(&self, wanted: usize, patience: Duration) -> Option<J> {
        let mut state = self.state();
        if state.open && state.jobs.len() < wanted {
            state.asleep += 1;
            state.wanted = wanted;
            let waited = self.filled.wait_timeout_while(state, patience, |state| {
                state.open && state.jobs.len() < wanted
            });
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.asleep -= 1;
            state.wanted = 1;
        }
        state.jobs.pop_front()
    }

    /// How many jobs wait.
    pub fn waiting(&self) -> usize {
        self.state().jobs.len()
    }

    /// Lets no further job in; those inside are still taken.
    pub fn close(&self) {
        self.state().open = false;
        self.filled.notify_all();
    }
}
