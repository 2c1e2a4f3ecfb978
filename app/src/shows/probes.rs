//! One small request after the other to every module, to see who is kept waiting when.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use http::Method;
use tokio::task::JoinHandle;

use crate::http_client::{Ask, HttpClient};

/// What each module is asked: a read that no other module has a part in.
const ASKED: [(&str, &str); 4] = [
    ("catalog", "/v1/products/by-sku/LOAD-LAMP"),
    ("inventory", "/v1/stock/LOAD-LAMP"),
    ("ordering", "/v1/customers?limit=1"),
    ("payments", "/v1/payments?limit=1"),
];

/// Between two requests to a module: hundreds of them while it moves, and no load.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// How long a request may take before it counts as unanswered.
const REQUEST_TIME: Duration = Duration::from_secs(15);

/// Somebody who asks all modules until it is enough.
pub struct Probes {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Vec<Sample>>,
    failed: Mutex<BTreeMap<String, u64>>,
    stop: AtomicBool,
}

/// An answer.
#[derive(Debug, Clone, Copy)]
struct Sample {
    module: &'static str,
    at: Instant,
    took: Duration,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is one push.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Probes {
    /// Begins to ask.
    pub fn start(client: &HttpClient) -> Self {
        let shared = Arc::new(Shared::default());
        let ask = |(module, path)| {
            tokio::spawn(ask_on(client.clone(), Arc::clone(&shared), module, path))
        };
        let tasks = ASKED.into_iter().map(ask).collect();
        Self { shared, tasks }
    }

    /// How long each request to all modules but this one took that was begun in this time.
    pub fn of_others(&self, module: &str, from: Instant, to: Instant) -> Vec<Duration> {
        let seen = locked(&self.shared.seen);
        let within =
            seen.iter().filter(|one| one.module != module && one.at >= from && one.at < to);
        within.map(|one| one.took).collect()
    }

    /// Ends; what was seen instead of an answer, and how often.
    pub async fn finish(self) -> Result<BTreeMap<String, u64>> {
        self.shared.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.context("a probe")?;
        }
        Ok(locked(&self.shared.failed).clone())
    }
}

/// What 99 of 100 of them stayed under, in milliseconds; 0 where there are none.
pub fn p99_ms(mut took: Vec<Duration>) -> f64 {
    took.sort_unstable();
    let p99 = took.get(took.len().saturating_sub(1) * 99 / 100).copied().unwrap_or_default();
    p99.as_secs_f64() * 1000.0
}

async fn ask_on(client: HttpClient, shared: Arc<Shared>, module: &'static str, path: &str) {
    while !shared.stop.load(Ordering::Relaxed) {
        let at = Instant::now();
        let (method, time) = (Method::GET, REQUEST_TIME);
        let ask = Ask { method, path, key: None, if_match: None, body: None, time };
        let problem = match client.ask(ask).await {
            Ok(answer) if answer.is_success() => None,
            Ok(answer) => Some(format!("{path}: {}", answer.problem())),
            Err(silence) => Some(format!("{path}: {silence}")),
        };
        let took = at.elapsed();
        match problem {
            None => locked(&shared.seen).push(Sample { module, at, took }),
            Some(problem) => *locked(&shared.failed).entry(problem).or_default() += 1,
        }
        tokio::time::sleep(ASK_EVERY.saturating_sub(took)).await;
    }
}
