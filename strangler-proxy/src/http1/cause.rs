//! Why a message is refused: one cause for each rule, with its stable name, its status and the section that it is from.

use std::fmt;

/// A request that is refused. It is answered with [`status`](Self::status) and the connection is closed: after a
/// framing error nobody knows where the next request would begin, and after any other a client that sends such things
/// is not given a second try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct Refusal {
    /// The rule that was broken.
    pub cause: Cause,
}

impl Refusal {
    /// The status to answer with.
    #[must_use]
    pub fn status(self) -> u16 {
        self.cause.status()
    }
}

impl From<Cause> for Refusal {
    fn from(cause: Cause) -> Self {
        Self { cause }
    }
}

/// A response that is refused: nothing of it goes to the client, who gets 502 (or an aborted connection if part of it
/// has gone already), and the connection to the upstream is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct BadResponse {
    /// The rule that was broken.
    pub cause: Cause,
}

impl From<Cause> for BadResponse {
    fn from(cause: Cause) -> Self {
        Self { cause }
    }
}

/// What a cause says of itself.
struct About {
    name: &'static str,
    status: u16,
    /// `9112 6.3` is section 6.3 of RFC 9112; `house` is a rule of ours.
    section: &'static str,
}

const fn about(name: &'static str, status: u16, section: &'static str) -> About {
    About { name, status, section }
}

macro_rules! causes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $status:literal, $section:literal;)*) => {
        /// The rule that a message breaks. Names are stable: they stand in logs, in metrics, in `Proxy-Status` and in problems.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Cause { $($(#[$doc])* $variant,)* }

        impl Cause {
            /// Every cause, in the order of this file.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            const fn about(self) -> About {
                match self { $(Self::$variant => about($name, $status, $section),)* }
            }
        }
    };
}

