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
    (BigInt, BigInt, BigInt, BigInt, BigInt),
    (BigInt, BigInt, BigInt, BigInt, BigInt),
);
type Row = (
    (String, String, i64, i64, i64, Option<i64>),
    (i64, i64, i64, i64, i64),
    (i64, i64, i64, i64, i64),
);

// What open reservations hold. What PostgreSQL reads from JSON must be told to order as the columns do.
const HELD_POSTGRES: &str = "WITH held AS (SELECT (value->>0) COLLATE \"C\" AS sku, \
    (value->>1) COLLATE \"C\" AS location, SUM(CAST(value->>2 AS BIGINT)) AS quantity \
    FROM reservations, jsonb_array_elements(lines::jsonb) AS line(value) WHERE state = 'open' GROUP BY 1, 2";
const HELD_SQLITE: &str = "WITH held AS (SELECT value->>0 AS sku, \
    value->>1 AS location, SUM(CAST(value->>2 AS BIGINT)) AS quantity \
    FROM reservations, json_each(lines) AS line WHERE state = 'open' GROUP BY 1, 2";

/// The levels after one, at most `limit`, in the order of places, each with what the books say of it. A level that the
/// ledger or a reservation speaks of and that is not there is shown as empty.
pub(crate) fn audit(
    c: &mut Connection,
    (sku, location): (&str, &str),
    limit: i64,
) -> QueryResult<Vec<(Level, Books)>> {
    // The places of each of the three, since a row that was deleted is only missed by the others.
    const LEVELS: &str = "), page AS (SELECT sku, location FROM \
        (SELECT sku, location FROM levels WHERE (sku, location) > (";
    const LEDGER: &str = ") AS l UNION SELECT sku, location FROM \
        (SELECT DISTINCT sku, location FROM ledger WHERE (sku, location) > (";
    const RESERVED: &str = ") AS b UNION SELECT sku, location FROM held WHERE (sku, location) > (";
    const IN_ORDER: &str = ") ORDER BY sku, location LIMIT ";
    // The range of SKUs says nothing new; it keeps PostgreSQL from reading the whole ledger for a page.
    const BOOKED: &str = "), entry AS (SELECT ledger.*, SUM(quantity) OVER \
        (PARTITION BY ledger.sku, ledger.location ORDER BY number) AS running \
        FROM page JOIN ledger ON ledger.sku = page.sku AND ledger.location = page.location \
        WHERE ledger.sku BETWEEN (SELECT MIN(sku) FROM page) AND (SELECT MAX(sku) FROM page)), \
        booked AS (SELECT sku, location, COUNT(*) AS entries, \
        MIN(number) AS first, MAX(number) AS last, SUM(CASE WHEN on_hand = running THEN 0 ELSE 1 END) AS wrong, \
        SUM(CASE WHEN kind = 'opening' THEN quantity ELSE 0 END) AS opening, \
        SUM(CASE WHEN kind = 'received' THEN quantity ELSE 0 END) AS received, \
        SUM(CASE WHEN kind = 'sold' THEN quantity ELSE 0 END) AS sold, \
        SUM(CASE WHEN kind = 'returned' THEN quantity ELSE 0 END) AS returned, \
        SUM(CASE WHEN kind = 'adjusted' THEN quantity ELSE 0 END) AS adjusted \
        FROM entry GROUP BY sku, location)";
    const COMPARE: &str = " SELECT page.sku, page.location, COALESCE(on_hand, 0), COALESCE(reserved, 0), \
        COALESCE(levels.entries, 0), low_at, \
        CAST(COALESCE(held.quantity, 0) AS BIGINT), CAST(COALESCE(booked.entries, 0) AS BIGINT), \
        CAST(COALESCE(first, 0) AS BIGINT), CAST(COALESCE(last, 0) AS BIGINT), \
        CAST(COALESCE(wrong, 0) AS BIGINT), \
        CAST(COALESCE(opening, 0) AS BIGINT), CAST(COALESCE(received, 0) AS BIGINT), \
        CAST(COALESCE(sold, 0) AS BIGINT), CAST(COALESCE(returned, 0) AS BIGINT), \
        CAST(COALESCE(adjusted, 0) AS BIGINT) FROM page \
        LEFT JOIN levels ON levels.sku = page.sku AND levels.location = page.location \
        LEFT JOIN held ON held.sku = page.sku AND held.location = page.location \
        LEFT JOIN booked ON booked.sku = page.sku AND booked.location = page.location \
        ORDER BY page.sku, page.location";
    let held = if c.is_postgres() { HELD_POSTGRES } else { HELD_SQLITE };
    let rows: Vec<Row> = on!(c, |c| cached(
        sql::<Columns>(held)
            .sql(LEVELS)
            .bind::<Text, _>(sku)
            .sql(", ")
            .bind::<Text, _>(location)
            .sql(IN_ORDER)
            .bind::<BigInt, _>(limit)
            .sql(LEDGER)
            .bind::<Text, _>(sku)
            .sql(", ")
            .bind::<Text, _>(location)
            .sql(IN_ORDER)
            .bind::<BigInt, _>(limit)
            .sql(RESERVED)
            .bind::<Text, _>(sku)
            .sql(", ")
            .bind::<Text, _>(location)
            .sql(IN_ORDER)
            .bind::<BigInt, _>(limit)
            .sql(BOOKED)
            .sql(COMPARE)
    )
    .load(c))?;
    rows.into_iter()
        .map(|(level, (held, entries, first, last, wrong), sums)| {
            let (opening, received, sold, returned, adjusted) = sums;
            let sums = LedgerSums { opening, received, sold, returned, adjusted };
            Ok((level_of(level)?, Books { held, sums, entries, numbers: (first, last), wrong }))
        })
        .collect()
}
