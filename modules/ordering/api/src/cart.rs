//! Carts: what somebody is about to buy.

use std::fmt;

use kernel_api::{Currency, Id, Sku, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Checkout, Content, Customer, Line, Opener, Sum};

/// The SHA-256, in hex, of the 128-bit secret that opens a guest's cart and its order. The secret itself is made where
/// the guest is answered (by the HTTP handler) and goes nowhere else: no call, answer, row or log has it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SecretHash(pub String);

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}

/// Where a cart stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CartStatus {
    /// May be replaced and checked out.
    Open,
    /// A checkout is under way; it is open again if that fails.
    CheckingOut,
    /// It has become an order.
    Ordered,
}

/// What somebody is about to buy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cart {
    /// The id.
    pub id: Id<Cart>,
    /// Rises by one with each replacement: the ETag.
    pub version: i64,
    /// Where it stands.
    pub status: CartStatus,
    /// Whose it is; absent for a guest's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<Id<Customer>>,
    /// The operator's own name for what this cart stands for, such as an invoice number; the order gets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The lines with their prices: products first, then services, each in the order given.
    pub lines: Vec<Line>,
    /// What the lines add up to.
    pub sum: Sum,
    /// The latest checkout of this cart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkout: Option<Id<Checkout>>,
    /// When the catalog was last asked for the prices.
    pub priced_at: Timestamp,
    /// Since when it exists.
    pub created_at: Timestamp,
}

/// A new cart, empty or filled at once (one call less).
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct NewCart {
    /// Is it the operator who opens it?
    pub operator: bool,
    /// The hash of the secret that is to open it. It is no part of what makes two calls with one key the same.
    pub secret: SecretHash,
    /// Whose it is: the operator's only. Absent for a guest's.
    #[serde(default)]
    pub customer: Option<Id<Customer>>,
    /// The operator's own name for it, such as an invoice number: the operator's only.
    #[serde(default)]
    pub reference: Option<String>,
    /// The currency; the shop's own where absent.
    #[serde(default)]
    pub currency: Option<Currency>,
    /// What is in it.
    #[serde(default)]
    pub content: Content,
}

/// A cart that was just made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OpenedCart {
    /// The cart.
    pub cart: Cart,
    /// Does the secret of this very call open it? Not when the key was used before by a call with another secret.
    pub secret_opens: bool,
}

/// Which cart, and who asks.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct CartWish {
    /// The cart.
    pub cart: Id<Cart>,
    /// Who asks.
    pub by: Opener,
}

/// The whole new content of a cart. Replacing is idempotent by version and content.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PutCart {
    /// The cart.
    pub cart: Id<Cart>,
    /// Who asks.
    pub by: Opener,
    /// The version that this replaces; absent for whichever stands.
    #[serde(default)]
    pub version: Option<i64>,
    /// What is in it from now on.
    pub content: Content,
}

/// Why a cart is not opened, shown or replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum CartError {
    /// There is no such cart, or not for this opener.
    #[error("there is no such cart")]
    NotFound,
    /// Somebody replaced the cart since this version.
    #[error("the cart is at version {version} now")]
    VersionMismatch {
        /// The version now.
        version: i64,
    },
    /// A checkout is under way, or the cart has become an order.
    #[error("the cart is being checked out or has become an order")]
    NotOpen {
        /// The checkout.
        checkout: Option<Id<Checkout>>,
    },
    /// There is no such customer.
    #[error("there is no such customer")]
    UnknownCustomer,
    /// More lines than a cart may have.
    #[error("a cart has at most {limit} lines")]
    TooManyLines {
        /// The limit.
        limit: usize,
    },
    /// The catalog has no such product.
    #[error("the catalog has no product {sku}")]
    UnknownSku {
        /// The field's path, such as `lines[3].sku`.
        field: String,
        /// The product.
        sku: Sku,
    },
    /// The product is not for sale now.
    #[error("product {sku} is not for sale")]
    NotPublished {
        /// The field's path.
        field: String,
        /// The product.
        sku: Sku,
    },
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
    /// A product's price is negative.
    #[error("{field} must not be negative")]
    NegativePrice {
        /// The field's path.
        field: String,
    },
    /// The line is in another currency than the cart.
    #[error("{field} is not in the cart's currency {currency}")]
    CurrencyMismatch {
        /// The field's path.
        field: String,
        /// The cart's currency.
        currency: Currency,
    },
    /// Only the operator may set this.
    #[error("only the operator may set {field}")]
    OperatorOnly {
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
