//! The configuration as one worker uses it: every name resolved to a place, so that a request looks nothing up by name.

use std::{
    cell::OnceCell,
    collections::{HashMap, HashSet},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use super::{
    endpoint::{Address, Endpoint, Endpoints},
    gate::{Gate, Lots, Said},
    limits::TICK,
    resolve::Resolved,
    timers::{Tick, Timers},
};
use crate::{
    config::{Outlier, Route, Snapshot, Upstream},
    http1::{Leniency, Limits},
    resilience::{
        Registry, RouteGuards,
        balance::{Candidate, Chooser, Dice, Load, NoChoice},
        breaker::{Fuse, Shard},
        budget::Budget,
        bulkhead::Bulkhead,
        fleet::{Fleet, Vitals},
        rate::Limiter,
    },
    route::{RouteId, Side, Stage, State, UpstreamId, overlap, table::Match},
    seen::{Cells, RouteCells, RouteThen, SideCells},
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
    timers: Rc<Timers>,
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
    /// What its retries may cost.
    pub budget: Rc<Budget>,
    /// Its rate, where it has one.
    pub limiter: Option<Arc<Limiter>>,
    /// Its places, where they are counted.
    pub bulkhead: Option<Arc<Bulkhead>>,
    old: Fuse,
    new: Fuse,
    /// What is remembered of it with its requests; made with the first one.
    then: OnceCell<Rc<RouteThen>>,
}

impl RouteView {
    /// Do fields with an underscore in their name pass?
    pub fn keeps_underscores(&self) -> bool {
        self.leniency.has(Leniency::UNDERSCORE_NAMES)
    }

    /// The breaker of a side.
    pub fn fuse(&self, side: Side) -> &Fuse {
        match side {
            Side::Old => &self.old,
            Side::New => &self.new,
        }
    }

    /// The numbers of a side.
    pub fn side(&self, side: Side) -> &SideCells {
        match side {
            Side::Old => &self.cells.from,
            Side::New => &self.cells.to,
        }
    }

    fn new(route: &Route, leniency: Leniency, kept: &mut Kept, common: &Common<'_>) -> Self {
        let own = kept.guarded(&route.name, common.registry);
        let fuse =
            |breaker, shard| Fuse::new(Arc::clone(breaker), Arc::clone(shard), route.breaker);
        let guards = &own.guards;
        if let Some(size) = route.limits.concurrency {
            guards.bulkhead.resize(size);
        }
        Self {
            leniency,
            budget: Rc::clone(&own.budget),
            limiter: guards.limiter(route.limits.rate.as_ref()),
            bulkhead: route.limits.concurrency.map(|_| Arc::clone(&guards.bulkhead)),
            old: fuse(&guards.old, &own.old),
            new: fuse(&guards.new, &own.new),
            gate: kept.gate(&route.name, common.lots),
            then: OnceCell::new(),
            cells: kept.cells(&route.name, common.cells),
        }
    }
}

/// What belongs to an upstream.
#[derive(Debug)]
pub struct UpstreamView {
    endpoints: Vec<Known>,
    fleet: Arc<Fleet<Address>>,
    chooser: Chooser,
    outlier: Outlier,
}

/// An endpoint of an upstream, and how it is as one of that upstream's.
#[derive(Debug, Clone)]
pub struct Known {
    /// The endpoint.
    pub endpoint: Rc<Endpoint>,
    /// How it is.
    pub vitals: Arc<Vitals>,
}

impl Candidate for Known {
    fn load(&self) -> &Load {
        &self.endpoint.load
    }

    fn vitals(&self) -> &Vitals {
        &self.vitals
    }
}

/// What all views of a worker are made with.
pub struct Common<'a> {
    /// The lots of the gates.
    pub lots: &'a Lots,
    /// The numbers.
    pub cells: &'a Cells,
    /// What guards routes and upstreams.
    pub registry: &'a Registry,
    /// The worker's endpoints.
    pub endpoints: &'a Endpoints,
    /// The worker's time.
    pub timers: &'a Rc<Timers>,
}

/// What of a worker outlives a configuration, by name.
#[derive(Debug, Default)]
pub struct Kept {
    gates: HashMap<Box<str>, Rc<Gate>>,
    /// Gates of configurations with other routes, as long as somebody is inside, and what their routes matched.
    former: Vec<(Match, Rc<Gate>)>,
    cells: HashMap<Box<str>, Arc<RouteCells>>,
    guarded: HashMap<Box<str>, Rc<Guarded>>,
}