causes! {
    // The request line.
    /// More empty lines before the request line than are ignored.
    EmptyLines = "empty-lines", 400, "9112 2.2";
    /// The method is not a token.
    MethodInvalid = "method-invalid", 400, "9112 3.1";
    /// A token, but no method in use looks like it: lower case, odd marks, longer than any.
    MethodUnknown = "method-unknown", 501, "9110 9.1";
    /// `CONNECT`: this is a gateway, it makes no tunnels.
    MethodConnect = "method-connect", 405, "9110 9.3.6";
    /// `TRACE`: would send a client's own secrets back to its scripts.
    MethodTrace = "method-trace", 405, "9110 9.3.8";
    /// Not method, one space, target, one space, version.
    RequestLine = "request-line", 400, "9112 3";
    /// A request line without a version.
    Http09 = "http-0.9", 400, "9112 3";
    /// Not `HTTP/`, a digit, a point and a digit.
    VersionInvalid = "version-invalid", 400, "9112 2.3";
    /// A version other than 1.0 and 1.1.
    VersionUnsupported = "version-unsupported", 505, "9110 2.5";
    /// The preface of HTTP/2 where HTTP/1 is spoken.
    Http2Preface = "http2-preface", 505, "9113 3.4";

    // The target.
    /// Longer than the limit.
    TargetTooLong = "target-too-long", 414, "9112 3";
    /// None of the four forms, or one that the method does not have.
    TargetForm = "target-form", 400, "9112 3.2";
    /// `*` with a method other than `OPTIONS`.
    TargetAsterisk = "target-asterisk", 400, "9112 3.2.4";
    /// A scheme other than `http` and `https`.
    TargetScheme = "target-scheme", 400, "9112 3.2.2";
    /// `user@` before the host.
    TargetUserinfo = "target-userinfo", 400, "9110 4.2.4";
    /// The authority is not a host with an optional port.
    TargetAuthority = "target-authority", 400, "9110 4.2";
    /// `#`: a fragment is the client's own business.
    TargetFragment = "target-fragment", 400, "9112 3.2";
    /// A space inside.
    TargetSpace = "target-space", 400, "9112 3.2";
    /// A control character.
    TargetControl = "target-control", 400, "3986 2";
    /// A byte above 0x7f that is not percent-encoded.
    TargetNonAscii = "target-non-ascii", 400, "3986 2";
    /// A character that a URI must not have and no browser sends as it is.
    TargetCharacter = "target-character", 400, "3986 2";
    /// `%` without two hexadecimal digits.
    PercentInvalid = "percent-invalid", 400, "3986 2.1";
    /// `%00`.
    EncodedNul = "encoded-nul", 400, "3986 7.3";
    /// An encoded control character in the path.
    EncodedControl = "encoded-control", 400, "3986 7.3";
    /// `%2F` in the path: upstreams disagree on whether it parts segments.
    EncodedSlash = "encoded-slash", 400, "3986 7.3";
    /// `\` in the path, plain or encoded: some upstreams take it for a slash.
    Backslash = "backslash", 400, "3986 7.3";
    /// An encoding of an encoding of a dot, slash, backslash or control character.
    DoubleEncoding = "double-encoding", 400, "3986 7.3";
    /// A longer UTF-8 form than the character has.
    OverlongEncoding = "overlong-encoding", 400, "3629 3";
    /// Dot segments that climb above the root.
    PathEscapesRoot = "path-escapes-root", 400, "3986 5.2.4";
    /// A dot segment with a parameter (`..;a`), which some upstreams cut off before they resolve the dots.
    DotParameter = "dot-parameter", 400, "3986 3.3";

    // Lines of the head.
    /// The head is longer than the limit.
    HeadTooLarge = "head-too-large", 431, "6585 5";
    /// More fields than the limit.
    TooManyFields = "too-many-fields", 431, "6585 5";
    /// LF without CR.
    BareLf = "bare-lf", 400, "9112 2.2";
    /// CR without LF.
    BareCr = "bare-cr", 400, "9112 2.2";
    /// White space between the first line and the first field.
    LeadingSpace = "leading-space", 400, "9112 2.2";
    /// A field line continued on the next.
    ObsFold = "obs-fold", 400, "9112 5.2";
    /// No colon in a field line.
    FieldNoColon = "field-no-colon", 400, "9112 5";
    /// Nothing before the colon.
    FieldNameEmpty = "field-name-empty", 400, "9110 5.1";
    /// A field name that is no token.
    FieldNameInvalid = "field-name-invalid", 400, "9110 5.1";
    /// White space between name and colon.
    FieldNameSpace = "field-name-space", 400, "9112 5.1";
    /// A name that becomes a well-known one when `_` is taken for `-`.
    FieldNameUnderscore = "field-name-underscore", 400, "house";
    /// NUL in a value.
    FieldValueNul = "field-value-nul", 400, "9110 5.5";
    /// Another control character in a value.
    FieldValueControl = "field-value-control", 400, "9110 5.5";

    // Host.
    /// No `Host` in HTTP/1.1.
    HostMissing = "host-missing", 400, "9112 3.2";
    /// More than one `Host`.
    HostRepeated = "host-repeated", 400, "9112 3.2";
    /// Not a host with an optional port.
    HostInvalid = "host-invalid", 400, "9112 3.2";
    /// `Host` names another authority than the target does.
    HostMismatch = "host-mismatch", 400, "9112 3.2.2";

    // Framing.
    /// Not a plain decimal number that fits: signed, padded, with units, empty, too big.
    LengthInvalid = "length-invalid", 400, "9112 6.3";
    /// More than one `Content-Length`, or a list of them.
    LengthRepeated = "length-repeated", 400, "9112 6.3";
    /// `Content-Length` together with `Transfer-Encoding`.
    LengthWithCoding = "length-with-coding", 400, "9112 6.3";
    /// `Transfer-Encoding` is no list of codings.
    CodingInvalid = "coding-invalid", 400, "9112 6.1";
    /// A transfer coding that is not known.
    CodingUnknown = "coding-unknown", 501, "9112 6.1";
    /// `chunked` more than once.
    CodingRepeated = "coding-repeated", 400, "9112 6.1";
    /// `chunked` is not the last coding.
    CodingNotLast = "coding-not-last", 400, "9112 6.3";
    /// `Transfer-Encoding` in HTTP/1.0.
    CodingInOldVersion = "coding-in-old-version", 400, "9112 6.1";

    // Fields that speak to a gateway.
    /// `Connection` is no list of tokens.
    ConnectionInvalid = "connection-invalid", 400, "9110 7.6.1";
    /// `Connection` nominates a field that is meant for the end, such as `Host` or `Authorization`.
    ConnectionNominates = "connection-nominates", 400, "9110 7.6.1";
    /// `Connection` nominates more fields than the limit.
    ConnectionTooMany = "connection-too-many", 400, "house";
    /// An expectation other than `100-continue`.
    ExpectUnknown = "expect-unknown", 417, "9110 10.1.1";
    /// `Max-Forwards` is no number, or is repeated.
    MaxForwardsInvalid = "max-forwards-invalid", 400, "9110 7.6.2";
    /// `Via` says that the request was here before.
    Loop = "loop", 508, "9110 7.6.3";

    // Bodies.
    /// Longer than the limit.
    BodyTooLarge = "body-too-large", 413, "9110 15.5.14";
    /// A chunk size that is no hexadecimal number.
    ChunkSizeInvalid = "chunk-size-invalid", 400, "9112 7.1";
    /// A chunk size of more digits than 64 bits have.
    ChunkSizeOverflow = "chunk-size-overflow", 400, "9112 7.1";
    /// A chunk extension that breaks the grammar, or more of them than the limit.
    ChunkExtension = "chunk-extension", 400, "9112 7.1.1";
    /// The line of a chunk size is longer than the limit.
    ChunkLineTooLong = "chunk-line-too-long", 400, "9112 7.1.1";
    /// Something other than CRLF after a chunk or its size.
    ChunkTerminator = "chunk-terminator", 400, "9112 7.1";
    /// A field in the trailer section that frames, routes, authenticates or describes the message.
    TrailerForbidden = "trailer-forbidden", 400, "9110 6.5.1";
    /// The trailer section is longer than the limit.
    TrailersTooLarge = "trailers-too-large", 431, "6585 5";
    /// The connection ended before the message did.
    CutShort = "cut-short", 400, "9112 8";

    // Responses.
    /// Not a version, a space, three digits and a reason.
    StatusLine = "status-line", 502, "9112 4";
    /// A status outside 100 to 599.
    StatusCode = "status-code", 502, "9110 15";
    /// 101 that nobody asked for.
    SwitchingUnasked = "switching-unasked", 502, "9110 15.2.2";
    /// A length or coding on a status that has no body.
    BodyNotAllowed = "body-not-allowed", 502, "9112 6.3";
    /// In HTTP/2: frames or a head that break a rule of it.
    Malformed = "malformed", 502, "9113 8.1.1";
    /// Bytes from the upstream that answer no request.
    Unsolicited = "unsolicited", 502, "9112 6.3";
}

impl Cause {
    /// The stable name, in words with dashes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.about().name
    }

    /// The status that a request refused for this is answered with. A response is always 502.
    #[must_use]
    pub fn status(self) -> u16 {
        self.about().status
    }

    /// The RFC and section of the rule, as `9112 6.3`, or `house` for a rule of ours.
    #[must_use]
    pub fn section(self) -> &'static str {
        self.about().section
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
