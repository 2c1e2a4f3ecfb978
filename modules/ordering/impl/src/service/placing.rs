//! What the steps of a checkout make true of its order: placed, paid, given up.

use kernel_api::{Id, Timestamp};
use ordering_api::{
    Cart, CheckoutFailure, Order, OrderCancelled, OrderPaid, OrderPlaced, SecretHash,
};
use saga::ApplyError;

use ::store::Tx;

use super::{
    settling::database,
    writing::{hold, record},
};
use crate::{
    domain::order::{OrderEvent, Sale, Wish, decide},
    store::{self, CartRow, SummaryRow},
};

/// A transition that the module's own rows forbid.
pub(super) fn forbidden(problem: &str) -> ApplyError {
    ApplyError::Forbidden(problem.to_owned())
}

/// The order is placed: one event, one summary, its lines, and the fact for others. An order that costs nothing is paid
/// at once.
pub(super) fn place(
    tx: &mut Tx<'_>,
    id: Id<Order>,
    cart: Id<Cart>,
    paid: bool,
) -> Result<(), ApplyError> {
    let at = tx.now();
    let c = tx.connection();
    let row = store::cart(c, cart)?.ok_or_else(|| forbidden("the cart is gone"))?;
    if row.checkout()? != Some(id.cast()) {
        return Err(forbidden("the cart is not at this checkout"));
    }
    let currency = row.currency()?;
    let customer = row.customer.as_deref().map(store::from_text).transpose()?;
    let sale = Sale {
        reference: row.reference.clone(),
        customer,
        secret: Some(SecretHash(row.secret_hash.clone())),
        source: None,
        currency,
        // They go from column to column without being read.
        lines: Vec::new(),
    };
    store::append_placed(c, id, &sale, &row.lines, at)?;
    if paid {
        store::append(c, id, 2, &OrderEvent::Paid, at)?;
    }
    let sum = row.sum()?;
    store::insert_summary(c, &summary_of(id, &row, paid, at))?;
    store::insert_lines(c, id, &row.lines)?;
    tx.emit(&OrderPlaced { order: id, customer, total: sum.total, lines: row.line_count, at })?;
    if paid {
        tx.emit(&OrderPaid { order: id, charged: sum.total, parts: sum.parts, at })?;
    }
    Ok(())
}

/// The summary of an order that was placed a moment ago: what folding its events gives, without reading its lines.
fn summary_of(id: Id<Order>, row: &CartRow, paid: bool, at: Timestamp) -> SummaryRow {
    SummaryRow {
        id: id.to_string(),
        version: if paid { 2 } else { 1 },
        origin: "live".to_owned(),
        status: if paid { "paid" } else { "placed" }.to_owned(),
        paid,
        reference: row.reference.clone(),
        source: None,
        source_rows: 0,
        customer: row.customer.clone(),
        currency: row.currency.clone(),
        line_count: row.line_count,
        goods: row.goods,
        parts: row.parts.clone(),
        net_micros: row.net_micros,
        total_minor: row.total_minor,
        promised_minor: 0,
        refunded_minor: 0,
        secret_hash: Some(row.secret_hash.clone()),
        placed_at: at.micros(),
        updated_at: at.micros(),
    }
}

/// The capture stands: the order is paid. The guard of the update is the whole decision, so no event is read.
pub(super) fn pay(tx: &mut Tx<'_>, id: Id<Order>) -> Result<(), ApplyError> {
    let at = tx.now();
    let c = tx.connection();
    let (parts, charged) =
        store::mark_paid(c, id, at)?.ok_or_else(|| forbidden("the order is not freshly placed"))?;
    store::append(c, id, 2, &OrderEvent::Paid, at)?;
    tx.emit(&OrderPaid { order: id, charged, parts, at })?;
    Ok(())
}

/// A placed order whose payment failed is cancelled.
pub(super) fn give_up(
    tx: &mut Tx<'_>,
    id: Id<Order>,
    failure: &CheckoutFailure,
) -> Result<(), ApplyError> {
    let at = tx.now();
    let order = hold::<contract::Never>(tx, id).map_err(database)?;
    let mut order = order.ok_or_else(|| forbidden("the order is gone"))?;
    let reason = failure.to_string();
    let event = decide(&order, Wish::GiveUp { reason: reason.clone() })
        .map_err(|_refusal| forbidden("the order is not freshly placed"))?;
    record::<contract::Never>(tx, id, &mut order, &event, at).map_err(database)?;
    tx.emit(&OrderCancelled { order: id, paid: false, reason, at })?;
    Ok(())
}
