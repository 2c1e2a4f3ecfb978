//! Reservations: stock held for one buyer until it is sold, given back or too old; and sold goods that come back.

use kernel_api::{Id, PageRequest, Sku, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{HoldSeconds, Line, Lines, Location, Reason, Reference};

/// A wish to hold stock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reserve {
    /// The new reservation's id, given by the caller.
    pub reservation: Id<Reservation>,
    /// What it is for (the order), as the caller calls it; the ledger shows it beside what is sold.
    pub reference: Reference,
    /// What to hold.
    pub lines: Lines<Line>,
    /// How long; after that it cannot be committed and the sweeper gives it back.
    pub expires_in_s: HoldSeconds,
}

/// Stock is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reserved {
    /// By this reservation.
    pub reservation: Id<Reservation>,
    /// Until then.
    pub expires_at: Timestamp,
}

/// One reservation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reservation {
    /// Its id.
    pub id: Id<Reservation>,
    /// What it is for, as its maker calls it.
    pub reference: Reference,
    /// Where it stands.
    pub state: ReservationState,
    /// What it holds or held, by SKU and location, each once.
    pub lines: Vec<Hold>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it expires or would have.
    pub expires_at: Timestamp,
    /// When it was committed, released or swept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
}

/// What a reservation holds of one level: the sum of its lines, so it may be above one line's limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hold {
    /// The SKU.
    pub sku: Sku,
    /// Where.
    pub location: Location,
    /// How many.
    pub quantity: i64,
}

/// Where a reservation stands. Only `open` holds stock; the others are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReservationState {
    /// It holds stock.
    Open,
    /// It was sold.
    Committed,
    /// It was given back by its maker.
    Released,
    /// It was given back by the sweeper.
    Expired,
}

impl ReservationState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Open, Self::Committed, Self::Released, Self::Expired];

    /// The word for it, in JSON and in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Committed => "committed",
            Self::Released => "released",
            Self::Expired => "expired",
        }
    }
}

/// Which reservations are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reservations {
    /// Only those in this state.
    #[serde(default)]
    pub state: Option<ReservationState>,
    /// Which page.
    #[serde(default)]
    pub page: PageRequest,
}

/// Sold goods that come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PutBack {
    /// The return, as the caller calls it: it is put back once.
    pub reference: Reference,
    /// Why they came back.
    pub reason: Reason,
    /// What came back.
    pub lines: Lines<Line>,
}

/// A level has less than is wanted of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Shortage {
    /// The SKU.
    pub sku: Sku,
    /// Where.
    pub location: Location,
    /// How many were wanted, over all lines.
    pub wanted: i64,
    /// How many could be had.
    pub available: i64,
}

/// Why there is no reservation to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum ReservationError {
    /// No reservation has this id.
    #[error("no reservation has this id")]
    NotFound,
}

/// Why nothing was reserved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum ReserveError {
    /// These lines want more than is available.
    #[error("{} lines want more than is available", lines.len())]
    OutOfStock {
        /// Every short line.
        lines: Vec<Shortage>,
    },
    /// The reservation's id was used before, under another key.
    #[error("the reservation's id was used before")]
    IdTaken,
}

/// Why nothing was sold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum CommitError {
    /// No reservation has this id.
    #[error("no reservation has this id")]
    NotFound,
    /// It expired, swept already or not.
    #[error("the reservation expired at {expires_at}")]
    Expired {
        /// When.
        expires_at: Timestamp,
    },
    /// It was released before.
    #[error("the reservation was released")]
    Released,
}

/// Why nothing was released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum ReleaseError {
    /// No reservation has this id.
    #[error("no reservation has this id")]
    NotFound,
    /// It is sold: what was sold is put back, not released.
    #[error("the reservation is sold")]
    Committed,
}

/// Why nothing was put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum PutBackError {
    /// The reference was put back before with other lines.
    #[error("the reference was put back before with other lines")]
    ReferenceReused,
}
