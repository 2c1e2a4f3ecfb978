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
use placement_api::Placement;
use store::ModuleDescriptor;
use telemetry::Health;

pub use data::{location, migrate, password};
pub use running::Running;
pub use seat::Seated;
use starting::Starting;
pub use ways::Ways;
pub use wires::Seats;
use wires::Wires;

use crate::{
    data_dir::Locked,
    modules::Modules,
    placing::{self, Books, Children, Oneself},
    secrets::DeploymentSecret,
    settings::Settings,
};

/// How long a module's workers may take to end, before the process ends without them.
const STOP_TIME: Duration = Duration::from_secs(10);

/// The modules of this program, in the order in which they are shown.
pub fn descriptors() -> [ModuleDescriptor; 5] {
    [
        catalog_impl::descriptor(),
        inventory_impl::descriptor(),
        ordering_impl::descriptor(),
        payments_impl::descriptor(),
        placement_impl::descriptor(),
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
    /// What a process has that serves others; none where the data is only looked at.
    pub serving: Option<Serving>,
}

/// What a process has that serves others.
pub struct Serving {
    /// Itself.
    pub oneself: Arc<Oneself>,
    /// The operator's token, for processes that it starts.
    pub token: String,
    /// The proxy in front, which starts later.
    pub front: placing::Front,
    /// The books, which are read through the finished shop.
    pub books: Arc<Books>,
}

/// A shop whose modules run.
pub struct Shop {
    /// The modules, as requests from outside see them.
    pub modules: Modules,
    /// Where each module is, and moving it.
    pub placement: Arc<dyn Placement>,
    /// What real calls have drawn.
    pub graph: CallGraph,
    /// Answers calls of other processes.
    pub registry: Arc<rpc::Registry>,
    /// Shows feeds to other processes.
    pub feeds: Arc<FeedServer>,
    /// Where each module is, as this process knows it.
    pub seats: Arc<Seats>,
    /// The processes that this one has started for carved modules, where it steers carves.
    pub children: Option<Arc<Children>>,
    /// The ways to other processes.
    pub ways: Ways,
    own: Vec<Running>,
}

impl Shop {
    /// Opens the data, then starts the modules, each with what it may call and hear.
    pub async fn open(opening: Opening<'_>) -> Result<Self> {
        let stores = data::open_stores(&opening).await?;
        let Opening { settings, secret, serving, .. } = opening;
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
        // Last, for it moves all the others.
        let (placement, children) = starting.placement(serving, (secret, &graph)).await?;
        let placement = wires.binding(&placement, "http");
        let (own, seats) = starting.started();
        let seats = Arc::new(seats);
        Ok(Self { modules, placement, graph, registry, feeds, seats, children, ways, own })
    }

    /// The modules that run here.
    pub fn own(&self) -> &[Running] {
        &self.own
    }

    /// Those of them that this deployment owns, as far as this process knows.
    pub fn owned(&self) -> impl Iterator<Item = &Running> {
        let is_local = |running: &&Running| {
            self.seats.get(running.name).is_some_and(|seat| seat.state().is_local)
        };
        self.own.iter().filter(is_local)
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
