//! The little of DER (X.690) that is needed to say what a certificate says. Nothing is trusted because of what is read
//! here: certificates are verified by rustls.

/// `SEQUENCE`
pub const SEQUENCE: u8 = 0x30;
/// `SET`
pub const SET: u8 = 0x31;
/// `OBJECT IDENTIFIER`
pub const OID: u8 = 0x06;
/// `OCTET STRING`
pub const OCTETS: u8 = 0x04;
/// `BOOLEAN`
pub const BOOLEAN: u8 = 0x01;
/// `UTCTime`
pub const UTC_TIME: u8 = 0x17;
/// `GeneralizedTime`
pub const GENERALIZED_TIME: u8 = 0x18;
/// `BMPString`
pub const BMP_STRING: u8 = 0x1e;

/// Values one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a>(pub &'a [u8]);

impl<'a> Values<'a> {
    /// The next value's tag and content; nothing at the end, or where what comes is no DER.
    pub fn take(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, rest) = self.0.split_first()?;
        // Tags of more than one byte stand nowhere in a certificate.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match *first {
            short @ 0..=0x7f => (usize::from(short), rest),
            long @ 0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
                let length = bytes.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
                (length, rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, content))
    }

    /// The content of the next value, which must have this tag.
    pub fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.take().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }

    /// The content of the next value if it has this tag; else nothing is taken.
    pub fn optional(&mut self, tag: u8) -> Option<&'a [u8]> {
        if self.0.first() == Some(&tag) { self.expect(tag) } else { None }
    }
}

/// Seconds since 1970 of a `UTCTime` or `GeneralizedTime` as RFC 5280, section 4.1.2.5, allows them: in UTC, with seconds.
pub fn time(tag: u8, text: &[u8]) -> Option<i64> {
    let digits = text.strip_suffix(b"Z")?;
    let number = |from: usize, count: usize| {
        digits.get(from..from + count)?.iter().try_fold(0_i64, |sum, byte| {
            byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0'))
        })
    };
    let (year, at) = match (tag, digits.len()) {
        (UTC_TIME, 12) => {
            let short = number(0, 2)?;
            (if short < 50 { 2000 + short } else { 1900 + short }, 2)
        }
        (GENERALIZED_TIME, 14) => (number(0, 4)?, 4),
        _ => return None,
    };
    let month =
        u8::try_from(number(at, 2)?).ok().and_then(|month| time::Month::try_from(month).ok());
    let day = u8::try_from(number(at + 2, 2)?).ok()?;
    let date = time::Date::from_calendar_date(i32::try_from(year).ok()?, month?, day).ok()?;
    let small = |from| number(from, 2).and_then(|number| u8::try_from(number).ok());
    let clock = time::Time::from_hms(small(at + 4)?, small(at + 6)?, small(at + 8)?).ok()?;
    Some(date.with_time(clock).assume_utc().unix_timestamp())
}

/// An object identifier in dots; nothing where it is none.
pub fn dotted(oid: &[u8]) -> Option<String> {
    let mut numbers = Vec::new();
    let mut number = 0_u64;
    for byte in oid {
        // No arc of a known attribute is near this long.
        number = number.checked_mul(128)? | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            numbers.push(std::mem::take(&mut number));
        }
    }
    let first = *numbers.first()?;
    let root = (first / 40).min(2);
    let mut text = format!("{root}.{}", first - root * 40);
    for number in numbers.iter().skip(1) {
        text.push_str(&format!(".{number}"));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::{GENERALIZED_TIME, UTC_TIME, Values, dotted, time};

    #[test]
    fn values_end_where_their_length_says() {
        for (bytes, expected) in [
            (&b"\x04\x02ab"[..], Some((4, &b"ab"[..]))),
            (b"\x04\x81\x02ab", Some((4, b"ab"))),
            (b"\x04\x84\x00\x00\x00\x01a", Some((4, b"a"))),
            (b"\x04\x03ab", None),
            (b"\x04\x80ab\x00\x00", None),
            (b"\x04\x85\x00\x00\x00\x00\x01a", None),
            (b"\x1f\x81\x01a", None),
            (b"\x04", None),
            (b"\x04\x84\xff\xff\xff\xffa", None),
            (b"", None),
        ] {
            assert_eq!(Values(bytes).take(), expected, "{bytes:?}");
        }
    }

    #[test]
    fn times_are_read_as_certificates_write_them() {
        for (tag, text, seconds) in [
            (UTC_TIME, "700101000000Z", Some(0)),
            (UTC_TIME, "491231235959Z", Some(2_524_607_999)),
            (UTC_TIME, "500101000000Z", Some(-631_152_000)),
            (GENERALIZED_TIME, "20500101000000Z", Some(2_524_608_000)),
            (GENERALIZED_TIME, "99991231235959Z", Some(253_402_300_799)),
            (UTC_TIME, "700101000000", None),
            (UTC_TIME, "7001010000Z", None),
            (UTC_TIME, "701301000000Z", None),
            (UTC_TIME, "7001010000-1Z", None),
            (GENERALIZED_TIME, "700101000000Z", None),
        ] {
            assert_eq!(time(tag, text.as_bytes()), seconds, "{text}");
        }
    }

    #[test]
    fn object_identifiers_are_dotted() {
        assert_eq!(dotted(&[0x55, 4, 3]).as_deref(), Some("2.5.4.3"));
        let email = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1];
        assert_eq!(dotted(&email).as_deref(), Some("1.2.840.113549.1.9.1"));
        assert_eq!(dotted(&[]), None);
        assert_eq!(dotted(&[0xff; 40]), None);
    }
}
