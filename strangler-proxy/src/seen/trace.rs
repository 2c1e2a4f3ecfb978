//! W3C trace context: the trace of a request, passed on where the client has one and made where not.

use std::cell::Cell;

/// A trace id and the field that carries it.
///
/// Invariant: `text` is a valid `traceparent` of version 00 in ASCII.
#[derive(Debug, Clone, Copy)]
pub struct Trace {
    text: [u8; 55],
    made: bool,
}

/// Makes random ids. One per worker.
#[derive(Debug)]
pub struct Ids(Cell<u64>);

impl Ids {
    /// Seeded from the system.
    pub fn new() -> Self {
        let mut seed = [0_u8; 8];
        // Without randomness ids still differ within the process; they guard nothing.
        if getrandom::fill(&mut seed).is_err() {
            seed = [1; 8];
        }
        Self(Cell::new(u64::from_ne_bytes(seed)))
    }

    /// SplitMix64 (Steele, Lea and Flood 2014): good enough for names that guard nothing.
    pub fn next(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Default for Ids {
    fn default() -> Self {
        Self::new()
    }
}

impl Trace {
    /// The client's, where its `traceparent` is valid; else a new one, sampled, as whoever stands first decides and what
    /// comes behind may still drop it.
    pub fn of(field: Option<&[u8]>, ids: &Ids) -> Self {
        match field.and_then(valid) {
            Some(text) => Self { text, made: false },
            None => Self::made(ids),
        }
    }

    /// A new one.
    pub fn made(ids: &Ids) -> Self {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-01";
        let (high, low, parent) = (ids.next(), ids.next() | 1, ids.next() | 1);
        for (at, number) in [(3, high), (19, low), (36, parent)] {
            if let Some(places) = text.get_mut(at..at + 16) {
                places.copy_from_slice(&hex(number));
            }
        }
        Self { text, made: true }
    }

    /// Must the field be written? Where it was passed on it stands in the request already.
    pub fn is_made(&self) -> bool {
        self.made
    }

    /// The value of the field.
    pub fn field(&self) -> &[u8] {
        &self.text
    }

    /// The trace id.
    pub fn id(&self) -> &str {
        let id = self.text.get(3..35).unwrap_or_default();
        std::str::from_utf8(id).unwrap_or_default()
    }
}

/// The digits of a number, all sixteen at once: each in a byte of its own, the highest first.
fn hex(number: u64) -> [u8; 16] {
    const ONES: u128 = u128::MAX / 255;
    let mut digits = u128::from(number);
    // The upper half of each group moves up by as much, until a group is one digit.
    for bits in [32, 16, 8, 4] {
        digits = (digits | (digits << bits)) & (u128::MAX / ((1 << bits) + 1));
    }
    // Six more is a carry into the upper half of the byte where the digit is a letter.
    let letters = ((digits + ONES * 6) >> 4) & ONES;
    (digits + ONES * u128::from(b'0') + letters * u128::from(b'a' - b'9' - 1)).to_be_bytes()
}

/// A `traceparent` of version 00, lower-case hexadecimal, neither id all zeros.
fn valid(field: &[u8]) -> Option<[u8; 55]> {
    let text: [u8; 55] = field.try_into().ok()?;
    let (version, rest) = text.split_at(3);
    let (trace, rest) = rest.split_at(33);
    let (parent, flags) = rest.split_at(17);
    let is_hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    let id = |part: &[u8]| {
        part.split_last().is_some_and(|(dash, digits)| {
            *dash == b'-' && digits.iter().all(is_hex) && digits.iter().any(|digit| *digit != b'0')
        })
    };
    (version == b"00-" && id(trace) && id(parent) && flags.iter().all(is_hex)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::{Ids, Trace};

    #[test]
    fn a_valid_trace_is_passed_on_and_another_is_replaced() {
        let ids = Ids::new();
        let good = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
        let trace = Trace::of(Some(good), &ids);
        assert!(!trace.is_made() && trace.field() == good);
        assert_eq!(trace.id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        for bad in [
            &b"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-00"[..],
            b"00-00000000000000000000000000000000-00f067aa0ba902b7-00",
            b"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-00",
            b"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
            b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
            b"00-4bf92f3577b34da6a3ce929d0e0e4736x00f067aa0ba902b7-00",
            b"",
        ] {
            assert!(Trace::of(Some(bad), &ids).is_made());
        }
    }

    #[test]
    fn a_number_is_written_as_the_standard_library_writes_it() {
        let ids = Ids::new();
        for number in [0, 9, 10, 0xf, u64::MAX, 0x0123_4567_89ab_cdef]
            .into_iter()
            .chain(std::iter::repeat_with(|| ids.next()).take(100))
        {
            assert_eq!(super::hex(number), format!("{number:016x}").as_bytes());
        }
    }

    #[test]
    fn a_trace_that_is_made_is_valid_and_new() {
        let ids = Ids::new();
        let (one, two) = (Trace::made(&ids), Trace::made(&ids));
        assert!(super::valid(one.field()).is_some());
        assert_ne!(one.id(), two.id());
    }
}
