//! Identifiers: UUIDv7 text, typed by what they name.

use std::{borrow::Cow, cmp::Ordering, fmt, hash, marker::PhantomData, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

/// The identifier of an `Of`: a UUIDv7 (RFC 9562), in text `8-4-4-4-12` lower-case hex.
///
/// Ids made by one process sort by the time they were made, so they are good primary keys.
/// An `Id<Order>` is not an `Id<Payment>`: `Of` is only a name and is never constructed.
pub struct Id<Of> {
    uuid: Uuid,
    of: PhantomData<fn() -> Of>,
}

/// The text is no UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an id (a UUID such as 0190b0c2-7d0a-7cc0-8000-000000000000)")]
pub struct IdError(pub String);

impl<Of> Id<Of> {
    /// A new id, never given before.
    pub fn fresh() -> Self {
        Self::from_uuid(Uuid::now_v7())
    }

    /// The id with this UUID, for ids that are derived (a history import derives them from the file, so that a
    /// second run makes the same ones).
    pub fn from_uuid(uuid: Uuid) -> Self {
        Self { uuid, of: PhantomData }
    }

    /// The UUID itself.
    pub fn uuid(&self) -> Uuid {
        self.uuid
    }

    /// The same UUID as the id of something else, for two things that share one identity.
    pub fn cast<Other>(self) -> Id<Other> {
        Id::from_uuid(self.uuid)
    }
}

impl<Of> Clone for Id<Of> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<Of> Copy for Id<Of> {}
impl<Of> PartialEq for Id<Of> {
    fn eq(&self, other: &Self) -> bool {
        self.uuid == other.uuid
    }
}
impl<Of> Eq for Id<Of> {}
impl<Of> PartialOrd for Id<Of> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<Of> Ord for Id<Of> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.uuid.cmp(&other.uuid)
    }
}
impl<Of> hash::Hash for Id<Of> {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.uuid.hash(state);
    }
}
impl<Of> fmt::Debug for Id<Of> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.uuid, f)
    }
}
impl<Of> fmt::Display for Id<Of> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.uuid, f)
    }
}
impl<Of> FromStr for Id<Of> {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        // Only the hyphenated form, so that one id has one text and text comparison is id comparison.
        if text.len() != 36 {
            return Err(IdError(text.to_owned()));
        }
        Uuid::try_parse(text).map(Self::from_uuid).map_err(|_bad| IdError(text.to_owned()))
    }
}
impl<Of> Serialize for Id<Of> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.uuid)
    }
}
impl<'de, Of> Deserialize<'de> for Id<Of> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
impl<Of> JsonSchema for Id<Of> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Id".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "uuid" })
    }
}
