//! Returns: goods come back, or something is credited, and the money follows.

use kernel_api::{Currency, Id, Money, Sku, Timestamp, UnitPrice};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Customer, GivenBack, Line, Order, Origin, Part, Sum};

/// Goods that come back, or something that is credited, and how the money follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReturnNote {
    /// The id.
    pub id: Id<ReturnNote>,
    /// Where it came from.
    pub origin: Origin,
    /// Where it stands.
    pub status: ReturnStatus,
    /// True for the note of a cancelled order.
    pub cancellation: bool,
    /// The operator's or the file's name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Who returns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<Id<Customer>>,
    /// What came back: quantities are negative. A line's price is the one that is given back.
    pub lines: Vec<ReturnedItem>,
    /// What it adds to the books: negative sums.
    pub sum: Sum,
    /// How the money goes back: a refund for each order it is matched to, and at most one unlinked credit.
    pub settlements: Vec<Settlement>,
    /// When it was accepted.
    pub accepted_at: Timestamp,
}

/// Where a return stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReturnStatus {
    /// Accepted: stock and money follow without further asking.
    Accepted,
    /// Stock and money have followed.
    Settled,
}

/// A line of a return.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReturnedItem {
    /// What came back, with a negative quantity (or, for a service, whatever makes the amount that is credited).
    #[serde(flatten)]
    pub line: Line,
    /// The sales that it is matched to; what is left of the quantity has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allocations: Vec<Allocation>,
}

/// A part of a returned line that is matched to a line that was sold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Allocation {
    /// The order.
    pub order: Id<Order>,
    /// The order's line, from 0.
    pub line: i64,
    /// How many, positive.
    pub quantity: i64,
}

/// A part of a return's money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Settlement {
    /// The refund's or the credit's id in payments.
    pub id: Id<GivenBack>,
    /// The order whose payment (it has the order's UUID) is refunded; absent for an unlinked credit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Id<Order>>,
    /// What goes back, positive. A settlement of zero moves no money and is not known to payments.
    pub amount: Money,
    /// The share of the return's unrounded sum that this settles, negative as all of a return's sums.
    pub parts: Vec<Part>,
}

/// Lines of one order come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReturnItems {
    /// The order.
    pub order: Id<Order>,
    /// What comes back. Naming a service line credits it.
    pub lines: Vec<ReturnLine>,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
    /// Only if the order is at this version.
    #[serde(default)]
    pub version: Option<i64>,
}

/// A part of an order's line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReturnLine {
    /// The order's line, from 0.
    pub line: i64,
    /// How many, 1 to what was sold less what came back before.
    pub quantity: i64,
}

/// Something comes back and nobody names the sale. Product lines are matched to the newest earlier sales of the same
/// product to the same customer that have not come back; the rest becomes an unlinked credit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReturnGoods {
    /// Who returns; without a customer nothing is matched.
    #[serde(default)]
    pub customer: Option<Id<Customer>>,
    /// The operator's own name for it, such as a credit note's number.
    #[serde(default)]
    pub reference: Option<String>,
    /// The currency; the shop's own where absent.
    #[serde(default)]
    pub currency: Option<Currency>,
    /// The products. They are put back into stock.
    #[serde(default)]
    pub lines: Vec<UnlinkedLine>,
    /// Service credits: no stock moves. Quantities positive; the amount (quantity times price) is given back.
    #[serde(default)]
    pub services: Vec<crate::ServiceWish>,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
}

/// A product that comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnlinkedLine {
    /// The product.
    pub sku: Sku,
    /// How many, 1 to [`QUANTITY_MAX`](crate::QUANTITY_MAX).
    pub quantity: i64,
    /// What is given back for one; where absent, the price it was sold for, or the catalog's for what has no sale.
    #[serde(default)]
    pub unit_price: Option<UnitPrice>,
}

/// Which return.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReturnWish {
    /// The return.
    pub id: Id<ReturnNote>,
}

/// Why a return is not accepted or not found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum ReturnsError {
    /// There is no such order or return.
    #[error("there is no such order or return")]
    NotFound,
    /// The order is at another version.
    #[error("the order is at version {version} now")]
    VersionMismatch {
        /// The version now.
        version: i64,
    },
    /// Nothing comes back from an order that is not paid, or cancelled.
    #[error("nothing comes back from an order that is {status:?}")]
    NotNow {
        /// Where it stands.
        status: crate::OrderStatus,
    },
    /// More money would go back than was paid and is left: let the discount come back too.
    #[error("only {left} of what was paid is left")]
    MoreThanPaid {
        /// What is left.
        left: Money,
    },
    /// The return has no lines.
    #[error("the return has no lines")]
    Empty,
    /// More lines than a return may have.
    #[error("a return has at most {limit} lines")]
    TooManyLines {
        /// The limit.
        limit: usize,
    },
    /// The order has no such line.
    #[error("{field}: the order has no such line")]
    UnknownLine {
        /// The field's path, such as `lines[0].line`.
        field: String,
    },
    /// More than was sold less what came back before.
    #[error("{field}: only {left} are left to come back")]
    MoreThanSold {
        /// The field's path.
        field: String,
        /// How many may still come back.
        left: i64,
    },
    /// The quantity is not 1 to the limit.
    #[error("{field} must be 1 to {limit}")]
    QuantityOutOfRange {
        /// The field's path.
        field: String,
        /// The most.
        limit: i64,
    },
    /// The catalog has no such product.
    #[error("the catalog has no product {sku}")]
    UnknownSku {
        /// The field's path.
        field: String,
        /// The product.
        sku: Sku,
    },
    /// There is no such customer.
    #[error("there is no such customer")]
    UnknownCustomer,
    /// The return would take money instead of giving it back.
    #[error("the return would take money instead of giving it back")]
    NotGivenBack,
    /// The line, or the sum up to it, does not fit 64 bits of millionths.
    #[error("{field} makes an amount that is too large")]
    AmountTooLarge {
        /// The field's path.
        field: String,
    },
    /// The line is in another currency than the return.
    #[error("{field} is not in the return's currency {currency}")]
    CurrencyMismatch {
        /// The field's path.
        field: String,
        /// The return's currency.
        currency: Currency,
    },
    /// A product's price is negative.
    #[error("{field} must not be negative")]
    NegativePrice {
        /// The field's path.
        field: String,
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
