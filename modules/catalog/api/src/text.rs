//! The texts of catalog, each within its limits from the moment it is read.

use std::{borrow::Cow, fmt, str::FromStr};

use kernel_api::Text;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What a product is called.
pub type Title = Text<200>;

/// What tells a variant from the others: `pink`, `large`.
pub type Label = Text<100>;

/// The longest description: several printed pages.
const DESCRIPTION_LENGTH_MAX: usize = 10_000;

/// What is said of a product: any number of lines, or none.
///
/// Invariant: at most 10,000 characters; of the control characters only line feed and tab.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Description(String);

/// The text is too long or has control characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a description is at most {DESCRIPTION_LENGTH_MAX} characters, of the control characters only line feeds and tabs"
)]
pub struct DescriptionError;

impl Description {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl FromStr for Description {
    type Err = DescriptionError;
    fn from_str(text: &str) -> Result<Self, DescriptionError> {
        let good = |c: char| !c.is_control() || c == '\n' || c == '\t';
        if text.chars().count() > DESCRIPTION_LENGTH_MAX || !text.chars().all(good) {
            return Err(DescriptionError);
        }
        Ok(Self(text.to_owned()))
    }
}
impl fmt::Debug for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
impl Serialize for Description {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
impl<'de> Deserialize<'de> for Description {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
impl JsonSchema for Description {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Description".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "maxLength": DESCRIPTION_LENGTH_MAX })
    }
}
