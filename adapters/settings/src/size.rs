//! Sizes with their unit: `64KiB`, `2MB`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A number of bytes, written with its unit (`B`, `KiB`, `MiB`, `GiB`, or `KB`, `MB`, `GB` in thousands).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

/// The text is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no size: write a whole number with its unit, such as 512B, 64KiB or 2MB")]
pub struct ByteSizeError(String);

/// The units, in the order in which they are preferred for showing.
const UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1000),
    ("B", 1),
];

impl ByteSize {
    /// This many bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// How many bytes.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// How many bytes, for memory; saturates where the machine's words are smaller.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for ByteSize {
    type Err = ByteSizeError;
    fn from_str(text: &str) -> Result<Self, ByteSizeError> {
        let bad = || ByteSizeError(text.to_owned());
        let trimmed = text.trim();
        let digits = trimmed.chars().take_while(char::is_ascii_digit).count();
        let (number, unit) = trimmed.split_at_checked(digits).ok_or_else(bad)?;
        let number: u64 = number.parse().map_err(|_bad| bad())?;
        let named = |name: &str| name.eq_ignore_ascii_case(unit.trim());
        let (_, bytes) = UNITS.iter().find(|(name, _)| named(name)).ok_or_else(bad)?;
        number.checked_mul(*bytes).map(Self).ok_or_else(bad)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |size: &u64| self.0 > 0 && self.0.is_multiple_of(*size);
        match UNITS.iter().find(|(_, size)| fits(size)) {
            Some((unit, size)) => write!(f, "{}{unit}", self.0 / size),
            None => f.write_str("0B"),
        }
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
