//! The snapshot in force, as the workers and the steering see it.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use tokio::sync::watch;

use crate::config::Snapshot;

/// The snapshot in force. Clones share it.
///
/// A worker makes one [`cache`](Self::cache) and asks it once per request: a look at one atomic, and a new `Arc` only
/// after a change. What must be rebuilt after a change (listeners, pools) waits for [`changes`](Self::changes).
#[derive(Clone)]
pub struct Shared {
    current: Arc<ArcSwap<Snapshot>>,
    changes: watch::Sender<u64>,
}

/// A worker's view of the snapshot in force.
pub type Cached = arc_swap::Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>;

impl Shared {
    /// Starts with this snapshot.
    pub fn new(snapshot: Snapshot) -> Self {
        let (changes, _) = watch::channel(snapshot.generation);
        Self { current: Arc::new(ArcSwap::from_pointee(snapshot)), changes }
    }

    /// The snapshot in force.
    pub fn load(&self) -> Guard<Arc<Snapshot>> {
        self.current.load()
    }

    /// The snapshot in force, to keep.
    pub fn get(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// For the hot path of a worker.
    pub fn cache(&self) -> Cached {
        arc_swap::Cache::new(Arc::clone(&self.current))
    }

    /// Tells the generation of each change.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Puts a snapshot in force; its generation becomes the next one. One caller at a time: the steering.
    pub(crate) fn put(&self, mut snapshot: Snapshot) -> u64 {
        let before = self.current.load();
        snapshot.take_over(&before);
        snapshot.generation = before.generation + 1;
        let generation = snapshot.generation;
        self.current.store(Arc::new(snapshot));
        self.changes.send_replace(generation);
        generation
    }
}
