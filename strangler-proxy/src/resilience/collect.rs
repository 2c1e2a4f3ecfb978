//! The guards as Prometheus series: breakers, endpoints in use, ejections, health checks, queues.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use arc_swap::ArcSwap;
use telemetry::prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use super::{
    Registry, Tick,
    breaker::{Breaker, Shown},
};
use crate::{
    config::{Route, Snapshot},
    engine::Resolved,
    steer::Shared,
    tls,
};

/// What is shown, and by what it is found.
#[derive(Clone)]
pub struct Guards {
    /// The snapshot in force.
    pub shared: Shared,
    /// Where its endpoints are.
    pub resolved: Arc<ArcSwap<Resolved>>,
    /// How they and the routes are.
    pub registry: Registry,
    /// When the engine started.
    pub started: Instant,
}

impl fmt::Debug for Guards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guards").finish_non_exhaustive()
    }
}

/// Endpoints and whether they are in use.
type InUse = Vec<(String, bool)>;

/// Labels and a number.
type Rows = Vec<(Vec<(&'static str, String)>, u64)>;

impl Guards {
    /// The endpoints of each upstream, and whether they are in use.
    pub fn endpoints(&self, snapshot: &Snapshot) -> Vec<(Arc<str>, InUse)> {
        let resolved = self.resolved.load();
        let of_one = |upstream: &crate::config::Upstream| {
            let fleet = self.registry.fleet(&upstream.name);
            let addresses =
                upstream.endpoints.iter().flat_map(|endpoint| resolved.addresses(endpoint));
            let shown =
                addresses.map(|address| (address.to_string(), fleet.of(address).is_in_use()));
            (Arc::clone(&upstream.name), shown.collect())
        };
        snapshot.upstreams.iter().map(of_one).collect()
    }

    /// Can the new side of this route take a request now, as the workers decide it?
    pub fn is_usable(&self, route: &str, upstream: &str) -> bool {
        let snapshot = self.shared.get();
        let routes = snapshot.routes.iter().filter(|found| &*found.name == route);
        let now = Tick::at(Instant::now(), self.started);
        let admits =
            |route: &Route| self.registry.route(&route.name).new.admits(now, route.breaker.probes);
        let is_in_use = |(name, endpoints): &(Arc<str>, InUse)| {
            &**name == upstream && endpoints.iter().any(|(_, in_use)| *in_use)
        };
        routes.into_iter().all(admits) && self.endpoints(&snapshot).iter().any(is_in_use)
    }

    /// Are the breakers of the old and the new side not closed?
    pub fn open(&self, route: &str) -> (bool, bool) {
        let guards = self.registry.route(route);
        (guards.old.shown() != Shown::Closed, guards.new.shown() != Shown::Closed)
    }

    fn breakers(&self, snapshot: &Snapshot, number: fn(&Breaker) -> u64) -> Rows {
        let mut rows = Rows::new();
        for (route, guards) in self.registry.routes_of(snapshot) {
            for (side, breaker) in [("old", &guards.old), ("new", &guards.new)] {
                // One that has never opened is as all should be: a thousand routes would be a wall of zeros.
                if breaker.opened() > 0 {
                    let labels = vec![("route", route.to_string()), ("side", side.to_owned())];
                    rows.push((labels, number(breaker)));
                }
            }
        }
        rows
    }

    fn in_use(&self, snapshot: &Snapshot) -> Rows {
        let mut rows = Rows::new();
        for (upstream, endpoints) in self.endpoints(snapshot) {
            for (endpoint, in_use) in endpoints {
                let labels = vec![("upstream", upstream.to_string()), ("endpoint", endpoint)];
                rows.push((labels, u64::from(in_use)));
            }
        }
        rows
    }

    /// Endpoints that cannot be looked up, whether or not they have addresses of before.
    fn lost(&self, snapshot: &Snapshot) -> Rows {
        let resolved = self.resolved.load();
        let of_one = |upstream: &crate::config::Upstream| {
            let lost = upstream.endpoints.iter().filter(|endpoint| resolved.is_lost(endpoint));
            let name = upstream.name.to_string();
            let row = |endpoint: &crate::config::Endpoint| {
                (vec![("upstream", name.clone()), ("endpoint", endpoint.to_string())], 1)
            };
            lost.map(row).collect::<Rows>()
        };
        snapshot.upstreams.iter().flat_map(of_one).collect()
    }

    fn of_fleets(&self, snapshot: &Snapshot) -> (Rows, Rows) {
        let (mut ejections, mut checks) = (Rows::new(), Rows::new());
        for upstream in snapshot.upstreams.iter() {
            let fleet = self.registry.fleet(&upstream.name);
            let labels = vec![("upstream", upstream.name.to_string())];
            ejections.push((labels.clone(), fleet.ejections.load(Ordering::Relaxed)));
            for (outcome, count) in [("good", &fleet.checks_good), ("bad", &fleet.checks_bad)] {
                let mut labels = labels.clone();
                labels.push(("outcome", outcome.to_owned()));
                checks.push((labels, count.load(Ordering::Relaxed)));
            }
        }
        (non_zero(ejections), non_zero(checks))
    }

    fn queues(&self, snapshot: &Snapshot) -> (Rows, Rows) {
        let (mut inside, mut queued) = (Rows::new(), Rows::new());
        for route in snapshot.routes.iter() {
            if route.limits.concurrency.is_some() {
                let guards = self.registry.route(&route.name);
                let labels = vec![("route", route.name.to_string())];
                let number = |count| u64::try_from(count).unwrap_or(u64::MAX);
                inside.push((labels.clone(), number(guards.bulkhead.inside())));
                queued.push((labels, number(guards.bulkhead.queued())));
            }
        }
        (inside, queued)
    }
}

/// By file, since a name may stand in several.
fn certificates(snapshot: &Snapshot) -> Rows {
    let of = |expiry: tls::Expiry| {
        let labels = vec![("file", expiry.file.display().to_string()), ("name", expiry.name)];
        (labels, u64::try_from(expiry.not_after).unwrap_or(0))
    };
    tls::expiries(snapshot).into_iter().map(of).collect()
}

fn non_zero(mut rows: Rows) -> Rows {
    rows.retain(|(_, number)| *number > 0);
    rows
}

impl Collector for Guards {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let snapshot = self.shared.get();
        let encoder = &mut encoder;
        let is_open = |breaker: &Breaker| u64::from(breaker.shown() != Shown::Closed);
        let help = "Is the breaker of a side not closed?";
        gauges(encoder, ("breaker_open", help), &self.breakers(&snapshot, is_open))?;
        let rows = self.breakers(&snapshot, Breaker::opened);
        counters(encoder, ("breaker_opened", "How often a breaker has opened"), &rows)?;
        let help = "Does an endpoint get requests?";
        gauges(encoder, ("endpoint_in_use", help), &self.in_use(&snapshot))?;
        let help = "Endpoints whose name or file could not be looked up the last time";
        gauges(encoder, ("endpoint_lost", help), &self.lost(&snapshot))?;
        let (ejections, checks) = self.of_fleets(&snapshot);
        let help = "Endpoints taken out because of their failures";
        counters(encoder, ("ejections", help), &ejections)?;
        counters(encoder, ("health_checks", "Questions to endpoints"), &checks)?;
        let (inside, queued) = self.queues(&snapshot);
        gauges(encoder, ("inside", "Requests of a limited route under way"), &inside)?;
        gauges(encoder, ("queued", "Requests that wait for a place"), &queued)?;
        let help = "When a certificate ends, in seconds since 1970";
        gauges(encoder, ("certificate_not_after_seconds", help), &certificates(&snapshot))
    }
}

fn gauges(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    rows: &Rows,
) -> fmt::Result {
    let name = format!("strangler_{name}");
    let mut family = encoder.encode_descriptor(&name, help, None, MetricType::Gauge)?;
    for (labels, number) in rows {
        let number = i64::try_from(*number).unwrap_or(i64::MAX);
        ConstGauge::new(number).encode(family.encode_family(labels)?)?;
    }
    Ok(())
}

fn counters(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    rows: &Rows,
) -> fmt::Result {
    let name = format!("strangler_{name}");
    let mut family = encoder.encode_descriptor(&name, help, None, MetricType::Counter)?;
    for (labels, number) in rows {
        ConstCounter::new(*number).encode(family.encode_family(labels)?)?;
    }
    Ok(())
}
