//! Reading and keeping the feed of facts that a module told.

use contract::Envelope;
use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, RunQueryDsl,
    dsl::{max, min},
    result::Error,
    sql_types::BigInt,
};
use kernel_api::Timestamp;
use serde_json::value::RawValue;

use crate::{
    Connection, cached, on, prepared,
    schema::outbox::{self, occurred_at, position},
};

/// A stretch of a module's feed.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct FeedPage {
    /// The events after the asked position, in order, without a gap. When the first one's position is not the asked
    /// position + 1, what lies between was pruned.
    pub events: Vec<Envelope>,
    /// The newest position there is; zero in a feed in which nothing was ever told.
    pub head: u64,
    /// The oldest position that is still kept; zero in a feed in which nothing was ever told.
    pub oldest: u64,
}

type Row = (Option<i64>, String, String, i32, String, String, Option<String>, i64);

/// The events after a position.
pub(crate) fn read(
    c: &mut Connection,
    source: &str,
    after: u64,
    limit: u32,
) -> QueryResult<FeedPage> {
    let from = i64::try_from(after).unwrap_or(i64::MAX);
    // The events first: what is pruned between the two queries then shows as a gap and not as an empty feed.
    let rows: Vec<Row> = on!(&mut *c, |c| outbox::table
        .filter(position.gt(from))
        .order(position)
        .limit(i64::from(limit.min(crate::limits::FEED_PAGE_MAX)))
        .load(c))?;
    let (head, oldest) = bounds(c)?;
    let events = rows.into_iter().map(|row| envelope(source, row)).collect::<Result<_, _>>()?;
    Ok(FeedPage { events, head, oldest })
}

fn envelope(source: &str, row: Row) -> QueryResult<Envelope> {
    let (at, id, kind, version, subject, data, traceparent, occurred) = row;
    let bad = |error: serde_json::Error| Error::DeserializationError(Box::new(error));
    Ok(Envelope {
        specversion: "1.0".to_owned(),
        id,
        source: source.to_owned(),
        kind,
        dataversion: u32::try_from(version).unwrap_or(0),
        subject,
        time: Timestamp::from_micros(occurred),
        position: at.and_then(|at| u64::try_from(at).ok()).unwrap_or(0),
        traceparent,
        data: RawValue::from_string(data).map_err(bad)?,
    })
}

/// The newest and the oldest position, zero where there is none.
pub(crate) fn bounds(c: &mut Connection) -> QueryResult<(u64, u64)> {
    // Two queries, because SQLite answers `min` or `max` alone from the index and both together by a scan.
    let head: Option<i64> = on!(&mut *c, |c| outbox::table.select(max(position)).get_result(c))?;
    let oldest: Option<i64> = on!(c, |c| outbox::table.select(min(position)).get_result(c))?;
    let unsigned = |at: Option<i64>| at.and_then(|at| u64::try_from(at).ok()).unwrap_or(0);
    Ok((unsigned(head), unsigned(oldest)))
}

/// Gives positions to the rows that have none, at most `limit`, in the order of insertion; how many it gave.
///
/// The lease row is locked first, and only then, with a later snapshot, the head and the waiting rows are read: what an
/// earlier holder committed is seen, so positions are dense. A row whose transaction commits later than a row with a
/// higher `insertion` simply gets its position in a later round: no reader ever passes it by.
pub(crate) fn sequence(c: &mut Connection, limit: u32) -> QueryResult<u64> {
    let Connection::Postgres(c) = c else { return Ok(0) };
    cached(diesel::sql_query("SELECT id FROM sequencer WHERE id = 1 FOR UPDATE")).execute(c)?;
    let given = cached(
        diesel::sql_query(
            "UPDATE outbox SET position = head.position + next.nth \
             FROM (SELECT insertion, row_number() OVER (ORDER BY insertion) AS nth \
                   FROM (SELECT insertion FROM outbox WHERE position IS NULL ORDER BY insertion LIMIT $1) AS waiting \
                  ) AS next, \
                  (SELECT coalesce(max(position), 0) AS position FROM outbox) AS head \
             WHERE outbox.insertion = next.insertion",
        )
        .bind::<BigInt, _>(i64::from(limit)),
    )
    .execute(c)?;
    Ok(u64::try_from(given).unwrap_or(u64::MAX))
}

/// Forgets events up to position `upto` that are older than `before`, at most `limit`, and never the newest: its
/// position is the feed's head.
pub(crate) fn prune(c: &mut Connection, before: i64, upto: u64, limit: i64) -> QueryResult<usize> {
    let (head, oldest) = bounds(c)?;
    let end = i64::try_from(head.min(upto.saturating_add(1))).unwrap_or(i64::MAX);
    let until = i64::try_from(oldest).unwrap_or(i64::MAX).saturating_add(limit).min(end);
    // Positions grow with time, so the old ones are at the low end; the first young one ends the stretch.
    let young: Option<i64> = on!(&mut *c, |c| outbox::table
        .filter(position.lt(until))
        .filter(occurred_at.ge(before))
        .select(min(position))
        .get_result::<Option<i64>>(c)
        .optional())?
    .flatten();
    let until = young.unwrap_or(until);
    on!(c, |c| prepared!(diesel::delete(outbox::table.filter(position.lt(until)))).execute(c))
}
