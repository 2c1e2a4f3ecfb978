//! Adjustments: service-only documents of either sign that move neither goods nor money, such as bad debt.

use kernel_api::{Currency, Id, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Customer, Line, Order, Origin, ServiceWish, Sum};

/// A correction of the books without goods and without payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Adjustment {
    /// The id.
    pub id: Id<Adjustment>,
    /// Where it came from.
    pub origin: Origin,
    /// The operator's or the file's name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Which order it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Id<Order>>,
    /// Whom it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<Id<Customer>>,
    /// The lines.
    pub lines: Vec<Line>,
    /// What it adds to the books, of either sign.
    pub sum: Sum,
    /// When it was made.
    pub made_at: Timestamp,
}

/// A correction to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Adjust {
    /// The operator's own name for it.
    #[serde(default)]
    pub reference: Option<String>,
    /// Which order it concerns.
    #[serde(default)]
    pub order: Option<Id<Order>>,
    /// Whom it concerns.
    #[serde(default)]
    pub customer: Option<Id<Customer>>,
    /// The currency; the shop's own where absent.
    #[serde(default)]
    pub currency: Option<Currency>,
    /// The lines, amounts of either sign.
    pub lines: Vec<ServiceWish>,
}

/// Why an adjustment is not made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum AdjustError {
    /// There is no such adjustment.
    #[error("there is no such adjustment")]
    NotFound,
    /// It has no lines.
    #[error("the adjustment has no lines")]
    Empty,
    /// More lines than an adjustment may have.
    #[error("an adjustment has at most {limit} lines")]
    TooManyLines {
        /// The limit.
        limit: usize,
    },
    /// There is no such order.
    #[error("there is no such order")]
    UnknownOrder,
    /// There is no such customer.
    #[error("there is no such customer")]
    UnknownCustomer,
    /// The quantity is not 1 to the limit.
    #[error("{field} must be 1 to {limit}")]
    QuantityOutOfRange {
        /// The field's path.
        field: String,
        /// The most.
        limit: i64,
    },
    /// The line, or the sum up to it, does not fit 64 bits of millionths.
    #[error("{field} makes an amount that is too large")]
    AmountTooLarge {
        /// The field's path.
        field: String,
    },
    /// The line is in another currency than the adjustment.
    #[error("{field} is not in the adjustment's currency {currency}")]
    CurrencyMismatch {
        /// The field's path.
        field: String,
        /// The adjustment's currency.
        currency: Currency,
    },
    /// A text is empty, too long or has control characters.
    #[error("{field} must be 1 to {length_max} characters without control characters")]
    BadText {
        /// The field's path.
        field: String,
        /// The most characters.
        length_max: usize,
    },
}
