//! The queries: one function each, no decisions.

mod import;
mod ledger;
mod rows;
mod simulator;

use ::store::{Connection, Tx, cached, on, prepared};
use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, RunQueryDsl, SelectableHelper,
    dsl::exists,
    result::{DatabaseErrorKind, Error},
};
use kernel_api::{Id, Timestamp};
use payments_api::{Operation, Payment, Refund};

pub(crate) use import::{
    add_refunded, insert_operations, insert_payments, insert_transfers, known_payments,
    known_refunds,
};
pub(crate) use ledger::{audit, balances, enter, entries};
pub(crate) use rows::{
    Entered, Intent, OperationRow, PaymentRow, Pending, TransferRow, parsed, transfer_rows, word,
};
pub(crate) use simulator::remember;

use crate::{
    domain::Change,
    schema::{operations, payments},
};

/// One payment.
pub(crate) fn payment(c: &mut Connection, id: Id<Payment>) -> QueryResult<Option<PaymentRow>> {
    on!(c, |c| payments::table
        .find(id.to_string())
        .select(PaymentRow::as_select())
        .get_result(c)
        .optional())
}

/// The payments after an id, by id.
pub(crate) fn payments_after(
    c: &mut Connection,
    after: &str,
    limit: u32,
) -> QueryResult<Vec<Payment>> {
    let rows: Vec<PaymentRow> = on!(c, |c| payments::table
        .filter(payments::id.gt(after))
        .order(payments::id)
        .limit(i64::from(limit))
        .select(PaymentRow::as_select())
        .load(c))?;
    rows.iter().map(PaymentRow::payment).collect()
}

/// What was done to a payment, oldest first.
pub(crate) fn history(c: &mut Connection, id: Id<Payment>) -> QueryResult<Vec<Operation>> {
    let rows: Vec<OperationRow> = on!(c, |c| operations::table
        .filter(operations::payment_id.eq(id.to_string()))
        .order((operations::settled_at, operations::reference))
        .select(OperationRow::as_select())
        .load(c))?;
    rows.iter().map(OperationRow::operation).collect()
}

/// What was done under a key.
pub(crate) fn operation(c: &mut Connection, key: &str) -> QueryResult<Option<OperationRow>> {
    on!(c, |c| operations::table
        .find(key)
        .select(OperationRow::as_select())
        .get_result(c)
        .optional())
}

/// Was a refund with this id done or declined?
pub(crate) fn is_refund(c: &mut Connection, id: Id<Refund>) -> QueryResult<bool> {
    let known = operations::table.filter(operations::refund_id.eq(id.to_string()));
    on!(c, |c| diesel::select(exists(known)).get_result(c))
}

/// Writes a new payment with its first intent. False when its id, or the key, is there already.
pub(crate) fn open(tx: &mut Tx<'_>, row: &PaymentRow) -> QueryResult<bool> {
    let opened = on!(tx.connection(), |c| prepared!(
        diesel::insert_into(payments::table).values(row).on_conflict_do_nothing()
    )
    .execute(c))?;
    Ok(opened == 1)
}

/// Writes an intent on a payment that is as it was read. False when it is not: somebody else was faster.
pub(crate) fn begin(
    tx: &mut Tx<'_>,
    read: &PaymentRow,
    pending: &Pending,
    ask_again: Timestamp,
) -> QueryResult<bool> {
    let intent = pending.intent.column()?;
    let begun = on!(tx.connection(), |c| prepared!(
        diesel::update(payments::table.find(&read.id))
            .filter(payments::version.eq(read.version))
            .set((
                payments::version.eq(payments::version + 1),
                payments::intent_key.eq(&pending.key),
                payments::intent.eq(&intent),
                payments::ask_again_at.eq(ask_again.micros()),
            ))
    )
    .execute(c))?;
    Ok(begun == 1)
}

/// Is this the error of a key that is pending on another payment?
pub(crate) fn is_key_pending_elsewhere(error: &Error) -> bool {
    match error {
        Error::DatabaseError(DatabaseErrorKind::UniqueViolation, information) => {
            information.constraint_name() == Some("payments_intent")
                || information.message().contains("intent_key")
        }
        _ => false,
    }
}

/// Takes the intent off and adds what it changed. False when it is not there any more: somebody else has settled it.
pub(crate) fn settle(tx: &mut Tx<'_>, pending: &Pending, change: Change) -> QueryResult<bool> {
    let settled = on!(tx.connection(), |c| prepared!(
        diesel::update(payments::table.find(pending.payment.to_string()))
            .filter(payments::intent_key.eq(&pending.key))
            .set((
                payments::authorised.eq(payments::authorised + change.authorised),
                payments::captured.eq(payments::captured + change.captured),
                payments::voided.eq(payments::voided + change.voided),
                payments::refunded.eq(payments::refunded + change.refunded),
                payments::version.eq(payments::version + 1),
                payments::intent_key.eq(None::<String>),
                payments::intent.eq(None::<String>),
                payments::ask_again_at.eq(None::<i64>),
            ))
    )
    .execute(c))?;
    Ok(settled == 1)
}

/// Writes down what was done.
pub(crate) fn insert_operation(tx: &mut Tx<'_>, row: &OperationRow) -> QueryResult<()> {
    on!(tx.connection(), |c| cached(diesel::insert_into(operations::table).values(row))
        .execute(c))?;
    Ok(())
}

/// Intents whose provider is to be asked again by `now`, the longest due first.
pub(crate) fn due(c: &mut Connection, now: Timestamp, limit: i64) -> QueryResult<Vec<Pending>> {
    let rows: Vec<PaymentRow> = on!(c, |c| payments::table
        .filter(payments::intent_key.is_not_null())
        .filter(payments::ask_again_at.le(now.micros()))
        .order(payments::ask_again_at)
        .limit(limit)
        .select(PaymentRow::as_select())
        .load(c))?;
    rows.iter().filter_map(|row| row.pending().transpose()).collect()
}

/// Puts the next asking off.
pub(crate) fn postpone(tx: &mut Tx<'_>, pending: &Pending, to: Timestamp) -> QueryResult<()> {
    on!(tx.connection(), |c| prepared!(
        diesel::update(payments::table.find(pending.payment.to_string()))
            .filter(payments::intent_key.eq(&pending.key))
            .set(payments::ask_again_at.eq(to.micros()))
    )
    .execute(c))?;
    Ok(())
}
