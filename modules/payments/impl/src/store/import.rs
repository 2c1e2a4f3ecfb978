//! The queries of an import: in chunks, because it brings up to a thousand records.

use std::collections::{HashMap, HashSet};

use ::store::{Connection, Tx, limits::CHUNK_ROWS_MAX, on, prepared};
use diesel::{ExpressionMethods, QueryDsl, QueryResult, RunQueryDsl, SelectableHelper};

use super::rows::{OperationRow, PaymentRow, TransferRow};
use crate::schema::{operations, payments, transfers};

/// Those of these payments that there are, by id.
pub(crate) fn known_payments(
    c: &mut Connection,
    ids: &[String],
) -> QueryResult<HashMap<String, PaymentRow>> {
    let mut known = HashMap::new();
    for chunk in ids.chunks(CHUNK_ROWS_MAX) {
        let rows: Vec<PaymentRow> = on!(&mut *c, |c| payments::table
            .filter(payments::id.eq_any(chunk))
            .select(PaymentRow::as_select())
            .load(c))?;
        known.extend(rows.into_iter().map(|row| (row.id.clone(), row)));
    }
    Ok(known)
}

/// Those of these refund ids that there are.
pub(crate) fn known_refunds(c: &mut Connection, ids: &[String]) -> QueryResult<HashSet<String>> {
    let mut known = HashSet::new();
    for chunk in ids.chunks(CHUNK_ROWS_MAX) {
        let rows: Vec<Option<String>> = on!(&mut *c, |c| operations::table
            .filter(operations::refund_id.eq_any(chunk))
            .select(operations::refund_id)
            .load(c))?;
        known.extend(rows.into_iter().flatten());
    }
    Ok(known)
}

/// Writes new payments.
pub(crate) fn insert_payments(tx: &mut Tx<'_>, rows: &[PaymentRow]) -> QueryResult<()> {
    for chunk in rows.chunks(CHUNK_ROWS_MAX) {
        on!(tx.connection(), |c| diesel::insert_into(payments::table).values(chunk).execute(c))?;
    }
    Ok(())
}

/// Writes what was done.
pub(crate) fn insert_operations(tx: &mut Tx<'_>, rows: &[OperationRow]) -> QueryResult<()> {
    for chunk in rows.chunks(CHUNK_ROWS_MAX) {
        on!(tx.connection(), |c| diesel::insert_into(operations::table).values(chunk).execute(c))?;
    }
    Ok(())
}

/// Writes rows of the ledger, many at a time.
pub(crate) fn insert_transfers(tx: &mut Tx<'_>, rows: &[TransferRow]) -> QueryResult<()> {
    for chunk in rows.chunks(CHUNK_ROWS_MAX) {
        on!(tx.connection(), |c| diesel::insert_into(transfers::table).values(chunk).execute(c))?;
    }
    Ok(())
}

/// Adds to what was refunded of a payment. False when that much is not left, or something is pending.
pub(crate) fn add_refunded(tx: &mut Tx<'_>, id: &str, amount: i64) -> QueryResult<bool> {
    let added = on!(tx.connection(), |c| prepared!(
        diesel::update(payments::table.find(id))
            .filter(payments::intent_key.is_null())
            .filter((payments::captured - payments::refunded).ge(amount))
            .set((
                payments::refunded.eq(payments::refunded + amount),
                payments::version.eq(payments::version + 1),
            ))
    )
    .execute(c))?;
    Ok(added == 1)
}
