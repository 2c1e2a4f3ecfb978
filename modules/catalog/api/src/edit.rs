//! Changing the catalog.

use kernel_api::{Bounded, Id, Sku};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Description, Label, Price, Product, Title};

/// The most variants of one product: every size in every colour.
pub const VARIANTS_MAX: usize = 100;

/// A new product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Add {
    /// What it is called.
    pub title: Title,
    /// What is said of it.
    #[serde(default)]
    pub description: Description,
    /// What can be bought.
    pub variants: Bounded<NewVariant, VARIANTS_MAX>,
}

/// A new variant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewVariant {
    /// Its SKU: belongs to no product yet.
    pub sku: Sku,
    /// What tells it from the others.
    #[serde(default)]
    pub label: Option<Label>,
    /// What it costs from now on.
    pub price: Price,
}

/// What is said of a product from now on. What is absent stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// Which product.
    pub product: Id<Product>,
    /// The version that was read; absent to edit whichever stands.
    #[serde(default)]
    pub expected: Option<i64>,
    /// What it is called.
    #[serde(default)]
    pub title: Option<Title>,
    /// What is said of it.
    #[serde(default)]
    pub description: Option<Description>,
}

/// A new variant of a product that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddVariant {
    /// Which product.
    pub product: Id<Product>,
    /// The version that was read; absent to add to whichever stands.
    #[serde(default)]
    pub expected: Option<i64>,
    /// The variant.
    pub variant: NewVariant,
}

/// Which product is published or taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// Which product.
    pub product: Id<Product>,
    /// The version that was read; absent for whichever stands.
    #[serde(default)]
    pub expected: Option<i64>,
}

/// Why the product was not added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum AddError {
    /// These SKUs belong to products already, or are named twice.
    #[error("{} SKUs are taken", skus.len())]
    SkuTaken {
        /// Each of them.
        skus: Vec<Sku>,
    },
}

/// Why the product was not edited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum EditError {
    /// There is no such product.
    #[error("there is no such product")]
    UnknownProduct,
    /// Someone else changed it in the meantime.
    #[error("the version in force is {version}")]
    VersionMismatch {
        /// The version in force.
        version: i64,
    },
}

/// Why the variant was not added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum AddVariantError {
    /// There is no such product.
    #[error("there is no such product")]
    UnknownProduct,
    /// Someone else changed it in the meantime.
    #[error("the version in force is {version}")]
    VersionMismatch {
        /// The version in force.
        version: i64,
    },
    /// The SKU belongs to a product already.
    #[error("the SKU is taken")]
    SkuTaken,
    /// The product has as many variants as it may.
    #[error("a product has at most {VARIANTS_MAX} variants")]
    TooManyVariants,
}

/// Why the product was not published or taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum PublishError {
    /// There is no such product.
    #[error("there is no such product")]
    UnknownProduct,
    /// Someone else changed it in the meantime.
    #[error("the version in force is {version}")]
    VersionMismatch {
        /// The version in force.
        version: i64,
    },
    /// These variants have no price in force.
    #[error("{} variants have no price in force", skus.len())]
    NoPrice {
        /// Each of them.
        skus: Vec<Sku>,
    },
}
