//! The wall clock, read in this one place: for the access log and for answers whose upstream says no `Date`.

use std::{
    io::Write,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use time::{
    OffsetDateTime,
    format_description::well_known::{Rfc2822, Rfc3339},
};

/// `Date` as text (RFC 9110, section 5.6.7).
pub type HttpDate = [u8; 29];

/// Microseconds since 1970; 0 where the clock stands before that.
#[allow(
    clippy::disallowed_methods,
    reason = "the one place of the proxy that reads the wall clock"
)]
pub fn unix_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Now, as in `2026-06-01T12:00:00.123456Z`.
pub fn rfc3339() -> String {
    rfc3339_before(Duration::ZERO)
}

/// So long ago.
pub fn rfc3339_before(ago: Duration) -> String {
    let ago = u64::try_from(ago.as_micros()).unwrap_or(u64::MAX);
    let nanos = i128::from(unix_micros().saturating_sub(ago)) * 1000;
    let at = OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    at.format(&Rfc3339).unwrap_or_default()
}

/// Such a second, as in `Mon, 01 Jun 2026 12:00:00 GMT`.
pub fn http_date(unix_seconds: u64) -> HttpDate {
    let seconds = i64::try_from(unix_seconds).unwrap_or(i64::MAX);
    let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (day, month) = (at.weekday().to_string(), at.month().to_string());
    let mut date = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    let written = write!(
        date.as_mut_slice(),
        "{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
        day.get(..3).unwrap_or_default(),
        at.day(),
        month.get(..3).unwrap_or_default(),
        at.year(),
        at.hour(),
        at.minute(),
        at.second(),
    );
    debug_assert!(written.is_ok(), "a date has 29 characters");
    date
}

/// How long a `Retry-After` asks to wait, in seconds or until a date (RFC 9110, section 10.2.3); nothing where it says
/// neither.
pub fn retry_after(field: &[u8]) -> Option<Duration> {
    wait(field, unix_micros() / 1_000_000)
}

fn wait(field: &[u8], now: u64) -> Option<Duration> {
    let text = std::str::from_utf8(field).ok()?.trim();
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(Duration::from_secs);
    }
    let until = OffsetDateTime::parse(text, &Rfc2822).ok()?.unix_timestamp();
    Some(Duration::from_secs(u64::try_from(until).unwrap_or(0).saturating_sub(now)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    #[test]
    fn a_wish_to_wait_is_read_in_seconds_and_as_a_date() {
        let now = 784_111_777 - 30;
        for (text, seconds) in [
            ("0", Some(0)),
            ("120", Some(120)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(30)),
            ("Sun, 06 Nov 1904 08:49:37 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
            ("1.5", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(
                super::wait(text.as_bytes(), now),
                seconds.map(Duration::from_secs),
                "{text}"
            );
        }
    }

    #[test]
    fn a_date_is_written_as_http_wants_it() {
        assert_eq!(&super::http_date(784_111_777), b"Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(&super::http_date(0), b"Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
