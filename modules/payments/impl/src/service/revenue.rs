//! What ordering tells, booked as revenue: exactly once, in the transaction that moves the cursor.

use ::store::Tx;
use contract::{Envelope, Event};
use events::{ApplyError, Handler};
use ordering_api::{OrderAdjusted, OrderPaid, OrderRefunded};
use payments_api::EntryReason;

use crate::{
    domain::{self, Booking},
    store::{self, Entered},
};

/// The handler of ordering's feed.
pub(crate) struct Revenue;

impl Handler for Revenue {
    fn apply(&self, tx: &mut Tx<'_>, event: &Envelope) -> Result<(), ApplyError> {
        let Some((entered, booking)) = fact(event)? else { return Ok(()) };
        let unfit = || ApplyError::Poisoned("its sums do not fit, or are of two currencies".into());
        let rows = store::transfer_rows(&entered, &booking.ok_or_else(unfit)?)?;
        Ok(store::enter(tx, &rows)?)
    }
}

/// What an event says for the books; nothing for events of other kinds. The event's id becomes the entry's, so that
/// even an event that an operator replays is booked once.
fn fact(event: &Envelope) -> Result<Option<(Entered, Option<Booking>)>, ApplyError> {
    let entered = |reason, reference: String, subject: String, at| Entered {
        id: event.id.clone(),
        reason,
        reference,
        subject,
        at,
    };
    match event.kind.as_str() {
        OrderPaid::NAME => {
            let paid: OrderPaid = read(event)?;
            let order = paid.order.to_string();
            let entered = entered(EntryReason::OrderPaid, order.clone(), order, paid.at);
            Ok(Some((entered, domain::earned(paid.charged, &paid.parts))))
        }
        OrderRefunded::NAME => {
            let back: OrderRefunded = read(event)?;
            let reference = back.refund.to_string();
            // An unlinked credit has the id of its settlement, and a receivable of its own.
            let subject = back.order.map_or_else(|| reference.clone(), |order| order.to_string());
            let entered = entered(EntryReason::OrderRefunded, reference, subject, back.at);
            Ok(Some((entered, domain::given_back(back.refunded, &back.parts))))
        }
        OrderAdjusted::NAME => {
            let adjusted: OrderAdjusted = read(event)?;
            let reference = adjusted.adjustment.to_string();
            let subject =
                adjusted.order.map_or_else(|| reference.clone(), |order| order.to_string());
            let entered = entered(EntryReason::Adjusted, reference, subject, adjusted.at);
            Ok(Some((entered, domain::earned(adjusted.charged, &adjusted.parts))))
        }
        _ => Ok(None),
    }
}

fn read<E: Event>(event: &Envelope) -> Result<E, ApplyError> {
    let unknown = || {
        ApplyError::Poisoned(format!(
            "{} of version {} is not known",
            event.kind, event.dataversion
        ))
    };
    Ok(event.read::<E>().ok_or_else(unknown)??)
}
