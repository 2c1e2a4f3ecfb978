//! Taking over many SKUs at once.

use kernel_api::{Bounded, Sku, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Description, Price, Title};

/// The most rows of one import call: well under a second of work, and a bound on the request's memory.
pub const IMPORT_ROWS_MAX: usize = 1000;

/// Some rows of a list of goods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// What becomes of products that are there already.
    #[serde(default)]
    pub existing: Existing,
    /// The rows, one SKU each; a later row of the same SKU meets what the earlier one made.
    pub rows: Bounded<ImportRow, IMPORT_ROWS_MAX>,
}

/// What becomes of products that are there already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Existing {
    /// They keep their title, description and publication; only prices of new moments are added.
    #[default]
    Keep,
    /// They become what the row says; a price of a known moment is replaced.
    Overwrite,
}

/// One SKU: becomes a product of one variant where it is not there yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportRow {
    /// The SKU.
    pub sku: Sku,
    /// What the product is called.
    pub title: Title,
    /// What is said of it.
    #[serde(default)]
    pub description: Description,
    /// What it costs.
    pub price: Price,
    /// From when: now unless told. A known SKU whose row does not tell keeps its price, unless `existing` is
    /// `overwrite` and the price in force is another.
    #[serde(default)]
    pub from: Option<Timestamp>,
    /// Does the public see it from now on? Its price need not be in force yet.
    pub published: bool,
}

/// What became of each row, in the rows' order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Imported {
    /// The rows.
    pub rows: Vec<RowReport>,
}

/// What became of one row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RowReport {
    /// Which row, counted from 0.
    pub row: u32,
    /// Its SKU.
    pub sku: Sku,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: RowOutcome,
}

/// What can become of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum RowOutcome {
    /// The product was added.
    Added,
    /// Something of it changed.
    Changed,
    /// It was like that already.
    Unchanged,
    /// Refused: the SKU is priced in another currency.
    OtherCurrency,
}
