//! The facts that inventory tells others.
//!
//! A level is *ample*, *low* (available at or under its threshold) or *depleted* (nothing available). Each time it
//! enters another of the three, the event of that name is told, with the level's SKU as its key: the last event of a
//! SKU and location always says where it stands.

use contract::Event;
use kernel_api::{Id, Sku};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Location, Reference, Reservation};

/// A level became low: from above, or from depleted by too small a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StockLow {
    /// The SKU.
    pub sku: Sku,
    /// Where; the shop sells from `main`.
    pub location: Location,
    /// How many can be reserved: more than zero.
    pub available: i64,
    /// From which quantity down it counts as low.
    pub low_at: i64,
}

/// A level became depleted: nothing can be reserved any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StockDepleted {
    /// The SKU.
    pub sku: Sku,
    /// Where; the shop sells from `main`.
    pub location: Location,
}

/// A level became ample again, or for the first time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StockReplenished {
    /// The SKU.
    pub sku: Sku,
    /// Where; the shop sells from `main`.
    pub location: Location,
    /// How many can be reserved.
    pub available: i64,
}

/// A reservation was not committed in time, and what it held was given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReservationExpired {
    /// Which.
    pub reservation: Id<Reservation>,
    /// What it was for, as its maker calls it.
    pub reference: Reference,
}

impl Event for StockLow {
    const NAME: &'static str = "inventory.stock.low";
    const VERSION: u32 = 1;
    fn key(&self) -> String {
        self.sku.to_string()
    }
}
impl Event for StockDepleted {
    const NAME: &'static str = "inventory.stock.depleted";
    const VERSION: u32 = 1;
    fn key(&self) -> String {
        self.sku.to_string()
    }
}
impl Event for StockReplenished {
    const NAME: &'static str = "inventory.stock.replenished";
    const VERSION: u32 = 1;
    fn key(&self) -> String {
        self.sku.to_string()
    }
}
impl Event for ReservationExpired {
    const NAME: &'static str = "inventory.reservation.expired";
    const VERSION: u32 = 1;
    fn key(&self) -> String {
        self.reservation.to_string()
    }
}
