//! Queries on reservations.

use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, RunQueryDsl,
    dsl::sql,
    sql_types::{BigInt, Text},
};
use inventory_api::{Hold, Location, Reference, Reservation, ReservationState};
use kernel_api::{Id, Sku, Timestamp};

use ::store::{Connection, cached, on, prepared};

use super::{from_json, from_text, from_word, to_json};
use crate::schema::reservations as table;

type Row = (String, String, String, i64, i64, Option<i64>, String);

/// A reservation that was closed just now: what it holds no longer.
pub(crate) struct Closed {
    pub id: Id<Reservation>,
    pub reference: Reference,
    pub holds: Vec<Hold>,
}

/// Adds an open reservation; `false` when its id is taken.
pub(crate) fn insert_reservation(c: &mut Connection, new: &Reservation) -> QueryResult<bool> {
    let row = (
        table::id.eq(new.id.to_string()),
        table::state.eq(new.state.as_str()),
        table::reference.eq(new.reference.as_str()),
        table::created_at.eq(new.created_at.micros()),
        table::expires_at.eq(new.expires_at.micros()),
        table::lines.eq(holds_to_json(&new.lines)?),
    );
    let inserted = on!(c, |c| prepared!(
        diesel::insert_into(table::table).values(row).on_conflict_do_nothing()
    )
    .execute(c))?;
    Ok(inserted == 1)
}

/// Closes an open reservation as committed, when it is in time.
pub(crate) fn commit_reservation(
    c: &mut Connection,
    id: Id<Reservation>,
    now: Timestamp,
) -> QueryResult<Option<Closed>> {
    let open = table::table
        .find(id.to_string())
        .filter(table::state.eq(ReservationState::Open.as_str()))
        .filter(table::expires_at.gt(now.micros()));
    let closing =
        (table::state.eq(ReservationState::Committed.as_str()), table::closed_at.eq(now.micros()));
    let closed = on!(c, |c| prepared!(diesel::update(open).set(closing).returning((
        table::id,
        table::reference,
        table::lines
    )))
    .get_result(c)
    .optional())?;
    closed.map(closed_of).transpose()
}

/// Closes an open reservation as released.
pub(crate) fn release_reservation(
    c: &mut Connection,
    id: Id<Reservation>,
    now: Timestamp,
) -> QueryResult<Option<Closed>> {
    let open =
        table::table.find(id.to_string()).filter(table::state.eq(ReservationState::Open.as_str()));
    let closing =
        (table::state.eq(ReservationState::Released.as_str()), table::closed_at.eq(now.micros()));
    let closed = on!(c, |c| prepared!(diesel::update(open).set(closing).returning((
        table::id,
        table::reference,
        table::lines
    )))
    .get_result(c)
    .optional())?;
    closed.map(closed_of).transpose()
}

/// Closes at most `limit` open reservations whose time is up as expired, the oldest first.
pub(crate) fn expire_reservations(
    c: &mut Connection,
    now: Timestamp,
    limit: i64,
) -> QueryResult<Vec<Closed>> {
    const DUE: &str = "WITH due AS MATERIALIZED \
        (SELECT id FROM reservations WHERE state = 'open' AND expires_at <= ";
    const OLDEST: &str = " ORDER BY expires_at LIMIT ";
    const CLOSE: &str = ") UPDATE reservations SET state = 'expired', closed_at = ";
    const RETURNING: &str = " WHERE id IN (SELECT id FROM due) RETURNING id, reference, lines";
    // What somebody closes at this moment is left to them: two sweepers share the work, and none waits for a buyer.
    let lock = if c.is_postgres() { " FOR UPDATE SKIP LOCKED" } else { "" };
    let closed: Vec<(String, String, String)> = on!(c, |c| cached(
        sql::<(Text, Text, Text)>(DUE)
            .bind::<BigInt, _>(now.micros())
            .sql(OLDEST)
            .bind::<BigInt, _>(limit)
            .sql(lock)
            .sql(CLOSE)
            .bind::<BigInt, _>(now.micros())
            .sql(RETURNING)
    )
    .load(c))?;
    closed.into_iter().map(closed_of).collect()
}

/// One reservation.
pub(crate) fn reservation(
    c: &mut Connection,
    id: Id<Reservation>,
) -> QueryResult<Option<Reservation>> {
    let row: Option<Row> = on!(c, |c| table::table.find(id.to_string()).get_result(c).optional())?;
    row.map(reservation_of).transpose()
}

/// The reservations after one, at most `limit`, by id; of one state or of all.
pub(crate) fn reservations(
    c: &mut Connection,
    after: &str,
    state: Option<ReservationState>,
    limit: i64,
) -> QueryResult<Vec<Reservation>> {
    let states = state.map_or(ReservationState::ALL.to_vec(), |state| vec![state]);
    let states: Vec<_> = states.into_iter().map(ReservationState::as_str).collect();
    let rows: Vec<Row> = on!(c, |c| table::table
        .filter(table::id.gt(after))
        .filter(table::state.eq_any(states))
        .order(table::id)
        .limit(limit)
        .load(c))?;
    rows.into_iter().map(reservation_of).collect()
}

fn reservation_of(row: Row) -> QueryResult<Reservation> {
    let (id, state, reference, created_at, expires_at, closed_at, lines) = row;
    Ok(Reservation {
        id: from_text(&id)?,
        reference: from_text(&reference)?,
        state: from_word(&state, &ReservationState::ALL, ReservationState::as_str)?,
        lines: holds_from_json(&lines)?,
        created_at: Timestamp::from_micros(created_at),
        expires_at: Timestamp::from_micros(expires_at),
        closed_at: closed_at.map(Timestamp::from_micros),
    })
}

fn closed_of((id, reference, lines): (String, String, String)) -> QueryResult<Closed> {
    Ok(Closed {
        id: from_text(&id)?,
        reference: from_text(&reference)?,
        holds: holds_from_json(&lines)?,
    })
}

fn holds_to_json(holds: &[Hold]) -> QueryResult<String> {
    to_json(
        &holds.iter().map(|hold| (&hold.sku, &hold.location, hold.quantity)).collect::<Vec<_>>(),
    )
}

fn holds_from_json(lines: &str) -> QueryResult<Vec<Hold>> {
    let lines: Vec<(Sku, Location, i64)> = from_json(lines)?;
    Ok(lines
        .into_iter()
        .map(|(sku, location, quantity)| Hold { sku, location, quantity })
        .collect())
}
