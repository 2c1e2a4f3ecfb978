//! Writes heads and chunks into one buffer that the caller reuses: no map of fields, no allocation once it has grown.
//!
//! Neighbouring fields that pass are copied together, as they stand in the buffer that they were read from.

mod forwarding;
mod request;
mod response;

pub use self::{
    forwarding::{Announce, Forwarding, Scheme},
    request::{RequestOut, request},
    response::{Delivery, ResponseOut, response},
};

use super::{
    edits::Edits,
    fields::{Field, Fields, NEAT, NOMINATED, UNDERSCORED},
    framing::Version,
    name::KnownSet,
};

/// Which fields of a head pass.
struct Sieve<'a> {
    drops: KnownSet,
    marks: u8,
    edits: &'a Edits,
}

impl Sieve<'_> {
    #[inline]
    fn passes(&self, field: &Field, buf: &[u8]) -> bool {
        !self.drops.has(field.known)
            && field.marks & self.marks == 0
            && !self.edits.drops_field(field, buf)
    }
}

/// The marks of fields that do not pass.
#[inline]
fn dropped_marks(keep_underscores: bool) -> u8 {
    if keep_underscores { NOMINATED } else { NOMINATED | UNDERSCORED }
}

/// Copies the fields that pass.
#[inline]
fn copy(out: &mut Vec<u8>, fields: &Fields, buf: &[u8], sieve: &Sieve<'_>) {
    let mut run = 0..0;
    for field in fields.list() {
        if !sieve.passes(field, buf) {
            continue;
        }
        let (start, end) = (field.name.start as usize, field.value.end as usize + 2);
        if field.marks & NEAT != 0 && run.end == start {
            run.end = end;
            continue;
        }
        out.extend_from_slice(buf.get(run).unwrap_or_default());
        run = if field.marks & NEAT != 0 {
            start..end
        } else {
            line(out, field.name.of(buf), field.value.of(buf));
            0..0
        };
    }
    out.extend_from_slice(buf.get(run).unwrap_or_default());
}

/// Appends a field line.
#[inline]
pub fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Appends this proxy's own member of `Via`: the protocol that the message was received in, not the one it goes out in.
#[inline]
fn via(out: &mut Vec<u8>, version: Version, over_http2: bool, pseudonym: &[u8]) {
    out.extend_from_slice(match (over_http2, version) {
        (true, _) => b"Via: 2 ".as_slice(),
        (false, Version::Http11) => b"Via: 1.1 ",
        (false, Version::Http10) => b"Via: 1.0 ",
    });
    out.extend_from_slice(pseudonym);
    out.extend_from_slice(b"\r\n");
}

/// Appends a number in decimal digits.
pub fn number(out: &mut Vec<u8>, number: u64) {
    digits::<20>(out, number, 10);
}

/// Appends the line before the payload of a chunk. After the payload comes CRLF. `size` must not be 0: that is the end.
pub fn chunk_size(out: &mut Vec<u8>, size: u64) {
    digits::<16>(out, size, 16);
    out.extend_from_slice(b"\r\n");
}

/// Appends the last chunk of a body without trailers.
pub fn last_chunk(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n\r\n");
}

/// Appends the last chunk with the trailers that a [`BodyReader`](super::BodyReader) found in `section`.
pub fn last_chunk_with(out: &mut Vec<u8>, trailers: &[Field], section: &[u8]) {
    out.extend_from_slice(b"0\r\n");
    for field in trailers.iter().filter(|field| !field.has_underscore()) {
        line(out, field.name.of(section), field.value.of(section));
    }
    out.extend_from_slice(b"\r\n");
}

fn digits<const N: usize>(out: &mut Vec<u8>, number: u64, base: u64) {
    let mut text = [0u8; N];
    let mut rest = number;
    let mut count = 0;
    for place in text.iter_mut().rev() {
        let digit = u8::try_from(rest % base).unwrap_or(0);
        *place = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
        rest /= base;
        count += 1;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(text.get(N - count..).unwrap_or_default());
}

#[cfg(test)]
mod tests;
