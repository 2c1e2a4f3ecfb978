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

/// Which of the books' columns a line belongs to.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// Products.
    Goods,
    /// Postage, manual lines, fees, samples, bad debt.
    Services,
    /// Discounts.
    Discounts,
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
    /// The column of the books that the line belongs to.
    pub fn category(&self) -> Category {
        match &self.kind {
            LineKind::Goods { .. } => Category::Goods,
            LineKind::Service { service: ServiceKind::Discount, .. } => Category::Discounts,
            LineKind::Service {
                service:
                    ServiceKind::Postage
                    | ServiceKind::Manual
                    | ServiceKind::Fee
                    | ServiceKind::Sample
                    | ServiceKind::BadDebt,
                ..
            } => Category::Services,
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

/// What a document adds to the books: exact sums by category, and the amount of money that really moves. A sale's are
/// positive, a return's negative. Sums of documents are sums of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Breakdown {
    /// The product lines.
    pub goods: Exact,
    /// The service lines.
    pub services: Exact,
    /// The discount lines.
    pub discounts: Exact,
    /// All of it, rounded half to even: what is charged or given back. For a return that is settled in several
    /// parts this is the sum of the rounded parts, so `net() - total` can be more than half a hundredth.
    pub total: Money,
}

impl Breakdown {
    /// The unrounded sum; nothing when it does not fit.
    pub fn net(&self) -> Option<Exact> {
        self.goods.plus(self.services)?.plus(self.discounts)
    }

    /// What rounding left out, `net() - total`: for the books' rounding account.
    pub fn rounding(&self) -> Option<Exact> {
        self.net()?.plus(Exact::from(kernel_api::Money::new(
            self.total.minor.checked_neg()?,
            self.total.currency,
        )))
    }
}
