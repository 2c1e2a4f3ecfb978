//! The field names that mean something to a gateway, recognised once, while parsing.

use super::{cause::Cause, scan};

macro_rules! names {
    ($($variant:ident = $text:literal, $kind:ident;)*) => {
        /// A well-known field name. Nobody after the parser compares names as text.
        #[allow(missing_docs, reason = "each is the field of that name")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Known {
            /// Any other name.
            Other,
            $($variant,)*
        }

        impl Known {
            /// Every well-known name; `Other` is not among them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in lower case; empty for `Other`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { Self::Other => "", $(Self::$variant => $text,)* }
            }

            const fn kind(self) -> Kind {
                match self { Self::Other => Kind::Free, $(Self::$variant => Kind::$kind,)* }
            }
        }
    };
}

/// What a field is for, as far as it decides where the field may stand and who may drop it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Between two neighbours: never sent on, may be nominated by `Connection`, never a trailer.
    Hop,
    /// Frames, routes, authenticates or describes the message: must not be nominated, never a trailer.
    End,
    /// Must not be nominated, but may be a trailer.
    Late,
    /// Nothing special.
    Free,
}

names! {
    Host = "host", End;
    ContentLength = "content-length", End;
    TransferEncoding = "transfer-encoding", End;
    Connection = "connection", Hop;
    KeepAlive = "keep-alive", Hop;
    ProxyConnection = "proxy-connection", Hop;
    ProxyAuthenticate = "proxy-authenticate", Hop;
    ProxyAuthorization = "proxy-authorization", Hop;
    ProxyAuthenticationInfo = "proxy-authentication-info", Hop;
    Te = "te", Hop;
    Trailer = "trailer", Hop;
    Upgrade = "upgrade", Hop;
    Http2Settings = "http2-settings", Hop;
    Proxy = "proxy", End;
    Expect = "expect", End;
    Via = "via", End;
    MaxForwards = "max-forwards", End;
    Forwarded = "forwarded", End;
    XForwardedFor = "x-forwarded-for", End;
    XForwardedProto = "x-forwarded-proto", End;
    XForwardedHost = "x-forwarded-host", End;
    XForwardedOther = "x-forwarded-*", End;
    XRealIp = "x-real-ip", End;
    XOriginalUrl = "x-original-url", End;
    XRewriteUrl = "x-rewrite-url", End;
    Traceparent = "traceparent", End;
    Tracestate = "tracestate", End;
    XRequestId = "x-request-id", Late;
    Authorization = "authorization", End;
    Cookie = "cookie", End;
    SetCookie = "set-cookie", End;
    ContentType = "content-type", End;
    ContentEncoding = "content-encoding", End;
    ContentRange = "content-range", End;
    ContentLocation = "content-location", End;
    ContentLanguage = "content-language", End;
    CacheControl = "cache-control", End;
    Pragma = "pragma", End;
    Expires = "expires", End;
    Age = "age", End;
    Date = "date", End;
    Vary = "vary", End;
    Etag = "etag", Late;
    LastModified = "last-modified", End;
    Location = "location", End;
    RetryAfter = "retry-after", End;
    Server = "server", End;
    Allow = "allow", End;
    WwwAuthenticate = "www-authenticate", End;
    Accept = "accept", End;
    AcceptEncoding = "accept-encoding", End;
    AcceptLanguage = "accept-language", End;
    UserAgent = "user-agent", End;
    Referer = "referer", End;
    Origin = "origin", End;
    Range = "range", End;
    IfMatch = "if-match", End;
    IfNoneMatch = "if-none-match", End;
    IfModifiedSince = "if-modified-since", End;
    IfUnmodifiedSince = "if-unmodified-since", End;
    IfRange = "if-range", End;
    IdempotencyKey = "idempotency-key", End;
    SecWebsocketKey = "sec-websocket-key", End;
}

