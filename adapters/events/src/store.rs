//! The queries of feeds and subscriptions: one function each, no decisions.

mod parked;

pub(crate) use parked::{
    BEHIND, DEAD, PARKED, ParkedRow, any_parked, blocked, count, count_waiting, due, letter,
    letters, next_due, of_key, park, remove, remove_after, reschedule,
};

use ::store::{
    Connection, on, prepared,
    schema::{cursor, reader},
};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, Queryable,
    RunQueryDsl, Selectable, SelectableHelper,
};
use kernel_api::Timestamp;

/// Where a subscription stands.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = cursor)]
pub(crate) struct CursorRow {
    pub position: i64,
    pub lease_owner: String,
    pub lease_until_at: i64,
    pub alarm: Option<String>,
}

/// A process that wants to move a subscription on.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    pub subscription: String,
    pub owner: String,
    pub now: Timestamp,
    /// Others' leases that end by this moment bind nobody.
    pub lapsed: Timestamp,
    pub until: Timestamp,
}

/// A position as a column. Positions are counted from 1 and never reach the end of `i64`.
pub(crate) fn column(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

/// A column as a position.
pub(crate) fn position(column: i64) -> u64 {
    u64::try_from(column).unwrap_or(0)
}

/// Where a subscription stands; nothing before its first start.
pub(crate) fn find_cursor(
    connection: &mut Connection,
    subscription: &str,
) -> QueryResult<Option<CursorRow>> {
    on!(connection, |c| cursor::table
        .find(subscription)
        .select(CursorRow::as_select())
        .get_result(c)
        .optional())
}

/// Where all subscriptions of this module stand, by name.
pub(crate) fn cursors(connection: &mut Connection) -> QueryResult<Vec<(String, CursorRow)>> {
    on!(connection, |c| cursor::table
        .order(cursor::subscription)
        .select((cursor::subscription, CursorRow::as_select()))
        .load(c))
}

/// Starts a subscription at a position, unless it has been started before.
pub(crate) fn start_cursor(
    connection: &mut Connection,
    subscription: &str,
    at: u64,
    now: Timestamp,
) -> QueryResult<usize> {
    let row = (
        cursor::subscription.eq(subscription),
        cursor::position.eq(column(at)),
        cursor::lease_owner.eq(""),
        cursor::lease_until_at.eq(0),
        cursor::updated_at.eq(now.micros()),
    );
    on!(connection, |c| diesel::insert_into(cursor::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(c))
}

/// Moves the cursor from one position to another, if it stands there and nobody else has the lease. This locks the
/// subscription: on PostgreSQL every transaction that touches its rows begins with it or with [`lock`].
pub(crate) fn advance(
    connection: &mut Connection,
    claim: &Claim,
    from: u64,
    to: u64,
) -> QueryResult<bool> {
    let free =
        cursor::lease_owner.eq(&claim.owner).or(cursor::lease_until_at.le(claim.lapsed.micros()));
    let moved = on!(connection, |c| prepared!(
        diesel::update(cursor::table.find(&claim.subscription))
            .filter(cursor::position.eq(column(from)))
            .filter(cursor::alarm.is_null())
            .filter(free)
            .set((
                cursor::position.eq(column(to)),
                cursor::lease_owner.eq(&claim.owner),
                cursor::lease_until_at.eq(claim.until.micros()),
                cursor::updated_at.eq(claim.now.micros()),
            ))
    )
    .execute(c))?;
    Ok(moved == 1)
}

/// Takes or keeps the lease and locks the subscription, wherever its cursor stands.
pub(crate) fn claim(connection: &mut Connection, claim: &Claim) -> QueryResult<bool> {
    let free =
        cursor::lease_owner.eq(&claim.owner).or(cursor::lease_until_at.le(claim.lapsed.micros()));
    let taken = on!(connection, |c| prepared!(
        diesel::update(cursor::table.find(&claim.subscription)).filter(free).set((
            cursor::lease_owner.eq(&claim.owner),
            cursor::lease_until_at.eq(claim.until.micros()),
        ))
    )
    .execute(c))?;
    Ok(taken == 1)
}

/// Locks the subscription for an operator, whoever has the lease. False when there is no such subscription.
pub(crate) fn lock(
    connection: &mut Connection,
    subscription: &str,
    now: Timestamp,
) -> QueryResult<bool> {
    let locked = on!(connection, |c| diesel::update(cursor::table.find(subscription))
        .set(cursor::updated_at.eq(now.micros()))
        .execute(c))?;
    Ok(locked == 1)
}

/// Gives the lease back, so that another process need not wait for its end.
pub(crate) fn release(
    connection: &mut Connection,
    subscription: &str,
    owner: &str,
) -> QueryResult<usize> {
    on!(connection, |c| diesel::update(cursor::table.find(subscription))
        .filter(cursor::lease_owner.eq(owner))
        .set((cursor::lease_owner.eq(""), cursor::lease_until_at.eq(0)))
        .execute(c))
}

/// Raises an alarm at the position where the subscription stands.
pub(crate) fn raise(
    connection: &mut Connection,
    subscription: &str,
    at: u64,
    alarm: &str,
) -> QueryResult<usize> {
    on!(connection, |c| diesel::update(cursor::table.find(subscription))
        .filter(cursor::position.eq(column(at)))
        .set(cursor::alarm.eq(Some(alarm)))
        .execute(c))
}

/// Sets the cursor by an operator's word and takes the alarm back.
pub(crate) fn resume(
    connection: &mut Connection,
    subscription: &str,
    at: u64,
    now: Timestamp,
) -> QueryResult<usize> {
    on!(connection, |c| diesel::update(cursor::table.find(subscription))
        .set((
            cursor::position.eq(column(at)),
            cursor::alarm.eq(None::<String>),
            cursor::updated_at.eq(now.micros()),
        ))
        .execute(c))
}

/// Remembers how far a reader of this module's feed is.
pub(crate) fn see(
    connection: &mut Connection,
    name: &str,
    done: u64,
    now: Timestamp,
) -> QueryResult<usize> {
    let state = (reader::position.eq(column(done)), reader::seen_at.eq(now.micros()));
    on!(connection, |c| diesel::insert_into(reader::table)
        .values((reader::name.eq(name), state))
        .on_conflict(reader::name)
        .do_update()
        .set(state)
        .execute(c))
}

/// The readers of this module's feed: name, position, when it was last heard of.
pub(crate) fn readers(connection: &mut Connection) -> QueryResult<Vec<(String, i64, i64)>> {
    on!(connection, |c| reader::table
        .order(reader::name)
        .select((reader::name, reader::position, reader::seen_at))
        .load(c))
}
