//! Which price is in force, and until when that is known.

use kernel_api::Timestamp;

/// What is kept of a SKU's prices beside the SKU, so that a quote reads no history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InForce {
    /// The price in force when this was written; none where the first is still to come.
    pub micros: Option<i64>,
    /// When the next planned price comes into force.
    pub next_at: Option<Timestamp>,
}

/// The kept price, if it is still the one in force; otherwise the history must be read.
///
/// Nothing runs at the moment at which a planned price comes into force: it is read from the history from then on, and
/// the next change of the SKU's prices writes it down here.
pub(crate) fn in_force_now(kept: InForce, now: Timestamp) -> Result<Option<i64>, ReadHistory> {
    match kept.next_at {
        Some(next) if next <= now => Err(ReadHistory),
        Some(_) | None => Ok(kept.micros),
    }
}

/// A planned price has come into force since the kept one was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReadHistory;
