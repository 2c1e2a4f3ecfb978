//! The toggle of a route: its stage and its weight.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// How far a route has been moved from the old side to the new one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Everything goes to the old side.
    #[default]
    Off,
    /// Everything goes to the old side; the new one gets copies of safe requests, and its answers are only compared.
    Shadow,
    /// A share of the clients, by weight, goes to the new side.
    Canary,
    /// Everything goes to the new side; the old one still stands.
    Live,
    /// Everything goes to the new side, and there is no old one any more: not even the kill switch goes back.
    Retired,
}

impl Stage {
    /// All of them, in the order in which a route goes through them.
    pub const ALL: [Self; 5] = [Self::Off, Self::Shadow, Self::Canary, Self::Live, Self::Retired];

    /// The word in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Shadow => "shadow",
            Self::Canary => "canary",
            Self::Live => "live",
            Self::Retired => "retired",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The word is no stage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no stage: off, shadow, canary, live or retired")]
pub struct StageError(String);

impl FromStr for Stage {
    type Err = StageError;
    fn from_str(text: &str) -> Result<Self, StageError> {
        let found = Self::ALL.into_iter().find(|stage| stage.as_str() == text);
        found.ok_or_else(|| StageError(text.to_owned()))
    }
}

/// By hand, for an error that says which stages there are.
impl<'de> Deserialize<'de> for Stage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A share of the clients in hundredths of a percent.
///
/// Invariant: at most [`Weight::FULL`].
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(u16);

/// The number is no weight.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no weight: a percentage from 0 to 100 with at most two decimals, such as 5 or 0.25"
)]
pub struct WeightError(String);

impl Weight {
    /// Nobody.
    pub const NONE: Self = Self(0);
    /// Everybody: 100 %.
    pub const FULL: Self = Self(10_000);

    /// So many hundredths of a percent, at most 10,000.
    pub const fn of_hundredths(hundredths: u16) -> Option<Self> {
        if hundredths <= Self::FULL.0 { Some(Self(hundredths)) } else { None }
    }

    /// In hundredths of a percent.
    pub const fn hundredths(self) -> u16 {
        self.0
    }
}

impl FromStr for Weight {
    type Err = WeightError;
    fn from_str(text: &str) -> Result<Self, WeightError> {
        let bad = || WeightError(text.to_owned());
        let plain = text.trim().trim_end_matches('%').trim_end();
        let (whole, decimals) = plain.split_once('.').unwrap_or((plain, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(decimals) {
            return Err(bad());
        }
        let decimals = decimals.trim_end_matches('0');
        let hundredths: u16 = match decimals.len() {
            0 => 0,
            1 => decimals.parse::<u16>().map_err(|_bad| bad())? * 10,
            2 => decimals.parse().map_err(|_bad| bad())?,
            _ => return Err(bad()),
        };
        let whole: u16 = whole.parse().map_err(|_bad| bad())?;
        let sum = whole.checked_mul(100).and_then(|whole| whole.checked_add(hundredths));
        sum.and_then(Self::of_hundredths).ok_or_else(bad)
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 100, self.0 % 100);
        match (rest, rest % 10) {
            (0, _) => write!(f, "{whole}"),
            (_, 0) => write!(f, "{whole}.{}", rest / 10),
            (_, _) => write!(f, "{whole}.{rest:02}"),
        }
    }
}
impl fmt::Debug for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}%")
    }
}

impl Serialize for Weight {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(100) {
            serializer.serialize_u16(self.0 / 100)
        } else {
            serializer.serialize_f64(f64::from(self.0) / 100.0)
        }
    }
}
impl<'de> Deserialize<'de> for Weight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Weight;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a percentage from 0 to 100")
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Weight, E> {
                number.to_string().parse().map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Weight, E> {
                number.to_string().parse().map_err(E::custom)
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Weight, E> {
                number.to_string().parse().map_err(E::custom)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Weight, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::{Stage, Weight};

    #[test]
    fn weights_are_read_exactly() {
        for (text, hundredths) in [
            ("0", 0),
            ("5", 500),
            ("0.25", 25),
            ("0.5", 50),
            ("99.99", 9999),
            ("100", 10_000),
            ("7.10%", 710),
        ] {
            let weight: Weight = text.parse().unwrap();
            assert_eq!(weight.hundredths(), hundredths, "{text}");
            assert_eq!(weight.to_string().parse::<Weight>().unwrap(), weight);
        }
        for text in ["", "-1", "100.01", "0.001", "1e1", "NaN", ".5", "5.", "70000", "1 0"] {
            assert!(text.parse::<Weight>().is_err(), "{text}");
        }
    }

    #[test]
    fn stages_are_read_by_their_words() {
        for stage in Stage::ALL {
            assert_eq!(stage.as_str().parse::<Stage>().unwrap(), stage);
        }
        assert!("Live".parse::<Stage>().is_err());
    }
}
