//! How handshakes of TLS with clients came out.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// How one came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// Well, from the beginning.
    Full,
    /// Well, as the continuation of an earlier session.
    Resumed,
    /// A rule was broken, no certificate was good, or the client has gone.
    Failed,
    /// It took too long.
    Slow,
    /// The client does not speak TLS.
    Plain,
    /// Too many were under way, and this was the oldest.
    Crowded,
}

impl Handshake {
    /// All, with their names in metrics.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Full, "full"),
        (Self::Resumed, "resumed"),
        (Self::Failed, "failed"),
        (Self::Slow, "slow"),
        (Self::Plain, "plain"),
        (Self::Crowded, "crowded"),
    ];
}

/// Counted over all workers: a handshake costs so much that one atomic more is nothing. Clones share the numbers.
#[derive(Debug, Clone, Default)]
pub struct Handshakes(Arc<[AtomicU64; Handshake::ALL.len()]>);

impl Handshakes {
    /// One more.
    pub fn add(&self, how: Handshake) {
        if let Some(count) = self.0.get(how as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many.
    pub fn get(&self, how: Handshake) -> u64 {
        self.0.get(how as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }
}
