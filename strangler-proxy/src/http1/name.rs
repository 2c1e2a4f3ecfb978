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
    #[must_use]
    pub fn recognise(name: &[u8]) -> Self {
        match name.len() {
            2..=7 => short(name),
            8..=12 => middle(name),
            13..=19 => long(name),
            _ => longest(name),
        }
    }
}

/// `name` in lower case. Exact for letters, digits and `-`; of the other token characters none becomes one of these.
#[inline]
fn fold<const N: usize>(name: &[u8]) -> [u8; N] {
    let mut folded: [u8; N] = name.try_into().unwrap_or([0; N]);
    for byte in &mut folded {
        *byte |= 0x20;
    }
    folded
}

#[inline]
fn short(name: &[u8]) -> Known {
    match name.len() {
        2 => match &fold(name) {
            b"te" => Known::Te,
            _ => Known::Other,
        },
        3 => match &fold(name) {
            b"via" => Known::Via,
            b"age" => Known::Age,
            _ => Known::Other,
        },
        4 => match &fold(name) {
            b"host" => Known::Host,
            b"date" => Known::Date,
            b"vary" => Known::Vary,
            b"etag" => Known::Etag,
            _ => Known::Other,
        },
        5 => match &fold(name) {
            b"proxy" => Known::Proxy,
            b"range" => Known::Range,
            b"allow" => Known::Allow,
            _ => Known::Other,
        },
        6 => match &fold(name) {
            b"accept" => Known::Accept,
            b"cookie" => Known::Cookie,
            b"expect" => Known::Expect,
            b"origin" => Known::Origin,
            b"pragma" => Known::Pragma,
            b"server" => Known::Server,
            _ => Known::Other,
        },
        _ => match &fold(name) {
            b"referer" => Known::Referer,
            b"upgrade" => Known::Upgrade,
            b"trailer" => Known::Trailer,
            b"expires" => Known::Expires,
            _ => Known::Other,
        },
    }
}

#[inline]
fn middle(name: &[u8]) -> Known {
    match name.len() {
        8 => match &fold(name) {
            b"if-match" => Known::IfMatch,
            b"if-range" => Known::IfRange,
            b"location" => Known::Location,
            _ => Known::Other,
        },
        9 => match &fold(name) {
            b"forwarded" => Known::Forwarded,
            b"x-real-ip" => Known::XRealIp,
            _ => Known::Other,
        },
        10 => match &fold(name) {
            b"user-agent" => Known::UserAgent,
            b"connection" => Known::Connection,
            b"keep-alive" => Known::KeepAlive,
            b"set-cookie" => Known::SetCookie,
            b"tracestate" => Known::Tracestate,
            _ => Known::Other,
        },
        11 => match &fold(name) {
            b"traceparent" => Known::Traceparent,
            b"retry-after" => Known::RetryAfter,
            _ => Known::Other,
        },
        _ => match &fold(name) {
            b"content-type" => Known::ContentType,
            b"max-forwards" => Known::MaxForwards,
            b"x-request-id" => Known::XRequestId,
            _ => Known::Other,
        },
    }
}

#[inline]
fn long(name: &[u8]) -> Known {
    match name.len() {
        13 => match &fold(name) {
            b"authorization" => Known::Authorization,
            b"cache-control" => Known::CacheControl,
            b"if-none-match" => Known::IfNoneMatch,
            b"last-modified" => Known::LastModified,
            b"content-range" => Known::ContentRange,
            b"x-rewrite-url" => Known::XRewriteUrl,
            _ => Known::Other,
        },
        14 => match &fold(name) {
            b"content-length" => Known::ContentLength,
            b"http2-settings" => Known::Http2Settings,
            b"x-original-url" => Known::XOriginalUrl,
            _ => Known::Other,
        },
        15 => match &fold(name) {
            b"accept-encoding" => Known::AcceptEncoding,
            b"accept-language" => Known::AcceptLanguage,
            b"x-forwarded-for" => Known::XForwardedFor,
            b"idempotency-key" => Known::IdempotencyKey,
            _ => forwarded(name),
        },
        16 => match &fold(name) {
            b"content-encoding" => Known::ContentEncoding,
            b"x-forwarded-host" => Known::XForwardedHost,
            b"content-location" => Known::ContentLocation,
            b"content-language" => Known::ContentLanguage,
            b"www-authenticate" => Known::WwwAuthenticate,
            b"proxy-connection" => Known::ProxyConnection,
            _ => forwarded(name),
        },
        17 => match &fold(name) {
            b"x-forwarded-proto" => Known::XForwardedProto,
            b"transfer-encoding" => Known::TransferEncoding,
            b"if-modified-since" => Known::IfModifiedSince,
            b"sec-websocket-key" => Known::SecWebsocketKey,
            _ => forwarded(name),
        },
        18 => match &fold(name) {
            b"proxy-authenticate" => Known::ProxyAuthenticate,
            _ => forwarded(name),
        },
        _ => match &fold(name) {
            b"if-unmodified-since" => Known::IfUnmodifiedSince,
            b"proxy-authorization" => Known::ProxyAuthorization,
            _ => forwarded(name),
        },
    }
}

fn longest(name: &[u8]) -> Known {
    match name.len() {
        25 => match &fold(name) {
            b"proxy-authentication-info" => Known::ProxyAuthenticationInfo,
            _ => forwarded(name),
        },
        _ => forwarded(name),
    }
}

/// `X-Forwarded-Port`, `-Prefix`, `-Server`, `-Ssl` and whatever else claims to come from a proxy.
#[inline]
fn forwarded(name: &[u8]) -> Known {
    match name.first_chunk::<12>() {
        Some(start) if &fold::<12>(start) == b"x-forwarded-" => Known::XForwardedOther,
        Some(_) | None => Known::Other,
    }
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
