//! Queries on prices.

use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, QueryResult, Queryable,
    RunQueryDsl, dsl::min,
};
use kernel_api::{Sku, Timestamp};

use ::store::{Connection, on, prepared};

use crate::schema::prices as table;

/// A row of `prices`.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Insertable)]
#[diesel(table_name = crate::schema::prices)]
pub(crate) struct PriceRow {
    pub sku: String,
    pub from_at: i64,
    pub micros: i64,
    pub set_at: i64,
}

/// Adds prices of SKUs that have none from these moments.
pub(crate) fn insert_prices(c: &mut Connection, rows: &[PriceRow]) -> QueryResult<()> {
    on!(c, |c| diesel::insert_into(table::table).values(rows).execute(c))?;
    Ok(())
}

/// Writes a price down, over the one from the same moment.
pub(crate) fn put_price(c: &mut Connection, row: &PriceRow) -> QueryResult<()> {
    let price = (table::micros.eq(row.micros), table::set_at.eq(row.set_at));
    on!(c, |c| prepared!(
        diesel::insert_into(table::table)
            .values((table::sku.eq(&row.sku), table::from_at.eq(row.from_at), price))
            .on_conflict((table::sku, table::from_at))
            .do_update()
            .set(price)
    )
    .execute(c))?;
    Ok(())
}

/// The price that begins exactly then.
pub(crate) fn price_from(
    c: &mut Connection,
    sku: &str,
    from: Timestamp,
) -> QueryResult<Option<PriceRow>> {
    on!(c, |c| table::table.find((sku, from.micros())).get_result(c).optional())
}

/// The price in force at a moment.
pub(crate) fn price_at(c: &mut Connection, sku: &str, at: Timestamp) -> QueryResult<Option<i64>> {
    on!(c, |c| table::table
        .filter(table::sku.eq(sku))
        .filter(table::from_at.le(at.micros()))
        .order(table::from_at.desc())
        .limit(1)
        .select(table::micros)
        .get_result(c)
        .optional())
}

/// When the first price after a moment begins.
pub(crate) fn next_price_at(
    c: &mut Connection,
    sku: &str,
    at: Timestamp,
) -> QueryResult<Option<i64>> {
    on!(c, |c| table::table
        .filter(table::sku.eq(sku))
        .filter(table::from_at.gt(at.micros()))
        .select(min(table::from_at))
        .get_result(c))
}

/// The prices of a SKU that begin after a moment, at most `limit`, oldest first.
pub(crate) fn price_points(
    c: &mut Connection,
    sku: &Sku,
    after: Option<i64>,
    limit: i64,
) -> QueryResult<Vec<PriceRow>> {
    on!(c, |c| table::table
        .filter(table::sku.eq(sku.as_str()))
        .filter(table::from_at.gt(after.unwrap_or(i64::MIN)))
        .order(table::from_at)
        .limit(limit)
        .load(c))
}
