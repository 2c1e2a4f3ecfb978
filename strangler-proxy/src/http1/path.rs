//! Paths and queries of a target: what may stand in them, and one spelling for paths before anything is matched.

use super::{
    cause::Cause,
    leniency::Leniency,
    scan::{self, PATH, QUERY, UNRESERVED},
};

/// What was found in a path or query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Scanned {
    /// One after its last byte.
    pub end: usize,
    /// It must be spelled anew: it has a percent-encoding, a dot segment, or slashes at its start.
    pub respell: bool,
    /// Relaxations that it needs.
    pub used: Leniency,
}

/// The end of the path that starts at `from` with `/`: the first byte that does not belong to it.
#[inline]
pub(super) fn scan_path(buf: &[u8], from: usize, permitted: Leniency) -> Result<Scanned, Cause> {
    let mut found = Scanned { respell: buf.get(from + 1) == Some(&b'/'), ..Scanned::default() };
    let mut at = from;
    loop {
        at = scan::run(buf, at, PATH).0;
        match buf.get(at) {
            Some(b'/') => {
                found.respell |= buf.get(at + 1) == Some(&b'.');
                at += 1;
            }
            Some(b'%') => {
                found.respell = true;
                at += 1;
            }
            Some(b'\\') => return Err(Cause::Backslash),
            Some(byte) if raw(*byte) || matches!(byte, b'{' | b'}' | b'`') => {
                if !permitted.has(Leniency::RAW_TARGET) {
                    return Err(raw_cause(*byte));
                }
                found.used = found.used.with(raw_leniency(*byte));
                found.respell = true;
                at += 1;
            }
            Some(_) | None => return Ok(Scanned { end: at, ..found }),
        }
    }
}

/// The end of the query that starts at `from`, after the `?`. Nothing in a query is decoded or spelled anew, but for raw
/// bytes that a route forgives.
#[inline]
pub(super) fn scan_query(buf: &[u8], from: usize, permitted: Leniency) -> Result<Scanned, Cause> {
    let mut found = Scanned::default();
    let mut at = from;
    loop {
        at = scan::run(buf, at, QUERY).0;
        match buf.get(at) {
            Some(b'%') => {
                if let Some(cause) = encoded_fault(buf, at) {
                    if !permitted.has(Leniency::LOOSE_QUERY) {
                        return Err(cause);
                    }
                    let nul = cause == Cause::EncodedNul;
                    let used = if nul { Leniency::LOOSE_NUL } else { Leniency::LOOSE_PERCENT };
                    found.used = found.used.with(used);
                }
                at += 1;
            }
            Some(byte) if raw(*byte) => {
                if !permitted.has(Leniency::RAW_TARGET) {
                    return Err(raw_cause(*byte));
                }
                found.used = found.used.with(raw_leniency(*byte));
                found.respell = true;
                at += 1;
            }
            Some(_) | None => return Ok(Scanned { end: at, ..found }),
        }
    }
}

/// What is wrong with the percent-encoding at `at` of a query. One that is not there to its end is right so far: the
/// target ends in a space, which is looked at again when it is there.
fn encoded_fault(buf: &[u8], at: usize) -> Option<Cause> {
    match (buf.get(at + 1), buf.get(at + 2)) {
        (Some(b'0'), Some(b'0')) => Some(Cause::EncodedNul),
        (Some(high), _) if scan::hex(*high).is_none() => Some(Cause::PercentInvalid),
        (_, Some(low)) if scan::hex(*low).is_none() => Some(Cause::PercentInvalid),
        _ => None,
    }
}

fn raw(byte: u8) -> bool {
    byte >= 0x80 || matches!(byte, b'"' | b'<' | b'>')
}

fn raw_cause(byte: u8) -> Cause {
    if byte >= 0x80 { Cause::TargetNonAscii } else { Cause::TargetCharacter }
}

fn raw_leniency(byte: u8) -> Leniency {
    if byte >= 0x80 { Leniency::RAW_BYTE } else { Leniency::RAW_MARK }
}

