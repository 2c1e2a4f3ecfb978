//! Prices and their history.

use std::borrow::Cow;

use kernel_api::{Bounded, Id, PageRequest, Sku, Timestamp, UnitPrice};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Product, Title};

/// The most SKUs of one quote: the most lines of a cart.
pub const QUOTE_SKUS_MAX: usize = 1000;

/// The highest price in millionths: a million of the major unit, above anything sold here and far below an overflow.
pub const PRICE_MICROS_MAX: i64 = 1_000_000_000_000;

/// A price that somebody sets.
///
/// Invariant: 0 to a million of the major unit (real data has samples that cost nothing).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price(UnitPrice);

/// The price is outside its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a price is 0 to {} of the major unit", PRICE_MICROS_MAX / 1_000_000)]
pub struct PriceError;

impl Price {
    /// The price, when it is within its limits.
    pub fn new(price: UnitPrice) -> Result<Self, PriceError> {
        (0..=PRICE_MICROS_MAX).contains(&price.micros).then_some(Self(price)).ok_or(PriceError)
    }

    /// The unit price.
    pub fn get(self) -> UnitPrice {
        self.0
    }
}
impl Serialize for Price {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}
impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(UnitPrice::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
impl JsonSchema for Price {
    fn inline_schema() -> bool {
        UnitPrice::inline_schema()
    }
    fn schema_name() -> Cow<'static, str> {
        UnitPrice::schema_name()
    }
    fn schema_id() -> Cow<'static, str> {
        UnitPrice::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        UnitPrice::json_schema(generator)
    }
}

/// Which SKUs are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Quotes {
    /// The SKUs; one that is named twice is quoted twice.
    pub skus: Bounded<Sku, QUOTE_SKUS_MAX>,
}

/// What a SKU costs now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Quote {
    /// The SKU.
    pub sku: Sku,
    /// Of which product.
    pub product: Id<Product>,
    /// What the product is called, with the variant's label.
    pub title: Title,
    /// The price in force; absent where none is in force yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<UnitPrice>,
    /// May the public buy it?
    pub published: bool,
}

/// Whose prices are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Prices {
    /// Of this SKU.
    pub sku: Sku,
    /// Which page.
    #[serde(default)]
    pub page: PageRequest,
}

/// A price and the moment from which it holds, until the next one does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PricePoint {
    /// The SKU.
    pub sku: Sku,
    /// From when.
    pub from: Timestamp,
    /// The price.
    pub price: UnitPrice,
    /// When it was set.
    pub set_at: Timestamp,
}

/// A new price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reprice {
    /// The SKU.
    pub sku: Sku,
    /// The price.
    pub price: Price,
    /// From when: now unless told. A moment in the past corrects the history, one in the future plans.
    #[serde(default)]
    pub from: Option<Timestamp>,
}

/// Why there are no prices to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum PricesError {
    /// No product has this SKU.
    #[error("no product has this SKU")]
    UnknownSku,
    /// `after` is not the `next` of a page of this list.
    #[error("`after` is not the `next` of a page of this list")]
    BadCursor,
}

/// Why the price was not set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum RepriceError {
    /// No product has this SKU.
    #[error("no product has this SKU")]
    UnknownSku,
    /// A SKU's prices are all in one currency.
    #[error("the SKU is priced in another currency")]
    OtherCurrency,
}
