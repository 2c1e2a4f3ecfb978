//! What `verify` looks at: every level beside what the books say of it.

use kernel_api::Sku;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Location;

/// One level and what the ledger and the open reservations say of it. Where these speak of a level that is not there,
/// its quantities are zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Audited {
    /// The SKU.
    pub sku: Sku,
    /// Where.
    pub location: Location,
    /// What the level says is on hand.
    pub on_hand: i64,
    /// What the level says is reserved.
    pub reserved: i64,
    /// What the open reservations hold.
    pub held: i64,
    /// What the ledger says, by kind.
    pub ledger: LedgerSums,
    /// What does not agree; empty when all is well.
    pub violations: Vec<Violation>,
}

/// The signed sums of a ledger by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerSums {
    /// There when the books began.
    pub opening: i64,
    /// Delivered.
    pub received: i64,
    /// Sold: zero or negative.
    pub sold: i64,
    /// Come back.
    pub returned: i64,
    /// Counted again.
    pub adjusted: i64,
}

impl LedgerSums {
    /// What should be on hand.
    pub fn total(&self) -> i64 {
        // What was tampered with may be any number.
        [self.received, self.sold, self.returned, self.adjusted]
            .into_iter()
            .fold(self.opening, i64::saturating_add)
    }
}

/// A broken invariant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Violation {
    /// What is on hand is not the sum of the ledger.
    OnHandIsNotLedger,
    /// What is reserved is not what the open reservations hold.
    ReservedIsNotHeld,
    /// More is reserved than is on hand.
    Oversold,
    /// The ledger's numbers have a gap.
    LedgerHasGap,
    /// An entry says that something else was on hand after it than the entries up to it come to.
    EntryIsNotSum,
}
