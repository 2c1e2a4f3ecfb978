//! The configuration as one worker uses it: every name resolved to a place, so that a request looks nothing up by name.

use std::{cell::Cell, collections::HashMap, rc::Rc, sync::Arc, time::Duration};

use super::{
    endpoint::{Address, Endpoint, Endpoints},
    gate::{Gate, Lots},
    limits::TICK,
    resolve::Resolved,
};
use crate::{
    config::{Snapshot, Upstream},
    http1::{Leniency, Limits},
    route::{RouteId, Stage, State, UpstreamId},
    seen::{Cells, RouteCells},
};

/// A snapshot and what belongs to its routes and upstreams in this worker.
#[derive(Debug)]
pub struct View {
    /// The snapshot.
    pub snapshot: Arc<Snapshot>,
    /// The addresses of names and files.
    pub resolved: Arc<Resolved>,
    /// How much a head may have.
    pub limits: Limits,
    /// What any route forgives.
    pub permitted: Leniency,
    routes: Vec<RouteView>,
    upstreams: Vec<UpstreamView>,
}

/// What belongs to a route.
#[derive(Debug)]
pub struct RouteView {
    /// Its gate.
    pub gate: Rc<Gate>,
    /// Its numbers.
    pub cells: Arc<RouteCells>,
    /// What it forgives.
    pub leniency: Leniency,
}

impl RouteView {
    /// Do fields with an underscore in their name pass?
    pub fn keeps_underscores(&self) -> bool {
        self.leniency.has(Leniency::UNDERSCORE_NAMES)
    }
}

/// What belongs to an upstream.
#[derive(Debug, Default)]
pub struct UpstreamView {
    endpoints: Vec<Rc<Endpoint>>,
    next: Cell<usize>,
}

/// What of a worker outlives a configuration, by name.
#[derive(Debug, Default)]
pub struct Kept {
    gates: HashMap<Box<str>, Rc<Gate>>,
    cells: HashMap<Box<str>, Arc<RouteCells>>,
}

impl Kept {
    fn gate(&mut self, route: &str, lots: &Lots) -> Rc<Gate> {
        let made = || Gate::new(lots.of(route));
        Rc::clone(self.gates.entry(route.into()).or_insert_with(made))
    }

    fn cells(&mut self, route: &str, cells: &Cells) -> Arc<RouteCells> {
        let made = || cells.add(route);
        Arc::clone(self.cells.entry(route.into()).or_insert_with(made))
    }

    /// The gates of this worker.
    pub fn gates(&self) -> impl Iterator<Item = &Rc<Gate>> {
        self.gates.values()
    }
}

impl View {
    /// Joins a snapshot to what this worker keeps.
    pub fn new(
        snapshot: Arc<Snapshot>,
        resolved: Arc<Resolved>,
        kept: &mut Kept,
        (lots, cells): (&Lots, &Cells),
        endpoints: &Endpoints,
    ) -> Self {
        let leniency = |names: &[Box<str>]| {
            let known = names.iter().filter_map(|name| Leniency::by_name(name));
            known.fold(Leniency::NONE, Leniency::with)
        };
        let routes: Vec<RouteView> = snapshot
            .routes
            .iter()
            .map(|route| RouteView {
                gate: kept.gate(&route.name, lots),
                cells: kept.cells(&route.name, cells),
                leniency: leniency(&route.leniency),
            })
            .collect();
        for (route, view) in snapshot.routes.iter().zip(&routes) {
            // The kill switch opens the way to the monolith; a retired route has no such way.
            let killed = snapshot.kill.is_some() && route.stage != Stage::Retired;
            view.gate.park(route.parked && !killed, route.parking.resume, TICK);
        }
        let upstreams = snapshot.upstreams.iter();
        let upstreams =
            upstreams.map(|upstream| UpstreamView::new(upstream, &resolved, endpoints)).collect();
        let client = &snapshot.client;
        let limits = Limits {
            head_bytes: client.head_bytes,
            fields: client.fields,
            target_bytes: client.target_bytes,
            ..Limits::default()
        };
        let permitted = routes.iter().fold(Leniency::NONE, |sum, route| sum.with(route.leniency));
        Self { snapshot, resolved, limits, permitted, routes, upstreams }
    }

    /// What belongs to a route.
    pub fn route(&self, id: RouteId) -> &RouteView {
        let rest = || self.routes.last().expect("a snapshot has the monolith's route");
        self.routes.get(usize::from(id.0)).unwrap_or_else(rest)
    }

    /// What belongs to an upstream.
    pub fn upstream(&self, id: UpstreamId) -> Option<&UpstreamView> {
        self.upstreams.get(usize::from(id.0))
    }

    /// How long idle connections of each endpoint are kept.
    pub fn idle_times(&self) -> impl Iterator<Item = (&Rc<Endpoint>, Duration)> {
        self.upstreams.iter().zip(self.snapshot.upstreams.iter()).flat_map(|(view, upstream)| {
            view.endpoints.iter().map(|endpoint| (endpoint, upstream.pool_idle_time))
        })
    }
}

impl State for View {
    fn is_usable(&self, upstream: UpstreamId) -> bool {
        self.upstream(upstream).is_some_and(|upstream| upstream.len() > 0)
    }
}

impl UpstreamView {
    fn new(upstream: &Upstream, resolved: &Resolved, endpoints: &Endpoints) -> Self {
        let mut addresses: Vec<&Address> = Vec::new();
        for endpoint in &upstream.endpoints {
            for address in resolved.addresses(endpoint) {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
        let endpoints = addresses.into_iter().map(|address| endpoints.of(address)).collect();
        Self { endpoints, next: Cell::new(0) }
    }

    /// How many endpoints there are.
    pub fn len(&self) -> usize {
        self.endpoints.len()
    }

    /// The next endpoint, one after the other.
    pub fn choose(&self) -> Option<&Rc<Endpoint>> {
        let at = self.next.get();
        self.next.set(at.wrapping_add(1));
        self.endpoints.get(at.checked_rem(self.endpoints.len())?)
    }
}
