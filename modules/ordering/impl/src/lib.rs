//! The ordering module: carts, checkout, orders, returns and customers.
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

use std::{sync::Arc, time::Duration};

use catalog_api::Catalog;
use contract::{Deadline, Ownership};
use diesel_migrations::embed_migrations;
use inventory_api::{HoldSeconds, Inventory};
use kernel_api::Currency;
use ordering_api::Ordering;
use payments_api::Payments;
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, task::JoinHandle};

use ::store::{Migrations, ModuleDescriptor, Store};

use crate::service::{Neighbours, Service};

const MIGRATIONS: Migrations = Migrations {
    sqlite: embed_migrations!("../../../migrations/ordering/sqlite"),
    postgres: embed_migrations!("../../../migrations/ordering/postgres"),
};

/// How long the end of the module waits for what its sagas are doing: what is not done by then goes on after the next
/// start.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// What can be set about ordering.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The currency of carts that name none.
    pub currency: Currency,
    /// How long the prices of a cart are promised after they were asked for; later the checkout asks again.
    pub price_hold: settings::Duration,
    /// How long a checkout holds its stock, in seconds: longer than payments take on a bad day.
    pub reservation_hold: HoldSeconds,
    /// How long an answer waits for a checkout or a return to come to its end; after that it says `running`.
    pub checkout_bound: settings::Duration,
    /// How long a cart is kept that nobody buys or changes.
    pub cart_retention: settings::Duration,
    /// How often such carts are looked for. Not zero: the sweeper would do nothing else.
    #[serde(deserialize_with = "settings::some_time")]
    pub sweep_every: settings::Duration,
    /// How long one call of a checkout's or a return's step may take. Not zero: no step would ever end.
    #[serde(deserialize_with = "settings::some_time")]
    pub step_timeout: settings::Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            currency: Currency::GBP,
            price_hold: settings::Duration::from_secs(15 * 60),
            reservation_hold: HoldSeconds::new(15 * 60).expect("15 minutes are in the range"),
            checkout_bound: settings::Duration::from_secs(5),
            cart_retention: settings::Duration::from_secs(30 * 24 * 3600),
            sweep_every: settings::Duration::from_secs(3600),
            step_timeout: settings::Duration::from_secs(5),
        }
    }
}

impl Config {
    fn saga_limits(&self) -> saga::Limits {
        let step_timeout = self.step_timeout.get();
        // A lease must outlast a step and its write, whatever a step may take.
        saga::Limits { step_timeout, lease: step_timeout * 3, ..saga::Limits::default() }
    }
}

/// What ordering needs to run.
pub struct Setup {
    /// Its own data, migrated.
    pub store: Store,
    /// Its settings.
    pub config: Config,
    /// Whether this deployment owns it now.
    pub ownership: watch::Receiver<Ownership>,
    /// Where prices come from.
    pub catalog: Arc<dyn Catalog>,
    /// Where stock is reserved.
    pub inventory: Arc<dyn Inventory>,
    /// Where money is asked for.
    pub payments: Arc<dyn Payments>,
}

/// Ordering, running.
pub struct Running {
    /// What others may ask of it.
    pub contract: Arc<dyn Ordering>,
    service: Arc<Service>,
    sweeper: JoinHandle<()>,
}

/// What the module is: its name, its neighbours, its tables.
pub fn descriptor() -> ModuleDescriptor {
    ModuleDescriptor {
        name: "ordering",
        calls: &["catalog", "inventory", "payments"],
        hears: &[],
        migrations: MIGRATIONS,
    }
}

/// Starts the module, what drives its sagas, and its sweeper.
pub async fn start(setup: Setup) -> Running {
    let Setup { store, config, ownership, catalog, inventory, payments } = setup;
    let neighbours = Neighbours { catalog, inventory, payments };
    let sweep_every = config.sweep_every.get();
    let service = Arc::new(Service::new(store, config, neighbours));
    service.runner().start(ownership.clone());
    let sweeping = sweeper::run(Arc::clone(&service), sweep_every, ownership);
    let sweeper = tokio::spawn(sweeping);
    Running { contract: Arc::<Service>::clone(&service), service, sweeper }
}

impl Running {
    /// Ends the sweeper and what drives the sagas. What is then under way goes on after the next start, or in another process.
    pub async fn stop(&self) {
        self.sweeper.abort();
        self.service.runner().stop(Deadline::within(STOP_WITHIN)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn a_sweeper_that_never_rests_and_a_step_without_time_are_no_settings() {
        let read = serde_json::from_str::<Config>;
        assert!(read(r#"{ "sweep_every": "1ms", "step_timeout": "1ms" }"#).is_ok());
        for none in [r#"{ "sweep_every": "0s" }"#, r#"{ "step_timeout": "0s" }"#] {
            assert!(read(none).is_err(), "{none}");
        }
    }
}
