//! Starting the engine and speaking to it while it runs.

use std::{
    fmt, io,
    os::fd::OwnedFd,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use telemetry::prometheus_client::collector::Collector;
use tokio::sync::{mpsc, oneshot};

use super::{
    accept::Entrance,
    gate::Lots,
    inherited::Inherited,
    listen,
    open::{Offered, open},
    resolve::{Resolved, Resolver},
    spread::Spread,
    worker::{self, Command, Material, Started},
};
use crate::{
    config::ListenAddress,
    resilience::{
        Registry,
        collect::Guards,
        health::{Checked, Heartbeat},
    },
    seen::{Cells, Remembered, access::Writer, figures},
    steer::{Engine, Figures, Shared, UpstreamFigures},
};

/// The engine.
#[derive(Debug, Clone, Copy)]
pub struct Proxy;

/// Why it did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened at.
    #[error("cannot listen at {address}")]
    Listen {
        /// Which.
        address: ListenAddress,
        /// Why.
        source: io::Error,
    },
    /// A thread cannot be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

/// A running engine. Dropping it stops the workers at once; [`drain`](Self::drain) lets requests end first.
pub struct Handle {
    addresses: Vec<ListenAddress>,
    /// What can be handed on; nothing once it stops.
    offered: Mutex<Vec<Offered>>,
    commands: Vec<mpsc::UnboundedSender<Command>>,
    /// Taken by whoever waits for the end.
    rest: Mutex<Option<Rest>>,
    shared: Shared,
    guards: Guards,
    cells: Cells,
    lots: Lots,
    open: Arc<AtomicUsize>,
}

/// What is there to end.
struct Rest {
    workers: Vec<JoinHandle<()>>,
    resolver: Resolver,
    heartbeat: Heartbeat,
    log: Writer,
}

impl Proxy {
    /// Listens and serves by the snapshot in force, now and after each change. The listeners are those of the first one.
    pub fn start(shared: &Shared) -> Result<Handle, StartError> {
        Self::start_on(shared, &mut Inherited::default())
    }

    /// The same, on sockets that another process has opened, as far as they are there for an address.
    pub fn start_on(shared: &Shared, inherited: &mut Inherited) -> Result<Handle, StartError> {
        let snapshot = shared.get();
        let workers = match snapshot.workers {
            Some(workers) => usize::from(workers.max(1)),
            None => thread::available_parallelism().map_or(1, Into::into),
        };
        let mut of_workers: Vec<Vec<Entrance>> = (0..workers).map(|_| Vec::new()).collect();
        let (mut addresses, mut offered) = (Vec::new(), Vec::new());
        for listener in snapshot.listeners.iter() {
            let failed = |source| StartError::Listen { address: listener.address.clone(), source };
            let opened = open(listener, workers, inherited).map_err(failed)?;
            addresses.push(opened.bound);
            offered.push(opened.offered);
            for (worker, entrances) in of_workers.iter_mut().zip(opened.of_workers) {
                worker.extend(entrances);
            }
        }
        let resolved = Resolved::of(&snapshot, &Resolved::default());
        let resolved = Arc::new(ArcSwap::from_pointee(resolved));
        let material = Material {
            shared: shared.clone(),
            resolved: Arc::clone(&resolved),
            cells: Cells::default(),
            lots: Lots::default(),
            registry: Registry::default(),
            started: Instant::now(),
            spread: Spread::default(),
            open: Arc::default(),
            clients_max: listen::clients_max() / workers,
        };
        let log = Writer::start(io::stdout()).map_err(StartError::Thread)?;
        let (mut commands, mut threads) = (Vec::new(), Vec::new());
        for (index, entrances) in of_workers.into_iter().enumerate() {
            let started = worker::start(index, material.clone(), entrances, log.log());
            let Started { commands: ear, thread } = started.map_err(StartError::Thread)?;
            commands.push(ear);
            threads.push(thread);
        }
        let resolver = Resolver::start(shared.clone(), Arc::clone(&resolved));
        let resolver = resolver.map_err(StartError::Thread)?;
        let Material { registry, started, .. } = material;
        let checked = Checked {
            shared: shared.clone(),
            resolved: Arc::clone(&resolved),
            registry: registry.clone(),
            started,
        };
        let heartbeat = Heartbeat::start(checked).map_err(StartError::Thread)?;
        Ok(Handle {
            addresses,
            offered: Mutex::new(offered),
            commands,
            rest: Mutex::new(Some(Rest { workers: threads, resolver, heartbeat, log })),
            guards: Guards { shared: shared.clone(), resolved, registry, started },
            shared: shared.clone(),
            cells: material.cells,
            lots: material.lots,
            open: material.open,
        })
    }
}

impl Handle {
    /// Where it listens; a port 0 has become the port that the system chose.
    pub fn addresses(&self) -> &[ListenAddress] {
        &self.addresses
    }

    /// The numbers of all routes: register them with [`telemetry::Metrics::collect`].
    pub fn cells(&self) -> Cells {
        self.cells.clone()
    }

    /// How breakers, endpoints and queues are: register it as the cells.
    pub fn guards(&self) -> impl Collector + use<> {
        self.guards.clone()
    }

    /// Open connections of clients.
    pub fn connections(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Requests of a route that are held now.
    pub fn held(&self, route: &str) -> usize {
        self.lots.of(route).requests()
    }

    /// Holds the requests of a route or of all routes of a group from now on, and waits until those that had been let
    /// through are over, in every worker: when it resolves with true, none of them is under way. False where there is no
    /// such route, and while the kill switch is on: it opens what is held until it is taken back, also in the middle of the
    /// wait, and only a retired route stays closed. So this is a courtesy to those who wait, and never the only fence of
    /// whoever moves something. Upgraded connections and shadows are not waited for.
    ///
    /// The exact barrier for whoever moves what the route stands for. The requests that come meanwhile wait within the
    /// route's parking limits, until [`resume`](Self::resume).
    pub async fn park(&self, name: &str) -> bool {
        self.tell(|| Command::Hold(name.into()));
        self.emptied(name).await
    }

    /// Lets the requests that [`park`](Self::park) holds go, over the route's resume time.
    pub fn resume(&self, name: &str) {
        self.tell(|| Command::Release(name.into()));
    }

    /// Waits until no request of a route or group is under way. It must be parked, by [`park`](Self::park) or by the
    /// configuration that is in force when this is called; else the answer is false.
    pub async fn emptied(&self, name: &str) -> bool {
        let mut done = Vec::new();
        for ear in &self.commands {
            let (tell, told) = oneshot::channel();
            // A worker that has ended has no request under way.
            if ear.send(Command::Barrier(name.into(), tell)).is_ok() {
                done.push(told);
            }
        }
        let mut all = true;
        for told in done {
            all &= told.await.unwrap_or(false);
        }
        all
    }

    /// The listening sockets with the names of their addresses, to be handed on to another process; nothing once the
    /// engine stops.
    pub fn sockets(&self) -> io::Result<Vec<(String, OwnedFd)>> {
        let offered = self.offered.lock().unwrap_or_else(PoisonError::into_inner);
        let each = |one: &Offered| {
            let named = |socket: &OwnedFd| Ok((one.name.clone(), socket.try_clone()?));
            one.sockets.iter().map(named).collect::<Vec<_>>()
        };
        offered.iter().flat_map(each).collect()
    }

    /// Stops as [`drain`](Self::drain) does, when another process accepts from the sockets of these names. What waits there
    /// is that one's from now on, and every connection that is open here may ask once more.
    pub fn hand_over(&self, taken: &[String]) {
        let offered = self.stop_offering();
        for one in offered.iter().filter(|one| taken.contains(&one.name)) {
            one.followed.store(true, Ordering::Release);
        }
        let longest = self.shared.load().client.drain;
        self.tell(|| Command::HandOver(longest));
    }

    fn stop_offering(&self) -> Vec<Offered> {
        std::mem::take(&mut *self.offered.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Stops: no new connections, idle ones are closed, requests under way may take as long as the configuration says.
    /// Returns at once; [`wait`](Self::wait) waits.
    pub fn drain(&self) {
        drop(self.stop_offering());
        let longest = self.shared.load().client.drain;
        self.tell(|| Command::Drain(longest));
    }

    /// Blocks until the workers have ended, and everything is written to the access log.
    pub fn wait(&self) {
        let rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Rest { workers, resolver, heartbeat, log }) = rest else { return };
        for worker in workers {
            if worker.join().is_err() {
                tracing::error!("a worker had panicked");
            }
        }
        resolver.stop();
        heartbeat.stop();
        log.finish();
    }

    fn tell(&self, command: impl Fn() -> Command) {
        for ear in &self.commands {
            // A worker that has ended needs no telling.
            drop(ear.send(command()));
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        drop(self.stop_offering());
        // A worker whose ear is closed stops at once.
        self.commands.clear();
        self.wait();
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Engine for Handle {
    fn figures(&self) -> Figures {
        let snapshot = self.shared.get();
        let mut routes = figures::of(&self.cells);
        let routes = snapshot.routes.iter().map(|route| {
            let mut found = routes.remove(&*route.name).unwrap_or_default();
            found.route = route.name.to_string();
            found.parked = u64::try_from(self.held(&route.name)).unwrap_or(u64::MAX);
            (found.old.open, found.new.open) = self.guards.open(&route.name);
            found
        });
        let upstreams = self.guards.endpoints(&snapshot).into_iter();
        let upstreams = upstreams.map(|(upstream, endpoints)| UpstreamFigures {
            upstream: upstream.to_string(),
            endpoints,
        });
        Figures {
            workers: self.commands.len(),
            connections: u64::try_from(self.connections()).unwrap_or(u64::MAX),
            routes: routes.collect(),
            upstreams: upstreams.collect(),
        }
    }

    fn barrier<'a>(
        &'a self,
        route: &'a str,
        within: Duration,
    ) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        Box::pin(
            async move { tokio::time::timeout(within, self.emptied(route)).await.unwrap_or(false) },
        )
    }

    fn recall<'a>(
        &'a self,
        trace: &'a str,
    ) -> Pin<Box<dyn Future<Output = Vec<Remembered>> + Send + 'a>> {
        let told = self.commands.iter().filter_map(|ear| {
            let (tell, told) = oneshot::channel();
            // A worker that has ended remembers nothing.
            ear.send(Command::Recall(trace.into(), tell)).is_ok().then_some(told)
        });
        let told: Vec<_> = told.collect();
        Box::pin(async move {
            let mut all = Vec::new();
            for told in told {
                all.extend(told.await.unwrap_or_default());
            }
            all.sort_by(|one: &Remembered, other| other.at.cmp(&one.at));
            all
        })
    }

    fn drain(&self) {
        Self::drain(self);
    }

    fn is_usable(&self, route: &str, upstream: &str) -> bool {
        self.guards.is_usable(route, upstream)
    }
}
