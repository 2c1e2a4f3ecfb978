//! Stock levels and the two ways to change them by hand: goods come in, or a count differs.

use kernel_api::{Bounded, Sku};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Change, Location, LowAt, Quantity, Reason, Reference, Shortage};

/// The most lines of one command: real invoices have up to 1,114.
pub const LINES_MAX: usize = 2000;

/// The most locations that the stock of one SKU shows: bounds the answer, and no shop has as many.
pub const LOCATIONS_SHOWN_MAX: u32 = 1000;

/// The lines of one command, 1 to [`LINES_MAX`]. The same SKU and location twice is summed.
pub type Lines<T> = Bounded<T, LINES_MAX>;

/// How many of a SKU, where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The SKU.
    pub sku: Sku,
    /// Where; `main` unless told.
    #[serde(default)]
    pub location: Location,
    /// How many.
    pub quantity: Quantity,
}

/// The stock of one SKU at one location.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Level {
    /// The SKU.
    pub sku: Sku,
    /// Where.
    pub location: Location,
    /// What lies there, reserved or not.
    pub on_hand: i64,
    /// What is held by open reservations.
    pub reserved: i64,
    /// What can be reserved: `on_hand - reserved`, never below zero.
    pub available: i64,
    /// From which available quantity down it counts as low.
    pub low_at: i64,
}

/// The stock of one SKU, summed and by location.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stock {
    /// The SKU.
    pub sku: Sku,
    /// What lies anywhere.
    pub on_hand: i64,
    /// What is reserved anywhere.
    pub reserved: i64,
    /// What can be reserved, over all locations.
    pub available: i64,
    /// The first [`LOCATIONS_SHOWN_MAX`] locations; the list of all levels has the others.
    pub levels: Vec<Level>,
}

/// Goods that came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Receive {
    /// The delivery, as the caller calls it.
    pub reference: Reference,
    /// Why they came.
    pub reason: Reason,
    /// What came.
    pub lines: Lines<Line>,
}

/// A correction of what is on hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Adjust {
    /// The count or the incident, as the caller calls it.
    pub reference: Reference,
    /// Why it differs.
    pub reason: Reason,
    /// By how much.
    pub lines: Lines<AdjustLine>,
}

/// By how much one level changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdjustLine {
    /// The SKU.
    pub sku: Sku,
    /// Where; `main` unless told.
    #[serde(default)]
    pub location: Location,
    /// More (positive) or less (negative).
    pub change: Change,
}

/// From which available quantity down a SKU counts as low at a location.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetLowAt {
    /// The SKU; it need not have been received yet.
    pub sku: Sku,
    /// Where; `main` unless told.
    #[serde(default)]
    pub location: Location,
    /// The threshold; absent for the module's default.
    #[serde(default)]
    pub low_at: Option<LowAt>,
}

/// Why there is no stock to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum StockError {
    /// Nothing was ever booked under this SKU.
    #[error("no stock was ever booked for this SKU")]
    UnknownSku,
}

/// Why there is no page to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum PageError {
    /// `after` is not the `next` of a page of this list.
    #[error("`after` is not the `next` of a page of this list")]
    BadCursor,
}

/// Why nothing was adjusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum AdjustError {
    /// These lines would take away what is reserved or was never there.
    #[error("{} lines take more than is available", lines.len())]
    OutOfStock {
        /// Every short line.
        lines: Vec<Shortage>,
    },
}
