//! How an order's next event is written: held, decided, added, and its read models with it.

use diesel::result::Error;
use kernel_api::{Id, Timestamp};
use ordering_api::Order;

use ::store::{Abort, Connection, Tx};

use crate::{
    domain::order::{self, OrderEvent, OrderState},
    store::{self, SummaryRow},
};

/// The order that the events tell, read as they stand.
pub(super) fn load(c: &mut Connection, id: Id<Order>) -> Result<Option<OrderState>, Error> {
    order::fold(store::events_of(c, id)?)
        .map_err(|broken| Error::DeserializationError(Box::new(broken)))
}

/// The order, held so that nobody else adds an event before this transaction ends.
pub(super) fn hold<R>(tx: &mut Tx<'_>, id: Id<Order>) -> Result<Option<OrderState>, Abort<R>> {
    if !store::lock_summary(tx.connection(), id)? {
        return Ok(None);
    }
    Ok(load(tx.connection(), id)?)
}

/// Adds an event that was decided on a held order, and brings the read models to it.
pub(super) fn record<R>(
    tx: &mut Tx<'_>,
    id: Id<Order>,
    order: &mut OrderState,
    event: &OrderEvent,
    at: Timestamp,
) -> Result<(), Abort<R>> {
    order.apply(event, at).map_err(|broken| Error::DeserializationError(Box::new(broken)))?;
    let c = tx.connection();
    store::append(c, id, order.version, event, at)?;
    store::save_summary(c, &SummaryRow::of(id, order)?)?;
    if let OrderEvent::Returned { lines, .. } = event {
        store::add_returned(c, id, lines)?;
    }
    Ok(())
}
