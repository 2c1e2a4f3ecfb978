//! Where stock lies, and the texts that explain why.

use std::{borrow::Cow, fmt, str::FromStr};

use kernel_api::Text;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Why a quantity changed, for people.
pub type Reason = Text<200>;

/// What the caller calls the thing that caused it: an order, a delivery note, a row of a file.
pub type Reference = Text<100>;

/// The longest location.
const LOCATION_LENGTH_MAX: usize = 32;

/// Where stock lies. The default is `main`, from which the shop sells.
///
/// Invariant: 1 to 32 characters of `a-z 0-9 -`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location(Cow<'static, str>);

/// The text is no location.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a location is 1 to {LOCATION_LENGTH_MAX} characters of a-z, 0-9 and -")]
pub struct LocationError;

impl Location {
    /// Where a line that names no location belongs.
    pub const MAIN: Self = Self(Cow::Borrowed("main"));

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Location {
    fn default() -> Self {
        Self::MAIN
    }
}
impl FromStr for Location {
    type Err = LocationError;
    fn from_str(text: &str) -> Result<Self, LocationError> {
        let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if text.is_empty() || text.len() > LOCATION_LENGTH_MAX || !text.bytes().all(good) {
            return Err(LocationError);
        }
        // Nearly every line is of `main`, which costs no allocation.
        Ok(if text == Self::MAIN.as_str() { Self::MAIN } else { Self(text.to_owned().into()) })
    }
}
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl Serialize for Location {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
impl<'de> Deserialize<'de> for Location {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
impl JsonSchema for Location {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Location".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[a-z0-9-]{1,32}$", "default": "main" })
    }
}