/// A worker's part of what guards a route.
#[derive(Debug)]
struct Guarded {
    guards: Arc<RouteGuards>,
    budget: Rc<Budget>,
    old: Arc<Shard>,
    new: Arc<Shard>,
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

    fn guarded(&mut self, route: &str, registry: &Registry) -> Rc<Guarded> {
        let made = || {
            let guards = registry.route(route);
            let (old, new) = (guards.old.shard(), guards.new.shard());
            Rc::new(Guarded { guards, budget: Rc::default(), old, new })
        };
        Rc::clone(self.guarded.entry(route.into()).or_insert_with(made))
    }

    /// The gates of this worker.
    pub fn gates(&self) -> impl Iterator<Item = &Rc<Gate>> {
        self.gates.values()
    }

    /// The gates with somebody inside who was let in as another route's and might be this one's now.
    pub fn former(&self, route: &Match) -> impl Iterator<Item = &Rc<Gate>> {
        // The monolith's own route matches what nobody else does: that may be anything.
        let meets = |old: &Match| {
            old.paths.is_empty() || route.paths.is_empty() || overlap::meet(old, route)
        };
        let met = self.former.iter().filter(move |(old, gate)| !gate.is_empty() && meets(old));
        met.map(|(_, gate)| gate)
    }

    /// Forgets the gates that nobody is inside of any more and that are no route's.
    pub fn forget_empty(&mut self) {
        self.former.retain(|(_, gate)| !gate.is_empty());
    }

    /// Where the routes are other ones, those who are inside stay inside the gates of before, and those who wait decide
    /// anew. So a barrier knows of all whom its route may have let in, whatever that was called then.
    fn renew(&mut self, before: &Snapshot, now: &Snapshot) {
        let as_before =
            |(old, new): (&Route, &Route)| old.name == new.name && old.matched == new.matched;
        if before.routes.len() == now.routes.len()
            && before.routes.iter().zip(now.routes.iter()).all(as_before)
        {
            return;
        }
        let names: HashSet<&str> = now.routes.iter().map(|route| &*route.name).collect();
        for route in before.routes.iter() {
            let Some((name, gate)) = self.gates.remove_entry(&*route.name) else { continue };
            if names.contains(&*name) {
                self.gates.insert(name, gate.renewed());
            } else {
                gate.retire();
            }
            self.former.push((route.matched.clone(), gate));
        }
        self.forget_empty();
        self.cells.retain(|name, _| names.contains(&**name));
        self.guarded.retain(|name, _| names.contains(&**name));
    }
}

impl View {
    /// Takes the place of another one.
    pub fn after(
        before: &Self,
        snapshot: Arc<Snapshot>,
        resolved: Arc<Resolved>,
        kept: &mut Kept,
        common: &Common<'_>,
    ) -> Self {
        kept.renew(&before.snapshot, &snapshot);
        Self::new(snapshot, resolved, kept, common)
    }

    /// Joins a snapshot to what this worker keeps.
    pub fn new(
        snapshot: Arc<Snapshot>,
        resolved: Arc<Resolved>,
        kept: &mut Kept,
        common: &Common<'_>,
    ) -> Self {
        let leniency = |names: &[Box<str>]| {
            let known = names.iter().filter_map(|name| Leniency::by_name(name));
            known.fold(Leniency::NONE, Leniency::with)
        };
        let routes: Vec<RouteView> = snapshot
            .routes
            .iter()
            .map(|route| RouteView::new(route, leniency(&route.leniency), kept, common))
            .collect();
        for (route, view) in snapshot.routes.iter().zip(&routes) {
            view.gate.obey(said(&snapshot, route), route.parking.resume, TICK);
        }
        let upstreams = snapshot.upstreams.iter();
        let upstreams: Vec<_> =
            upstreams.map(|upstream| UpstreamView::new(upstream, &resolved, common)).collect();
        allow_connections(&snapshot, &upstreams);
        let client = &snapshot.client;
        let limits = Limits {
            head_bytes: client.head_bytes,
            fields: client.fields,
            target_bytes: client.target_bytes,
            ..Limits::default()
        };
        let permitted = routes.iter().fold(Leniency::NONE, |sum, route| sum.with(route.leniency));
        let timers = Rc::clone(common.timers);
        Self { snapshot, resolved, limits, permitted, timers, routes, upstreams }
    }

