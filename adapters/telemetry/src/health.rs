//! Whether the process lives, has started and should get requests.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use serde::Serialize;

/// The health of a process: named checks and where it stands in its life. Clones share it.
#[derive(Clone, Default)]
pub struct Health {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Has everything started once? Never goes back.
    started: AtomicBool,
    /// Is it on its way out? Never goes back.
    draining: AtomicBool,
    /// Held for a read or a write of one entry; no check runs under it.
    checks: Mutex<BTreeMap<String, State>>,
    probes: Mutex<Vec<(String, Probe)>>,
}

type Probe = Arc<dyn Fn() -> State + Send + Sync>;

/// How one part stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", content = "detail", rename_all = "snake_case")]
pub enum State {
    /// Not yet able to work.
    Starting,
    /// Works.
    Ok,
    /// Works with less than it should have; requests are still welcome.
    Degraded(String),
    /// Does not work for now: no requests, please.
    Failing(String),
    /// Will not work again without a restart.
    Broken(String),
}

/// The way in which a part tells how it stands.
#[derive(Clone)]
pub struct Check {
    name: String,
    health: Health,
}

/// The answer of a health endpoint: 200 where healthy, 503 where not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HealthReport {
    /// The answer in one bit.
    #[serde(skip)]
    pub healthy: bool,
    /// The answer in one word: `ok`, `starting`, `draining` or `failing`.
    pub status: &'static str,
    /// Each part.
    pub checks: BTreeMap<String, State>,
}

impl Health {
    /// A process that has not started yet and has no checks.
    pub fn new() -> Self {
        Self::default()
    }

    /// A part that tells how it stands; it is starting until it says otherwise.
    pub fn check(&self, name: &str) -> Check {
        lock(&self.inner.checks).insert(name.to_owned(), State::Starting);
        Check { name: name.to_owned(), health: self.clone() }
    }

    /// A part that is asked each time. The question must be answered at once, without I/O that may hang.
    pub fn probe(&self, name: &str, probe: impl Fn() -> State + Send + Sync + 'static) {
        lock(&self.inner.probes).push((name.to_owned(), Arc::new(probe)));
    }

    /// Everything has started once.
    pub fn started(&self) {
        self.inner.started.store(true, Ordering::Release);
    }

    /// The process is on its way out: not ready from now on, still alive.
    pub fn drain(&self) {
        self.inner.draining.store(true, Ordering::Release);
    }

    /// Is the process worth keeping? No where a part is broken for good: then a restart is the cure.
    pub fn live(&self) -> HealthReport {
        let checks = self.states();
        let healthy = !checks.values().any(|state| matches!(state, State::Broken(_)));
        HealthReport { healthy, status: if healthy { "ok" } else { "failing" }, checks }
    }

    /// Should it get requests?
    pub fn ready(&self) -> HealthReport {
        let checks = self.states();
        let works = |state: &State| match state {
            State::Ok | State::Degraded(_) => true,
            State::Starting | State::Failing(_) | State::Broken(_) => false,
        };
        let status = if self.inner.draining.load(Ordering::Acquire) {
            "draining"
        } else if !self.inner.started.load(Ordering::Acquire) {
            "starting"
        } else if checks.values().all(works) {
            "ok"
        } else {
            "failing"
        };
        HealthReport { healthy: status == "ok", status, checks }
    }

    /// Has everything started once?
    pub fn startup(&self) -> HealthReport {
        let healthy = self.inner.started.load(Ordering::Acquire);
        let status = if healthy { "ok" } else { "starting" };
        HealthReport { healthy, status, checks: self.states() }
    }

    fn states(&self) -> BTreeMap<String, State> {
        let mut states = lock(&self.inner.checks).clone();
        // Probes run outside the lock: one that registers a check must not meet itself.
        let probes = lock(&self.inner.probes).clone();
        states.extend(probes.into_iter().map(|(name, probe)| (name, probe())));
        states
    }
}

impl Check {
    /// Tells how the part stands now. A change is logged, once.
    pub fn set(&self, state: State) {
        let before = lock(&self.health.inner.checks).insert(self.name.clone(), state.clone());
        if before.as_ref() == Some(&state) {
            return;
        }
        let name = self.name.as_str();
        match state {
            State::Starting | State::Ok => tracing::info!(check = name, ?state, "health changed"),
            State::Degraded(_) | State::Failing(_) | State::Broken(_) => {
                tracing::warn!(check = name, ?state, "health changed");
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The maps are whole after every statement, so a panic elsewhere leaves them sound.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{Health, State};

    #[test]
    fn a_life_from_start_to_drain() {
        let health = Health::new();
        let check = health.check("store");
        assert_eq!(health.ready().status, "starting");
        assert!(health.live().healthy && !health.startup().healthy);
        check.set(State::Ok);
        health.started();
        assert!(health.ready().healthy && health.startup().healthy);
        health.drain();
        assert_eq!(health.ready().status, "draining");
        assert!(health.live().healthy);
    }

    #[test]
    fn each_state_says_who_should_care() {
        let cases = [
            (State::Starting, false, true),
            (State::Ok, true, true),
            (State::Degraded("cache away".into()), true, true),
            (State::Failing("database away".into()), false, true),
            (State::Broken("worker panicked".into()), false, false),
        ];
        for (state, ready, live) in cases {
            let health = Health::new();
            health.started();
            health.check("part").set(state.clone());
            assert_eq!((health.ready().healthy, health.live().healthy), (ready, live), "{state:?}");
        }
    }

    #[test]
    fn probes_are_asked_each_time() {
        let health = Health::new();
        health.started();
        let count = std::sync::atomic::AtomicU32::new(0);
        health.probe("odd", move || {
            match count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) % 2 {
                0 => State::Ok,
                _ => State::Failing("even".into()),
            }
        });
        assert!(health.ready().healthy);
        assert!(!health.ready().healthy);
        let json = serde_json::to_string(&health.ready()).unwrap();
        assert_eq!(json, r#"{"status":"ok","checks":{"odd":{"state":"ok"}}}"#);
    }
}
