//! Unit prices and unrounded sums: finer than money.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    AmountError, Currency, Money,
    money::{amount_schema, decimal, decimal_text, deserialize_amount, serialize_amount},
};

/// How many millionths make a hundredth.
const MICROS_PER_MINOR: i64 = 10_000;

/// The price of one unit in millionths of the major unit: real prices are finer than a penny (0.001 GBP).
/// JSON as [`Money`], with up to six places.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct UnitPrice {
    /// Millionths of the major unit.
    pub micros: i64,
    /// The currency.
    pub currency: Currency,
}

/// A sum of lines before rounding, in millionths of the major unit. JSON as [`Money`], with up to six places.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Exact {
    /// Millionths of the major unit.
    pub micros: i64,
    /// The currency.
    pub currency: Currency,
}

impl UnitPrice {
    /// This many millionths.
    pub const fn new(micros: i64, currency: Currency) -> Self {
        Self { micros, currency }
    }

    /// Reads `2.55` (at most six places).
    pub fn parse(amount: &str, currency: Currency) -> Result<Self, AmountError> {
        decimal(amount, 6).map(|micros| Self::new(micros, currency))
    }

    /// The line of `quantity` units; nothing when it does not fit.
    pub fn times(self, quantity: i64) -> Option<Exact> {
        Some(Exact::new(self.micros.checked_mul(quantity)?, self.currency))
    }

    /// The price as a decimal string.
    pub fn amount(&self) -> String {
        decimal_text(self.micros, 6, 2)
    }
}

impl Exact {
    /// This many millionths.
    pub const fn new(micros: i64, currency: Currency) -> Self {
        Self { micros, currency }
    }

    /// Nothing.
    pub const fn zero(currency: Currency) -> Self {
        Self::new(0, currency)
    }

    /// The sum; nothing when currencies differ or it does not fit.
    pub fn plus(self, other: Self) -> Option<Self> {
        (self.currency == other.currency).then_some(())?;
        Some(Self::new(self.micros.checked_add(other.micros)?, self.currency))
    }

    /// The nearest whole hundredth, halves to the even one.
    pub fn rounded(self) -> Money {
        let below = self.micros.div_euclid(MICROS_PER_MINOR);
        let rest = self.micros.rem_euclid(MICROS_PER_MINOR);
        let half = MICROS_PER_MINOR / 2;
        let up = rest > half || (rest == half && below.rem_euclid(2) == 1);
        Money::new(below + i64::from(up), self.currency)
    }

    /// What rounding left out: `self - self.rounded()`.
    pub fn rounding(self) -> Self {
        let rounded = i128::from(self.rounded().minor) * i128::from(MICROS_PER_MINOR);
        let rest = i64::try_from(i128::from(self.micros) - rounded)
            .expect("a remainder is under a hundredth");
        Self::new(rest, self.currency)
    }

    /// The sum as a decimal string.
    pub fn amount(&self) -> String {
        decimal_text(self.micros, 6, 2)
    }
}

impl From<Money> for Exact {
    /// Saturates: an amount beyond 9.2e12 major units has no exact form here.
    fn from(money: Money) -> Self {
        Self::new(money.minor.saturating_mul(MICROS_PER_MINOR), money.currency)
    }
}

impl fmt::Display for UnitPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount(), self.currency)
    }
}
impl fmt::Debug for UnitPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount(), self.currency)
    }
}
impl fmt::Debug for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl Serialize for UnitPrice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_amount(serializer, "UnitPrice", &self.amount(), self.currency)
    }
}
impl<'de> Deserialize<'de> for UnitPrice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (micros, currency) = deserialize_amount(deserializer, 6)?;
        Ok(Self::new(micros, currency))
    }
}
impl JsonSchema for UnitPrice {
    fn schema_name() -> Cow<'static, str> {
        "UnitPrice".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        amount_schema(generator, "^-?[0-9]+(\\.[0-9]{1,6})?$", "0.001")
    }
}
impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_amount(serializer, "Exact", &self.amount(), self.currency)
    }
}
impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (micros, currency) = deserialize_amount(deserializer, 6)?;
        Ok(Self::new(micros, currency))
    }
}
impl JsonSchema for Exact {
    fn schema_name() -> Cow<'static, str> {
        "Exact".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        amount_schema(generator, "^-?[0-9]+(\\.[0-9]{1,6})?$", "5761931.382")
    }
}
