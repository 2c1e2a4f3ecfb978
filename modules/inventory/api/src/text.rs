//! The texts of inventory, each within its limits from the moment it is read.

use std::{borrow::Cow, fmt, str::FromStr};

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

/// One line of text.
///
/// Invariant: 1 to `MAX` characters, none of them a control character.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<const MAX: usize>(String);

/// The text is outside its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// No location.
    #[error("a location is 1 to {LOCATION_LENGTH_MAX} characters of a-z, 0-9 and -")]
    Location,
    /// Empty, too long, or with control characters.
    #[error("must be 1 to {max} characters, none of them a control character")]
    Text {
        /// How many characters are allowed.
        max: usize,
    },
}

impl Location {
    /// Where a line that names no location belongs.
    pub const MAIN: Self = Self(Cow::Borrowed("main"));

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> Text<MAX> {
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
    type Err = TextError;
    fn from_str(text: &str) -> Result<Self, TextError> {
        let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if text.is_empty() || text.len() > LOCATION_LENGTH_MAX || !text.bytes().all(good) {
            return Err(TextError::Location);
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

impl<const MAX: usize> FromStr for Text<MAX> {
    type Err = TextError;
    fn from_str(text: &str) -> Result<Self, TextError> {
        if text.is_empty() || text.chars().count() > MAX || text.chars().any(char::is_control) {
            return Err(TextError::Text { max: MAX });
        }
        Ok(Self(text.to_owned()))
    }
}
impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl<const MAX: usize> fmt::Debug for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
impl<const MAX: usize> Serialize for Text<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
impl<const MAX: usize> JsonSchema for Text<MAX> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Text{MAX}").into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": MAX, "pattern": "^[^\\x00-\\x1f\\x7f]*$" })
    }
}
