//! What the next one is told of the client: `X-Forwarded-*` and `Forwarded` (RFC 7239).

use crate::http1::{
    fields::Fields,
    name::{Known, KnownSet},
};

use super::line;

/// How the client reached this proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    const fn text(self) -> &'static [u8] {
        match self {
            Self::Http => b"http",
            Self::Https => b"https",
        }
    }
}

/// Which fields tell it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Announce {
    /// `X-Forwarded-For`, `-Proto` and `-Host`.
    #[default]
    XForwarded,
    /// `Forwarded`.
    Forwarded,
    /// All of them.
    Both,
    /// None; those that came are dropped unless they are trusted.
    Nothing,
}

/// The client as this proxy sees it.
#[derive(Clone, Copy, Debug)]
pub struct Forwarding<'a> {
    /// Its address as text, without port or brackets.
    pub client: &'a [u8],
    /// How it came.
    pub scheme: Scheme,
    /// Whether it is a proxy whose own word on its client counts: then its fields are added to, else they are dropped.
    pub trusted: bool,
    /// Which fields are sent.
    pub announce: Announce,
}

/// All that speaks of the client or of what it asked for, and is worth nothing from somebody unknown. The last two make
/// some frameworks serve another path than the one that was matched.
const CLAIMS: KnownSet = KnownSet::of(&[
    Known::Forwarded,
    Known::XForwardedFor,
    Known::XForwardedProto,
    Known::XForwardedHost,
    Known::XForwardedOther,
    Known::XRealIp,
    Known::XOriginalUrl,
    Known::XRewriteUrl,
]);

impl Forwarding<'_> {
    /// The fields that do not pass as they are.
    #[inline]
    pub(super) fn drops(&self) -> KnownSet {
        if !self.trusted {
            return CLAIMS;
        }
        match self.announce {
            Announce::XForwarded => KnownSet::of(&[Known::XForwardedFor]),
            Announce::Forwarded => KnownSet::of(&[Known::Forwarded]),
            Announce::Both => KnownSet::of(&[Known::XForwardedFor, Known::Forwarded]),
            Announce::Nothing => KnownSet::NONE,
        }
    }

    #[inline]
    pub(super) fn write(&self, out: &mut Vec<u8>, fields: &Fields, buf: &[u8], host: &[u8]) {
        if matches!(self.announce, Announce::XForwarded | Announce::Both) {
            self.x_forwarded(out, fields, buf, host);
        }
        if matches!(self.announce, Announce::Forwarded | Announce::Both) {
            self.forwarded(out, fields, buf, host);
        }
    }

    #[inline]
    fn x_forwarded(&self, out: &mut Vec<u8>, fields: &Fields, buf: &[u8], host: &[u8]) {
        out.extend_from_slice(b"X-Forwarded-For: ");
        self.earlier(out, fields, buf, Known::XForwardedFor);
        out.extend_from_slice(self.client);
        out.extend_from_slice(b"\r\n");
        // A trusted proxy saw the client itself, so what it says of scheme and host stands.
        if !self.trusted || !fields.seen().has(Known::XForwardedProto) {
            line(out, b"X-Forwarded-Proto", self.scheme.text());
        }
        if !host.is_empty() && (!self.trusted || !fields.seen().has(Known::XForwardedHost)) {
            line(out, b"X-Forwarded-Host", host);
        }
    }

    fn forwarded(&self, out: &mut Vec<u8>, fields: &Fields, buf: &[u8], host: &[u8]) {
        out.extend_from_slice(b"Forwarded: ");
        self.earlier(out, fields, buf, Known::Forwarded);
        // An address of version 6 has brackets and quotes (RFC 7239 6).
        let (open, close): (&[u8], &[u8]) =
            if self.client.contains(&b':') { (b"for=\"[", b"]\"") } else { (b"for=", b"") };
        out.extend_from_slice(open);
        out.extend_from_slice(self.client);
        out.extend_from_slice(close);
        if !host.is_empty() {
            out.extend_from_slice(b";host=\"");
            out.extend_from_slice(host);
            out.extend_from_slice(b"\"");
        }
        out.extend_from_slice(b";proto=");
        out.extend_from_slice(self.scheme.text());
        out.extend_from_slice(b"\r\n");
    }

    /// What trusted proxies said before, as one list: many readers look at one line only.
    #[inline]
    fn earlier(&self, out: &mut Vec<u8>, fields: &Fields, buf: &[u8], known: Known) {
        if !self.trusted {
            return;
        }
        for field in fields.all(known).filter(|field| !field.value.is_empty()) {
            out.extend_from_slice(field.value.of(buf));
            out.extend_from_slice(b", ");
        }
    }
}
