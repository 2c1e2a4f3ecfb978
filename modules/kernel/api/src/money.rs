//! Amounts of money: integers in a currency's minor unit.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeStruct};

use crate::Currency;

/// An amount of money in hundredths (pence, cents). JSON: `{"amount":"12.34","currency":"GBP"}`, the amount always a
/// decimal string with exactly two places.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    /// Hundredths of the major unit.
    pub minor: i64,
    /// The currency.
    pub currency: Currency,
}

/// The text is no decimal amount, or does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an amount with at most {places} decimal places that fits 64 bits")]
pub struct AmountError {
    text: String,
    places: u32,
}

impl Money {
    /// This many hundredths.
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Nothing.
    pub const fn zero(currency: Currency) -> Self {
        Self::new(0, currency)
    }

    /// Reads `12.34` (at most two places).
    pub fn parse(amount: &str, currency: Currency) -> Result<Self, AmountError> {
        decimal(amount, 2).map(|minor| Self::new(minor, currency))
    }

    /// The sum; nothing when currencies differ or it does not fit.
    pub fn plus(self, other: Self) -> Option<Self> {
        (self.currency == other.currency).then_some(())?;
        Some(Self::new(self.minor.checked_add(other.minor)?, self.currency))
    }

    /// The difference; nothing when currencies differ or it does not fit.
    pub fn minus(self, other: Self) -> Option<Self> {
        (self.currency == other.currency).then_some(())?;
        Some(Self::new(self.minor.checked_sub(other.minor)?, self.currency))
    }

    /// The amount as a decimal string, `-0.05`.
    pub fn amount(&self) -> String {
        decimal_text(self.minor, 2, 2)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount(), self.currency)
    }
}
impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_amount(serializer, "Money", &self.amount(), self.currency)
    }
}
impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (minor, currency) = deserialize_amount(deserializer, 2)?;
        Ok(Self::new(minor, currency))
    }
}
impl JsonSchema for Money {
    fn schema_name() -> Cow<'static, str> {
        "Money".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        amount_schema(generator, "^-?[0-9]+(\\.[0-9]{1,2})?$", "12.34")
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<'a> {
    #[serde(borrow)]
    amount: Cow<'a, str>,
    currency: Currency,
}

pub(crate) fn serialize_amount<S: Serializer>(
    serializer: S,
    name: &'static str,
    amount: &str,
    currency: Currency,
) -> Result<S::Ok, S::Error> {
    let mut wire = serializer.serialize_struct(name, 2)?;
    wire.serialize_field("amount", amount)?;
    wire.serialize_field("currency", &currency)?;
    wire.end()
}

pub(crate) fn deserialize_amount<'de, D: Deserializer<'de>>(
    deserializer: D,
    places: u32,
) -> Result<(i64, Currency), D::Error> {
    let wire = Wire::deserialize(deserializer)?;
    Ok((decimal(&wire.amount, places).map_err(de::Error::custom)?, wire.currency))
}

pub(crate) fn amount_schema(
    generator: &mut SchemaGenerator,
    pattern: &str,
    example: &str,
) -> Schema {
    json_schema!({
        "type": "object",
        "properties": {
            "amount": { "type": "string", "pattern": pattern, "examples": [example] },
            "currency": generator.subschema_for::<Currency>(),
        },
        "required": ["amount", "currency"],
        "additionalProperties": false,
    })
}

/// Reads a decimal with at most `places` places as an integer of that many places; never through a float.
pub(crate) fn decimal(text: &str, places: u32) -> Result<i64, AmountError> {
    let bad = || AmountError { text: text.chars().take(40).collect(), places };
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let spare = usize::try_from(places).unwrap_or(0).checked_sub(fraction.len()).ok_or_else(bad)?;
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty()
        || !plain(whole)
        || !plain(fraction)
        || (fraction.is_empty() && digits.contains('.'))
    {
        return Err(bad());
    }
    let mut value: i64 = 0;
    for byte in whole.bytes().chain(fraction.bytes()).chain(std::iter::repeat_n(b'0', spare)) {
        let digit = i64::from(byte - b'0');
        let digit = if negative { -digit } else { digit };
        value = value.checked_mul(10).and_then(|value| value.checked_add(digit)).ok_or_else(bad)?;
    }
    Ok(value)
}

/// Writes an integer of `places` places as a decimal with at least `shown` of them and no further trailing zeros.
pub(crate) fn decimal_text(value: i64, places: usize, shown: usize) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let trimmed = fraction.trim_end_matches('0');
    let fraction = if trimmed.len() < shown { fraction.split_at(shown).0 } else { trimmed };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

#[cfg(test)]
mod tests;