/// Spells a path in the one way in which routes are matched and upstreams are asked (RFC 3986 6.2.2): what needs no
/// encoding is decoded, hexadecimal digits are upper case, dot segments are resolved, slashes at the start are one.
/// Appends to `out`. Tells the relaxations that it needs.
///
/// Refused is whatever an upstream might read as another path than the one that is matched here: encoded slashes,
/// backslashes and control characters, encodings of encodings of these, overlong UTF-8, dots that climb above the root
/// or carry a parameter.
///
/// # Errors
/// The cause, for a path that has no one meaning.
pub fn normalise(path: &[u8], permitted: Leniency, out: &mut Vec<u8>) -> Result<Leniency, Cause> {
    let mut speller = Speller {
        begin: out.len(),
        segment: out.len(),
        piece: out.len(),
        permitted,
        used: Leniency::NONE,
    };
    let mut rest = path;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'/' => speller.slash(out)?,
            b'%' => rest = speller.encoded(after, out)?,
            byte if scan::is(*byte, PATH) => out.push(*byte),
            byte => speller.raw(*byte, after, out)?,
        }
    }
    speller.end(out)?;
    Ok(speller.used)
}

/// Spells a query whose raw bytes are forgiven.
pub(super) fn encode_raw(query: &[u8], out: &mut Vec<u8>) {
    for byte in query {
        if raw(*byte) {
            push_encoded(out, *byte);
        } else {
            out.push(*byte);
        }
    }
}

fn push_encoded(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |half: u8| DIGITS.get(usize::from(half)).copied().unwrap_or(b'0');
    out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
}

struct Speller {
    /// Where the path begins in the output.
    begin: usize,
    /// Where the segment begins that is being written.
    segment: usize,
    /// Where the part of the segment begins that an encoded slash parts off.
    piece: usize,
    permitted: Leniency,
    used: Leniency,
}

impl Speller {
    fn slash(&mut self, out: &mut Vec<u8>) -> Result<(), Cause> {
        // Dot segments may bring slashes to the front, too.
        let at_front = out.len() == self.begin + 1 && self.segment == out.len();
        if !at_front && (out.len() == self.begin || !self.resolve(out)?) {
            out.push(b'/');
        }
        self.segment = out.len();
        self.piece = out.len();
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Cause> {
        self.resolve(out).map(|_| ())
    }

    /// Resolves the segment that ends here if it is made of dots; tells whether it was.
    fn resolve(&mut self, out: &mut Vec<u8>) -> Result<bool, Cause> {
        let piece = out.get(self.piece..).unwrap_or_default();
        let dots = piece.iter().take_while(|byte| **byte == b'.').count();
        if dots == 0 || dots > 2 {
            return Ok(false);
        }
        if begins_parameter(piece.get(dots..).unwrap_or_default()) {
            return Err(Cause::DotParameter);
        }
        if piece.len() != dots {
            return Ok(false);
        }
        if self.piece != self.segment {
            return Err(Cause::EncodedSlash);
        }
        out.truncate(self.segment);
        if dots == 2 {
            // Without the slash that the segment follows; what is left ends at the slash before it.
            out.pop();
            let kept = out.get(self.begin..).unwrap_or_default();
            let slash =
                kept.iter().rposition(|byte| *byte == b'/').ok_or(Cause::PathEscapesRoot)?;
            out.truncate(self.begin + slash + 1);
        }
        Ok(true)
    }

    /// Spells a byte that must not stand in a path as it is.
    #[cold]
    fn raw(&mut self, byte: u8, after: &[u8], out: &mut Vec<u8>) -> Result<(), Cause> {
        match byte {
            0..=0x1f | 0x7f => return Err(Cause::TargetControl),
            b' ' => return Err(Cause::TargetSpace),
            b'#' => return Err(Cause::TargetFragment),
            b'\\' => return Err(Cause::Backslash),
            b'?' => return Err(Cause::TargetCharacter),
            0x80.. if is_overlong(byte, after) => return Err(Cause::OverlongEncoding),
            _ if self.permitted.has(Leniency::RAW_TARGET) => {}
            _ => return Err(raw_cause(byte)),
        }
        self.used = self.used.with(raw_leniency(byte));
        push_encoded(out, byte);
        Ok(())
    }

    /// Spells the encoding whose digits `rest` begins with; gives back what is after them.
    fn encoded<'a>(&mut self, rest: &'a [u8], out: &mut Vec<u8>) -> Result<&'a [u8], Cause> {
        let (byte, after) = pair(rest).ok_or(Cause::PercentInvalid)?;
        match byte {
            0 => return Err(Cause::EncodedNul),
            b'/' => self.encoded_slash(out)?,
            b'\\' => return Err(Cause::Backslash),
            0x01..=0x1f | 0x7f => return Err(Cause::EncodedControl),
            b'%' if hides_meaning(after) => return Err(Cause::DoubleEncoding),
            0x80.. if is_overlong(byte, after) => return Err(Cause::OverlongEncoding),
            byte if scan::is(byte, UNRESERVED) => out.push(byte),
            byte => push_encoded(out, byte),
        }
        Ok(after)
    }

    fn encoded_slash(&mut self, out: &mut Vec<u8>) -> Result<(), Cause> {
        if !self.permitted.has(Leniency::ENCODED_SLASH) {
            return Err(Cause::EncodedSlash);
        }
        self.used = self.used.with(Leniency::ENCODED_SLASH);
        let piece = out.get(self.piece..).unwrap_or_default();
        let dots = piece.iter().take_while(|byte| **byte == b'.').count();
        let after = piece.get(dots..).unwrap_or_default();
        if (1..=2).contains(&dots) && (after.is_empty() || begins_parameter(after)) {
            return Err(Cause::EncodedSlash);
        }
        out.extend_from_slice(b"%2F");
        self.piece = out.len();
        Ok(())
    }
}

