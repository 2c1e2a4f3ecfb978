//! Customers: they live here until identity exists.

use kernel_api::{Id, PageRequest, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Somebody who buys under a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Customer {
    /// The id.
    pub id: Id<Customer>,
    /// The name by which another system knows the customer. Unique.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The name, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The country as the shop writes it: real data has `EIRE`, `Channel Islands`, `Unspecified`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Since when.
    pub created_at: Timestamp,
}

/// Who is to be registered. Registering the same reference with the same data again gives the same customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewCustomer {
    /// The id, where the caller derives it (an import); otherwise a fresh one is made.
    #[serde(default)]
    pub id: Option<Id<Customer>>,
    /// The name by which another system knows the customer.
    #[serde(default)]
    pub reference: Option<String>,
    /// The name.
    #[serde(default)]
    pub name: Option<String>,
    /// The country as the shop writes it.
    #[serde(default)]
    pub country: Option<String>,
}

/// Which customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "by", content = "value", rename_all = "snake_case")]
pub enum CustomerKey {
    /// By id.
    Id(Id<Customer>),
    /// By the other system's reference.
    Reference(String),
}

/// Which customers, in the order of their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CustomersWish {
    /// The page.
    #[serde(default)]
    pub page: PageRequest,
}

/// Why a customer is not registered or not found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum CustomerError {
    /// There is no such customer.
    #[error("there is no such customer")]
    NotFound,
    /// The reference names another customer already, or the same one with other data.
    #[error("the reference is taken by customer {customer}")]
    ReferenceTaken {
        /// That customer.
        customer: Id<Customer>,
    },
    /// A text is empty, too long or has control characters.
    #[error("{field} must be 1 to {length_max} characters without control characters")]
    BadText {
        /// The field's path.
        field: String,
        /// The most characters.
        length_max: usize,
    },
    /// More customers than one import may carry.
    #[error("more than {limit} customers in one import")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// The page's cursor is none of ours.
    #[error("the page's cursor is none of ours")]
    BadCursor,
}
