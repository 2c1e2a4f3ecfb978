//! A host with an optional port, as `Host` and authorities have it.

use std::net::Ipv6Addr;

use super::{
    limits::HOST_BYTES_MAX,
    scan::{self, HOST},
};

/// What an authority says, by places in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Bytes of the host, brackets of an IPv6 address included.
    pub host_len: usize,
    /// The port, where one is given.
    pub port: Option<u16>,
    /// Bytes of host and port: less than all only where an empty port (`host:`) was left out.
    pub len: usize,
}

/// Reads `host`, `host:` or `host:port`; nothing when it is none of these.
///
/// Narrower than RFC 3986: no percent-encoding and no sub-delims in a name, since no resolver takes them and upstreams
/// read them in different ways; no address of a future version; no zone.
#[inline]
#[must_use]
pub fn authority(text: &[u8]) -> Option<Authority> {
    let host_len = match text.first()? {
        b'[' => bracketed(text)?,
        _ => named(text)?,
    };
    match text.get(host_len..)? {
        [] => Some(Authority { host_len, port: None, len: host_len }),
        [b':'] => Some(Authority { host_len, port: None, len: host_len }),
        [b':', digits @ ..] if digits.len() <= 5 => {
            let port = u16::try_from(scan::decimal(digits)?).ok()?;
            Some(Authority { host_len, port: Some(port), len: text.len() })
        }
        _ => None,
    }
}

#[inline]
fn named(text: &[u8]) -> Option<usize> {
    let mut end = 0;
    // As if after a dot: a name must not begin with one. At its end it may have that of the root.
    let mut before = b'.';
    for byte in text {
        if !scan::is(*byte, HOST) {
            break;
        }
        if *byte == b'.' && before == b'.' {
            return None;
        }
        before = *byte;
        end += 1;
    }
    (end > 0 && end <= HOST_BYTES_MAX).then_some(end)
}

fn bracketed(text: &[u8]) -> Option<usize> {
    let close = text.iter().position(|byte| *byte == b']')?;
    let inside = std::str::from_utf8(text.get(1..close)?).ok()?;
    inside.parse::<Ipv6Addr>().ok().map(|_| close + 1)
}

/// The host without the dot of the root, as routes name it.
#[inline]
#[must_use]
pub fn without_root(host: &[u8]) -> &[u8] {
    host.strip_suffix(b".").unwrap_or(host)
}

/// Whether two authorities are the same place for a scheme's default port.
#[must_use]
pub fn same_place(one: &[u8], other: &[u8], default_port: u16) -> bool {
    let (Some(first), Some(second)) = (authority(one), authority(other)) else { return false };
    let host = |text: &[u8], of: Authority| text.get(..of.host_len).map(<[u8]>::to_ascii_lowercase);
    first.port.unwrap_or(default_port) == second.port.unwrap_or(default_port)
        && host(one, first) == host(other, second)
}
