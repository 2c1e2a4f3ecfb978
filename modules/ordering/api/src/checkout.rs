//! Checkout: a cart becomes an order, or nothing.

use kernel_api::{Id, Money, Sku};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Cart, Opener, Order};

/// An attempt to make an order of a cart. The order, its reservation and its payment carry the UUID of the checkout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Checkout {
    /// The id.
    pub id: Id<Checkout>,
    /// The cart.
    pub cart: Id<Cart>,
    /// Where it stands.
    #[serde(flatten)]
    pub status: CheckoutStatus,
}

/// Where a checkout stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum CheckoutStatus {
    /// Under way: ask again.
    Running,
    /// Done: there is an order and it is paid.
    Completed {
        /// The order.
        order: Id<Order>,
    },
    /// It failed and everything is undone; the cart is open again.
    Failed {
        /// Why.
        failure: CheckoutFailure,
    },
    /// It can go neither forward nor back by itself: an operator looks after it.
    Stuck,
}

/// Why a checkout failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CheckoutFailure {
    /// Not everything is in stock; nothing was reserved.
    #[error("not everything is in stock")]
    OutOfStock {
        /// What is short.
        shortages: Vec<Shortage>,
    },
    /// The payment was declined, or the token is none.
    #[error("the payment was declined: {detail}")]
    PaymentDeclined {
        /// What the provider said.
        detail: String,
    },
    /// The reservation ran out before the payment was authorised.
    #[error("the reservation ran out before the payment was authorised")]
    ReservationExpired,
    /// The payment was authorised but could not be captured; the order is cancelled.
    #[error("the payment could not be captured: {detail}")]
    CaptureDeclined {
        /// What the provider said.
        detail: String,
    },
    /// The stock or the payments could not be asked for a long time; nothing was done.
    #[error("a part of the shop was away: {detail}")]
    Unavailable {
        /// For people.
        detail: String,
    },
    /// An operator ended it.
    #[error("an operator ended it")]
    Abandoned,
}

/// A product of which there is too little.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Shortage {
    /// The product.
    pub sku: Sku,
    /// How many the cart wants.
    pub wanted: i64,
    /// How many could be had.
    pub available: i64,
}

/// The wish to buy a cart. A cart becomes at most one order: checking it out again, with this key or another, answers
/// the checkout that is under way or done.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct CheckOut {
    /// The cart.
    pub cart: Id<Cart>,
    /// Who asks.
    pub by: Opener,
    /// The payment provider's token; never a card number. Needed unless the sum is zero.
    #[serde(default)]
    pub payment_token: Option<String>,
}

impl std::fmt::Debug for CheckOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CheckOut").field("cart", &self.cart).finish_non_exhaustive()
    }
}

/// Which checkout, and who asks.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct CheckoutWish {
    /// The checkout.
    pub checkout: Id<Checkout>,
    /// Who asks.
    pub by: Opener,
}

/// Why a checkout does not begin or is not found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum CheckOutError {
    /// There is no such cart or checkout, or not for this opener.
    #[error("there is no such cart")]
    NotFound,
    /// The cart is empty.
    #[error("the cart is empty")]
    EmptyCart,
    /// The cart's sum is negative.
    #[error("the cart's sum {total} is negative")]
    NegativeTotal {
        /// The sum.
        total: Money,
    },
    /// The cart must be paid and there is no token.
    #[error("payment_token is missing")]
    NoPaymentToken,
    /// The token is none; the text is never repeated, it may be a card number.
    #[error("payment_token: {problem}")]
    BadPaymentToken {
        /// What is wrong.
        problem: String,
    },
    /// The price that was held for the cart has run out and the catalog's is another one now. Replace the cart to accept it.
    #[error("{field} has another price now")]
    PriceChanged {
        /// The field's path, such as `lines[3]`.
        field: String,
        /// The product.
        sku: Sku,
    },
    /// The product is not for sale any more.
    #[error("product {sku} is not for sale any more")]
    NotPublished {
        /// The field's path.
        field: String,
        /// The product.
        sku: Sku,
    },
}
