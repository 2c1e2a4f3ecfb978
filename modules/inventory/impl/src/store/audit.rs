//! The query that holds levels against the books, for one page of levels in one statement, so that all three are seen
//! at the same moment.

use diesel::{
    QueryResult, RunQueryDsl,
    dsl::sql,
    sql_types::{BigInt, Nullable, Text},
};
use inventory_api::LedgerSums;

use ::store::{Connection, cached, on};

use super::levels::level_of;
use crate::domain::{Books, Level};

type Columns = (
    (Text, Text, BigInt, BigInt, BigInt, Nullable<BigInt>),
    (BigInt, BigInt),
    (BigInt, BigInt, BigInt, BigInt, BigInt),
);
type Row = ((String, String, i64, i64, i64, Option<i64>), (i64, i64), (i64, i64, i64, i64, i64));

/// The levels after one, at most `limit`, in the order of places, each with what the books say of it.
pub(crate) fn audit(
    c: &mut Connection,
    (sku, location): (&str, &str),
    limit: i64,
) -> QueryResult<Vec<(Level, Books)>> {
    // The range of SKUs says nothing new; it keeps PostgreSQL from reading the whole ledger for a page.
    const PAGE: &str = "WITH page AS (SELECT * FROM levels WHERE (sku, location) > (";
    const IN_ORDER: &str = ") ORDER BY sku, location LIMIT ";
    const HELD: &str = "), held AS (SELECT value->>0 AS sku, value->>1 AS location, \
        SUM(CAST(value->>2 AS BIGINT)) AS quantity FROM reservations, ";
    const BOOKED: &str = " WHERE state = 'open' GROUP BY 1, 2), booked AS (\
        SELECT ledger.sku, ledger.location, COUNT(*) AS entries, \
        SUM(CASE WHEN kind = 'opening' THEN quantity ELSE 0 END) AS opening, \
        SUM(CASE WHEN kind = 'received' THEN quantity ELSE 0 END) AS received, \
        SUM(CASE WHEN kind = 'sold' THEN quantity ELSE 0 END) AS sold, \
        SUM(CASE WHEN kind = 'returned' THEN quantity ELSE 0 END) AS returned, \
        SUM(CASE WHEN kind = 'adjusted' THEN quantity ELSE 0 END) AS adjusted \
        FROM page JOIN ledger ON ledger.sku = page.sku AND ledger.location = page.location \
        WHERE ledger.sku BETWEEN (SELECT MIN(sku) FROM page) AND (SELECT MAX(sku) FROM page) GROUP BY 1, 2)";
    const COMPARE: &str = " SELECT page.sku, page.location, on_hand, reserved, page.entries, low_at, \
        CAST(COALESCE(held.quantity, 0) AS BIGINT), CAST(COALESCE(booked.entries, 0) AS BIGINT), \
        CAST(COALESCE(opening, 0) AS BIGINT), CAST(COALESCE(received, 0) AS BIGINT), \
        CAST(COALESCE(sold, 0) AS BIGINT), CAST(COALESCE(returned, 0) AS BIGINT), \
        CAST(COALESCE(adjusted, 0) AS BIGINT) FROM page \
        LEFT JOIN held ON held.sku = page.sku AND held.location = page.location \
        LEFT JOIN booked ON booked.sku = page.sku AND booked.location = page.location \
        ORDER BY page.sku, page.location";
    let lines = if c.is_postgres() {
        "jsonb_array_elements(lines::jsonb) AS line(value)"
    } else {
        "json_each(lines) AS line"
    };
    let rows: Vec<Row> = on!(c, |c| cached(
        sql::<Columns>(PAGE)
            .bind::<Text, _>(sku)
            .sql(", ")
            .bind::<Text, _>(location)
            .sql(IN_ORDER)
            .bind::<BigInt, _>(limit)
            .sql(HELD)
            .sql(lines)
            .sql(BOOKED)
            .sql(COMPARE)
    )
    .load(c))?;
    rows.into_iter()
        .map(|(level, (held, entries), (opening, received, sold, returned, adjusted))| {
            let sums = LedgerSums { opening, received, sold, returned, adjusted };
            Ok((level_of(level)?, Books { held, sums, entries }))
        })
        .collect()
}
