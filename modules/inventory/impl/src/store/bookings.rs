//! Queries on what is booked once whatever the idempotency key.

use diesel::{ExpressionMethods, QueryDsl, QueryResult, RunQueryDsl};
use inventory_api::Reference;
use kernel_api::Timestamp;

use ::store::{Connection, on, prepared};

use crate::schema::bookings as table;

/// Adds a booking; `false` when the operation has one of this reference.
pub(crate) fn insert_booking(
    c: &mut Connection,
    operation: &str,
    reference: &Reference,
    request_hash: &str,
    now: Timestamp,
) -> QueryResult<bool> {
    let row = (
        table::operation.eq(operation),
        table::reference.eq(reference.as_str()),
        table::request_hash.eq(request_hash),
        table::booked_at.eq(now.micros()),
    );
    let inserted = on!(c, |c| prepared!(
        diesel::insert_into(table::table).values(row).on_conflict_do_nothing()
    )
    .execute(c))?;
    Ok(inserted == 1)
}

/// The request hash of the booking that is there.
pub(crate) fn booking(
    c: &mut Connection,
    operation: &str,
    reference: &Reference,
) -> QueryResult<String> {
    on!(c, |c| table::table
        .find((operation, reference.as_str()))
        .select(table::request_hash)
        .get_result(c))
}
