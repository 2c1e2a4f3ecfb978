//! The wall clock, for the audit log: the one place of the proxy that reads it.

use std::time::SystemTime;

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Now, in RFC 3339 and UTC.
#[allow(
    clippy::disallowed_methods,
    reason = "the shop's clock belongs to its kernel, which the proxy may not know; this is the proxy's own place"
)]
pub fn now() -> String {
    let now = OffsetDateTime::from(SystemTime::now());
    let whole = now.replace_nanosecond(now.nanosecond() / 1_000_000 * 1_000_000).unwrap_or(now);
    whole.format(&Rfc3339).unwrap_or_default()
}