    /// What belongs to a route.
    pub fn route(&self, id: RouteId) -> &RouteView {
        let rest = || self.routes.last().expect("a snapshot has the monolith's route");
        self.routes.get(usize::from(id.0)).unwrap_or_else(rest)
    }

    /// A route as this configuration has it, to be remembered.
    pub fn then(&self, id: RouteId) -> &Rc<RouteThen> {
        let made = || Rc::new(RouteThen::of(self.snapshot.route(id), &self.snapshot));
        self.route(id).then.get_or_init(made)
    }

    /// What belongs to an upstream.
    pub fn upstream(&self, id: UpstreamId) -> Option<&UpstreamView> {
        self.upstreams.get(usize::from(id.0))
    }

    /// How long idle connections of each endpoint are kept.
    pub fn idle_times(&self) -> impl Iterator<Item = (&Rc<Endpoint>, Duration)> {
        self.upstreams.iter().zip(self.snapshot.upstreams.iter()).flat_map(|(view, upstream)| {
            view.endpoints.iter().map(|known| (&known.endpoint, upstream.pool_idle_time))
        })
    }
}

/// The kill switch opens the way to the monolith, also where a call holds it: whoever moves what the route stands for has a
/// fence of its own. A retired route has no such way.
fn said(snapshot: &Snapshot, route: &Route) -> Said {
    match snapshot.kill.is_some() && route.stage != Stage::Retired {
        true => Said::Open,
        false if route.parked => Said::Parked,
        false => Said::Nothing,
    }
}

/// Endpoints may be in several upstreams: the most idle connections and the fewest at once that one of these asks for.
fn allow_connections(snapshot: &Snapshot, views: &[UpstreamView]) {
    for known in views.iter().flat_map(|view| &view.endpoints) {
        known.endpoint.load.allow_all();
        known.endpoint.pool.allow_none();
    }
    for (upstream, view) in snapshot.upstreams.iter().zip(views) {
        for known in &view.endpoints {
            known.endpoint.pool.allow(upstream.pool_idle);
            if let Some(most) = upstream.connections_max {
                known.endpoint.load.restrict(most);
            }
        }
    }
}

impl State for View {
    fn is_usable(&self, route: RouteId, upstream: UpstreamId) -> bool {
        self.upstream(upstream).is_some_and(UpstreamView::is_usable)
            && self.route(route).fuse(Side::New).admits(self.timers.now())
    }
}

impl UpstreamView {
    fn new(upstream: &Upstream, resolved: &Resolved, common: &Common<'_>) -> Self {
        let fleet = common.registry.fleet(&upstream.name);
        let mut addresses: Vec<&Address> = Vec::new();
        for endpoint in &upstream.endpoints {
            for address in resolved.addresses(endpoint) {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
        let known = |address| Known {
            endpoint: common.endpoints.of(address, upstream.tls.as_ref()),
            vitals: fleet.of(address),
        };
        let endpoints = addresses.into_iter().map(known).collect();
        Self {
            endpoints,
            fleet,
            chooser: Chooser::new(upstream.balance),
            outlier: upstream.outlier,
        }
    }

    /// Is any endpoint in use?
    pub fn is_usable(&self) -> bool {
        self.endpoints.iter().any(|known| known.vitals.is_in_use())
    }

    /// The endpoint to ask, with its place; another one than `not`, where there is another one.
    pub fn choose(&self, not: Option<usize>, now: Tick) -> Result<(usize, &Known), NoChoice> {
        let at = self.chooser.choose(&self.endpoints, not, now)?;
        self.endpoints.get(at).map(|known| (at, known)).ok_or(NoChoice::Nobody)
    }

    /// Must it be measured how long endpoints take? With one of them nobody asks.
    pub fn wants_times(&self) -> bool {
        self.endpoints.len() > 1 && self.chooser.wants_times()
    }

    /// Jitter.
    pub fn dice(&self) -> &Dice {
        self.chooser.dice()
    }

    /// An endpoint has failed. True where it is taken out by this.
    pub fn failed(&self, vitals: &Vitals, now: Tick) -> bool {
        self.fleet.failed(vitals, &self.outlier, now)
    }
}
