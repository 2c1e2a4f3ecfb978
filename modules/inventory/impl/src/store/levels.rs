//! Queries on levels, among them the one statement that moves stock.

use diesel::{
    BoolExpressionMethods, ExpressionMethods, QueryDsl, QueryResult, RunQueryDsl,
    dsl::sql,
    sql_types::{BigInt, Nullable, Text},
};
use kernel_api::Sku;

use ::store::{Connection, cached, on};

use super::{from_text, lines_from, to_json};
use crate::{
    domain::{Level, Move, Place},
    schema::levels as table,
};

type Columns = (Text, Text, BigInt, BigInt, BigInt, Nullable<BigInt>);
type Row = (String, String, i64, i64, i64, Option<i64>);

/// Makes the moves whose level has enough, all of them when it gives as many levels back: those moved, as they are
/// after it, in the order of places. `moves` are in that order, one per place.
pub(crate) fn move_levels(c: &mut Connection, moves: &[Move]) -> QueryResult<Vec<Level>> {
    const READ: &str = "WITH wish AS (SELECT value->>0 AS sku, value->>1 AS location, \
        CAST(value->>2 AS BIGINT) AS on_hand, CAST(value->>3 AS BIGINT) AS reserved, \
        CAST(value->>4 AS BIGINT) AS entries FROM ";
    // PostgreSQL may visit the rows in any order, so they are locked first, in the order of places: two transactions
    // that both did so cannot each hold what the other waits for.
    const LOCK_POSTGRES: &str = "), change AS MATERIALIZED (SELECT wish.* FROM wish \
        JOIN levels ON levels.sku = wish.sku AND levels.location = wish.location \
        ORDER BY levels.sku, levels.location FOR UPDATE OF levels)";
    const LOCK_SQLITE: &str = "), change AS (SELECT * FROM wish)";
    // Invariant: 0 <= reserved <= on_hand. The last line is what guards it among concurrent writers.
    const MOVE: &str = " UPDATE levels SET on_hand = levels.on_hand + change.on_hand, \
        reserved = levels.reserved + change.reserved, entries = levels.entries + change.entries \
        FROM change WHERE levels.sku = change.sku AND levels.location = change.location \
        AND levels.on_hand + change.on_hand >= levels.reserved + change.reserved \
        RETURNING levels.sku, levels.location, levels.on_hand, levels.reserved, levels.entries, levels.low_at";
    let rows: Vec<_> = moves
        .iter()
        .map(|m| (&m.place.sku, &m.place.location, m.on_hand, m.reserved, m.entries))
        .collect();
    let rows = to_json(&rows)?;
    let (open, close) = lines_from(c);
    let lock = if c.is_postgres() { LOCK_POSTGRES } else { LOCK_SQLITE };
    let moved: Vec<Row> = on!(c, |c| cached(
        sql::<Columns>(READ).sql(open).bind::<Text, _>(&rows).sql(close).sql(lock).sql(MOVE)
    )
    .load(c))?;
    let mut moved = levels_of(moved)?;
    moved.sort_unstable_by(|a, b| a.place.cmp(&b.place));
    Ok(moved)
}

/// Makes an empty level of each place that has none.
pub(crate) fn open_levels(c: &mut Connection, places: &[&Place]) -> QueryResult<()> {
    const OPEN: &str = "INSERT INTO levels (sku, location) SELECT value->>0, value->>1 FROM ";
    const IN_ORDER: &str = "WHERE true ORDER BY 1, 2 ON CONFLICT DO NOTHING";
    let places = places_to_json(places)?;
    let (open, close) = lines_from(c);
    on!(c, |c| cached(
        sql::<Text>(OPEN).sql(open).bind::<Text, _>(&places).sql(close).sql(IN_ORDER)
    )
    .execute(c))?;
    Ok(())
}

/// The levels that exist of these places, in the order of places, locked until the transaction ends.
pub(crate) fn levels_to_change(c: &mut Connection, places: &[&Place]) -> QueryResult<Vec<Level>> {
    const READ: &str =
        "SELECT levels.sku, levels.location, on_hand, reserved, entries, low_at FROM ";
    const JOIN: &str = "JOIN levels ON levels.sku = value->>0 AND levels.location = value->>1 \
        ORDER BY levels.sku, levels.location";
    let places = places_to_json(places)?;
    let (open, close) = lines_from(c);
    // The single writer of SQLite needs no lock.
    let lock = if c.is_postgres() { " FOR UPDATE OF levels" } else { "" };
    let found = on!(c, |c| cached(
        sql::<Columns>(READ).sql(open).bind::<Text, _>(&places).sql(close).sql(JOIN).sql(lock)
    )
    .load(c))?;
    levels_of(found)
}

/// Sets the threshold of a level.
pub(crate) fn set_low_at(
    c: &mut Connection,
    place: &Place,
    low_at: Option<i64>,
) -> QueryResult<usize> {
    let level = table::table.find((place.sku.as_str(), place.location.as_str()));
    on!(c, |c| diesel::update(level).set(table::low_at.eq(low_at)).execute(c))
}

/// The levels of one SKU, by location, at most `limit`; and what is on hand and reserved at all of its locations.
pub(crate) fn stock(
    c: &mut Connection,
    sku: &Sku,
    limit: i64,
) -> QueryResult<(Vec<Level>, (i64, i64))> {
    const READ: &str = "SELECT sku, location, on_hand, reserved, entries, low_at, \
        CAST(SUM(on_hand) OVER () AS BIGINT), CAST(SUM(reserved) OVER () AS BIGINT) \
        FROM levels WHERE sku = ";
    let rows: Vec<(Row, (i64, i64))> = on!(c, |c| cached(
        sql::<(Columns, (BigInt, BigInt))>(READ)
            .bind::<Text, _>(sku.as_str())
            .sql(" ORDER BY location LIMIT ")
            .bind::<BigInt, _>(limit)
    )
    .load(c))?;
    let totals = rows.first().map_or((0, 0), |(_, totals)| *totals);
    Ok((levels_of(rows.into_iter().map(|(level, _)| level).collect())?, totals))
}

/// The levels after one, at most `limit`, in the order of places.
pub(crate) fn levels(
    c: &mut Connection,
    (sku, location): (&str, &str),
    limit: i64,
) -> QueryResult<Vec<Level>> {
    let further = table::sku.eq(sku).and(table::location.gt(location));
    let rows = on!(c, |c| table::table
        .filter(table::sku.gt(sku).or(further))
        .order((table::sku, table::location))
        .limit(limit)
        .load(c))?;
    levels_of(rows)
}

fn places_to_json(places: &[&Place]) -> QueryResult<String> {
    to_json(&places.iter().map(|place| (&place.sku, &place.location)).collect::<Vec<_>>())
}

fn levels_of(rows: Vec<Row>) -> QueryResult<Vec<Level>> {
    rows.into_iter().map(level_of).collect()
}

pub(super) fn level_of(row: Row) -> QueryResult<Level> {
    let (sku, location, on_hand, reserved, entries, low_at) = row;
    let place = Place { sku: from_text(&sku)?, location: from_text(&location)? };
    Ok(Level { place, on_hand, reserved, entries, low_at })
}
