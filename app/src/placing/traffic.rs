//! The proxy in front, steered by a carve; nothing to steer where there is none.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use http_api::FROM_COPY;
use kernel_api::Id;
use placement_api::{
    Address, Carve, Counted, Module, Name, Percent, PortError, Stage, Table, Traffic, Waits,
};
use strangler_proxy::{
    Handle,
    config::{Lead, Share},
    route::Weight,
    steer::{Engine, Steering},
};
use tokio::task::AbortHandle;

/// The proxy in front, once it stands there.
#[derive(Clone, Default)]
pub struct Front(Arc<OnceLock<Steered>>);

/// A proxy that runs.
pub struct Steered {
    /// Its configuration.
    pub steering: Arc<Steering>,
    /// Its workers.
    pub engine: Arc<Handle>,
    parked: Mutex<BTreeMap<Module, Parked>>,
    leading: Mutex<Leading>,
}

/// Where the modules' routes are led.
#[derive(Default)]
struct Leading {
    /// The public address of a module that is not here.
    to: BTreeMap<String, String>,
    /// Modules whose reads are led ahead of them, by which carve and where to. They come before their owners.
    reads: BTreeMap<String, (Id<Carve>, Lead)>,
    /// What was asked of placement before may be older than what the carve has said since.
    since: Option<Instant>,
}

/// Writes of a module that wait.
struct Parked {
    since: Instant,
    /// Lets them go when the time is over.
    expiry: AbortHandle,
}

impl Front {
    /// It stands there from now on.
    pub fn stands(&self, steering: Arc<Steering>, engine: Arc<Handle>) {
        let (parked, leading) = Default::default();
        // Once per process.
        drop(self.0.set(Steered { steering, engine, parked, leading }));
    }

    /// Leads the routes of every module to its owner, as `table` says, which was asked for at `asked`. The owner's
    /// address changes with each start of its process.
    pub async fn follow(&self, table: &Table, asked: Instant) {
        let owners = table.placed.iter().filter(|placed| placed.owner != Name::MONOLITH);
        let addresses =
            owners.filter_map(|placed| Some((&placed.module, placed.public_url.as_ref()?)));
        let to: BTreeMap<_, _> = addresses.filter_map(|(module, to)| way(module, to)).collect();
        let moving = table
            .placed
            .iter()
            .filter_map(|placed| Some((placed.module.to_string(), placed.moving.as_ref()?.carve)));
        let moving: BTreeMap<_, _> = moving.collect();
        let led = self.lead(move |leading| {
            if leading.since.is_none_or(|since| since < asked) {
                leading.to = to;
                // Whoever steered them may have ended without a word.
                leading.reads.retain(|module, (carve, _)| moving.get(module) == Some(carve));
            }
        });
        if let Err(error) = led.await {
            tracing::warn!(%error, "the proxy in front was not led");
        }
    }

    async fn lead(
        &self,
        change: impl FnOnce(&mut Leading) + Send + 'static,
    ) -> Result<(), PortError> {
        let front = self.clone();
        // It writes to the log on the disk.
        let led = tokio::task::spawn_blocking(move || {
            let Some(front) = front.0.get() else { return Ok(()) };
            let mut leading = front.leading.lock().unwrap_or_else(PoisonError::into_inner);
            change(&mut leading);
            front.steering.lead(&leading.leads(), "placement", "where the module is").map(drop)
        });
        match led.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(PortError(error.to_string())),
            Err(error) => Err(PortError(error.to_string())),
        }
    }

    /// Leads this part of the clients' reads to a process that has a copy of the module's data.
    async fn lead_reads(
        &self,
        module: &Module,
        carve: Id<Carve>,
        percent: Percent,
        to: &Address,
    ) -> Result<(), PortError> {
        let Some((module, to)) = way(module, to) else {
            return Err(PortError(format!("reads are led to plain http://, not to {to}")));
        };
        let weight = Weight::of_hundredths(u16::from(percent.get()) * 100);
        let weight = weight.ok_or_else(|| PortError("a percentage is at most 100".to_owned()))?;
        let mark = (FROM_COPY.to_owned(), "1".to_owned());
        let lead = Lead { to, share: Share::Reads { weight, mark } };
        self.lead(move |leading| {
            leading.reads.insert(module, (carve, lead));
            leading.since = Some(Instant::now());
        })
        .await
    }

    /// Has the toggles of the modules that move refused, and of no others: the routes of a module on its way are the
    /// carve's.
    pub fn reserve(&self, table: &Table) {
        let Some(front) = self.0.get() else { return };
        let moving = table.placed.iter().filter_map(|placed| {
            let why = format!(
                "a carve moves it to {}; ask again after its end",
                placed.moving.as_ref()?.to
            );
            Some((placed.module.to_string(), why))
        });
        front.steering.reserve(moving.collect());
    }
}

