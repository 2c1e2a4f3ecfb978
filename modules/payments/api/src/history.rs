//! The past, as an import brings it: booked in full, without asking the provider.

use kernel_api::{Exact, Id, Money, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Account, Order, Payment, Refund, RefundReason};

/// How many records one import may bring: bounds the transaction and the argument.
pub const HISTORY_RECORDS_MAX: u32 = 1000;

/// A part of the past.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct History {
    /// In any order, except that a refund comes after its charge.
    pub records: Vec<HistoryRecord>,
}

/// What an adjustment is; it is known by its id and seen as an entry.
#[derive(Debug)]
pub enum Adjustment {}

/// One thing of the past, with the revenue that goes with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum HistoryRecord {
    /// An order was charged, in full and at once.
    Charge {
        /// The payment's id, the same in every run.
        payment: Id<Payment>,
        /// The order.
        order: Id<Order>,
        /// What was taken. Zero is allowed: an order of free samples has a payment too.
        amount: Money,
        /// What it was for.
        revenue: Vec<Revenue>,
        /// When.
        at: Timestamp,
    },
    /// A charge was paid back, in full or in part.
    Refund {
        /// The refund's id, the same in every run.
        refund: Id<Refund>,
        /// The charge.
        payment: Id<Payment>,
        /// What was paid back.
        amount: Money,
        /// What it was for; below zero.
        revenue: Vec<Revenue>,
        /// Why.
        reason: RefundReason,
        /// When.
        at: Timestamp,
    },
    /// Money was paid out with no charge behind it.
    Credit {
        /// The credit's id, the same in every run.
        credit: Id<Payment>,
        /// What was paid out.
        amount: Money,
        /// What it was for; below zero.
        revenue: Vec<Revenue>,
        /// Why.
        reason: RefundReason,
        /// When.
        at: Timestamp,
    },
    /// Revenue was corrected and no money moved: the difference stays open on the receivable of the order or, without
    /// one, of the adjustment itself.
    Adjustment {
        /// The adjustment's id, the same in every run.
        adjustment: Id<Adjustment>,
        /// The order, where there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        order: Option<Id<Order>>,
        /// What was corrected; either sign.
        revenue: Vec<Revenue>,
        /// When.
        at: Timestamp,
    },
}

/// A share of the exact net.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Revenue {
    /// A revenue account ([`Account::is_revenue`]).
    pub account: Account,
    /// What was earned; below zero for discounts, fees, losses and everything given back.
    pub net: Exact,
}

/// What an import did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Imported {
    /// Records booked by this call.
    pub booked: u32,
    /// Records that were booked before.
    pub known: u32,
}
