//! The catalog module: products, variants and prices.
//!
//! Read `domain`, then `store`, `service` and `http`.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may")
)]

mod domain;
mod http;
mod schema;
mod service;
mod store;

pub use http::routes;

use std::sync::Arc;

use catalog_api::Catalog;
use contract::Ownership;
use diesel_migrations::embed_migrations;
use events::{Feed, SubscriberConfig, Subscription, subscribe};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use ::store::{Migrations, ModuleDescriptor, Store};

use crate::service::{Hearing, Service};

const MIGRATIONS: Migrations = Migrations {
    sqlite: embed_migrations!("../../../migrations/catalog/sqlite"),
    postgres: embed_migrations!("../../../migrations/catalog/postgres"),
};

/// What can be set about catalog: nothing yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {}

/// What catalog needs to run.
pub struct Setup {
    /// Its own data, migrated.
    pub store: Store,
    /// Its settings.
    pub config: Config,
    /// What inventory tells, wherever inventory is.
    pub inventory_feed: Arc<dyn Feed>,
    /// Whether this deployment owns it now.
    pub ownership: watch::Receiver<Ownership>,
}

/// Catalog, running.
pub struct Running {
    /// What others may ask of it.
    pub contract: Arc<dyn Catalog>,
    /// What it hears: for health, metrics and dead letters.
    pub subscriptions: Vec<Arc<Subscription>>,
}

/// What the module is: its name, its neighbours, its tables.
pub fn descriptor() -> ModuleDescriptor {
    ModuleDescriptor { name: "catalog", calls: &[], hears: &["inventory"], migrations: MIGRATIONS }
}

/// Starts the module and listens to inventory.
pub async fn start(setup: Setup) -> Running {
    let Setup { store, config: Config {}, inventory_feed, ownership } = setup;
    let stock = subscribe(
        SubscriberConfig::new("inventory"),
        store.clone(),
        inventory_feed,
        Arc::new(Hearing),
        ownership,
    );
    Running { contract: Arc::new(Service::new(store)), subscriptions: vec![Arc::new(stock)] }
}

impl Running {
    /// Ends what runs in the background.
    pub async fn stop(&self) {
        for subscription in &self.subscriptions {
            subscription.stop().await;
        }
    }
}
