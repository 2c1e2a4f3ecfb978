//! What is known of real traffic: who calls whom, and what a call would take longer over a wire.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use contract::CallGraph;
use http::Method;
use placement_api::{CallCount, DryRun, PortError, Survey as Found, Surveyor};

use super::Oneself;
use crate::http_client::{Ask, HttpClient};

/// Round trips that are measured; the middle one counts.
const TRIPS: usize = 21;

/// How long one of them may take.
const TRIP_TIME: Duration = Duration::from_millis(500);

/// Real traffic as this process has seen it.
pub struct Survey {
    graph: CallGraph,
    oneself: Arc<Oneself>,
    began: Instant,
}

impl Survey {
    /// Of the calls that this graph counts, from now on.
    pub fn new(graph: CallGraph, oneself: Arc<Oneself>) -> Self {
        Self { graph, oneself, began: Instant::now() }
    }
}

#[async_trait]
impl Surveyor for Survey {
    async fn survey(&self, wish: &DryRun) -> Result<Found, PortError> {
        let seconds = self.began.elapsed().as_secs().max(1);
        let mut calls: std::collections::BTreeMap<(String, String), u64> = Default::default();
        for count in self.graph.counts() {
            // What other processes ask is counted where they are, and again on its way through.
            if count.to == wish.module.as_str() || count.from == wish.module.as_str() {
                *calls.entry((count.from, count.to)).or_default() += count.calls;
            }
        }
        let calls = calls.into_iter().filter_map(|((caller, callee), calls)| {
            let callee = callee.parse().ok()?;
            Some(CallCount { caller, callee, calls, per_s: calls / seconds, mean_us: 0 })
        });
        let at = wish.url.as_ref().unwrap_or(&self.oneself.url);
        let added_us = trip(at.as_str()).await;
        Ok(Found { blockers: Vec::new(), calls: calls.collect(), added_us })
    }
}

/// The median time of a round trip to a process, in microseconds.
async fn trip(url: &str) -> Option<u64> {
    let client = HttpClient::new(url, "", 1).ok()?;
    let mut trips = Vec::with_capacity(TRIPS);
    for _ in 0..TRIPS {
        let (method, path) = (Method::GET, "/health/live");
        let ask = Ask { method, path, key: None, if_match: None, body: None, time: TRIP_TIME };
        let began = Instant::now();
        client.ask(ask).await.ok()?;
        trips.push(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    trips.sort_unstable();
    trips.get(TRIPS / 2).copied()
}
