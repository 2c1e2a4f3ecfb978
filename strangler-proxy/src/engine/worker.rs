//! A worker: one thread with its own runtime, listeners, pools, buffers and numbers. Workers share nothing on the path of a
//! request.

use std::{
    cell::{Cell, RefCell},
    io,
    rc::{Rc, Weak},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use arc_swap::{ArcSwap, Cache};
use tokio::{
    runtime::{Builder, LocalOptions},
    sync::{mpsc, oneshot},
    task::spawn_local,
    time::{MissedTickBehavior, interval},
};

use super::{
    accept::{self, Entrance},
    buffers::Buffers,
    endpoint::Endpoints,
    gate::Lots,
    handshake::UnderWay,
    kit::Kits,
    limits::TICK,
    resolve::Resolved,
    spread::{Place, Spread},
    timers::Timers,
    turn::Turn,
    view::{Common, Kept, View},
};
use crate::{
    config::Snapshot,
    resilience::{Registry, shed::Pressure},
    seen::{
        AccessLog, Cells, Handshake, Ids, Recent, Remembered,
        clock::{self, HttpDate},
    },
    steer::Shared,
};

/// How often idle connections to upstreams are looked through.
const SWEEP_TICKS: u32 = 25;

/// What a worker is told.
#[derive(Debug)]
pub enum Command {
    /// Hold the requests of a route or group.
    Hold(Arc<str>),
    /// Let them go again.
    Release(Arc<str>),
    /// Tell when none of them is inside; the gates must be closed.
    Barrier(Arc<str>, oneshot::Sender<bool>),
    /// Tell what is remembered of a trace.
    Recall(Arc<str>, oneshot::Sender<Vec<Remembered>>),
    /// Take no more connections, end those that are idle, and stop after the last one or this time.
    Drain(Duration),
    /// The same, but another process takes the connections: those that are idle may ask once more, so that no request
    /// meets a connection that is being closed.
    HandOver(Duration),
}

/// What workers are made from; the same for all.
#[derive(Clone)]
pub struct Material {
    /// The snapshot in force.
    pub shared: Shared,
    /// The addresses of names and files.
    pub resolved: Arc<ArcSwap<Resolved>>,
    /// Where numbers are read.
    pub cells: Cells,
    /// The lots of all gates.
    pub lots: Lots,
    /// What guards routes and upstreams.
    pub registry: Registry,
    /// When the engine started.
    pub started: Instant,
    /// Who accepts where.
    pub spread: Spread,
    /// Open connections over all workers.
    pub open: Arc<AtomicUsize>,
    /// How many connections of clients a worker's share of the descriptors allows.
    pub clients_max: usize,
}

/// What every connection of a worker can reach.
pub struct Worker {
    /// Deadlines.
    pub timers: Rc<Timers>,
    /// Room for requests under way.
    pub kits: Kits,
    /// Room for bodies.
    pub bodies: Buffers,
    /// Endpoints and their idle connections.
    pub endpoints: Endpoints,
    /// Names of traces.
    pub ids: Ids,
    /// The access log.
    pub log: AccessLog,
    /// What became of requests a moment ago.
    pub recent: Recent,
    /// The date for answers that have none.
    pub date: Cell<HttpDate>,
    /// Is the worker on its way out?
    pub draining: Cell<bool>,
    /// And another process has its place?
    pub followed: Cell<bool>,
    /// Connections that are open here.
    pub open: Cell<usize>,
    /// How much too much there is to do.
    pub pressure: Pressure,
    /// Handshakes of TLS that are under way.
    pub handshakes: UnderWay,
    /// Copies of requests that are under way.
    pub shadows: Cell<usize>,
    /// More connections than this would leave none of the process's descriptors for the upstreams.
    pub clients_max: usize,
    material: Material,
    kept: RefCell<Kept>,
    view: RefCell<Rc<View>>,
    /// Those of before, some of which may still serve requests.
    former: RefCell<Vec<Weak<View>>>,
    snapshots: RefCell<Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>>,
    addresses: RefCell<Cache<Arc<ArcSwap<Resolved>>, Arc<Resolved>>>,
}

/// The outside of a worker.
#[derive(Debug)]
pub struct Started {
    /// Its ear.
    pub commands: mpsc::UnboundedSender<Command>,
    /// Its thread.
    pub thread: JoinHandle<()>,
}

/// Starts a worker's thread on these listeners.
pub fn start(
    index: usize,
    material: Material,
    entrances: Vec<Entrance>,
    log: AccessLog,
) -> io::Result<Started> {
    let (commands, told) = mpsc::unbounded_channel();
    let (tell_ready, ready) = std::sync::mpsc::channel();
    let thread = thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .on_thread_unpark(Turn::begin)
            .build_local(LocalOptions::default());
        match runtime {
            Ok(runtime) => {
                // Whoever started the worker may have given up; then the channel is gone.
                drop(tell_ready.send(Ok(())));
                runtime.block_on(live(Worker::new(material, log), entrances, told));
            }
            Err(error) => drop(tell_ready.send(Err(error))),
        }
    })?;
    ready.recv().unwrap_or_else(|_gone| Err(io::Error::other("a worker ended at its start")))?;
    Ok(Started { commands, thread })
}

