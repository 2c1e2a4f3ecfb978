//! What others may hear: facts about orders, translated from the private event stream in the transaction that made them true.
//!
//! All events of an order have the order's id as key, so each order's story is heard in order. Imported documents tell
//! what the books need (paid, refunded, adjusted), so that revenue is booked in one way; their stock and money are
//! brought to their modules by the importer.

use contract::Event;
use kernel_api::{Id, Money, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Adjustment, Customer, GivenBack, Order, Part, ReturnNote};

/// An order exists; its payment is authorised, not captured. Imported orders do not tell this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderPlaced {
    /// The order.
    pub order: Id<Order>,
    /// Who bought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<Id<Customer>>,
    /// What is to be charged.
    pub total: Money,
    /// How many lines it has.
    pub lines: i64,
    /// When.
    pub at: Timestamp,
}

/// An order is paid (also one whose total is zero): its sum is revenue from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderPaid {
    /// The order. Its payment has its UUID; there is none where nothing was charged.
    pub order: Id<Order>,
    /// What was captured.
    pub charged: Money,
    /// The exact sums by kind: their sum, rounded half to even, is `charged`.
    pub parts: Vec<Part>,
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
/// each settlement of a return.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderRefunded {
    /// The order whose payment was refunded; absent for an unlinked credit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Id<Order>>,
    /// The return that it settles.
    pub note: Id<ReturnNote>,
    /// The refund, or the credit. Where nothing moved (an amount of zero) payments knows none.
    pub refund: Id<GivenBack>,
    /// What went back, positive.
    pub refunded: Money,
    /// The exact sums by kind, from the shop's side: negative for what is given back.
    pub parts: Vec<Part>,
    /// When.
    pub at: Timestamp,
}

/// The books were corrected without goods and without payment: the sum is owed (or owed no longer), so it stays open
/// on the receivable of the order or, without one, of the adjustment itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderAdjusted {
    /// The order, where the correction is of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Id<Order>>,
    /// The adjustment.
    pub adjustment: Id<Adjustment>,
    /// What is owed more (positive) or less (negative).
    pub charged: Money,
    /// The exact sums by kind, of either sign.
    pub parts: Vec<Part>,
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
        match self.order {
            Some(order) => order.to_string(),
            None => self.note.to_string(),
        }
    }
}
impl Event for OrderAdjusted {
    const NAME: &'static str = "ordering.order.adjusted";
    const VERSION: u32 = 1;
    fn key(&self) -> String {
        match self.order {
            Some(order) => order.to_string(),
            None => self.adjustment.to_string(),
        }
    }
}
