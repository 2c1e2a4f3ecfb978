//! The graph of the modules as real calls draw it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::Serialize;

use crate::{Answer, Fault};

/// Every edge between modules that this process has wired, with what went over it. Clones share the counts.
#[derive(Clone, Debug, Default)]
pub struct CallGraph {
    edges: Arc<Mutex<BTreeMap<(String, String), Edge>>>,
}

/// The way from one module to another: who holds it may count calls on it.
#[derive(Clone, Debug, Default)]
pub struct Edge {
    methods: Arc<Mutex<BTreeMap<&'static str, Arc<Counters>>>>,
}

/// How often one method was called over one edge, and how that ended.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    calls: AtomicU64,
    refused: AtomicU64,
    not_executed: AtomicU64,
    unknown: AtomicU64,
}

/// What went over an edge for one method since the process started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EdgeCount {
    /// The module (or `http`, `rpc`) that calls.
    pub from: String,
    /// The module that is called.
    pub to: String,
    /// The method.
    pub method: &'static str,
    /// How many calls were begun.
    pub calls: u64,
    /// How many of them a rule refused.
    pub refused: u64,
    /// How many had certainly no effect.
    pub not_executed: u64,
    /// How many ended unknown.
    pub unknown: u64,
}

impl CallGraph {
    /// The edge from one module to another, made when it is first asked for.
    pub fn edge(&self, from: &str, to: &str) -> Edge {
        locked(&self.edges).entry((from.to_owned(), to.to_owned())).or_default().clone()
    }

    /// What went over every edge so far, ordered by from, to and method. Methods never called are left out.
    pub fn counts(&self) -> Vec<EdgeCount> {
        let edges = locked(&self.edges);
        let mut counts = Vec::new();
        for ((from, to), edge) in &*edges {
            for (method, counters) in &*locked(&edge.methods) {
                let count = counters.read(from, to, method);
                if count.calls > 0 {
                    counts.push(count);
                }
            }
        }
        counts
    }
}

impl Edge {
    /// An edge that nobody reads.
    pub fn unseen() -> Self {
        Self::default()
    }

    pub(crate) fn counters(&self, method: &'static str) -> Arc<Counters> {
        Arc::clone(locked(&self.methods).entry(method).or_default())
    }
}

impl Counters {
    pub(crate) fn begin(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn end<T, R>(&self, answer: &Answer<T, R>) {
        let ended = match answer {
            Ok(_) => return,
            Err(Fault::Refused(_)) => &self.refused,
            Err(Fault::NotExecuted(_)) => &self.not_executed,
            Err(Fault::Unknown(_)) => &self.unknown,
        };
        ended.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self, from: &str, to: &str, method: &'static str) -> EdgeCount {
        EdgeCount {
            from: from.to_owned(),
            to: to.to_owned(),
            method,
            calls: self.calls.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            not_executed: self.not_executed.load(Ordering::Relaxed),
            unknown: self.unknown.load(Ordering::Relaxed),
        }
    }
}

/// Counters stay whole when a holder of the lock panics.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