async fn live(
    worker: Rc<Worker>,
    entrances: Vec<Entrance>,
    mut told: mpsc::UnboundedReceiver<Command>,
) {
    let ticker = spawn_local(tick(Rc::clone(&worker)));
    let accepting: Vec<_> = entrances
        .into_iter()
        .map(|entrance| spawn_local(accept::run(Rc::clone(&worker), entrance)))
        .collect();
    let drain = loop {
        match told.recv().await {
            Some(Command::Drain(longest)) => break longest,
            Some(Command::HandOver(longest)) => {
                worker.followed.set(true);
                break longest;
            }
            Some(command) => worker.obey(command),
            // The handle is gone without a word: the same as being told to stop now.
            None => break Duration::ZERO,
        }
    };
    worker.draining.set(true);
    worker.timers.wake_all();
    for task in accepting {
        if task.await.is_err() {
            tracing::error!("a listener had panicked");
        }
    }
    let until = worker.timers.now().after(drain);
    while worker.open.get() > 0 && worker.timers.now() < until {
        tokio::time::sleep(TICK).await;
        while let Ok(command) = told.try_recv() {
            worker.obey(command);
        }
    }
    if worker.open.get() > 0 {
        tracing::warn!(connections = worker.open.get(), "cut off at the end of the drain");
    }
    ticker.abort();
}

/// Time-outs, parked requests, the access log and idle connections to upstreams.
async fn tick(worker: Rc<Worker>) {
    let mut interval = interval(TICK);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ticks = 0_u32;
    loop {
        let due = interval.tick().await;
        worker.timers.advance();
        let open_max = worker.connections_max();
        worker.pressure.tick(due.elapsed(), worker.open.get(), open_max);
        // Also without requests: those who are parked wait for a change of the configuration.
        let view = worker.view();
        if worker.material.lots.are_awaited() {
            worker.kept.borrow().gates().for_each(|gate| gate.call());
        }
        worker.log.flush();
        ticks = ticks.wrapping_add(1);
        if ticks.is_multiple_of(SWEEP_TICKS) {
            worker.date.set(clock::http_date(clock::unix_micros() / 1_000_000));
            let now = worker.timers.now();
            for (endpoint, longest) in view.idle_times() {
                endpoint.pool.sweep(now, longest);
                endpoint.shared.sweep(now, longest);
            }
            worker.forget_former();
            worker.endpoints.forget_unused();
        }
    }
}

impl Material {
    fn common<'a>(&'a self, endpoints: &'a Endpoints, timers: &'a Rc<Timers>) -> Common<'a> {
        let Self { lots, cells, registry, .. } = self;
        Common { lots, cells, registry, endpoints, timers }
    }
}

impl Worker {
    fn new(material: Material, log: AccessLog) -> Rc<Self> {
        let snapshots = material.shared.cache();
        let addresses = Cache::new(Arc::clone(&material.resolved));
        let (mut kept, endpoints) = (Kept::default(), Endpoints::default());
        let timers = Timers::new(material.started);
        let (snapshot, resolved) = (material.shared.get(), material.resolved.load_full());
        let view = View::new(snapshot, resolved, &mut kept, &material.common(&endpoints, &timers));
        Rc::new(Self {
            timers,
            kits: Kits::default(),
            bodies: Buffers::default(),
            endpoints,
            ids: Ids::new(),
            log,
            recent: Recent::default(),
            date: Cell::new(clock::http_date(clock::unix_micros() / 1_000_000)),
            draining: Cell::new(false),
            followed: Cell::new(false),
            open: Cell::new(0),
            pressure: Pressure::default(),
            handshakes: UnderWay::default(),
            shadows: Cell::new(0),
            clients_max: material.clients_max,
            kept: RefCell::new(kept),
            view: RefCell::new(Rc::new(view)),
            former: RefCell::default(),
            snapshots: RefCell::new(snapshots),
            addresses: RefCell::new(addresses),
            material,
        })
    }

