//! Sums over all documents, and what importers said of their sources.

use diesel::{
    ExpressionMethods, QueryDsl, QueryResult, QueryableByName, RunQueryDsl,
    dsl::sql,
    sql_query,
    sql_types::{BigInt, Nullable, Text},
};
use ordering_api::SourceRecord;

use ::store::{Connection, on};

use super::{from_json, to_json};
use crate::schema::import_source;

/// What the documents of one kind, source and currency add up to.
#[derive(Debug, Clone, QueryableByName)]
pub(crate) struct Totals {
    #[diesel(sql_type = Nullable<Text>)]
    pub source: Option<String>,
    #[diesel(sql_type = Text)]
    pub currency: String,
    #[diesel(sql_type = BigInt)]
    pub documents: i64,
    #[diesel(sql_type = BigInt)]
    pub source_rows: i64,
    #[diesel(sql_type = BigInt)]
    pub net_micros: i64,
    #[diesel(sql_type = BigInt)]
    pub total_minor: i64,
}

const SUMS: &str = "SELECT source, currency, COUNT(*) AS documents, \
    CAST(SUM(source_rows) AS BIGINT) AS source_rows, CAST(SUM(net_micros) AS BIGINT) AS net_micros, \
    CAST(SUM(total_minor) AS BIGINT) AS total_minor FROM ";

fn totals(c: &mut Connection, from: &str) -> QueryResult<Vec<Totals>> {
    let query = format!("{SUMS}{from} GROUP BY source, currency");
    on!(c, |c| sql_query(query).load(c))
}

/// The orders that were paid: their sum is revenue, whatever became of them.
pub(crate) fn order_totals(c: &mut Connection) -> QueryResult<Vec<Totals>> {
    totals(c, "order_summary WHERE paid")
}

/// The returns.
pub(crate) fn return_totals(c: &mut Connection) -> QueryResult<Vec<Totals>> {
    totals(c, "return_note")
}

/// The adjustments.
pub(crate) fn adjustment_totals(c: &mut Connection) -> QueryResult<Vec<Totals>> {
    totals(c, "adjustment_note")
}

/// How many of each SKU after one were sold and came back, at most `limit` SKUs. An order counts from the moment it is
/// placed, for that is when its stock went out; one that was given up before it was paid brought all of it back.
pub(crate) fn flows(
    c: &mut Connection,
    after: &str,
    limit: i64,
) -> QueryResult<Vec<(String, i64, i64)>> {
    const FLOWS: &str = "SELECT sku, CAST(SUM(sold) AS BIGINT), CAST(SUM(returned) AS BIGINT) FROM (\
        SELECT order_line.sku AS sku, order_line.quantity AS sold, \
        CASE WHEN order_summary.status = 'cancelled' AND NOT order_summary.paid \
        THEN order_line.quantity ELSE 0 END AS returned FROM order_line \
        JOIN order_summary ON order_summary.id = order_line.order_id \
        WHERE order_line.sku IS NOT NULL \
        UNION ALL SELECT sku, 0, quantity FROM return_line) AS flow WHERE sku > ";
    on!(c, |c| sql::<(Text, BigInt, BigInt)>(FLOWS)
        .bind::<Text, _>(after)
        .sql(" GROUP BY sku ORDER BY sku LIMIT ")
        .bind::<BigInt, _>(limit)
        .load(c))
}

/// Keeps what an importer said of a source; the latest word counts.
pub(crate) fn put_source(c: &mut Connection, record: &SourceRecord) -> QueryResult<()> {
    let text = to_json(record)?;
    let row = (import_source::source.eq(&record.source), import_source::record.eq(&text));
    on!(c, |c| diesel::insert_into(import_source::table)
        .values(row)
        .on_conflict(import_source::source)
        .do_update()
        .set(import_source::record.eq(&text))
        .execute(c))?;
    Ok(())
}

/// What importers said of their sources.
pub(crate) fn sources(c: &mut Connection) -> QueryResult<Vec<SourceRecord>> {
    let rows: Vec<String> = on!(c, |c| import_source::table
        .order(import_source::source)
        .select(import_source::record)
        .load(c))?;
    rows.iter().map(|record| from_json(record)).collect()
}
