//! The past, as an import brings it: money that moved elsewhere, booked without asking the provider.

use kernel_api::{Id, Money, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Order, Payment, Refund, RefundReason};

/// How many records one import may bring: bounds the transaction and the argument.
pub const HISTORY_RECORDS_MAX: u32 = 1000;

/// A part of the past.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct History {
    /// In any order, except that a refund comes after its charge.
    pub records: Vec<HistoryRecord>,
}

/// Money that moved in the past. The revenue that goes with it comes as ordering's events, as it does for what is sold now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum HistoryRecord {
    /// An order was charged, in full and at once.
    Charge {
        /// The payment's id, the same in every run.
        payment: Id<Payment>,
        /// The order.
        order: Id<Order>,
        /// What was taken: above zero.
        amount: Money,
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
        /// Why.
        reason: RefundReason,
        /// When.
        at: Timestamp,
    },
}

/// What an import did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Imported {
    /// Records booked by this call.
    pub booked: u32,
    /// Records that were booked before.
    pub known: u32,
}
