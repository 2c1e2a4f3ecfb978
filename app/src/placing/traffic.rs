//! The proxy in front, steered by a carve; nothing to steer where there is none.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use kernel_api::Id;
use placement_api::{Carve, Counted, Module, PortError, Stage, Table, Traffic, Waits};
use strangler_proxy::{
    Handle,
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
        let parked = Mutex::default();
        // Once per process.
        drop(self.0.set(Steered { steering, engine, parked }));
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
        _module: &Module,
        _carve: Id<Carve>,
        stage: &Stage,
    ) -> Result<(), PortError> {
        match stage {
            // Every process answers every route and passes on what it does not have.
            Stage::Off | Stage::Live { .. } => Ok(()),
            Stage::Canary { .. } => Err(PortError(
                "this proxy leads every request to its own shop, which asks the owner: no part of them moves ahead"
                    .to_owned(),
            )),
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