/// Whether a parameter stands here, as it is or, for whoever decodes before parting, encoded.
fn begins_parameter(text: &[u8]) -> bool {
    text.starts_with(b";") || text.starts_with(b"%3B")
}

/// The byte that two hexadecimal digits say, and what is after them.
fn pair(text: &[u8]) -> Option<(u8, &[u8])> {
    let [high, low, rest @ ..] = text else { return None };
    Some((scan::hex(*high)? << 4 | scan::hex(*low)?, rest))
}

/// Whether what follows an encoded `%` makes it, when it is decoded once more or many times, a character that means something.
fn hides_meaning(after: &[u8]) -> bool {
    // IIS reads `%u002e`, too.
    let is_u = |text| matches!(plain(text), Some((b'u' | b'U', _)));
    match deep(after) {
        Some((byte, rest)) => {
            matches!(byte, b'.' | b'/' | b'\\' | 0..=0x1f | 0x7f) || is_overlong(byte, rest)
        }
        None => is_u(after),
    }
}

/// The byte that stands behind a `%` once it and every `%25` in front of it are decoded, and what is after it.
fn deep(text: &[u8]) -> Option<(u8, &[u8])> {
    let mut rest = text;
    loop {
        let (high, after) = plain(rest)?;
        let (low, after) = plain(after)?;
        match scan::hex(high)? << 4 | scan::hex(low)? {
            b'%' => rest = after,
            byte => return Some((byte, after)),
        }
    }
}

/// The next character, where it needs no encoding but may have one: `2` and `%32` are the same.
fn plain(text: &[u8]) -> Option<(u8, &[u8])> {
    match text {
        [b'%', encoded @ ..] => pair(encoded).filter(|(byte, _)| byte.is_ascii_alphanumeric()),
        [byte, rest @ ..] => Some((*byte, rest)),
        [] => None,
    }
}

/// Whether a byte and what comes after it, encoded or not or more than once, are a UTF-8 form longer than needed (RFC 3629 3).
/// Any other byte is left alone: old clients encode Latin-1.
fn is_overlong(byte: u8, after: &[u8]) -> bool {
    let next = match after {
        [b'%', encoded @ ..] => deep(encoded).map(|(next, _)| next),
        _ => after.first().copied(),
    };
    matches!(
        (byte, next),
        (0xc0 | 0xc1, Some(0x80..=0xbf))
            | (0xe0, Some(0x80..=0x9f))
            | (0xf0, Some(0x80..=0x8f))
            | (0xf8..=0xfd, Some(0x80..=0xbf))
    )
}

#[cfg(test)]
mod tests;
