//! Queries on availability.

use diesel::{ExpressionMethods, QueryResult};
use kernel_api::{Sku, Timestamp};

use ::store::{Connection, on, prepared};

use crate::schema::availability as table;

/// Writes down how a SKU stands now.
pub(crate) fn put_availability(
    c: &mut Connection,
    sku: &Sku,
    state: &str,
    told_at: Timestamp,
) -> QueryResult<()> {
    let now = (table::state.eq(state), table::told_at.eq(told_at.micros()));
    on!(c, |c| prepared!(
        diesel::insert_into(table::table)
            .values((table::sku.eq(sku.as_str()), now))
            .on_conflict(table::sku)
            .do_update()
            .set(now)
    )
    .execute(c))?;
    Ok(())
}
