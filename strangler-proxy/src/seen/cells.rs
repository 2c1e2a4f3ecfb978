//! The numbers of a route, per side: written by one worker, read by whoever asks.
//!
//! Each worker has cells of its own, so that counting is a load and a store without a lock prefix; the reader adds them up.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::Handshakes;

/// Upper bounds in microseconds: fine where a healthy answer lies, out to the longest time-out.
pub const BOUNDS_MICROS: [u64; 13] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 2_500_000,
    10_000_000,
];

/// A number that one thread adds to.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds, in the one thread that may.
    pub fn add(&self, more: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
    }

    /// Starts anew from this number, in the one thread that may.
    pub fn set(&self, number: u64) {
        self.0.store(number, Ordering::Relaxed);
    }

    /// The number.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One side of a route.
#[derive(Debug, Default)]
pub struct SideCells {
    /// Responses by the first digit of the status: 1xx (an upgrade) to 5xx.
    pub responses: [Count; 5],
    /// Requests that got no whole answer from the upstream.
    pub failed: Count,
    /// Of them those whose answer had begun and was cut short.
    pub broken: Count,
    /// Times to the end of the answer by bucket; the last one is "longer".
    pub buckets: [Count; BOUNDS_MICROS.len() + 1],
    /// The sum of these times in microseconds.
    pub micros: Count,
    /// Requests that were sent a second time.
    pub retried: Count,
}

/// A route: both sides, parking and shadows.
#[derive(Debug, Default)]
pub struct RouteCells {
    /// The old side.
    pub from: SideCells,
    /// The new side.
    pub to: SideCells,
    /// Refused or answered by the proxy itself before a side was asked.
    pub refused: Count,
    /// Requests that had to wait.
    pub parked: Count,
    /// Requests that had to wait for a place among those under way.
    pub queued: Count,
    /// Refused because too many were under way.
    pub crowded: Count,
    /// Refused because they came too fast.
    pub limited: Count,
    /// Refused because the proxy had too much to do.
    pub shed: Count,
    /// Not answered by the new side because it was down.
    pub fallbacks: Count,
    /// Shadows whose status agreed with the answer's.
    pub shadow_agreed: Count,
    /// Shadows whose status differed.
    pub shadow_differed: Count,
    /// Shadows without an answer.
    pub shadow_failed: Count,
    /// Shadows left out because too many were under way.
    pub shadow_left_out: Count,
}

impl SideCells {
    /// An answer has ended.
    pub fn answered(&self, status: u16, took: Duration) {
        let class = usize::from(status / 100).saturating_sub(1);
        if let Some(count) = self.responses.get(class) {
            count.add(1);
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        if let Some(count) = self.buckets.get(bucket) {
            count.add(1);
        }
        self.micros.add(micros);
    }
}

/// A route's cells in every worker.
type OfWorkers = Vec<Arc<RouteCells>>;

/// All cells, by route name. Clones share them. The number of names is bounded: those of routes that are gone are
/// [forgotten](Self::forget_unused) when their last request has ended.
#[derive(Debug, Clone, Default)]
pub struct Cells {
    routes: Arc<Mutex<BTreeMap<Box<str>, OfWorkers>>>,
    handshakes: Handshakes,
}

impl Cells {
    /// Cells for a route, for one worker that keeps them: those that another one has left go on.
    pub fn add(&self, route: &str) -> Arc<RouteCells> {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let of_workers = routes.entry(route.into()).or_default();
        if let Some(left) = of_workers.iter().find(|cells| is_unused(cells)) {
            return Arc::clone(left);
        }
        let made = Arc::new(RouteCells::default());
        of_workers.push(Arc::clone(&made));
        made
    }

    /// Forgets the routes that no worker has any more.
    pub fn forget_unused(&self) {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        routes.retain(|_, workers| !workers.iter().all(is_unused));
    }

    /// How handshakes came out.
    pub fn handshakes(&self) -> &Handshakes {
        &self.handshakes
    }

    /// Shows each route's cells.
    pub fn each(&self, mut see: impl FnMut(&str, &[Arc<RouteCells>])) {
        let routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        for (route, workers) in routes.iter() {
            see(route, workers);
        }
    }
}

fn is_unused(cells: &Arc<RouteCells>) -> bool {
    Arc::strong_count(cells) == 1
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Cells, SideCells};

    #[test]
    fn what_no_worker_has_is_forgotten_unless_it_comes_back() {
        let cells = Cells::default();
        let names = || {
            let mut names = Vec::new();
            cells.each(|route, workers| names.push((route.to_owned(), workers.len())));
            names
        };
        let (stays, goes) = (cells.add("stays"), cells.add("goes"));
        let other = cells.add("goes");
        goes.refused.add(1);
        drop(goes);
        cells.forget_unused();
        assert_eq!(names(), [("goes".to_owned(), 2), ("stays".to_owned(), 1)]);
        let back = cells.add("goes");
        assert_eq!((back.refused.get(), names()[0].1), (1, 2), "it counts on");
        drop((back, other));
        cells.forget_unused();
        assert_eq!(names(), [("stays".to_owned(), 1)]);
        drop(stays);
    }

    #[test]
    fn an_answer_lands_in_its_class_and_bucket() {
        let side = SideCells::default();
        side.answered(204, Duration::from_micros(250));
        side.answered(503, Duration::from_micros(251));
        side.answered(101, Duration::from_secs(100));
        let seen: Vec<u64> = side.responses.iter().map(super::Count::get).collect();
        assert_eq!(seen, [1, 1, 0, 0, 1]);
        assert_eq!(
            (side.buckets[0].get(), side.buckets[1].get(), side.buckets[13].get()),
            (1, 1, 1)
        );
    }

    #[test]
    fn the_cells_of_all_workers_are_shown_together() {
        let cells = Cells::default();
        cells.add("stock").from.failed.add(2);
        cells.add("stock").from.failed.add(3);
        let mut sum = 0;
        cells.each(|route, workers| {
            assert_eq!(route, "stock");
            sum = workers.iter().map(|cells| cells.from.failed.get()).sum();
        });
        assert_eq!(sum, 5);
    }
}
