//! What inventory tells, written down.

use contract::Envelope;
use events::{ApplyError, Handler};

use ::store::Tx;

use crate::{domain::told, store};

/// Keeps the availability that is shown up to date with inventory's events.
pub(crate) struct Hearing;

impl Handler for Hearing {
    fn apply(&self, tx: &mut Tx<'_>, event: &Envelope) -> Result<(), ApplyError> {
        if let Some(told) = told(event)? {
            let state = told.availability.as_str();
            store::put_availability(tx.connection(), &told.sku, state, event.time)?;
        }
        Ok(())
    }
}
