//! How each module is started: with its data, its settings, what it may call and what it hears.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::Result;
use catalog_api::Catalog;
use contract::Switch;
use inventory_api::Inventory;
use ordering_api::Ordering;
use payments_api::Payments;

use super::{data::Own, running::Running, wires::Wires};
use crate::settings::Settings;

/// A shop that is being started.
pub struct Starting<'a> {
    settings: &'a Settings,
    wires: &'a Wires<'a>,
    stores: BTreeMap<&'static str, Own>,
    started: Vec<Running>,
}

impl<'a> Starting<'a> {
    /// Nothing has started yet; the modules whose stores are here will run here.
    pub fn new(
        settings: &'a Settings,
        wires: &'a Wires<'a>,
        stores: BTreeMap<&'static str, Own>,
    ) -> Self {
        Self { settings, wires, stores, started: Vec::new() }
    }

    /// Inventory calls nobody.
    pub async fn inventory(&mut self) -> Result<Arc<Switch<dyn Inventory>>> {
        let Some(own) = self.stores.remove("inventory") else { return self.wires.elsewhere() };
        let setup = inventory_impl::Setup {
            store: own.store.clone(),
            config: self.settings.inventory.clone(),
            ownership: own.ownership(),
        };
        let running = inventory_impl::start(setup).await;
        let switch = self.wires.here(&own, Arc::clone(&running.contract));
        self.started.push(Running::new("inventory", own, running));
        Ok(switch)
    }

    /// Catalog shows what is there, as inventory tells it.
    pub async fn catalog(&mut self) -> Result<Arc<Switch<dyn Catalog>>> {
        let Some(own) = self.stores.remove("catalog") else { return self.wires.elsewhere() };
        let setup = catalog_impl::Setup {
            store: own.store.clone(),
            config: self.settings.catalog.clone(),
            inventory_feed: self.wires.feed("inventory", "catalog")?,
            ownership: own.ownership(),
        };
        let running = catalog_impl::start(setup).await;
        let switch = self.wires.here(&own, Arc::clone(&running.contract));
        self.started.push(Running::new("catalog", own, running));
        Ok(switch)
    }

    /// Payments books revenue as ordering tells it.
    pub async fn payments(&mut self) -> Result<Arc<Switch<dyn Payments>>> {
        let Some(own) = self.stores.remove("payments") else { return self.wires.elsewhere() };
        let setup = payments_impl::Setup {
            store: own.store.clone(),
            config: self.settings.payments.clone(),
            ordering_feed: self.wires.feed("ordering", "payments")?,
            ownership: own.ownership(),
        };
        let running = payments_impl::start(setup).await;
        let switch = self.wires.here(&own, Arc::clone(&running.contract));
        self.started.push(Running::new("payments", own, running));
        Ok(switch)
    }

    /// Ordering calls the three others.
    pub async fn ordering(
        &mut self,
        catalog: &Arc<Switch<dyn Catalog>>,
        inventory: &Arc<Switch<dyn Inventory>>,
        payments: &Arc<Switch<dyn Payments>>,
    ) -> Result<Arc<Switch<dyn Ordering>>> {
        let Some(own) = self.stores.remove("ordering") else { return self.wires.elsewhere() };
        let setup = ordering_impl::Setup {
            store: own.store.clone(),
            config: self.settings.ordering.clone(),
            catalog: self.wires.binding(catalog, "ordering"),
            inventory: self.wires.binding(inventory, "ordering"),
            payments: self.wires.binding(payments, "ordering"),
            ownership: own.ownership(),
        };
        let running = ordering_impl::start(setup).await;
        let switch = self.wires.here(&own, Arc::clone(&running.contract));
        self.started.push(Running::new("ordering", own, running));
        Ok(switch)
    }

    /// What runs here.
    pub fn started(self) -> Vec<Running> {
        self.started
    }
}
