//! Queries on the ledger. It is only ever added to.

use diesel::{
    BoolExpressionMethods, ExpressionMethods, QueryDsl, QueryResult, RunQueryDsl, dsl::sql,
    sql_types::Text,
};
use inventory_api::{Entry, MovementKind};
use kernel_api::{Sku, Timestamp};

use ::store::{Connection, cached, on};

use super::{from_text, from_word, lines_from, to_json};
use crate::schema::ledger as table;

type Row = (String, String, i64, String, i64, i64, Option<String>, String, i64);

/// Adds entries.
pub(crate) fn insert_entries(c: &mut Connection, entries: &[Entry]) -> QueryResult<()> {
    const INSERT: &str = "INSERT INTO ledger \
        (sku, location, number, kind, quantity, on_hand, reason, reference, booked_at) \
        SELECT value->>0, value->>1, CAST(value->>2 AS BIGINT), value->>3, CAST(value->>4 AS BIGINT), \
        CAST(value->>5 AS BIGINT), value->>6, value->>7, CAST(value->>8 AS BIGINT) FROM ";
    let rows: Vec<_> = entries
        .iter()
        .map(|e| {
            let (reason, reference, at) = (&e.reason, &e.reference, e.at.micros());
            (&e.sku, &e.location, e.number, e.kind, e.quantity, e.on_hand, reason, reference, at)
        })
        .collect();
    let rows = to_json(&rows)?;
    let (open, close) = lines_from(c);
    on!(c, |c| cached(sql::<Text>(INSERT).sql(open).bind::<Text, _>(&rows).sql(close)).execute(c))?;
    Ok(())
}

/// The entries of one SKU after one, at most `limit`, by location and number.
pub(crate) fn ledger(
    c: &mut Connection,
    sku: &Sku,
    (location, number): (&str, i64),
    limit: i64,
) -> QueryResult<Vec<Entry>> {
    let further = table::location.eq(location).and(table::number.gt(number));
    let rows: Vec<Row> = on!(c, |c| table::table
        .filter(table::sku.eq(sku.as_str()))
        .filter(table::location.gt(location).or(further))
        .order((table::location, table::number))
        .limit(limit)
        .load(c))?;
    rows.into_iter().map(entry_of).collect()
}

fn entry_of(row: Row) -> QueryResult<Entry> {
    let (sku, location, number, kind, quantity, on_hand, reason, reference, at) = row;
    Ok(Entry {
        sku: from_text(&sku)?,
        location: from_text(&location)?,
        number,
        kind: from_word(&kind, &MovementKind::ALL, MovementKind::as_str)?,
        quantity,
        on_hand,
        reason: reason.as_deref().map(from_text).transpose()?,
        reference: from_text(&reference)?,
        at: Timestamp::from_micros(at),
    })
}
