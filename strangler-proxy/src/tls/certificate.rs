//! What a certificate says of itself: names, subject, and for how long.

use std::{fmt::Write, net::IpAddr, path::PathBuf};

use super::der::{BMP_STRING, BOOLEAN, OCTETS, OID, SEQUENCE, SET, Values, dotted, time};

/// A certificate and what it says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Certificate {
    /// The file that it was read from; empty where it came over a connection.
    pub file: PathBuf,
    /// Whose it is, as RFC 4514 writes it, in visible ASCII.
    pub subject: String,
    /// The names that it is for, in lower case; `*.` begins a wildcard.
    pub names: Vec<String>,
    /// The addresses that it is for.
    pub addresses: Vec<IpAddr>,
    /// The URIs that it is for (SPIFFE).
    pub uris: Vec<String>,
    /// From when on it is good, in seconds since 1970.
    pub not_before: i64,
    /// Until when.
    pub not_after: i64,
}

/// `2.5.29.17`, the subject's alternative names.
const ALTERNATIVE_NAMES: [u8; 3] = [0x55, 0x1d, 0x11];

/// The attributes that have a short name (RFC 4514, section 3, and what every tool writes for an e-mail address).
const ATTRIBUTES: [(&[u8], &str); 9] = [
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x55, 4, 6], "C"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], "DC"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1], "UID"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1], "emailAddress"),
];

impl Certificate {
    /// Reads a certificate; nothing where it is none.
    pub fn read(der: &[u8]) -> Option<Self> {
        let mut outer = Values(Values(der).expect(SEQUENCE)?);
        let mut body = Values(outer.expect(SEQUENCE)?);
        let _version = body.optional(0xa0);
        let _serial = body.take()?;
        let _signature = body.expect(SEQUENCE)?;
        let _issuer = body.expect(SEQUENCE)?;
        let mut validity = Values(body.expect(SEQUENCE)?);
        let moment = |(tag, text)| time(tag, text);
        let not_before = validity.take().and_then(moment)?;
        let not_after = validity.take().and_then(moment)?;
        let subject = subject(body.expect(SEQUENCE)?)?;
        let _key = body.expect(SEQUENCE)?;
        let mut read = Self { subject, not_before, not_after, ..Self::default() };
        while let Some((tag, content)) = body.take() {
            if tag == 0xa3 {
                read.extensions(Values(content).expect(SEQUENCE)?)?;
            }
        }
        Some(read)
    }

    fn extensions(&mut self, list: &[u8]) -> Option<()> {
        let mut list = Values(list);
        while !list.0.is_empty() {
            let mut extension = Values(list.expect(SEQUENCE)?);
            let oid = extension.expect(OID)?;
            let _critical = extension.optional(BOOLEAN);
            if oid == ALTERNATIVE_NAMES {
                self.alternative_names(Values(extension.expect(OCTETS)?).expect(SEQUENCE)?)?;
            }
        }
        Some(())
    }

    /// RFC 5280, section 4.2.1.6. What would not stand in a list or a header field is left out.
    fn alternative_names(&mut self, list: &[u8]) -> Option<()> {
        let plain = |content: &[u8]| {
            let fits = |byte: &u8| byte.is_ascii_graphic() && !b",;\"\\".contains(byte);
            let text = std::str::from_utf8(content).ok()?;
            (!text.is_empty() && content.iter().all(fits)).then(|| text.to_owned())
        };
        let mut list = Values(list);
        while !list.0.is_empty() {
            match list.take()? {
                (0x82, content) => {
                    self.names.extend(plain(content).map(|name| name.to_ascii_lowercase()));
                }
                (0x86, content) => self.uris.extend(plain(content)),
                (0x87, content) => {
                    let four = <[u8; 4]>::try_from(content).map(IpAddr::from);
                    self.addresses.extend(four.or(<[u8; 16]>::try_from(content).map(IpAddr::from)));
                }
                _ => {}
            }
        }
        Some(())
    }

    /// Is it for this host, a name or an address without port? A wildcard stands for one label (RFC 9525, section 6.3).
    pub fn covers(&self, host: &str) -> bool {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            return self.addresses.contains(&address);
        }
        self.names.iter().any(|name| match name.strip_prefix("*.") {
            Some(parent) => host.split_once('.').is_some_and(|(label, rest)| {
                !label.is_empty() && rest.eq_ignore_ascii_case(parent)
            }),
            None => name.eq_ignore_ascii_case(host),
        })
    }

    /// What to call it: its first name, or its subject.
    pub fn label(&self) -> &str {
        self.names.first().map_or(&*self.subject, String::as_str)
    }
}

/// The last part comes first (RFC 4514, section 2.1).
fn subject(name: &[u8]) -> Option<String> {
    let mut sets = Vec::new();
    let mut list = Values(name);
    while !list.0.is_empty() {
        sets.push(list.expect(SET)?);
    }
    let mut text = String::new();
    for set in sets.into_iter().rev() {
        let mut join = ',';
        let mut pairs = Values(set);
        while !pairs.0.is_empty() {
            let mut pair = Values(pairs.expect(SEQUENCE)?);
            let (oid, (tag, value)) = (pair.expect(OID)?, pair.take()?);
            if !text.is_empty() {
                text.push(join);
            }
            join = '+';
            match ATTRIBUTES.iter().find(|(known, _)| *known == oid) {
                Some((_, name)) => text.push_str(name),
                None => text.push_str(&dotted(oid)?),
            }
            text.push('=');
            escape(&mut text, &unified(tag, value)?);
        }
    }
    Some(text)
}

fn unified(tag: u8, value: &[u8]) -> Option<Vec<u8>> {
    if tag != BMP_STRING {
        return Some(value.to_vec());
    }
    let units: Vec<u16> = value
        .chunks_exact(2)
        .map(|pair| <[u8; 2]>::try_from(pair).map_or(0, u16::from_be_bytes))
        .collect();
    String::from_utf16(&units).ok().map(String::into_bytes)
}

/// RFC 4514, section 2.4; besides, everything beyond visible ASCII is escaped, so that it can stand in a header field.
fn escape(text: &mut String, value: &[u8]) {
    let last = value.len().saturating_sub(1);
    for (at, byte) in value.iter().enumerate() {
        let edge = at == 0 || at == last;
        match byte {
            b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'\\' => {
                text.push('\\');
                text.push(char::from(*byte));
            }
            b'#' if at == 0 => text.push_str("\\#"),
            b' ' if edge => text.push_str("\\ "),
            b' '..=b'~' => text.push(char::from(*byte)),
            other => write!(text, "\\{other:02X}").unwrap_or_default(),
        }
    }
}
