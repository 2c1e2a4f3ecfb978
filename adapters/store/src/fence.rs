//! The fence: one row that says which epoch may write.

use diesel::{
    ExpressionMethods, QueryDsl, QueryResult, RunQueryDsl,
    dsl::sql,
    expression::{SqlLiteral, UncheckedBind},
    sql_types::{BigInt, Bool},
};

use crate::{Connection, on, prepared, schema::fence};

/// The epoch in the row.
pub(crate) fn epoch(c: &mut Connection) -> QueryResult<i64> {
    on!(c, |c| fence::table.find(1).select(fence::epoch).get_result(c))
}

/// Moves the row from one epoch to the next; `false` when it is not at `from`. On PostgreSQL it first waits for every
/// open write transaction and keeps new ones waiting until this one ends.
pub(crate) fn raise(c: &mut Connection, from: i64, to: i64) -> QueryResult<bool> {
    if c.is_postgres() {
        c.batch_execute("LOCK TABLE fence IN ACCESS EXCLUSIVE MODE")?;
    }
    let moved = on!(c, |c| prepared!(
        diesel::update(fence::table.find(1).filter(fence::epoch.eq(from))).set(fence::epoch.eq(to))
    )
    .execute(c))?;
    Ok(moved == 1)
}

/// A condition that holds while this process owns the module: the fence inside a statement of
/// [`Store::write_one`](crate::Store::write_one). Usable in any diesel `filter`.
pub fn fence_holds(epoch: u64) -> FenceHolds {
    let epoch = i64::try_from(epoch).unwrap_or(i64::MAX);
    sql::<Bool>("EXISTS (SELECT 1 FROM fence WHERE epoch = ").bind::<BigInt, _>(epoch).sql(")")
}

/// See [`fence_holds`].
pub type FenceHolds =
    SqlLiteral<Bool, UncheckedBind<SqlLiteral<Bool>, diesel::dsl::AsExprOf<i64, BigInt>>>;