impl Known {
    /// Whether it is only for the neighbour.
    #[must_use]
    pub const fn is_hop_by_hop(self) -> bool {
        matches!(self.kind(), Kind::Hop)
    }

    /// Whether `Connection` may nominate it. RFC 9110 7.6.1 forbids to nominate what is meant for all recipients; here
    /// that would strip a credential or change who is asked.
    pub(super) const fn may_be_nominated(self) -> bool {
        matches!(self.kind(), Kind::Hop | Kind::Free)
    }

    /// Whether it may stand in a trailer section (RFC 9110 6.5.1).
    pub(super) const fn may_trail(self) -> bool {
        matches!(self.kind(), Kind::Free | Kind::Late)
    }

    /// The well-known name that `name` is, whatever its case. `name` must be a token: the fold is right only for those.
    ///
    /// One look at a perfect hash of the first and last bytes. The compiler checks that it is perfect.
    #[inline]
    #[must_use]
    pub fn recognise(name: &[u8]) -> Self {
        let (first, last) = key(name);
        let entry =
            INDEX.get(hash(first, last)).and_then(|number| ENTRIES.get(usize::from(*number)));
        let Some(entry) = entry else { return Self::Other };
        if entry.first == first && entry.last == last && usize::from(entry.length) == name.len() {
            // The key of a longer name leaves out its middle.
            let whole = name.len() <= 16 || same(name, entry.known.as_str().as_bytes());
            return if whole { entry.known } else { Self::Other };
        }
        if first == FORWARDED || first == CLIENT_CERT { claim(name) } else { Self::Other }
    }
}

/// A well-known name by its key.
#[derive(Clone, Copy)]
struct Entry {
    first: u64,
    last: u64,
    length: u8,
    known: Known,
}

/// Found by trying random odd numbers until no two names met; a new name that meets another one does not compile, and
/// wants a new number.
const FACTOR: u64 = 0xe241_9786_f788_3df7;

#[inline]
const fn hash(first: u64, last: u64) -> usize {
    ((first ^ last.rotate_left(23)).wrapping_mul(FACTOR) >> 56) as usize
}

const EIGHT: u64 = 0x2020_2020_2020_2020;
const FOUR: u32 = 0x2020_2020;

/// The first and last bytes in lower case. Exact for letters, digits and `-`; of the other token characters none becomes
/// one of these.
#[inline]
const fn key(name: &[u8]) -> (u64, u64) {
    if let (Some(first), Some(last)) = (name.first_chunk(), name.last_chunk()) {
        return (u64::from_le_bytes(*first) | EIGHT, u64::from_le_bytes(*last) | EIGHT);
    }
    if let (Some(first), Some(last)) = (name.first_chunk(), name.last_chunk()) {
        return (
            (u32::from_le_bytes(*first) | FOUR) as u64,
            (u32::from_le_bytes(*last) | FOUR) as u64,
        );
    }
    match name {
        [one, two, three] => {
            (u32::from_le_bytes([*one | 0x20, *two | 0x20, *three | 0x20, 0]) as u64, 0)
        }
        [one, two] => (u32::from_le_bytes([*one | 0x20, *two | 0x20, *two | 0x20, 0]) as u64, 0),
        _ => (0, 0),
    }
}

/// No name has this key.
const NOBODY: Entry = Entry { first: 0, last: 0, length: 0, known: Known::Other };

/// By the number of the name; `Other` is the first.
const ENTRIES: [Entry; Known::ALL.len() + 1] = {
    let mut entries = [NOBODY; Known::ALL.len() + 1];
    let mut rest = Known::ALL;
    while let [known, more @ ..] = rest {
        if !matches!(known, Known::XForwardedOther) {
            let name = known.as_str().as_bytes();
            let (first, last) = key(name);
            assert!(name.len() < 64, "lengths are kept in a byte");
            #[allow(
                clippy::indexing_slicing,
                clippy::cast_possible_truncation,
                reason = "evaluated by the compiler, which would refuse it"
            )]
            {
                entries[*known as usize] =
                    Entry { first, last, length: name.len() as u8, known: *known };
            }
        }
        rest = more;
    }
    entries
};

