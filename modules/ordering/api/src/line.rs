//! Lines of carts, orders and returns, and what they add up to.

use kernel_api::{Exact, Money, Sku, UnitPrice};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a line that is no product stands for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ServiceKind {
    /// Postage and carriage.
    Postage,
    /// A discount: its amount is negative on a sale.
    Discount,
    /// Entered by hand.
    Manual,
    /// A bank's, a marketplace's or a charity's share.
    Fee,
    /// A sample.
    Sample,
    /// A debt that is adjusted without goods.
    BadDebt,
}

/// Which of the books' accounts a line belongs to.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum PartKind {
    /// Products.
    Goods,
    /// Postage, manual lines, samples.
    Services,
    /// Discounts.
    Discount,
    /// Fees.
    Fee,
    /// Bad debt.
    BadDebt,
}

/// A product line as it is wished for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GoodsWish {
    /// The product.
    pub sku: Sku,
    /// How many, 1 to [`QUANTITY_MAX`](crate::QUANTITY_MAX).
    pub quantity: i64,
    /// Another price than the catalog's: the operator's only, never negative.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<UnitPrice>,
}

/// A line that is no product, as it is wished for: the operator's only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceWish {
    /// What it stands for.
    pub kind: ServiceKind,
    /// The shop's own code for it, such as `POST`.
    pub code: String,
    /// What the customer reads.
    #[serde(default)]
    pub title: String,
    /// How many, 1 to [`QUANTITY_MAX`](crate::QUANTITY_MAX).
    pub quantity: i64,
    /// The price of one; negative for what is taken off.
    pub unit_price: UnitPrice,
}

/// Everything in a cart. The same SKU may stand on several lines: they stay apart (their prices may differ) and are
/// reserved as one sum.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Content {
    /// The products.
    #[serde(default)]
    pub lines: Vec<GoodsWish>,
    /// What is no product.
    #[serde(default)]
    pub services: Vec<ServiceWish>,
}

/// What a line is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LineKind {
    /// A product, by its SKU.
    Goods {
        /// The product.
        sku: Sku,
        /// True where the operator set another price than the catalog's.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        price_overridden: bool,
    },
    /// No product.
    Service {
        /// What it stands for.
        service: ServiceKind,
        /// The shop's own code for it.
        code: String,
    },
}

/// A line with the price that it keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// What it is.
    #[serde(flatten)]
    pub kind: LineKind,
    /// What the customer reads.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// How many. In an order positive, in a return negative.
    pub quantity: i64,
    /// The price of one.
    pub unit_price: UnitPrice,
}

impl Line {
    /// The part of a document's sum that the line belongs to.
    pub fn part(&self) -> PartKind {
        match &self.kind {
            LineKind::Goods { .. } => PartKind::Goods,
            LineKind::Service { service, .. } => match service {
                ServiceKind::Postage | ServiceKind::Manual | ServiceKind::Sample => {
                    PartKind::Services
                }
                ServiceKind::Discount => PartKind::Discount,
                ServiceKind::Fee => PartKind::Fee,
                ServiceKind::BadDebt => PartKind::BadDebt,
            },
        }
    }

    /// Quantity times price, unrounded; nothing when it does not fit.
    pub fn net(&self) -> Option<Exact> {
        self.unit_price.times(self.quantity)
    }

    /// The product, where the line is one.
    pub fn sku(&self) -> Option<&Sku> {
        match &self.kind {
            LineKind::Goods { sku, .. } => Some(sku),
            LineKind::Service { .. } => None,
        }
    }
}

/// A share of a document's unrounded sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Part {
    /// Of what kind.
    pub kind: PartKind,
    /// The unrounded sum of its lines, signed as the document's lines are.
    pub net: Exact,
}

/// What a document adds to the books: exact sums by kind, and the money that really moves. A sale's are positive (but
/// for discounts), a return's negative. Sums of documents are sums of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sum {
    /// The parts, each kind at most once, in the order of their kinds; a part of zero is left out.
    pub parts: Vec<Part>,
    /// The unrounded sum.
    pub net: Exact,
    /// What is charged, or (negative) given back: `net` rounded half to even. For a return that is settled in several
    /// pieces it is the sum of the rounded pieces.
    pub total: Money,
}
