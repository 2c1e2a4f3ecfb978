//! What others may hear: facts about orders, translated from the private event stream in the transaction that made them true.
//!
//! All of an order's events have the order's id as key, so each order's story is heard in order. Sums follow one sign:
//! what the document adds to the books, so a refund's are negative.

use contract::Event;
use kernel_api::{Id, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Adjustment, Breakdown, Customer, Order, Origin, Paid, ReturnNote, Settlement};

/// An order exists; its payment is authorised, not captured. Imported orders do not tell this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderPlaced {
    /// The order.
    pub order: Id<Order>,
    /// Who bought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<Id<Customer>>,
    /// What it adds up to.
    pub sum: Breakdown,
    /// When.
    pub at: Timestamp,
}

/// An order is paid (also one whose total is zero): its sum is revenue from now on. An imported order tells this once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderPaid {
    /// The order.
    pub order: Id<Order>,
    /// Where it came from.
    pub origin: Origin,
    /// The payment; absent where the total is zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<Id<Paid>>,
    /// What it adds up to: `total` was captured, the rest is rounding.
    pub sum: Breakdown,
    /// When.
    pub at: Timestamp,
}

/// An order has left the house. Imported orders do not tell this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderShipped {
    /// The order.
    pub order: Id<Order>,
    /// The carrier's own number for the parcel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// An order is called off. Where it was paid, `OrderRefunded` follows; where it was not, its sum never became revenue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderCancelled {
    /// The order.
    pub order: Id<Order>,
    /// Was it paid?
    pub paid: bool,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// Money has gone back, for goods that were returned, an order that was cancelled or a service credit: one event for
/// each settlement of a return. The events of one return add up to its document, category by category.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderRefunded {
    /// The return.
    pub note: Id<ReturnNote>,
    /// Where it came from.
    pub origin: Origin,
    /// Which refund or unlinked credit, of which order and how much.
    pub settlement: Settlement,
    /// What this settlement adds to the books: negative, `total` is minus the settlement's amount.
    pub sum: Breakdown,
    /// When.
    pub at: Timestamp,
}

/// The books were corrected without goods and without payment: the sum is owed (or no longer owed) by nobody's card,
/// so it belongs on a receivable or bad-debt account. Keyed by the adjustment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderAdjusted {
    /// The adjustment.
    pub adjustment: Id<Adjustment>,
    /// Where it came from.
    pub origin: Origin,
    /// What it adds to the books, of either sign.
    pub sum: Breakdown,
    /// When.
    pub at: Timestamp,
}

impl Event for OrderPlaced {
    const NAME: &'static str = "ordering.order.placed";
    const VERSION: u32 = 1;
    fn key(&self) -> String {
        self.order.to_string()
    }
}
impl Event for OrderPaid {
    const NAME: &'static str = "ordering.order.paid";
    const VERSION: u32 = 1;
    fn key(&self) -> String {
        self.order.to_string()
    }
}
impl Event for OrderShipped {
    const NAME: &'static str = "ordering.order.shipped";
    const VERSION: u32 = 1;
    fn key(&self) -> String {
        self.order.to_string()
    }
}
impl Event for OrderCancelled {
    const NAME: &'static str = "ordering.order.cancelled";
    const VERSION: u32 = 1;
    fn key(&self) -> String {
        self.order.to_string()
    }
}
impl Event for OrderRefunded {
    const NAME: &'static str = "ordering.order.refunded";
    const VERSION: u32 = 1;
    fn key(&self) -> String {
        match self.settlement.order {
            Some(order) => order.to_string(),
            None => self.note.to_string(),
        }
    }
}
impl Event for OrderAdjusted {
    const NAME: &'static str = "ordering.order.adjusted";
    const VERSION: u32 = 1;
    fn key(&self) -> String {
        self.adjustment.to_string()
    }
}
