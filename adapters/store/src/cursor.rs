//! How far a subscription has read its feed: moved in the transaction of the effect, so that the effect is there
//! exactly once.

use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, RunQueryDsl, upsert::excluded,
};

use crate::{
    Connection, Tx, cached, on,
    schema::cursor::{self, position, subscription, updated_at},
};

/// The position of the last event that `name` has dealt with; zero before the first.
pub fn position_of(c: &mut Connection, name: &str) -> QueryResult<u64> {
    let at: Option<i64> =
        on!(c, |c| cursor::table.find(name).select(position).get_result(c).optional())?;
    Ok(at.and_then(|at| u64::try_from(at).ok()).unwrap_or(0))
}

/// The same, with the cursor locked to the end of the transaction, so that of several processes that share a
/// subscription only one goes on from a position. Compare what comes back with the position the batch was read from,
/// and give the batch up when they differ: somebody else has applied it.
pub fn lock(tx: &mut Tx<'_>, name: &str) -> QueryResult<u64> {
    if let Connection::Postgres(c) = tx.connection() {
        let at: Option<i64> =
            cursor::table.find(name).select(position).for_update().get_result(c).optional()?;
        if let Some(at) = at {
            return Ok(u64::try_from(at).unwrap_or(0));
        }
        // The first event: only an existing row can be locked. A second process waits here for the first's commit.
        let now = tx.now().micros();
        if let Connection::Postgres(c) = tx.connection() {
            cached(
                diesel::insert_into(cursor::table)
                    .values((subscription.eq(name), position.eq(0), updated_at.eq(now)))
                    .on_conflict_do_nothing(),
            )
            .execute(c)?;
            let at: i64 = cursor::table.find(name).select(position).for_update().get_result(c)?;
            return Ok(u64::try_from(at).unwrap_or(0));
        }
    }
    // SQLite: a write transaction is alone.
    position_of(tx.connection(), name)
}

/// Moves the cursor of `name` to `to`.
pub fn set(tx: &mut Tx<'_>, name: &str, to: u64) -> QueryResult<()> {
    let to = i64::try_from(to).unwrap_or(i64::MAX);
    let row = (subscription.eq(name), position.eq(to), updated_at.eq(tx.now().micros()));
    on!(tx.connection(), |c| cached(
        diesel::insert_into(cursor::table)
            .values(row)
            .on_conflict(subscription)
            .do_update()
            .set((position.eq(excluded(position)), updated_at.eq(excluded(updated_at))))
    )
    .execute(c))?;
    Ok(())
}
