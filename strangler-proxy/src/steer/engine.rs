//! What steering asks of the engine.

use std::{future::Future, pin::Pin, time::Duration};

use serde::{Deserialize, Serialize};

use crate::seen::Remembered;

/// The engine as the steering and the admin API see it.
pub trait Engine: Send + Sync + 'static {
    /// The numbers of now, for `status` and `top`.
    fn figures(&self) -> Figures;

    /// Waits until every worker decides by the snapshot in force and no request that was let in before is inside the
    /// named route any more; `false` where that did not come true in time. Exact for a route that is parked.
    fn barrier<'a>(
        &'a self,
        route: &'a str,
        within: Duration,
    ) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>>;

    /// What is remembered of the requests of a trace, the newest first.
    fn recall<'a>(
        &'a self,
        trace: &'a str,
    ) -> Pin<Box<dyn Future<Output = Vec<Remembered>> + Send + 'a>>;

    /// Takes no more connections and stops after the last request, or after the configured time.
    fn drain(&self);

    /// Is this upstream worth asking as the new side of this route? As the decision asks it.
    fn is_usable(&self, route: &str, upstream: &str) -> bool;
}

/// Numbers of one moment. Counts only rise while the process lives, so that rates follow from two looks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Worker threads.
    pub workers: usize,
    /// Open connections of clients.
    pub connections: u64,
    /// By route, in the order of the file.
    pub routes: Vec<RouteFigures>,
    /// By upstream.
    pub upstreams: Vec<UpstreamFigures>,
}

/// The numbers of a route.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RouteFigures {
    /// Its name.
    pub route: String,
    /// Its old side.
    pub old: SideFigures,
    /// Its new side.
    pub new: SideFigures,
    /// Requests that wait now.
    pub parked: u64,
    /// Requests that the proxy answered itself.
    pub refused: u64,
    /// Of them those that came too fast.
    pub limited: u64,
    /// And those for which there was no room: too many under way, or too much to do.
    pub crowded: u64,
    /// Requests that the new side did not answer because it was down.
    pub fallbacks: u64,
    /// Copies whose status agreed.
    pub shadow_agreed: u64,
    /// Copies whose status differed.
    pub shadow_differed: u64,
}

/// The numbers of a side.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SideFigures {
    /// Answers, whatever their status.
    pub requests: u64,
    /// Of them 5xx, and requests without a whole answer.
    pub errors: u64,
    /// The median time in milliseconds since the start.
    pub p50_ms: f64,
    /// What 99 of 100 requests stay under, in milliseconds.
    pub p99_ms: f64,
    /// Requests that were tried again.
    pub retried: u64,
    /// Is its breaker open, or half so?
    pub open: bool,
}

/// The numbers of an upstream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UpstreamFigures {
    /// Its name.
    pub upstream: String,
    /// Its endpoints as they are known now: the address, and whether it is in use.
    pub endpoints: Vec<(String, bool)>,
}
