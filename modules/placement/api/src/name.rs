//! Names of modules and deployments, addresses, and places of data.

use std::{borrow::Cow, fmt, path::PathBuf, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The longest name: it is part of schemas, roles and file names.
const NAME_LENGTH_MAX: usize = 32;

/// The longest address: room for a path and a query, and a bound on the column.
const ADDRESS_LENGTH_MAX: usize = 500;

/// The name of a module or of a deployment.
///
/// Invariant: 1 to 32 characters of `a-z 0-9 - _`, the first a letter. So no deployment has a name with a colon, and a
/// fence row with `carve:…` in it names nobody.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Cow<'static, str>);

/// A module, by its name.
pub type Module = Name;

/// A deployment, by its name: one or many processes with one place for each module's data.
pub type Deployment = Name;

/// The text is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name is 1 to {NAME_LENGTH_MAX} characters of a-z, 0-9, - and _, the first a letter")]
pub struct NameError;

impl Name {
    /// The deployment in which all begins, and to which a merge brings back.
    pub const MONOLITH: Self = Self(Cow::Borrowed("monolith"));

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let good = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
        };
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        if !begins || text.len() > NAME_LENGTH_MAX || !text.bytes().all(good) {
            return Err(NameError);
        }
        Ok(Self(text.to_owned().into()))
    }
}
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
impl JsonSchema for Name {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Name".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[a-z][a-z0-9_-]{0,31}$" })
    }
}

/// Where a process answers: `http://…` or `https://…`.
///
/// Invariant: at most 500 characters, none of them white space or a control character, and no credentials in it: it is
/// shown.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(String);

/// The text is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an address is http:// or https:// with a host, at most {ADDRESS_LENGTH_MAX} characters, without credentials"
)]
pub struct AddressError;

impl Address {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Address {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        let authority = rest.and_then(|rest| rest.split('/').next()).unwrap_or_default();
        let odd = |c: char| c.is_whitespace() || c.is_control();
        if authority.is_empty()
            || authority.contains('@')
            || text.len() > ADDRESS_LENGTH_MAX
            || text.contains(odd)
        {
            return Err(AddressError);
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
impl JsonSchema for Address {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Address".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "uri", "maxLength": ADDRESS_LENGTH_MAX })
    }
}

/// Where a module's data is or shall be. It may hold a password: it is kept, and given to ports, and never shown.
/// In text: a file's path, or `postgres://…`.
#[derive(Clone, PartialEq, Eq)]
pub enum Database {
    /// A file of its own (SQLite).
    File(PathBuf),
    /// A schema of its own on a server (PostgreSQL), by a URL.
    Server(String),
}

/// The text is no place for data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("data is in a file (its path) or on a server (postgres://…)")]
pub struct DatabaseError;

impl Database {
    /// The place as it may be kept; it may hold a password.
    pub fn expose(&self) -> Cow<'_, str> {
        match self {
            Self::File(path) => path.to_string_lossy(),
            Self::Server(url) => url.into(),
        }
    }
}

impl FromStr for Database {
    type Err = DatabaseError;
    fn from_str(text: &str) -> Result<Self, DatabaseError> {
        if text.is_empty() || text.len() > ADDRESS_LENGTH_MAX || text.contains(char::is_control) {
            return Err(DatabaseError);
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Server(text.to_owned()));
        }
        let path = text.strip_prefix("sqlite:").unwrap_or(text);
        if path.is_empty() || path.contains("://") {
            return Err(DatabaseError);
        }
        Ok(Self::File(path.into()))
    }
}
/// Without credentials: what stands between `//` and the last `@`, and what is asked of the server.
impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Server(url) => {
                let place = url.split_once("://").map_or("", |(_scheme, rest)| rest);
                let place = place.split('?').next().unwrap_or_default();
                let place = place.rsplit_once('@').map_or(place, |(_secret, place)| place);
                write!(f, "postgres://{place}")
            }
        }
    }
}
impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
/// A wish travels whole, password and all: answers have no `Database`.
impl Serialize for Database {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.expose())
    }
}
impl<'de> Deserialize<'de> for Database {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
impl JsonSchema for Database {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Database".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": ADDRESS_LENGTH_MAX })
    }
}
