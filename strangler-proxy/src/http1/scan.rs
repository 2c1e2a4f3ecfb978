//! Byte classes and the scans over them: one table look-up a byte for names and targets, eight bytes at once for values.

use super::span::Span;

/// A letter, digit or mark of which method and field names are made (RFC 9110 5.6.2), `_` included.
pub(super) const TOKEN: u8 = 1;
/// `_`, legal in a name but folded into `-` by CGI and what descends from it.
pub(super) const UNDERSCORE: u8 = 2;
/// May stand in a path and means itself there. `/`, `%` and `.` after `/` are looked at by hand.
pub(super) const PATH: u8 = 4;
/// May stand in a query and means itself there; `%` is looked at by hand.
pub(super) const QUERY: u8 = 8;
/// May stand in a registered name of an authority, as DNS and container tools use it.
pub(super) const HOST: u8 = 16;
/// `A-Z`, digits and `-`: what methods in use are made of.
pub(super) const METHOD: u8 = 32;
/// RFC 3986 2.3: the same whether percent-encoded or not.
pub(super) const UNRESERVED: u8 = 64;

const TABLE: [u8; 256] = table();

const fn table() -> [u8; 256] {
    let mut table = [0u8; 256];
    let mut byte = 0u8;
    loop {
        let mut class = 0;
        if byte.is_ascii_alphanumeric() {
            class |= TOKEN | PATH | QUERY | HOST | UNRESERVED;
        }
        if byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-' {
            class |= METHOD;
        }
        class |= match byte {
            b'_' => TOKEN | UNDERSCORE | PATH | QUERY | HOST | UNRESERVED | METHOD,
            b'-' | b'.' => TOKEN | PATH | QUERY | HOST | UNRESERVED,
            b'~' => TOKEN | PATH | QUERY | UNRESERVED,
            b'!' | b'$' | b'&' | b'\'' | b'*' | b'+' => TOKEN | PATH | QUERY,
            b'#' => TOKEN,
            b'%' => TOKEN,
            // RFC 3986 forbids the last four, yet every browser sends them unencoded in paths.
            b'^' | b'|' => TOKEN | PATH | QUERY,
            b'`' => TOKEN | QUERY,
            b'(' | b')' | b',' | b';' | b'=' | b':' | b'@' | b'[' | b']' => PATH | QUERY,
            b'/' | b'?' | b'{' | b'}' | b'\\' => QUERY,
            _ => 0,
        };
        // The index is a byte and the table has 256 places.
        #[allow(
            clippy::indexing_slicing,
            reason = "evaluated by the compiler, which would refuse it"
        )]
        {
            table[byte as usize] = class;
        }
        if byte == u8::MAX {
            return table;
        }
        byte += 1;
    }
}

/// The classes of a byte.
#[inline]
pub(super) fn class(byte: u8) -> u8 {
    TABLE.get(usize::from(byte)).copied().unwrap_or(0)
}

/// Whether a byte is of a class.
#[inline]
pub(super) fn is(byte: u8, wanted: u8) -> bool {
    class(byte) & wanted != 0
}

/// Whether `text` is a token: not empty, and of token characters only.
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| is(*byte, TOKEN))
}

/// The end of the run of bytes of a class that starts at `from`, and what classes they have together.
#[inline]
pub(super) fn run(buf: &[u8], from: usize, wanted: u8) -> (usize, u8) {
    let mut seen = 0;
    let mut at = from;
    for byte in buf.get(at..).unwrap_or_default() {
        let class = class(*byte);
        if class & wanted == 0 {
            break;
        }
        seen |= class;
        at += 1;
    }
    (at, seen)
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = ONES * 0x80;

/// Marks the bytes that are below 0x20 or are 0x7f. Only the lowest mark is exact: a borrow may mark one above it.
#[inline]
fn controls(block: u64) -> u64 {
    let low = block.wrapping_sub(ONES * 0x20) & !block;
    let delete = block ^ (ONES * 0x7f);
    let delete = delete.wrapping_sub(ONES) & !delete;
    (low | delete) & HIGH
}

/// Marks the bytes that are neither a letter nor `-`.
#[inline]
fn not_usual(block: u64) -> u64 {
    let folded = (block | (ONES * 0x20)) & !HIGH;
    let letter = (folded + ONES * (0x80 - 0x61)) & !(folded + ONES * (0x80 - 0x7b));
    let dash = block ^ (ONES * 0x2d);
    let other = ((dash & !HIGH) + ONES * 0x7f) | dash;
    !((letter | !other) & !block) & HIGH
}

/// The end of the token that starts at `from`, and the classes of its unusual characters. Most names are letters and `-`,
/// which go by eight; the rest is looked up.
#[inline]
pub(super) fn token(buf: &[u8], from: usize) -> (usize, u8) {
    let mut at = from;
    while let Some(block) = buf.get(at..at + 8).and_then(|eight| eight.try_into().ok()) {
        let marks = not_usual(u64::from_le_bytes(block));
        if marks != 0 {
            at += marks.trailing_zeros() as usize / 8;
            break;
        }
        at += 8;
    }
    if buf.get(at) == Some(&b':') {
        return (at, 0);
    }
    run(buf, at, TOKEN)
}

/// Whether none of the bytes is a control character, in a form that the compiler makes vectors of.
#[inline]
fn is_clean(block: &[u8; 16]) -> bool {
    block.iter().fold(0, |marks, byte| marks | u8::from(*byte < 0x20) | u8::from(*byte == 0x7f))
        == 0
}

/// The first byte from `from` on that must not stand in a field value (RFC 9110 5.5): a control character other than a tab.
#[inline]
pub(super) fn value_end(buf: &[u8], from: usize) -> usize {
    let mut at = from;
    loop {
        while let Some(block) = buf.get(at..at + 16).and_then(<[u8]>::first_chunk) {
            if !is_clean(block) {
                break;
            }
            at += 16;
        }
        while let Some(block) = buf.get(at..at + 8).and_then(|eight| eight.try_into().ok()) {
            let marks = controls(u64::from_le_bytes(block));
            if marks != 0 {
                at += marks.trailing_zeros() as usize / 8;
                break;
            }
            at += 8;
        }
        match buf.get(at) {
            Some(b'\t' | b' '..=b'~' | 0x80..) => at += 1,
            Some(_) | None => return at,
        }
    }
}

/// `start..stop` without spaces and tabs at its end.
#[inline]
pub(super) fn trim_end(buf: &[u8], start: usize, stop: usize) -> Span {
    let mut stop = stop;
    while stop > start && matches!(buf.get(stop - 1), Some(b' ' | b'\t')) {
        stop -= 1;
    }
    Span::new(start, stop)
}

/// `text` without spaces and tabs around it.
#[inline]
pub(super) fn trim(text: &[u8]) -> &[u8] {
    let mut text = text;
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// The value of a hexadecimal digit.
#[inline]
pub(super) fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// The number that decimal digits say, and nothing but digits: no sign, no space, no empty text, no overflow.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |number, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}
