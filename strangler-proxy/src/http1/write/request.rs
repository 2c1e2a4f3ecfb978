//! The head of a request to an upstream.

use crate::http1::{
    edits::Edits,
    framing::Framing,
    leniency::Leniency,
    name::{Known, KnownSet},
    request::{RequestHead, Upgrade},
};

use super::{Forwarding, Sieve, copy, dropped_marks, line, number, via};

/// How a request is sent on. Everything is borrowed; start from [`RequestOut::of`] and change what the route says.
#[derive(Clone, Debug)]
pub struct RequestOut<'a> {
    /// The path, as [`RequestHead::path`] or a route's rewrite of it.
    pub path: &'a [u8],
    /// The query without `?`.
    pub query: Option<&'a [u8]>,
    /// What `Host` says. Must be given where the head has none, as HTTP/1.0 may.
    pub host: &'a [u8],
    /// How the body is framed on the way up: as it came, or `Chunked` where its length changed or is not known.
    pub framing: Framing,
    /// Whether the client's upgrade is passed on.
    pub upgrade: bool,
    /// Whether its `Expect: 100-continue` is: not when this proxy has sent 100 itself.
    pub expect: bool,
    /// Whether the upstream is told that the client reads trailers.
    pub trailers: bool,
    /// Whether the upstream connection is to close after the response.
    pub close: bool,
    /// This proxy's name in `Via`.
    pub pseudonym: &'a [u8],
    /// Whether the request came over HTTP/2, which `Via` tells.
    pub over_http2: bool,
    /// What is said of the client.
    pub forwarding: Forwarding<'a>,
    /// The trace context to send instead of the one that came.
    pub traceparent: Option<&'a [u8]>,
    /// Fields to set and remove.
    pub edits: &'a Edits,
    /// The route forgives underscores in names.
    pub keep_underscores: bool,
}

impl<'a> RequestOut<'a> {
    /// The request as it came.
    #[must_use]
    pub fn of(
        head: &'a RequestHead,
        buf: &'a [u8],
        pseudonym: &'a [u8],
        forwarding: Forwarding<'a>,
    ) -> Self {
        Self {
            path: head.path(buf),
            query: head.query(buf),
            host: head.authority(buf),
            framing: head.framing(),
            upgrade: head.upgrade() != Upgrade::None,
            expect: head.expects_continue(),
            trailers: false,
            close: false,
            pseudonym,
            over_http2: false,
            forwarding,
            traceparent: None,
            edits: Edits::none(),
            keep_underscores: false,
        }
    }
}

/// What never passes as it is.
const NEVER: KnownSet = KnownSet::of(&[
    Known::Host,
    Known::TransferEncoding,
    Known::Connection,
    Known::KeepAlive,
    Known::ProxyConnection,
    Known::ProxyAuthenticate,
    Known::ProxyAuthorization,
    Known::ProxyAuthenticationInfo,
    Known::Te,
    Known::Trailer,
    Known::Upgrade,
    Known::Http2Settings,
    // No such field exists, but CGI makes the variable HTTP_PROXY of it.
    Known::Proxy,
]);

/// Appends the head of `head`, which was read from `buf`, as `with` says.
pub fn request(out: &mut Vec<u8>, head: &RequestHead, buf: &[u8], with: &RequestOut<'_>) {
    out.reserve(buf.len().min(HEAD_GUESS) + ADDED_GUESS);
    out.extend_from_slice(head.method_text(buf));
    out.extend_from_slice(b" ");
    out.extend_from_slice(with.path);
    if let Some(query) = with.query {
        out.extend_from_slice(b"?");
        out.extend_from_slice(query);
    }
    out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
    out.extend_from_slice(with.host);
    out.extend_from_slice(b"\r\n");
    let fields = head.fields();
    let sieve = Sieve {
        drops: drops(head, with),
        marks: dropped_marks(with.keep_underscores),
        edits: with.edits,
    };
    copy(out, fields, buf, &sieve);
    frame(out, head, with);
    added(out, head, buf, with);
    out.extend_from_slice(with.edits.lines());
    out.extend_from_slice(b"\r\n");
}

/// Room for a usual head, taken at once.
const HEAD_GUESS: usize = 2048;
/// Room for what is added.
const ADDED_GUESS: usize = 512;

#[inline]
fn drops(head: &RequestHead, with: &RequestOut<'_>) -> KnownSet {
    let mut drops = NEVER.and(with.forwarding.drops()).and(with.edits.drops());
    if writes_length(head, with) {
        drops = drops.with(Known::ContentLength);
    }
    if !with.expect {
        drops = drops.with(Known::Expect);
    }
    if with.traceparent.is_some() {
        drops = drops.with(Known::Traceparent);
    }
    if head.max_forwards().is_some() {
        drops = drops.with(Known::MaxForwards);
    }
    if with.framing == Framing::Chunked {
        // It announces fields that are passed on with the body.
        drops = drops.without(Known::Trailer);
    }
    drops
}

/// Whether the length that came cannot pass as it is.
#[inline]
fn writes_length(head: &RequestHead, with: &RequestOut<'_>) -> bool {
    with.framing != head.framing() || head.forgiven().has(Leniency::REPEATED_LENGTH)
}

/// The framing, where it does not pass with the fields.
#[inline]
fn frame(out: &mut Vec<u8>, head: &RequestHead, with: &RequestOut<'_>) {
    match with.framing {
        Framing::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Framing::Length(length) if writes_length(head, with) => {
            out.extend_from_slice(b"Content-Length: ");
            number(out, length);
            out.extend_from_slice(b"\r\n");
        }
        Framing::Length(_) | Framing::None | Framing::UntilClose => {}
    }
}

#[inline]
fn added(out: &mut Vec<u8>, head: &RequestHead, buf: &[u8], with: &RequestOut<'_>) {
    via(out, head.version(), with.over_http2, with.pseudonym);
    with.forwarding.write(out, head.fields(), buf, head.authority(buf));
    if let Some(traceparent) = with.traceparent {
        line(out, b"traceparent", traceparent);
    }
    if let Some(left) = head.max_forwards() {
        out.extend_from_slice(b"Max-Forwards: ");
        number(out, left.saturating_sub(1));
        out.extend_from_slice(b"\r\n");
    }
    connection(out, head, buf, with);
}

/// The fields of this connection. The usual case has none: HTTP/1.1 stays open.
#[inline]
fn connection(out: &mut Vec<u8>, head: &RequestHead, buf: &[u8], with: &RequestOut<'_>) {
    if with.upgrade && head.upgrade() != Upgrade::None {
        let protocol = head.value(buf, Known::Upgrade).unwrap_or_default();
        line(out, b"Upgrade", protocol);
        out.extend_from_slice(b"Connection: upgrade\r\n");
        return;
    }
    match (with.trailers, with.close) {
        (false, false) => {}
        (false, true) => out.extend_from_slice(b"Connection: close\r\n"),
        (true, false) => out.extend_from_slice(b"TE: trailers\r\nConnection: TE\r\n"),
        (true, true) => out.extend_from_slice(b"TE: trailers\r\nConnection: TE, close\r\n"),
    }
}
