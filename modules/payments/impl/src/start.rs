//! How the module is put together and started.

use std::sync::{Arc, Mutex, PoisonError};

use ::store::{Migrations, ModuleDescriptor, Store, embed_migrations};
use contract::Ownership;
use events::{Feed, SubscriberConfig, Subscription, subscribe};
use payments_api::Payments;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use crate::{
    Config,
    provider::Simulated,
    service::{Patience, Revenue, Service, hear, resolve},
};

/// How many notices of the provider may wait. One that finds no room is dropped: the resolver asks instead.
const NOTICES_MAX: usize = 64;

/// The name of the subscription to ordering's feed: never changed, the cursor is kept under it.
const SUBSCRIPTION: &str = "revenue";

/// The tables.
pub(crate) const MIGRATIONS: Migrations = Migrations {
    sqlite: embed_migrations!("../../../migrations/payments/sqlite"),
    postgres: embed_migrations!("../../../migrations/payments/postgres"),
};

/// What the module needs to start.
pub struct Setup {
    /// Its own data, migrated.
    pub store: Store,
    /// Its settings.
    pub config: Config,
    /// Whether it is here: its workers run only while it is.
    pub ownership: watch::Receiver<Ownership>,
    /// Ordering's events, from which it books revenue.
    pub ordering_feed: Arc<dyn Feed>,
}

/// The module while it runs.
pub struct Running {
    /// What others ask.
    pub contract: Arc<dyn Payments>,
    /// What it hears.
    pub subscriptions: Vec<Arc<Subscription>>,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

/// What the wiring needs to know before the start.
pub fn descriptor() -> ModuleDescriptor {
    ModuleDescriptor { name: "payments", calls: &[], hears: &["ordering"], migrations: MIGRATIONS }
}

/// Starts the module: its service, the resolver of pending payments, the listener to the provider's notices, and the
/// subscription to ordering's events.
pub async fn start(setup: Setup) -> Running {
    let Setup { store, config, ownership, ordering_feed } = setup;
    let (notices, heard) = mpsc::channel(NOTICES_MAX);
    let provider = Simulated::new(store.clone(), config.simulated_delay.get(), notices);
    let service = Service::new(store.clone(), Arc::new(provider), patience(&config));
    let workers = vec![
        tokio::spawn(resolve(service.clone(), config.resolve_every.get(), ownership.clone())),
        tokio::spawn(hear(service.clone(), heard)),
    ];
    let revenue = subscribe(
        SubscriberConfig::new(SUBSCRIPTION),
        store,
        ordering_feed,
        Arc::new(Revenue),
        ownership,
    );
    Running {
        contract: Arc::new(service),
        subscriptions: vec![Arc::new(revenue)],
        workers: Mutex::new(workers),
    }
}

pub(crate) fn patience(config: &Config) -> Patience {
    let answer = config.provider_timeout.get();
    Patience { answer, again: config.resolve_after.get().max(answer * 2) }
}

impl Running {
    /// Ends the workers. They may be ended anywhere: what is under way is asked for again by whoever comes next.
    pub async fn stop(&self) {
        for subscription in &self.subscriptions {
            subscription.stop().await;
        }
        let workers =
            std::mem::take(&mut *self.workers.lock().unwrap_or_else(PoisonError::into_inner));
        for worker in workers {
            worker.abort();
            // Either it had ended, or it was cancelled just now.
            drop(worker.await);
        }
    }
}
