//! The head of a response to a client.

use crate::http1::{
    edits::Edits,
    framing::{Framing, Version},
    name::{Known, KnownSet},
    response::ResponseHead,
};

use super::{Sieve, copy, dropped_marks, line, number, via};

/// How the body goes to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// No body, but the fields that would describe it pass: `HEAD`, 304, 204, 1xx.
    Without,
    /// So many bytes.
    Length(u64),
    /// Chunked.
    Chunked,
    /// All until the connection closes, for HTTP/1.0.
    UntilClose,
}

impl Delivery {
    /// How a body goes to a client of this version.
    #[must_use]
    pub fn of(framing: Framing, client: Version) -> Self {
        match (framing, client) {
            (Framing::None, _) => Self::Without,
            (Framing::Length(length), _) => Self::Length(length),
            (Framing::Chunked | Framing::UntilClose, Version::Http11) => Self::Chunked,
            (Framing::Chunked | Framing::UntilClose, Version::Http10) => Self::UntilClose,
        }
    }
}

/// How a response is sent on.
#[derive(Clone, Debug)]
pub struct ResponseOut<'a> {
    /// How the body goes.
    pub delivery: Delivery,
    /// The client's version.
    pub client: Version,
    /// Whether the client's connection stays open.
    pub keep_alive: bool,
    /// This proxy's name in `Via`; nothing adds none, which RFC 9110 7.6.3 leaves to a gateway.
    pub pseudonym: Option<&'a [u8]>,
    /// Whether the response came over HTTP/2, which `Via` tells.
    pub over_http2: bool,
    /// The time to say where the upstream says none (RFC 9110 6.6.1).
    pub date: Option<&'a [u8]>,
    /// Fields to set and remove.
    pub edits: &'a Edits,
}

impl ResponseOut<'_> {
    /// The response as it came, to a client of this version that stays connected or not.
    #[must_use]
    pub fn of(head: &ResponseHead, client: Version, keep_alive: bool) -> Self {
        let delivery = Delivery::of(head.framing(), client);
        Self {
            delivery,
            client,
            keep_alive: keep_alive && delivery != Delivery::UntilClose,
            pseudonym: None,
            over_http2: false,
            date: None,
            edits: Edits::none(),
        }
    }
}

/// What never passes as it is.
const NEVER: KnownSet = KnownSet::of(&[
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
]);

/// Appends the head of `head`, which was read from `buf`, as `with` says.
pub fn response(out: &mut Vec<u8>, head: &ResponseHead, buf: &[u8], with: &ResponseOut<'_>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    number(out, u64::from(head.status()));
    out.extend_from_slice(b" ");
    out.extend_from_slice(head.reason(buf));
    out.extend_from_slice(b"\r\n");
    let fields = head.fields();
    let (drops, length) = framing(head, with.delivery);
    let sieve = Sieve {
        drops: drops.and(with.edits.drops()),
        marks: dropped_marks(true),
        edits: with.edits,
    };
    copy(out, fields, buf, &sieve);
    if let Some(length) = length {
        out.extend_from_slice(b"Content-Length: ");
        number(out, length);
        out.extend_from_slice(b"\r\n");
    }
    if with.delivery == Delivery::Chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    if let Some(pseudonym) = with.pseudonym {
        via(out, head.version(), with.over_http2, pseudonym);
    }
    if let Some(date) = with.date
        && !fields.seen().has(Known::Date)
        && head.status() >= 200
    {
        line(out, b"Date", date);
    }
    out.extend_from_slice(with.edits.lines());
    connection(out, head, buf, with);
    out.extend_from_slice(b"\r\n");
}

/// The fields to drop for the framing, and the length to write.
#[inline]
fn framing(head: &ResponseHead, delivery: Delivery) -> (KnownSet, Option<u64>) {
    match delivery {
        // A length on these would be read as one of a body that never comes.
        Delivery::Without if matches!(head.status(), 100..=199 | 204) => {
            (NEVER.with(Known::ContentLength), None)
        }
        Delivery::Without => (NEVER, None),
        Delivery::Length(length) if head.framing() == Framing::Length(length) => (NEVER, None),
        Delivery::Length(length) => (NEVER.with(Known::ContentLength), Some(length)),
        Delivery::Chunked => (NEVER.with(Known::ContentLength).without(Known::Trailer), None),
        Delivery::UntilClose => (NEVER.with(Known::ContentLength), None),
    }
}

#[inline]
fn connection(out: &mut Vec<u8>, head: &ResponseHead, buf: &[u8], with: &ResponseOut<'_>) {
    if head.is_interim() {
        return;
    }
    if head.is_switching() {
        let protocol = head.value(buf, Known::Upgrade).unwrap_or_default();
        line(out, b"Upgrade", protocol);
        out.extend_from_slice(b"Connection: upgrade\r\n");
        return;
    }
    match (with.client, with.keep_alive) {
        (Version::Http11, true) => {}
        (Version::Http10, true) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        (_, false) => out.extend_from_slice(b"Connection: close\r\n"),
    }
}
