//! Who is in the canary: a client's key, salted and hashed into one of 10,000 buckets.
//!
//! Invariant: the bucket depends on the salt and the key only, never on the weight. A client is on the new side where its
//! bucket is below the weight, so as the weight grows, clients move from old to new and none moves back.

use std::{borrow::Cow, fmt, net::IpAddr};

use super::{Facts, Weight, jwt};

/// A place in `[0, 10_000)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket(u16);

impl Bucket {
    /// The bucket of a key under a salt. The same in every process and version: a client must not change sides because
    /// a proxy was restarted or upgraded.
    pub fn of(salt: u64, key: &[u8]) -> Self {
        let spread = u128::from(mix(hash(salt, key))) * u128::from(Weight::FULL.hundredths());
        // The upper half of the product is below 10,000: a fair share without the bias of a remainder.
        Self(u16::try_from(spread >> 64).unwrap_or(0))
    }

    /// Its number.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Is it below the weight?
    pub const fn is_within(self, weight: Weight) -> bool {
        self.0 < weight.hundredths()
    }
}

/// Which client it is: the place of its key and the key, as one number.
pub fn identity(source: &KeySource, key: &[u8]) -> u64 {
    mix(hash(salt(&source.to_string()), key))
}

/// The salt that a name stands for.
pub fn salt(name: &str) -> u64 {
    mix(hash(0, name.as_bytes()))
}

/// FNV-1a from a salted start: a few nanoseconds for a key of usual length.
fn hash(salt: u64, key: &[u8]) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ salt;
    key.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood 2014): FNV alone leaves keys that differ in their last byte close
/// together.
fn mix(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// Where a client's key is looked for, in this order; the first that the request has counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sticky {
    /// Where.
    pub sources: Box<[KeySource]>,
    /// Sets the buckets of one canary apart from those of another. Routes of a group share it, so that a client has all
    /// of a group's routes on one side.
    pub salt: u64,
}

/// One place where a client's key may be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeySource {
    /// A header, by its name in lower case.
    Header(Box<str>),
    /// A cookie.
    Cookie(Box<str>),
    /// A claim of the bearer token, read without verifying the token.
    Claim(Box<str>),
    /// The client's address, after the trust list; of IPv6 the first 64 bits, for a client has all of those.
    Address,
}

/// The text names no place of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no place of a key: `header:NAME`, `cookie:NAME`, `jwt:CLAIM` or `address`")]
pub struct KeySourceError(String);

impl KeySource {
    /// Reads `header:x-user`, `cookie:sid`, `jwt:sub` or `address`.
    pub fn parse(text: &str) -> Result<Self, KeySourceError> {
        let bad = || KeySourceError(text.to_owned());
        let (kind, name) = text.split_once(':').unwrap_or((text, ""));
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let is_token = !name.is_empty() && name.bytes().all(token);
        match kind {
            "address" if name.is_empty() && !text.contains(':') => Ok(Self::Address),
            "header" if is_token => Ok(Self::Header(name.to_ascii_lowercase().into())),
            "cookie" if is_token => Ok(Self::Cookie(name.into())),
            "jwt" if !name.is_empty() => Ok(Self::Claim(name.into())),
            _ => Err(bad()),
        }
    }

    /// The key that this request has here.
    pub fn find<'a>(&self, facts: &Facts<'a>) -> Option<Cow<'a, [u8]>> {
        let found: Cow<'a, [u8]> = match self {
            Self::Header(name) => Cow::Borrowed(facts.headers.single(name)?),
            Self::Cookie(name) => Cow::Borrowed(cookie(facts, name)?),
            Self::Claim(name) => {
                Cow::Owned(jwt::claim(facts.headers.single("authorization")?, name)?.into_bytes())
            }
            Self::Address => Cow::Owned(match facts.client? {
                IpAddr::V4(address) => address.octets().to_vec(),
                IpAddr::V6(address) => match address.to_ipv4_mapped() {
                    Some(address) => address.octets().to_vec(),
                    None => address.octets().iter().take(8).copied().collect(),
                },
            }),
        };
        (!found.is_empty()).then_some(found)
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
            Self::Claim(name) => write!(f, "jwt:{name}"),
            Self::Address => f.write_str("address"),
        }
    }
}

impl Sticky {
    /// The client's key and where it was found.
    pub fn key<'a>(&self, facts: &Facts<'a>) -> Option<(&KeySource, Cow<'a, [u8]>)> {
        self.sources.iter().find_map(|source| Some((source, source.find(facts)?)))
    }
}

/// The value of a cookie; the first where it comes twice, as browsers send the most specific one first.
fn cookie<'a>(facts: &Facts<'a>, name: &str) -> Option<&'a [u8]> {
    let mut found = None;
    let headers: &'a dyn super::Headers = facts.headers;
    headers.each("cookie", &mut |line: &'a [u8]| {
        for pair in line.split(|byte| *byte == b';') {
            let value = pair.trim_ascii().strip_prefix(name.as_bytes());
            if let Some(value) = value.and_then(|rest| rest.strip_prefix(b"=")) {
                found = found.or(Some(value));
            }
        }
    });
    found
}

#[cfg(test)]
mod tests;
