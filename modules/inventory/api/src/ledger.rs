//! The stock ledger: one entry for every change of what is on hand, and the import of a history of them.

use kernel_api::{Bounded, PageRequest, Sku, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Change, Location, Reason, Reference, Shortage};

/// The most movements of one import call: a second of work at most, and a bound on the request's memory.
pub const LEDGER_IMPORT_MAX: usize = 5000;

/// One change of what is on hand, as it stands in the books for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// The SKU.
    pub sku: Sku,
    /// Where.
    pub location: Location,
    /// Its number in the ledger of this SKU and location: 1, 2, 3 … without a gap.
    pub number: i64,
    /// What happened.
    pub kind: MovementKind,
    /// How many: positive came, negative went.
    pub quantity: i64,
    /// What was on hand after it: the sum of all entries up to this one.
    pub on_hand: i64,
    /// Why, where somebody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// What caused it, as the caller calls it.
    pub reference: Reference,
    /// When it happened; for imported history, when it happened then.
    pub at: Timestamp,
}

/// What a change of the quantity on hand was.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum MovementKind {
    /// It was there when the books began.
    Opening,
    /// It was delivered.
    Received,
    /// It was sold.
    Sold,
    /// It was sold and came back.
    Returned,
    /// Somebody counted again.
    Adjusted,
}

impl MovementKind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Opening, Self::Received, Self::Sold, Self::Returned, Self::Adjusted];

    /// The word for it, in JSON and in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Received => "received",
            Self::Sold => "sold",
            Self::Returned => "returned",
            Self::Adjusted => "adjusted",
        }
    }
}

/// Which entries are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ledger {
    /// Of this SKU.
    pub sku: Sku,
    /// Which page.
    #[serde(default)]
    pub page: PageRequest,
}

/// A change that happened before these books were kept here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Movement {
    /// The SKU.
    pub sku: Sku,
    /// Where; `main` unless told.
    #[serde(default)]
    pub location: Location,
    /// What happened.
    pub kind: MovementKind,
    /// How many: positive came, negative went. Only `sold` and `adjusted` may be negative, `sold` must be.
    pub quantity: Change,
    /// Why, where that is known.
    #[serde(default)]
    pub reason: Option<Reason>,
    /// What caused it, as the caller calls it.
    pub reference: Reference,
    /// When it happened.
    pub at: Timestamp,
}

/// A part of a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// The part, as the caller calls it: it is booked once.
    pub batch: Reference,
    /// What happened, in order.
    pub movements: Bounded<Movement, LEDGER_IMPORT_MAX>,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Imported {
    /// How many movements the books have from this batch.
    pub movements: u32,
    /// Were they there already?
    pub repeated: bool,
}

/// Why there is no ledger to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum LedgerError {
    /// Nothing was ever booked under this SKU.
    #[error("no stock was ever booked for this SKU")]
    UnknownSku,
    /// `after` is not the `next` of a page of this list.
    #[error("`after` is not the `next` of a page of this list")]
    BadCursor,
}

/// Why nothing was imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum ImportError {
    /// The batch was imported before with other movements.
    #[error("the batch was imported before with other movements")]
    BatchReused,
    /// A movement's sign is not one of its kind.
    #[error("movement {movement} has the wrong sign for its kind")]
    WrongSign {
        /// Which one, counted from 0.
        movement: u32,
    },
    /// A movement takes more than is available at that point of the history.
    #[error("movement {movement} takes more than is available")]
    OutOfStock {
        /// Which one, counted from 0: the first.
        movement: u32,
        /// What it wanted and what there was.
        line: Shortage,
    },
}
