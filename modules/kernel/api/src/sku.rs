//! Stock keeping units.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The longest SKU: room for any retailer's codes, and a bound on keys.
pub const SKU_LENGTH_MAX: usize = 64;

/// A stock keeping unit: the code of one sellable variant.
///
/// Invariant: 1 to [`SKU_LENGTH_MAX`] characters of `A-Z 0-9 _ - . /`; lower case is raised on the way in, since
/// real data writes `85123A` and `85123a` for one product.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sku(String);

/// The text is no SKU.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a SKU (1 to 64 letters, digits, `_`, `-`, `.` or `/`)")]
pub struct SkuError(pub String);

impl Sku {
    /// The code, in upper case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Sku {
    type Err = SkuError;
    fn from_str(text: &str) -> Result<Self, SkuError> {
        let good =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/');
        if text.is_empty() || text.len() > SKU_LENGTH_MAX || !text.bytes().all(good) {
            return Err(SkuError(text.chars().take(SKU_LENGTH_MAX).collect()));
        }
        Ok(Self(text.to_ascii_uppercase()))
    }
}
impl fmt::Debug for Sku {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Display for Sku {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl Serialize for Sku {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
impl<'de> Deserialize<'de> for Sku {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
impl JsonSchema for Sku {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Sku".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9_./-]{1,64}$", "examples": ["85123A"] })
    }
}
