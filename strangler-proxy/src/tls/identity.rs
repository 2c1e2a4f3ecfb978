//! A client's certificate as upstreams are told of it: `Client-Cert` (RFC 9440), which carries all of it, and
//! `X-Forwarded-Client-Cert` in the form that Envoy made known, for those who only want to look at a name.

use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};

use super::Certificate;
use crate::http1::write;

/// A certificate beyond this is not passed on whole: upstreams commonly take 8 KiB of fields. Its hash and names are.
const WHOLE_MAX: usize = 6 * 1024;

/// A client that has shown a certificate, and it was verified.
#[derive(Debug, Clone, Default)]
pub struct Peer {
    lines: Vec<u8>,
}

impl Peer {
    /// Of the certificate that the client has shown.
    pub fn of(shown: &CertificateDer<'_>) -> Self {
        let read = Certificate::read(shown).unwrap_or_default();
        let mut lines = Vec::new();
        if shown.len() <= WHOLE_MAX {
            let mut whole = vec![b':'];
            base64(&mut whole, shown);
            whole.push(b':');
            write::line(&mut lines, b"Client-Cert", &whole);
        }
        let hash: [u8; 32] = Sha256::digest(shown).into();
        let mut short = String::from("Hash=");
        for byte in hash {
            short.push_str(&format!("{byte:02x}"));
        }
        let quoted = read.subject.replace('\\', "\\\\").replace('"', "\\\"");
        short.push_str(&format!(";Subject=\"{quoted}\""));
        for uri in &read.uris {
            short.push_str(&format!(";URI={uri}"));
        }
        for name in &read.names {
            short.push_str(&format!(";DNS={name}"));
        }
        write::line(&mut lines, b"X-Forwarded-Client-Cert", short.as_bytes());
        Self { lines }
    }

    /// Tells of it in the request whose whole head has just been appended.
    pub fn tell(&self, head: &mut Vec<u8>) {
        if head.ends_with(b"\r\n\r\n") {
            head.truncate(head.len() - 2);
            head.extend_from_slice(&self.lines);
            head.extend_from_slice(b"\r\n");
        }
    }
}

/// RFC 4648, section 4, with padding.
fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for three in bytes.chunks(3) {
        let at = |index: usize| u32::from(three.get(index).copied().unwrap_or(0));
        let group = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            let letter = LETTERS.get((group >> (18 - 6 * place) & 63) as usize);
            out.push(if place <= three.len() { letter.copied().unwrap_or(b'=') } else { b'=' });
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn bytes_are_written_in_base64() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
            ("\u{ff}~", "w79+"),
        ] {
            let mut out = Vec::new();
            super::base64(&mut out, plain.as_bytes());
            assert_eq!(String::from_utf8(out).unwrap(), coded);
        }
    }
}
