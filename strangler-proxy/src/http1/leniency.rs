//! What a route may forgive its legacy clients: relaxations by name, none of which makes two parties see two messages.

use super::cause::{Cause, Refusal};

/// A set of relaxations. The parser gets those that *any* route allows, since the route is only known after parsing, and
/// tells which a request made use of ([`RequestHead::forgiven`](super::RequestHead::forgiven)); then
/// [`check`](Self::check) refuses what this route does not allow. The caller counts [`and`](Self::and) of both.
///
/// Not here, since each of them can smuggle: bare LF together with CRLF, folded lines, space before a colon, differing or
/// signed lengths, codings other than `chunked`, bare LF in chunks, invalid hosts.
///
/// Of the bits, some relaxations have two: one for each cause that they forgive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leniency(u8);

impl Leniency {
    /// Strict.
    pub const NONE: Self = Self(0);
    /// `bare-lf`: a head whose every line ends in LF alone, with no CR anywhere and no body; the connection is closed
    /// after it. Who wants CRLF sees no message at all in such a head, so nobody sees a different one.
    pub const BARE_LF: Self = Self(1);
    /// `repeated-length`: `Content-Length` several times with one and the same valid value (RFC 9112 6.3); sent on once.
    pub const REPEATED_LENGTH: Self = Self(2);
    /// `raw-target`: bytes above 0x7f and `"<>` in a target; sent on percent-encoded.
    pub const RAW_TARGET: Self = Self(Self::RAW_BYTE.0 | Self::RAW_MARK.0);
    /// `loose-query`: in the query, a `%` without two hexadecimal digits and `%00`; sent on as they are.
    pub const LOOSE_QUERY: Self = Self(Self::LOOSE_PERCENT.0 | Self::LOOSE_NUL.0);
    /// `encoded-slash`: `%2F` in a path as part of a segment, never next to dots; sent on as it is.
    pub const ENCODED_SLASH: Self = Self(16);
    /// `underscore-names`: fields with `_` in their name are sent on instead of dropped, unless they resemble a well-known one.
    pub const UNDERSCORE_NAMES: Self = Self(32);
    /// All of them.
    pub const ALL: Self = Self(u8::MAX);

    pub(super) const RAW_BYTE: Self = Self(4);
    pub(super) const LOOSE_PERCENT: Self = Self(8);
    pub(super) const RAW_MARK: Self = Self(64);
    pub(super) const LOOSE_NUL: Self = Self(128);

    const NAMES: [(&'static str, Self); 6] = [
        ("bare-lf", Self::BARE_LF),
        ("repeated-length", Self::REPEATED_LENGTH),
        ("raw-target", Self::RAW_TARGET),
        ("loose-query", Self::LOOSE_QUERY),
        ("encoded-slash", Self::ENCODED_SLASH),
        ("underscore-names", Self::UNDERSCORE_NAMES),
    ];

    /// What each is refused for. Fields with underscores are not: they are dropped.
    const CAUSES: [(Self, Cause); 7] = [
        (Self::BARE_LF, Cause::BareLf),
        (Self::REPEATED_LENGTH, Cause::LengthRepeated),
        (Self::RAW_BYTE, Cause::TargetNonAscii),
        (Self::RAW_MARK, Cause::TargetCharacter),
        (Self::LOOSE_PERCENT, Cause::PercentInvalid),
        (Self::LOOSE_NUL, Cause::EncodedNul),
        (Self::ENCODED_SLASH, Cause::EncodedSlash),
    ];

    /// The names that a configuration can use.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::NAMES.iter().map(|(name, _)| *name)
    }

    /// The relaxation of this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, bits)| *bits)
    }

    /// The names in this set, for counting and for showing.
    pub fn iter(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.iter().filter(move |(_, bits)| self.0 & bits.0 != 0).map(|(name, _)| *name)
    }

    /// Whether all of `wanted` is in this set.
    #[inline]
    #[must_use]
    pub fn has(self, wanted: Self) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    /// Both sets together.
    #[must_use]
    pub fn with(self, more: Self) -> Self {
        Self(self.0 | more.0)
    }

    /// What both sets have: of what a request made use of, that which its route allows, for counting.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether nothing is relaxed.
    #[inline]
    #[must_use]
    pub fn is_none(self) -> bool {
        self.0 == 0
    }

    /// What a route that allows `self` says to a request that made use of `used`.
    ///
    /// # Errors
    /// The refusal for the first relaxation that the request needed and the route does not allow.
    pub fn check(self, used: Self) -> Result<(), Refusal> {
        if self.has(used) {
            return Ok(());
        }
        let refused = Self::CAUSES.iter().find(|(bit, _)| used.has(*bit) && !self.has(*bit));
        refused.map_or(Ok(()), |(_, cause)| Err((*cause).into()))
    }
}
