//! What `verify` looks at: every product with what is wrong with it.

use kernel_api::{Id, Sku};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Product;

/// One product and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Audited {
    /// The product.
    pub product: Id<Product>,
    /// Its SKUs.
    pub skus: Vec<Sku>,
    /// What does not hold; empty when all is well.
    pub violations: Vec<Violation>,
}

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "violation", rename_all = "snake_case")]
pub enum Violation {
    /// The product has no variant.
    NoVariant,
    /// The price that is kept with the variant is not the one of its history.
    PriceIsNotHistory {
        /// Which.
        sku: Sku,
    },
    /// A variant has no price at all.
    NoPrice {
        /// Which.
        sku: Sku,
    },
}
