//! The numbers of inventory, each within its limits from the moment it is read.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The largest quantity of one line: above any real one (the largest in the shop's data is 80,995), far below what
/// could overflow a sum of [`LINES_MAX`](crate::LINES_MAX) lines: it would take four thousand million such commands of
/// one level to come near the end of 64 bits.
pub const QUANTITY_MAX: i64 = 1_000_000;

/// The longest time that stock is held: a week, for orders that wait for a bank transfer.
pub const HOLD_SECONDS_MAX: i64 = 7 * 24 * 3600;

/// How many of a SKU.
pub type Quantity = Number<1, QUANTITY_MAX>;

/// A change of what is on hand: more or less, but something.
pub type Change = Number<{ -QUANTITY_MAX }, QUANTITY_MAX>;

/// The available quantity from which down a SKU counts as low; 0 is never low.
pub type LowAt = Number<0, QUANTITY_MAX>;

/// How long stock is held, in seconds.
pub type HoldSeconds = Number<1, HOLD_SECONDS_MAX>;

/// A whole number within limits, in JSON an integer.
///
/// Invariant: `MIN` to `MAX`; never zero where it may be negative, since a change of nothing is no change. Held by
/// its only constructor.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number<const MIN: i64, const MAX: i64>(i64);

/// The number is outside its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{number} is not allowed: it must be {min} to {max}{}", if *min < 0 { ", not 0" } else { "" })]
pub struct NumberError {
    /// The number.
    pub number: i64,
    /// The smallest allowed.
    pub min: i64,
    /// The largest allowed.
    pub max: i64,
}

impl<const MIN: i64, const MAX: i64> Number<MIN, MAX> {
    /// The number, when it is within its limits.
    pub const fn new(number: i64) -> Result<Self, NumberError> {
        if number < MIN || number > MAX || (number == 0 && MIN < 0) {
            return Err(NumberError { number, min: MIN, max: MAX });
        }
        Ok(Self(number))
    }

    /// The number.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl<const MIN: i64, const MAX: i64> fmt::Debug for Number<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
impl<const MIN: i64, const MAX: i64> Serialize for Number<MIN, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}
impl<'de, const MIN: i64, const MAX: i64> Deserialize<'de> for Number<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(i64::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
impl<const MIN: i64, const MAX: i64> JsonSchema for Number<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Number{MIN}To{MAX}").into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut schema = json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX });
        if MIN < 0 {
            schema.insert("not".to_owned(), serde_json::json!({ "const": 0 }));
        }
        schema
    }
}
