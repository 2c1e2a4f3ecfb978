//! Products and their variants.

use kernel_api::{Id, Sku, Timestamp, UnitPrice};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Description, Label, Title};

/// Something that is sold, in one or more variants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Product {
    /// Its id.
    pub id: Id<Product>,
    /// What it is called.
    pub title: Title,
    /// What is said of it.
    pub description: Description,
    /// Does the public see it, and may it be bought?
    pub published: bool,
    /// Rises by one with every change of the product or of its variants; prices do not count.
    pub version: i64,
    /// What can be bought, in the order in which they were added.
    pub variants: Vec<Variant>,
    /// When it was added.
    pub added_at: Timestamp,
    /// When it was changed last.
    pub changed_at: Timestamp,
}

/// What can be bought of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Variant {
    /// Its SKU.
    pub sku: Sku,
    /// What tells it from the product's other variants; absent where it is the only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
    /// The price in force now; absent where none is in force yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<UnitPrice>,
    /// Is it there?
    pub availability: Availability,
}

/// Whether a SKU is in stock, as inventory's events told last: may be a moment old, and promises nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    /// Inventory has told nothing of it yet.
    Unknown,
    /// There is enough.
    InStock,
    /// There is little left.
    Low,
    /// There is none.
    SoldOut,
}

impl Availability {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Unknown, Self::InStock, Self::Low, Self::SoldOut];

    /// The word in columns and documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::InStock => "in_stock",
            Self::Low => "low",
            Self::SoldOut => "sold_out",
        }
    }
}

/// Which product is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// The one with this id.
    Id(Id<Product>),
    /// The one that this SKU is a variant of.
    Sku(Sku),
}

/// Why there is no product to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum ProductError {
    /// There is none.
    #[error("there is no such product")]
    UnknownProduct,
}
