//! The placement module: where each module is, and moving it while it serves.
//!
//! Read `domain` (the machine), then `store`, `service`, `coordinator` and `http`.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may")
)]

mod coordinator;
mod desk;
mod domain;
mod http;
mod movement;
mod schema;
mod service;
mod store;

pub use desk::Ports;
pub use http::routes;

use std::{fmt::Write as _, sync::Arc};

use contract::Ownership;
use diesel_migrations::embed_migrations;
use kernel_api::Id;
use placement_api::Placement;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};

use ::store::{Migrations, ModuleDescriptor, Store};

use crate::{desk::Desk, movement::Movements, service::Service};

const MIGRATIONS: Migrations = Migrations {
    sqlite: embed_migrations!("../../../migrations/placement/sqlite"),
    postgres: embed_migrations!("../../../migrations/placement/postgres"),
};

/// What can be set about placement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// A process that told nothing of itself for this long is taken for gone: it is not asked to close its gates, and no
    /// caller is sent to it. Several of the heartbeats that come every second.
    #[serde(deserialize_with = "settings::some_time")]
    pub silent_after: settings::Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { silent_after: settings::Duration::from_secs(5) }
    }
}

/// What placement needs to run.
pub struct Setup {
    /// Its own data, migrated.
    pub store: Store,
    /// Its settings.
    pub config: Config,
    /// Whether this deployment owns it now.
    pub ownership: watch::Receiver<Ownership>,
    /// What it asks of its surroundings.
    pub ports: Ports,
    /// The modules whose data can move.
    pub modules: Vec<ModuleDescriptor>,
    /// The configuration under which all runs, as text without secrets: a certificate shows its hash.
    pub configuration: String,
}

/// Placement, running.
pub struct Running {
    /// What others may ask of it.
    pub contract: Arc<dyn Placement>,
    coordinator: JoinHandle<()>,
}

/// What the module is: its name, its neighbours, its tables.
pub fn descriptor() -> ModuleDescriptor {
    ModuleDescriptor { name: "placement", calls: &[], hears: &[], migrations: MIGRATIONS }
}

/// Starts the module and its coordinator.
pub async fn start(setup: Setup) -> Running {
    let movements = movement::of_stores(setup.modules);
    run(setup.store, setup.config, setup.ownership, (setup.ports, movements, setup.configuration))
}

fn run(
    store: Store,
    config: Config,
    ownership: watch::Receiver<Ownership>,
    (ports, movements, configuration): (Ports, Arc<dyn Movements>, String),
) -> Running {
    let desk = Arc::new(Desk {
        store,
        ports,
        movements,
        silent_after: config.silent_after.get(),
        configuration_sha256: hex(&Sha256::digest(configuration)),
        process: Id::<Desk>::fresh().to_string(),
        wake: Notify::new(),
    });
    let coordinator = tokio::spawn(coordinator::run(Arc::clone(&desk), ownership));
    Running { contract: Arc::new(Service::new(desk)), coordinator }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("writing to a string cannot fail");
        hex
    })
}

impl Running {
    /// Ends the coordinator. It may be ended anywhere: whoever comes after asks the rows.
    pub async fn stop(&self) {
        self.coordinator.abort();
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
