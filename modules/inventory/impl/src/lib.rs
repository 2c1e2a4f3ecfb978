//! The inventory module: stock, reservations and the stock ledger.
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
mod sweeper;

pub use http::routes;

use std::sync::Arc;

use contract::Ownership;
use diesel_migrations::embed_migrations;
use inventory_api::{Inventory, LowAt};
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, task::JoinHandle};

use ::store::{Migrations, ModuleDescriptor, Store};

use crate::service::Service;

const MIGRATIONS: Migrations = Migrations {
    sqlite: embed_migrations!("../../../migrations/inventory/sqlite"),
    postgres: embed_migrations!("../../../migrations/inventory/postgres"),
};

/// What can be set about inventory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// From which available quantity down a SKU counts as low where it has no threshold of its own.
    pub low_at: LowAt,
    /// How often expired reservations are looked for; how long after its end stock may stay held. Not zero: the
    /// sweeper would do nothing else.
    #[serde(deserialize_with = "settings::some_time")]
    pub sweep_every: settings::Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            low_at: LowAt::new(10).expect("10 is in the range"),
            sweep_every: settings::Duration::from_secs(1),
        }
    }
}

/// What inventory needs to run.
pub struct Setup {
    /// Its own data, migrated.
    pub store: Store,
    /// Its settings.
    pub config: Config,
    /// Whether this deployment owns it now.
    pub ownership: watch::Receiver<Ownership>,
}

/// Inventory, running.
pub struct Running {
    /// What others may ask of it.
    pub contract: Arc<dyn Inventory>,
    sweeper: JoinHandle<()>,
}

/// What the module is: its name, its neighbours, its tables.
pub fn descriptor() -> ModuleDescriptor {
    ModuleDescriptor { name: "inventory", calls: &[], hears: &[], migrations: MIGRATIONS }
}

/// Starts the module and its sweeper.
pub async fn start(setup: Setup) -> Running {
    let Setup { store, config, ownership } = setup;
    let service = Arc::new(Service::new(store, config.low_at.get()));
    let sweeping = sweeper::run(Arc::clone(&service), config.sweep_every.get(), ownership);
    Running { contract: service, sweeper: tokio::spawn(sweeping) }
}

impl Running {
    /// Ends the sweeper. It may be ended anywhere: a sweep under way commits or rolls back whole.
    pub async fn stop(&self) {
        self.sweeper.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn a_sweeper_that_never_rests_is_no_setting() {
        let read = serde_json::from_str::<Config>;
        assert!(read(r#"{ "sweep_every": "1ms" }"#).is_ok());
        assert!(read(r#"{ "sweep_every": "0s" }"#).is_err());
        assert_eq!(read("{}").unwrap(), Config::default());
    }
}
