//! Reads that move ahead of what they read: safe requests go to a replica of the old side's data, as long as no client can
//! tell.
//!
//! Invariants: a request is led to a replica only while what it held a bounded time ago is known, and only where that is
//! younger than all that its client was told to be written, by whichever route. Where anything of it is in doubt, the old
//! side is asked. While no reads are moved, nothing is kept of anybody.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use super::{Facts, KeySource, Sticky, Why, bucket::identity};

/// In how many places the time of a client's last write is kept: 256 KiB. Two clients may share one, and then each has its
/// reads from the old side after a write of the other; the more of them write, the more go to the old side.
const PLACES: usize = 1 << 15;

/// Who has written when, as far as replicas may not hold it yet.
pub struct Writers {
    /// Times are microseconds since then, and none of them is zero.
    since: Instant,
    /// Are any reads moved? Looked at once in each answer to a request that may have changed something.
    is_watched: AtomicBool,
    /// When the last write of one of the place's clients was answered. Made when reads are first moved.
    places: OnceLock<Box<[AtomicU64]>>,
    /// When the last write was answered of which nobody knows whose it was.
    anybody: AtomicU64,
}

impl fmt::Debug for Writers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writers").field("is_watched", &self.is_watched).finish_non_exhaustive()
    }
}

impl Default for Writers {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            is_watched: AtomicBool::default(),
            places: OnceLock::default(),
            anybody: AtomicU64::default(),
        }
    }
}

impl Writers {
    /// Notes writes from now on. What was answered before was anybody's.
    pub fn watch(&self) {
        if !self.is_watched.swap(true, Ordering::SeqCst) {
            // Whoever has not seen the switch by now has answered before now.
            self.anybody.fetch_max(self.at(Instant::now()), Ordering::SeqCst);
        }
    }

    /// Notes none any more.
    pub fn rest(&self) {
        self.is_watched.store(false, Ordering::SeqCst);
    }

    /// Are writes noted?
    pub fn is_watched(&self) -> bool {
        self.is_watched.load(Ordering::SeqCst)
    }

    /// The client of this request may have changed something, and is about to be told. `identities` are the ways in which
    /// the readers are told apart.
    pub fn wrote(&self, facts: &Facts<'_>, identities: &[Box<[KeySource]>], now: Instant) {
        let now = self.at(now);
        let mut is_known = !identities.is_empty();
        for sources in identities {
            match sources.iter().find_map(|source| Some((source, source.find(facts)?))) {
                Some((source, key)) => {
                    self.place(source, &key).fetch_max(now, Ordering::SeqCst);
                }
                None => is_known = false,
            }
        }
        if !is_known {
            self.anybody.fetch_max(now, Ordering::SeqCst);
        }
    }

    fn place(&self, source: &KeySource, key: &[u8]) -> &AtomicU64 {
        let places = self.places.get_or_init(|| (0..PLACES).map(|_| AtomicU64::new(0)).collect());
        let at = usize::try_from(identity(source, key) % PLACES as u64).unwrap_or(0);
        places.get(at).unwrap_or(&self.anybody)
    }

    /// The last write that its client may have made. A key that it has besides counts as well: it may not have had a better
    /// one when it wrote.
    fn last(&self, facts: &Facts<'_>, sticky: &Sticky) -> u64 {
        let found = sticky.sources.iter().filter_map(|source| Some((source, source.find(facts)?)));
        let times = found.map(|(source, key)| self.place(source, &key).load(Ordering::SeqCst));
        times.fold(self.anybody.load(Ordering::SeqCst), u64::max)
    }

    fn at(&self, moment: Instant) -> u64 {
        let since = moment.saturating_duration_since(self.since);
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX).saturating_add(1)
    }
}

/// A replica that a group's reads are led to, as far as it is known.
#[derive(Debug)]
pub struct Replica {
    writers: Arc<Writers>,
    /// It holds all that was committed by then.
    as_of: AtomicU64,
    /// That is told until then.
    until: AtomicU64,
}

impl Replica {
    /// One of which nothing is known yet.
    pub fn new(writers: &Arc<Writers>) -> Arc<Self> {
        let writers = Arc::clone(writers);
        Arc::new(Self { writers, as_of: AtomicU64::new(0), until: AtomicU64::new(0) })
    }

    /// It holds all that was committed by `as_of`; good until then.
    pub fn holds(&self, as_of: Instant, until: Instant) {
        self.as_of.fetch_max(self.writers.at(as_of), Ordering::SeqCst);
        self.until.fetch_max(self.writers.at(until), Ordering::SeqCst);
    }

    /// Nothing is known of it any more.
    pub fn close(&self) {
        self.until.store(0, Ordering::SeqCst);
        self.as_of.store(0, Ordering::SeqCst);
    }

    /// May it answer this request now? Why not, where it may not.
    pub fn admits(&self, facts: &Facts<'_>, sticky: &Sticky, now: Instant) -> Result<(), Why> {
        // Not `OPTIONS`: what it says of a resource is its owner's.
        if !matches!(facts.method, b"GET" | b"HEAD") {
            return Err(Why::NotARead);
        }
        if self.writers.at(now) >= self.until.load(Ordering::SeqCst) {
            return Err(Why::Behind);
        }
        let as_of = self.as_of.load(Ordering::SeqCst);
        if as_of > self.writers.last(facts, sticky) { Ok(()) } else { Err(Why::HasWritten) }
    }
}

#[cfg(test)]
mod tests;