impl Leading {
    fn leads(&self) -> BTreeMap<String, Lead> {
        let owners = self.to.iter().map(|(module, to)| (module.clone(), Lead::all(to)));
        let reads = self.reads.iter().map(|(module, (_, lead))| (module.clone(), lead.clone()));
        owners.chain(reads).collect()
    }
}

impl Steered {
    /// The module's routes that write.
    fn writes(&self, module: &Module) -> Vec<Arc<str>> {
        let snapshot = self.steering.shared().get();
        let of = |group: &Option<Arc<str>>| group.as_deref() == Some(module.as_str());
        let routes = snapshot.routes.iter().filter(|route| of(&route.group));
        routes
            .map(|route| Arc::clone(&route.name))
            .filter(|name| name.ends_with(".write"))
            .collect()
    }

    fn parked(&self) -> std::sync::MutexGuard<'_, BTreeMap<Module, Parked>> {
        // One insertion or removal cannot be half done.
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way to a module's owner. Behind TLS it may be a process of ours at an address for which its certificate is not:
/// that is asked by the shop, as every process answers every route and passes on what it does not have.
fn way(module: &Module, to: &Address) -> Option<(String, String)> {
    let to = to.as_str();
    to.starts_with("http://").then(|| (module.to_string(), to.to_owned()))
}

#[async_trait]
impl Traffic for Front {
    async fn is_steerable(&self, module: &Module) -> bool {
        self.0.get().is_some_and(|front| !front.writes(module).is_empty())
    }

    async fn park(
        &self,
        module: &Module,
        _carve: Id<Carve>,
        ttl: Duration,
    ) -> Result<(), PortError> {
        let Some(front) = self.0.get() else { return Ok(()) };
        let writes = front.writes(module);
        let (engine, names) = (Arc::clone(&front.engine), writes.clone());
        let expiry = tokio::spawn(async move {
            tokio::time::sleep(ttl).await;
            names.iter().for_each(|name| engine.resume(name));
        });
        let parked = Parked { since: Instant::now(), expiry: expiry.abort_handle() };
        if let Some(before) = front.parked().insert(module.clone(), parked) {
            before.expiry.abort();
        }
        for name in &writes {
            // What is under way meets the gates behind: it is not waited for here.
            drop(tokio::time::timeout(Duration::ZERO, front.engine.park(name)).await);
        }
        Ok(())
    }

    async fn resume(&self, module: &Module, _carve: Id<Carve>) -> Result<Waits, PortError> {
        let mut waits = Waits::default();
        let Some(front) = self.0.get() else { return Ok(waits) };
        let Some(parked) = front.parked().remove(module) else { return Ok(waits) };
        parked.expiry.abort();
        let longest = u64::try_from(parked.since.elapsed().as_micros()).unwrap_or(u64::MAX);
        for name in front.writes(module) {
            // Each waited at most as long as the first of them may have.
            (0..front.engine.held(&name)).for_each(|_| waits.record(longest));
            front.engine.resume(&name);
        }
        Ok(waits)
    }

    async fn stage(
        &self,
        module: &Module,
        carve: Id<Carve>,
        stage: &Stage,
    ) -> Result<(), PortError> {
        let way = match stage {
            Stage::Off => None,
            Stage::Live { to } => way(module, to),
            Stage::Canary { percent, to } => {
                return self.lead_reads(module, carve, *percent, to).await;
            }
        };
        let module = module.to_string();
        self.lead(move |leading| {
            leading.to.remove(&module);
            leading.to.extend(way);
            leading.reads.remove(&module);
            leading.since = Some(Instant::now());
        })
        .await
    }

    async fn holds(
        &self,
        module: &Module,
        _carve: Id<Carve>,
        as_of: Instant,
        until: Instant,
    ) -> Result<(), PortError> {
        // Without a proxy nothing is led.
        let Some(front) = self.0.get() else { return Ok(()) };
        match front.steering.fresh(module.as_str(), as_of, until) {
            true => Ok(()),
            false => Err(PortError(format!("no reads of {module} are led ahead"))),
        }
    }

    async fn counted(&self, module: &Module) -> Result<Counted, PortError> {
        let Some(front) = self.0.get() else { return Ok(Counted::default()) };
        let snapshot = front.steering.shared().get();
        let of = |name: &str| {
            let mut routes = snapshot.routes.iter();
            routes.any(|route| {
                &*route.name == name && route.group.as_deref() == Some(module.as_str())
            })
        };
        let figures = front.engine.figures().routes;
        let counted = figures.iter().filter(|route| of(&route.route));
        Ok(counted.fold(Counted::default(), |sum, route| Counted {
            requests: sum.requests + route.old.requests + route.new.requests,
            errors: sum.errors + route.old.errors + route.new.errors,
        }))
    }
}