    /// The configuration in force: a look at two atomics, unless it has changed.
    pub fn view(&self) -> Rc<View> {
        let (mut snapshots, mut addresses) =
            (self.snapshots.borrow_mut(), self.addresses.borrow_mut());
        let (snapshot, resolved) = (snapshots.load(), addresses.load());
        let view = self.view.borrow();
        if Arc::ptr_eq(snapshot, &view.snapshot) && Arc::ptr_eq(resolved, &view.resolved) {
            return Rc::clone(&view);
        }
        // A new upstream has no address for the moment until the resolver has asked; its requests go where they went
        // before. The kill switch waits for nobody.
        if snapshot.kill == view.snapshot.kill && !resolved.covers(snapshot) {
            return Rc::clone(&view);
        }
        let (snapshot, resolved) = (Arc::clone(snapshot), Arc::clone(resolved));
        let common = self.material.common(&self.endpoints, &self.timers);
        let kept = &mut *self.kept.borrow_mut();
        let after = Rc::new(View::after(&view, snapshot, resolved, kept, &common));
        self.former.borrow_mut().push(Rc::downgrade(&view));
        drop(view);
        let view = after;
        *self.view.borrow_mut() = Rc::clone(&view);
        view
    }

    /// Forgets what belongs to routes and upstreams that are gone, once their requests have ended in every worker: one may
    /// let go of it only after this one has no former view any more, so it is looked at again and again.
    fn forget_former(&self) {
        self.former.borrow_mut().retain(|view| view.strong_count() > 0);
        self.kept.borrow_mut().forget_empty();
        self.material.lots.forget_unused();
        self.material.cells.forget_unused();
        self.material.registry.forget_unused();
    }

    /// How many connections of clients may be open.
    pub fn connections_max(&self) -> usize {
        self.view.borrow().snapshot.client.connections.min(self.clients_max)
    }

    /// A handshake came out so.
    pub fn count(&self, how: Handshake) {
        self.material.cells.handshakes().add(how);
    }

    /// An endpoint was taken out: the health checks will look after it.
    pub fn ejected(&self) {
        self.material.registry.ejected();
    }

    /// A connection has come; it goes when the guard is dropped.
    pub fn opened(self: &Rc<Self>, place: Option<Place>) -> Open {
        self.open.set(self.open.get() + 1);
        self.material.open.fetch_add(1, Ordering::Relaxed);
        Open { worker: Rc::clone(self), _place: place }
    }

    /// Who accepts where.
    pub fn spread(&self) -> &Spread {
        &self.material.spread
    }

    fn obey(&self, command: Command) {
        // The view first: what was put in force before the command was given holds for it.
        let view = self.view();
        let gates = |name: &str| -> Vec<_> {
            let routes = view.snapshot.named(name);
            routes.map(|route| (route, Rc::clone(&view.route(route.id).gate))).collect()
        };
        match command {
            Command::Hold(name) => gates(&name).iter().for_each(|(_, gate)| gate.hold()),
            Command::Release(name) => {
                for (route, gate) in gates(&name) {
                    gate.release(route.parking.resume, TICK);
                }
            }
            Command::Barrier(name, done) => {
                let kept = self.kept.borrow();
                let found = gates(&name);
                let former = found.iter().flat_map(|(route, _)| kept.former(&route.matched));
                let all = found.iter().map(|(_, gate)| gate).chain(former);
                let empty: Vec<_> = all
                    .map(|gate| {
                        let (tell, told) = oneshot::channel();
                        gate.when_empty(tell);
                        told
                    })
                    .collect();
                spawn_local(async move {
                    let mut all = !empty.is_empty();
                    for told in empty {
                        all &= told.await.is_ok();
                    }
                    // Whoever asked may have given up.
                    done.send(all).unwrap_or_default();
                });
            }
            // Whoever asked may have given up.
            Command::Recall(trace, tell) => tell.send(self.recent.of(&trace)).unwrap_or_default(),
            Command::Drain(_) | Command::HandOver(_) => {}
        }
    }
}

/// An open connection of a client.
pub struct Open {
    worker: Rc<Worker>,
    _place: Option<Place>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.worker.open.set(self.worker.open.get().saturating_sub(1));
        self.worker.material.open.fetch_sub(1, Ordering::Relaxed);
    }
}
