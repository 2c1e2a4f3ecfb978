//! Values that are never shown.

use std::{fmt, fs};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, de::IntoDeserializer};

/// What is shown in a secret's place.
pub const MASK: &str = "********";

/// The longest file that is read as a secret: a key or a certificate fits, a log given by mistake does not.
const SECRET_FILE_BYTES_MAX: u64 = 64 * 1024;

/// A value that is masked wherever it is shown: by `Debug`, when it is serialised, in `banyan config`.
///
/// Written as the value itself, or as `file:/path` or `{ file = "/path" }` to read it from there (one line end at the
/// end is dropped).
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Keeps a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for the one place that needs it.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}
impl<T> Serialize for Secret<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Value(String),
    File(InFile),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InFile {
    file: String,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)
            .map_err(|_shown| de::Error::custom("a secret is a text, or { file = \"/path\" }"))?;
        let text = match written {
            Written::File(InFile { file }) => read(&file).map_err(de::Error::custom)?,
            Written::Value(text) => match text.strip_prefix("file:") {
                Some(file) => read(file).map_err(de::Error::custom)?,
                None => text,
            },
        };
        // The value's own error may quote the value, so it is not passed on.
        T::deserialize(IntoDeserializer::<de::value::Error>::into_deserializer(text))
            .map(Self)
            .map_err(|_shown| de::Error::custom("the secret is not of the right form"))
    }
}

fn read(path: &str) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("cannot read the secret from `{path}`: {error}");
    if fs::metadata(path).map_err(failed)?.len() > SECRET_FILE_BYTES_MAX {
        return Err(format!("`{path}` is too large for a secret"));
    }
    let text = fs::read_to_string(path).map_err(failed)?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}
