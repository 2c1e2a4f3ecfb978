//! How long certificates are still good, for the log, for `check` and for those who watch.

use std::{path::PathBuf, time::Duration};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::Certificate;
use crate::{config::Snapshot, seen::clock};

/// So long before its end a certificate is complained of. Automatic renewal comes a month before it: three weeks mean
/// that it has failed, and leave time.
const SOON: Duration = Duration::from_secs(21 * 24 * 3600);

/// When a certificate of the configuration ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    /// Its file.
    pub file: PathBuf,
    /// What it is called.
    pub name: String,
    /// Seconds since 1970.
    pub not_after: i64,
    /// What is to be said of it now.
    pub complaint: Option<String>,
}

/// Of every certificate that the snapshot shows to somebody.
pub fn expiries(snapshot: &Snapshot) -> Vec<Expiry> {
    let now = now();
    let listeners = snapshot.listeners.iter().filter_map(|listener| listener.tls.as_ref());
    let shown = listeners.flat_map(|tls| tls.certificates());
    let upstreams = snapshot.upstreams.iter().filter_map(|upstream| upstream.tls.as_ref());
    let mut found: Vec<Expiry> = Vec::new();
    for certificate in shown.chain(upstreams.filter_map(|tls| tls.certificate())) {
        if found.iter().all(|known| known.file != certificate.file) {
            found.push(Expiry {
                file: certificate.file.clone(),
                name: certificate.label().to_owned(),
                not_after: certificate.not_after,
                complaint: complaint(certificate, now),
            });
        }
    }
    found
}

/// Says in the log what wants somebody's attention.
pub fn warn(snapshot: &Snapshot) {
    for expiry in expiries(snapshot) {
        if let Some(complaint) = expiry.complaint {
            let file = expiry.file.display();
            tracing::warn!(%file, name = expiry.name, "a certificate {complaint}");
        }
    }
    for upstream in snapshot.upstreams.iter() {
        if upstream.tls.as_ref().is_some_and(|tls| !tls.verifies()) {
            let upstream = &*upstream.name;
            tracing::warn!(
                upstream,
                "`verify = false`: whoever answers is taken for this upstream"
            );
        }
    }
}

/// Seconds since 1970.
pub fn now() -> i64 {
    i64::try_from(clock::unix_micros() / 1_000_000).unwrap_or(i64::MAX)
}

/// What is to be said of a certificate at this second.
pub fn complaint(certificate: &Certificate, now: i64) -> Option<String> {
    let day = |second: i64| {
        let moment = OffsetDateTime::from_unix_timestamp(second).ok();
        moment.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_default()
    };
    let soon = i64::try_from(SOON.as_secs()).unwrap_or(i64::MAX);
    if certificate.not_after < now {
        Some(format!("expired on {}", day(certificate.not_after)))
    } else if certificate.not_before > now {
        Some(format!("is not valid before {}", day(certificate.not_before)))
    } else if certificate.not_after.saturating_sub(now) < soon {
        Some(format!("expires on {}", day(certificate.not_after)))
    } else {
        None
    }
}
