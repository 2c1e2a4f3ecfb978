//! What a subscriber does with an event.

use contract::Envelope;
use store::Tx;

/// Gives events their effect in the subscriber's own tables.
pub trait Handler: Send + Sync + 'static {
    /// Writes what the event means for this module. The cursor moves in the same transaction, so the effect happens
    /// exactly once. Events of one key come in order. An event that does not concern this module is `Ok`.
    ///
    /// Like every closure of the store it does nothing but queries, and may run again after a rollback.
    fn apply(&self, tx: &mut Tx<'_>, event: &Envelope) -> Result<(), ApplyError>;
}

/// Why an event could not be given its effect.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// This event cannot be handled as it is: its key is parked, and it is tried again with growing waits.
    #[error("{0}")]
    Poisoned(String),
    /// The database. A statement that this event alone makes fail (a broken constraint) parks its key too; a
    /// database that is away parks nothing.
    #[error(transparent)]
    Database(#[from] diesel::result::Error),
}

impl From<serde_json::Error> for ApplyError {
    fn from(error: serde_json::Error) -> Self {
        Self::Poisoned(format!("its data cannot be read: {error}"))
    }
}