/// The number of the name that has a hash; 0 where none has.
const INDEX: [u8; 256] = {
    let mut index = [0; 256];
    let mut rest = Known::ALL;
    while let [known, more @ ..] = rest {
        if !matches!(known, Known::XForwardedOther) {
            let (first, last) = key(known.as_str().as_bytes());
            #[allow(
                clippy::indexing_slicing,
                reason = "evaluated by the compiler, which would refuse it"
            )]
            {
                assert!(
                    index[hash(first, last)] == 0,
                    "two names have one hash: FACTOR must change"
                );
                index[hash(first, last)] = *known as u8;
            }
        }
        rest = more;
    }
    index
};

/// How the names begin that are all taken for proxies' claims.
const FORWARDED: u64 = u64::from_le_bytes(*b"x-forwar");

/// How the fields of RFC 9440 begin.
const CLIENT_CERT: u64 = u64::from_le_bytes(*b"client-c");

/// `X-Forwarded-Port`, `-Prefix`, `-Server`, `-Ssl`, `-Client-Cert` and whatever else claims to come from a proxy; and
/// `Client-Cert` and `Client-Cert-Chain`, which only a proxy that has verified them may send (RFC 9440, section 4).
#[cold]
fn claim(name: &[u8]) -> Known {
    let prefix = name.get(..b"x-forwarded-".len()).unwrap_or_default();
    let is_claim = same(prefix, b"x-forwarded-")
        || same(name, b"client-cert")
        || same(name, b"client-cert-chain");
    if is_claim { Known::XForwardedOther } else { Known::Other }
}

/// Refuses a name with `_` that a CGI-like upstream would take for a well-known one: `Content_Length`, `X_Forwarded_For`.
///
/// # Errors
/// [`Cause::FieldNameUnderscore`].
#[cold]
pub(super) fn refuse_alias(name: &[u8]) -> Result<(), Cause> {
    /// No well-known name is longer, except those that only have to begin right.
    const LONGEST: usize = 32;
    let mut folded = [0u8; LONGEST];
    let length = name.len().min(LONGEST);
    for (to, from) in folded.iter_mut().zip(name) {
        *to = if *from == b'_' { b'-' } else { *from };
    }
    match Known::recognise(folded.get(..length).unwrap_or_default()) {
        Known::Other => Ok(()),
        _ => Err(Cause::FieldNameUnderscore),
    }
}

/// A set of well-known names, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KnownSet(u64);

// The set has a bit for each name.
const _: () = assert!(Known::ALL.len() < 64);

impl KnownSet {
    /// The empty set.
    pub const NONE: Self = Self(0);

    /// A set of these.
    #[must_use]
    pub const fn of(names: &[Known]) -> Self {
        let mut set = Self::NONE;
        let mut rest = names;
        while let [first, more @ ..] = rest {
            set = set.with(*first);
            rest = more;
        }
        set
    }

    /// This set and one more.
    #[inline]
    #[must_use]
    pub const fn with(self, name: Known) -> Self {
        Self(self.0 | (1 << name as u8))
    }

    /// This set without one.
    #[inline]
    #[must_use]
    pub const fn without(self, name: Known) -> Self {
        Self(self.0 & !(1 << name as u8))
    }

    /// Both sets together.
    #[inline]
    #[must_use]
    pub const fn and(self, more: Self) -> Self {
        Self(self.0 | more.0)
    }

    /// Whether the name is in the set.
    #[inline]
    #[must_use]
    pub const fn has(self, name: Known) -> bool {
        self.0 >> name as u8 & 1 != 0
    }

    /// Whether the sets share a name.
    #[inline]
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// Whether two names are the same field.
#[inline]
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// Whether text can be a field name.
pub(super) fn is_name(text: &[u8]) -> bool {
    scan::is_token(text)
}

#[cfg(test)]
mod tests;
