//! How each module is started: with its data, its settings, what it may call and what it hears.

use std::{collections::BTreeMap, sync::Arc};

use catalog_api::Catalog;
use contract::Contract;
use inventory_api::Inventory;
use ordering_api::Ordering;
use payments_api::Payments;

use super::{
    data::Own,
    running::Running,
    seat::{Seat, Seated},
    wires::{Seats, Wires},
};
use crate::settings::Settings;

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

    /// What runs here, and the seats of all.
    pub fn started(self) -> (Vec<Running>, Seats) {
        (self.started, self.seats)
    }

    fn seated<C: Contract + ?Sized>(&mut self, seat: Arc<Seat<C>>) -> Arc<Seat<C>> {
        self.seats.insert(seat.module(), Arc::clone(&seat) as Arc<dyn Seated>);
        seat
    }
}
