//! The modules' data: where it is, migrated, checked and opened.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context, Result, anyhow};
use contract::{Call, Caller, Deadline, Ownership};
use events::{Readers, Retention};
use kernel_api::Clock;
use store::{Limits, Location, ModuleDescriptor, Standing, Store};
use telemetry::{Check, State};
use tokio::{sync::watch, task::JoinHandle};

use super::{Opening, descriptors};
use crate::{held::Held, secrets::DeploymentSecret, settings::Settings};

/// How often a module's database is asked whether it is there: what is away is known before a load balancer's next look.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// How long that may take.
const PROBE_TIME: Duration = Duration::from_secs(3);

/// A module's data, with what runs for every module alike: positions for its events, forgetting old rows, and a
/// look at whether the database is there.
pub struct Own {
    /// The door.
    pub store: Store,
    /// What its fence row said when it was opened.
    pub standing: Standing,
    /// Who reads its feed.
    pub readers: Arc<Readers>,
    /// What the module's workers watch. Its seat says where it is.
    pub ownership: watch::Sender<Ownership>,
    workers: Vec<JoinHandle<()>>,
}

impl Own {
    fn new((store, standing): (Store, Standing), retention: Retention, check: Check) -> Self {
        // Nobody's, until the module's seat knows better: no worker begins before.
        let nobody = Ownership::Elsewhere { epoch: 0, owner: String::new() };
        let (ownership, watched) = watch::channel(nobody);
        let readers = Arc::new(Readers::new());
        let forgetting =
            events::retain(store.clone(), Arc::clone(&readers), retention, watched.clone());
        let workers = vec![
            tokio::spawn(events::sequence(store.clone(), watched)),
            tokio::spawn(forgetting),
            tokio::spawn(probe(store.clone(), check)),
        ];
        Self { store, standing, readers, ownership, workers }
    }

    /// What the module's workers watch.
    pub fn ownership(&self) -> watch::Receiver<Ownership> {
        self.ownership.subscribe()
    }
}

impl Own {
    /// Ends what runs here. It only repeats what the next start does anyway: nothing is lost by ending them anywhere.
    pub fn stop(&self) {
        self.workers.iter().for_each(JoinHandle::abort);
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Says how the module's database stands, for as long as it runs.
async fn probe(store: Store, check: Check) {
    loop {
        let module = Caller::module(store.module());
        let call = Call::new(module, Deadline::within(PROBE_TIME));
        check.set(match store.feed_bounds(&call).await {
            Ok(_) => State::Ok,
            Err(fault) => State::Failing(fault.to_string()),
        });
        tokio::time::sleep(PROBE_EVERY).await;
    }
}

/// Where a module's data is.
pub fn location(settings: &Settings, secret: &DeploymentSecret, module: &str) -> Result<Location> {
    match settings.database_url() {
        None => Ok(Location::Sqlite { path: settings.data_dir().file(&format!("{module}.db")) }),
        Some(url) => Ok(store::module_location(url, module, &password(secret, module))?),
    }
}

/// The password of a module's role.
pub fn password(secret: &DeploymentSecret, module: &str) -> String {
    secret.derive(&format!("database:{module}"))
}

/// Brings a module's schema up to date; names what ran.
pub fn migrate(module: &ModuleDescriptor, location: &Location) -> Result<Vec<String>> {
    store::migrate(module.name, location, &module.migrations)
        .map_err(|error| explain(location, error.into()))
}

/// Opens a module's data, up to date. The caller holds the lock on the data directory.
fn open_store(
    module: &ModuleDescriptor,
    location: &Location,
    (limits, deployment): (Limits, &str),
    held: &Held,
) -> Result<Store> {
    held.check(module.name, location)?;
    for name in migrate(module, location)? {
        tracing::info!(module = module.name, migration = name, "migrated");
    }
    held.sign(module.name, location)?;
    let opened = Store::open_as(module.name, location, limits, Clock::system(), deployment);
    let store = opened.map_err(|error| explain(location, error.into()))?;
    Ok(match location {
        // A file is in the locked directory: what a killed process has left need not wait for its leases to end.
        Location::Sqlite { .. } => store.alone(),
        Location::Postgres { .. } => store,
    })
}

/// On PostgreSQL the usual cause is that nobody has made the module's role yet.
fn explain(location: &Location, error: anyhow::Error) -> anyhow::Error {
    match location {
        Location::Sqlite { .. } => error,
        Location::Postgres { .. } => {
            error.context("is the server there, and was `banyan migrate --admin-url …` run once?")
        }
    }
}

/// Opens the data of the modules that run here, side by side, in a data directory that is locked for this process.
pub async fn open_stores(opening: &Opening<'_>) -> Result<BTreeMap<&'static str, Own>> {
    let Opening { settings, secret, here, health, locked, .. } = opening;
    let held = Held::of(locked)?;
    let mut opening = Vec::new();
    for module in descriptors().into_iter().filter(|module| here.contains(&module.name)) {
        let (name, check) = (module.name, health.check(module.name));
        let location = location(settings, secret, name)?;
        let (limits, opened, held) = (settings.store_limits(), check.clone(), held.clone());
        let deployment = settings.deployment.name.clone();
        let task = tokio::task::spawn_blocking(move || {
            let store = open_store(&module, &location, (limits, &deployment), &held)?;
            opened.set(State::Ok);
            anyhow::Ok(store)
        });
        opening.push((name, check, task));
    }
    let retention = Retention {
        events: settings.feeds.keep.get(),
        reader: settings.feeds.keep_for_silent_readers.get(),
        ..Retention::default()
    };
    let mut stores = BTreeMap::new();
    for (name, check, task) in opening {
        let store = task.await.map_err(|error| anyhow!("{name}: {error}"))?;
        let store = store.with_context(|| format!("cannot open the data of {name}"))?;
        let call = Call::new(Caller::module(name), Deadline::within(PROBE_TIME));
        let standing = store.standing(&call).await;
        let standing = standing.with_context(|| format!("cannot read the fence of {name}"))?;
        stores.insert(name, Own::new((store, standing), retention.clone(), check));
    }
    if settings.database_url().is_none() {
        held.remember(stores.keys().copied(), locked)?;
    }
    Ok(stores)
}
