//! What a request says beside its message: expectations, upgrades, how far it may go and where it has been.

use super::{RequestHead, Upgrade};
use crate::http1::{
    cause::{Cause, Refusal},
    framing::Version,
    method::Method,
    name::{Known, same},
    scan,
};

impl RequestHead {
    #[cold]
    pub(super) fn rare(&mut self, buf: &[u8], nominates_upgrade: bool) -> Result<(), Cause> {
        let current = self.line.version == Version::Http11;
        for field in self.fields.all(Known::Expect) {
            // A client of HTTP/1.0 cannot mean it (RFC 9110 10.1.1).
            if current && !same(field.value.of(buf), b"100-continue") {
                return Err(Cause::ExpectUnknown);
            }
            self.expects_continue = current && self.has_body();
        }
        if self.line.method == Method::Options && self.fields.seen().has(Known::MaxForwards) {
            let value = self.fields.value(buf, Known::MaxForwards).unwrap_or_default();
            if self.fields.repeats(Known::MaxForwards)
                || !value.iter().all(u8::is_ascii_digit)
                || value.is_empty()
            {
                return Err(Cause::MaxForwardsInvalid);
            }
            // A greater number than fits is as good as the greatest.
            self.max_forwards = Some(scan::decimal(value).unwrap_or(u64::MAX));
        }
        if current && nominates_upgrade && !self.has_body() && !self.fields.repeats(Known::Upgrade)
        {
            self.upgrade = self.upgrade_to(buf);
        }
        Ok(())
    }

    fn upgrade_to(&self, buf: &[u8]) -> Upgrade {
        let Some(protocol) = self.fields.value(buf, Known::Upgrade) else { return Upgrade::None };
        let mut parts = protocol.splitn(2, |byte| *byte == b'/');
        let (name, version) = (parts.next().unwrap_or_default(), parts.next());
        let is_protocol = scan::is_token(name) && version.is_none_or(scan::is_token);
        if !is_protocol {
            Upgrade::None
        } else if same(protocol, b"websocket") {
            if self.line.method == Method::Get { Upgrade::WebSocket } else { Upgrade::None }
        } else if [&b"h2c"[..], b"h2", b"http", b"tls"].iter().any(|no| same(name, no)) {
            // Another HTTP inside would be read by nobody here.
            Upgrade::None
        } else {
            Upgrade::Other
        }
    }

    /// Whether the client reads trailers (RFC 9110 10.1.4).
    #[must_use]
    pub fn accepts_trailers(&self, buf: &[u8]) -> bool {
        self.fields.all(Known::Te).any(|field| {
            field
                .value
                .of(buf)
                .split(|byte| *byte == b',')
                .any(|coding| same(scan::trim(coding), b"trailers"))
        })
    }

    /// Refuses a request that was here before: one that has `pseudonym` in `Via` (RFC 9110 7.6.3). The pseudonym must be
    /// this process's own, or a chain of two gateways of one name would take itself for a loop.
    ///
    /// # Errors
    /// [`Cause::Loop`].
    #[inline]
    pub fn check_loop(&self, buf: &[u8], pseudonym: &[u8]) -> Result<(), Refusal> {
        if !self.fields.seen().has(Known::Via) {
            return Ok(());
        }
        let mut hops =
            self.fields.all(Known::Via).flat_map(|field| hops(field.value.of(buf))).filter_map(
                |hop| {
                    scan::trim(hop)
                        .split(|byte| matches!(byte, b' ' | b'\t'))
                        .filter(|part| !part.is_empty())
                        .nth(1)
                },
            );
        if hops.any(|by| same(by, pseudonym)) { Err(Cause::Loop.into()) } else { Ok(()) }
    }
}

/// The members of a `Via` list. A comma inside a comment parts nothing.
fn hops(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut depth, mut is_quoted) = (0_u32, false);
    list.split(move |byte| {
        if std::mem::take(&mut is_quoted) {
            return false;
        }
        match byte {
            b'\\' => is_quoted = depth > 0,
            b'(' => depth = depth.saturating_add(1),
            b')' => depth = depth.saturating_sub(1),
            b',' => return depth == 0,
            _ => {}
        }
        false
    })
}
