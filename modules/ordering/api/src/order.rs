//! Orders: what was bought, and what became of it.

use kernel_api::{Id, Money, PageRequest, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Customer, Line, Opener, Paid, Reserved, Sum};

/// Where an order came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Bought here.
    Live,
    /// Imported: it happened elsewhere, before.
    History,
}

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// Stock is taken and the payment authorised; the capture is under way.
    Placed,
    /// Paid.
    Paid,
    /// Sent to the customer.
    Shipped,
    /// Some of the goods came back.
    PartlyReturned,
    /// All goods came back.
    Returned,
    /// Called off, everything undone or being undone.
    Cancelled,
}

/// What was bought, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Order {
    /// The id.
    pub id: Id<Order>,
    /// How many events its story has: the ETag.
    pub version: i64,
    /// Where it came from.
    pub origin: Origin,
    /// Where it stands.
    pub status: OrderStatus,
    /// The operator's or the file's name for it, such as an invoice number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Who bought; absent for a guest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<Id<Customer>>,
    /// The lines, each with the price that it keeps.
    pub lines: Vec<OrderLine>,
    /// What the lines add up to.
    pub sum: Sum,
    /// What was given back so far.
    pub refunded: Money,
    /// The stock reservation behind it; absent where it has no goods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation: Option<Id<Reserved>>,
    /// The payment behind it; absent where its total is zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<Id<Paid>>,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// When its last event happened.
    pub updated_at: Timestamp,
}

/// A line of an order. Its number is its place in the list, from 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderLine {
    /// The line as it was bought.
    #[serde(flatten)]
    pub line: Line,
    /// How many came back so far.
    pub returned: i64,
}

/// An order in a list: everything but its lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderSummary {
    /// The id.
    pub id: Id<Order>,
    /// How many events its story has.
    pub version: i64,
    /// Where it came from.
    pub origin: Origin,
    /// Where it stands.
    pub status: OrderStatus,
    /// The operator's or the file's name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Who bought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<Id<Customer>>,
    /// How many lines it has.
    pub lines: i64,
    /// What was charged.
    pub total: Money,
    /// What was given back so far.
    pub refunded: Money,
    /// When it was placed.
    pub placed_at: Timestamp,
}

/// Which order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderKey {
    /// The order.
    pub order: Id<Order>,
}

/// Which order, and who asks.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OrderWish {
    /// The order.
    pub order: Id<Order>,
    /// Who asks.
    pub by: Opener,
}

/// Which orders, in the order of their ids (of their making, that is).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrdersWish {
    /// Only this customer's.
    #[serde(default)]
    pub customer: Option<Id<Customer>>,
    /// Only those with this reference.
    #[serde(default)]
    pub reference: Option<String>,
    /// The page.
    #[serde(default)]
    pub page: PageRequest,
}

/// Why an order is not shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum OrderError {
    /// There is no such order, or not for this opener.
    #[error("there is no such order")]
    NotFound,
    /// The page's cursor is none of ours.
    #[error("the page's cursor is none of ours")]
    BadCursor,
}

/// The order leaves the house, whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ship {
    /// The order.
    pub order: Id<Order>,
    /// The carrier's own number for the parcel.
    #[serde(default)]
    pub tracking: Option<String>,
    /// Only if the order is at this version.
    #[serde(default)]
    pub version: Option<i64>,
}

/// Why an order is not shipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum ShipError {
    /// There is no such order.
    #[error("there is no such order")]
    NotFound,
    /// The order is at another version.
    #[error("the order is at version {version} now")]
    VersionMismatch {
        /// The version now.
        version: i64,
    },
    /// Only a paid order is shipped, and only once.
    #[error("an order that is {status:?} is not shipped")]
    NotNow {
        /// Where it stands.
        status: OrderStatus,
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

/// The order is called off: stock goes back and the money too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cancel {
    /// The order.
    pub order: Id<Order>,
    /// Why.
    pub reason: String,
    /// Only if the order is at this version.
    #[serde(default)]
    pub version: Option<i64>,
}

/// Why an order is not cancelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum CancelError {
    /// There is no such order.
    #[error("there is no such order")]
    NotFound,
    /// The order is at another version.
    #[error("the order is at version {version} now")]
    VersionMismatch {
        /// The version now.
        version: i64,
    },
    /// Only a paid order that has not been shipped is cancelled; a shipped one comes back as a return.
    #[error("an order that is {status:?} is not cancelled")]
    NotNow {
        /// Where it stands.
        status: OrderStatus,
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
