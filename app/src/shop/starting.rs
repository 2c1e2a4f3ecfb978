//! How each module is started: with its data, its settings, what it may call and what it hears.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::Result;
use catalog_api::Catalog;
use contract::{CallGraph, Contract};
use inventory_api::Inventory;
use ordering_api::Ordering;
use payments_api::Payments;
use placement_api::Placement;

use super::{
    Serving,
    data::Own,
    descriptors,
    running::{Idle, Running},
    seat::{Seat, Seated},
    wires::{Seats, Wires},
};
use crate::{
    placing::{Children, Hosting, Nursery, Reaching, Survey},
    secrets::DeploymentSecret,
    settings::Settings,
};

/// A shop that is being started.
pub struct Starting<'a> {
    settings: &'a Settings,
    wires: &'a Wires<'a>,
    stores: BTreeMap<&'static str, Own>,
    started: Vec<Running>,
    seats: Seats,
}

impl<'a> Starting<'a> {
    /// Nothing has started yet; the modules whose stores are here will run here.
    pub fn new(
        settings: &'a Settings,
        wires: &'a Wires<'a>,
        stores: BTreeMap<&'static str, Own>,
    ) -> Self {
        Self { settings, wires, stores, started: Vec::new(), seats: Seats::new() }
    }

    /// Inventory calls nobody.
    pub async fn inventory(&mut self) -> Arc<Seat<dyn Inventory>> {
        let Some(own) = self.stores.remove("inventory") else {
            let seat = self.wires.elsewhere();
            return self.seated(seat);
        };
        let setup = inventory_impl::Setup {
            store: own.store.clone(),
            config: self.settings.inventory.clone(),
            ownership: own.ownership(),
        };
        let running = inventory_impl::start(setup).await;
        let seat = self.wires.here(&own, Arc::clone(&running.contract));
        self.started.push(Running::new("inventory", own, running));
        self.seated(seat)
    }

    /// Catalog shows what is there, as inventory tells it.
    pub async fn catalog(&mut self) -> Arc<Seat<dyn Catalog>> {
        let Some(own) = self.stores.remove("catalog") else {
            let seat = self.wires.elsewhere();
            return self.seated(seat);
        };
        let setup = catalog_impl::Setup {
            store: own.store.clone(),
            config: self.settings.catalog.clone(),
            inventory_feed: self.wires.feed("inventory"),
            ownership: own.ownership(),
        };
        let running = catalog_impl::start(setup).await;
        let seat = self.wires.here(&own, Arc::clone(&running.contract));
        self.started.push(Running::new("catalog", own, running));
        self.seated(seat)
    }

    /// Payments books revenue as ordering tells it.
    pub async fn payments(&mut self) -> Arc<Seat<dyn Payments>> {
        let Some(own) = self.stores.remove("payments") else {
            let seat = self.wires.elsewhere();
            return self.seated(seat);
        };
        let setup = payments_impl::Setup {
            store: own.store.clone(),
            config: self.settings.payments.clone(),
            ordering_feed: self.wires.feed("ordering"),
            ownership: own.ownership(),
        };
        let running = payments_impl::start(setup).await;
        let seat = self.wires.here(&own, Arc::clone(&running.contract));
        self.started.push(Running::new("payments", own, running));
        self.seated(seat)
    }

    /// Ordering calls the three others.
    pub async fn ordering(
        &mut self,
        catalog: &Arc<Seat<dyn Catalog>>,
        inventory: &Arc<Seat<dyn Inventory>>,
        payments: &Arc<Seat<dyn Payments>>,
    ) -> Arc<Seat<dyn Ordering>> {
        let Some(own) = self.stores.remove("ordering") else {
            let seat = self.wires.elsewhere();
            return self.seated(seat);
        };
        let setup = ordering_impl::Setup {
            store: own.store.clone(),
            config: self.settings.ordering.clone(),
            catalog: self.wires.binding(catalog, "ordering"),
            inventory: self.wires.binding(inventory, "ordering"),
            payments: self.wires.binding(payments, "ordering"),
            ownership: own.ownership(),
        };
        let running = ordering_impl::start(setup).await;
        let seat = self.wires.here(&own, Arc::clone(&running.contract));
        self.started.push(Running::new("ordering", own, running));
        self.seated(seat)
    }

    /// Placement moves the others. Without anybody to serve it only has its data open: it steers nothing.
    pub async fn placement(
        &mut self,
        serving: Option<Serving>,
        (secret, graph): (&DeploymentSecret, &CallGraph),
    ) -> Result<(Arc<Seat<dyn Placement>>, Option<Arc<Children>>)> {
        let Some(own) = self.stores.remove("placement") else {
            let seat = self.wires.elsewhere();
            return Ok((self.seated(seat), None));
        };
        let Some(serving) = serving else {
            self.started.push(Running::new("placement", own, Idle));
            let seat = self.wires.elsewhere();
            return Ok((self.seated(seat), None));
        };
        let Serving { oneself, token, front, books } = serving;
        let nursery = Nursery::new(self.settings, &oneself, secret.to_text(), token)?;
        let children = Arc::new(Children::start(nursery)?);
        let places = self.started.iter().map(|own| (own.name, own.store().location().clone()));
        let hosting = Hosting::new(
            Arc::clone(&oneself),
            Arc::clone(&children),
            secret.clone(),
            (places.collect(), &self.seats),
        );
        let others = Arc::new(self.seats.clone());
        let reaching = Reaching::new(Arc::clone(&oneself), others, secret.derive("control"));
        let setup = placement_impl::Setup {
            store: own.store.clone(),
            config: self.settings.placement.clone(),
            ownership: own.ownership(),
            ports: placement_impl::Ports {
                traffic: Arc::new(front),
                seats: Arc::new(reaching),
                hosts: Arc::new(hosting),
                auditor: books,
                surveyor: Arc::new(Survey::new(graph.clone(), oneself)),
            },
            modules: descriptors()
                .into_iter()
                .filter(|module| module.name != "placement")
                .collect(),
            configuration: self.settings.shown(),
        };
        let running = placement_impl::start(setup).await;
        let seat = self.wires.here(&own, Arc::clone(&running.contract));
        self.started.push(Running::new("placement", own, running));
        Ok((self.seated(seat), Some(children)))
    }

    /// What runs here, and the seats of all.
    pub fn started(self) -> (Vec<Running>, Seats) {
        (self.started, self.seats)
    }

    fn seated<C: Contract + ?Sized>(&mut self, seat: Arc<Seat<C>>) -> Arc<Seat<C>> {
        self.seats.insert(seat.module(), Arc::clone(&seat) as Arc<dyn Seated>);
        seat
    }
}
