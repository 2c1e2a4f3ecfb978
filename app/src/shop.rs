//! The shop: every module, here or elsewhere, wired to what it may call and hear.
//!
//! Reading [`Shop::open`] from top to bottom is reading the dependency graph: each module uses only what stands above.

mod data;
mod running;
mod seat;
mod starting;
mod ways;
mod wires;

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use contract::{CallGraph, rpc};
use events::FeedServer;
use store::ModuleDescriptor;
use telemetry::Health;

pub use data::{location, migrate, password};
pub use running::Running;
pub use seat::Seated;
use starting::Starting;
pub use ways::Ways;
pub use wires::Seats;
use wires::Wires;

use crate::{data_dir::Locked, modules::Modules, secrets::DeploymentSecret, settings::Settings};

/// How long a module's workers may take to end, before the process ends without them.
const STOP_TIME: Duration = Duration::from_secs(10);

/// The modules of this program, in the order in which they are shown.
pub fn descriptors() -> [ModuleDescriptor; 4] {
    [
        catalog_impl::descriptor(),
        inventory_impl::descriptor(),
        ordering_impl::descriptor(),
        payments_impl::descriptor(),
    ]
}

/// What a shop is opened with.
pub struct Opening<'a> {
    /// The settings.
    pub settings: &'a Settings,
    /// What the processes of the deployment share.
    pub secret: &'a DeploymentSecret,
    /// The modules that run here; the others are called where the settings say they are.
    pub here: Vec<&'static str>,
    /// Where each module's store says how it stands.
    pub health: &'a Health,
    /// The lock on the data directory, by which whoever had it before has ended.
    pub locked: &'a Locked,
}

/// A shop whose modules run.
pub struct Shop {
    /// The modules, as requests from outside see them.
    pub modules: Modules,
    /// What real calls have drawn.
    pub graph: CallGraph,
    /// Answers calls of other processes.
    pub registry: Arc<rpc::Registry>,
    /// Shows feeds to other processes.
    pub feeds: Arc<FeedServer>,
    /// Where each module is, as this process knows it.
    pub seats: Seats,
    /// The ways to other processes.
    pub ways: Ways,
    own: Vec<Running>,
}

impl Shop {
    /// Opens the data, then starts the modules, each with what it may call and hear.
    pub async fn open(opening: Opening<'_>) -> Result<Self> {
        let stores = data::open_stores(&opening).await?;
        let Opening { settings, secret, .. } = opening;
        let registry = Arc::new(rpc::Registry::new(secret.rpc()));
        let feeds = Arc::new(FeedServer::new(Arc::clone(&registry)));
        let graph = CallGraph::default();
        let ways = Ways::new(settings, secret);
        let wires = Wires::new(settings, &ways, &graph, (&registry, &feeds));
        let mut starting = Starting::new(settings, &wires, stores);

        let inventory = starting.inventory().await;
        let catalog = starting.catalog().await;
        let payments = starting.payments().await;
        let ordering = starting.ordering(&catalog, &inventory, &payments).await;

        let modules = Modules {
            catalog: wires.binding(&catalog, "http"),
            inventory: wires.binding(&inventory, "http"),
            ordering: wires.binding(&ordering, "http"),
            payments: wires.binding(&payments, "http"),
        };
        let (own, seats) = starting.started();
        Ok(Self { modules, graph, registry, feeds, seats, ways, own })
    }

    /// The modules that run here.
    pub fn own(&self) -> &[Running] {
        &self.own
    }

    /// Ends the modules' workers, callers before callees. The stores close with the last clone of each.
    pub async fn stop(&self) {
        for running in self.own.iter().rev() {
            if tokio::time::timeout(STOP_TIME, running.stop()).await.is_err() {
                tracing::warn!(module = running.name, "its workers did not end in time");
            }
        }
    }
}
