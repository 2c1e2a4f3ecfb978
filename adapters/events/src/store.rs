//! The queries of feeds and subscriptions: one function each, no decisions.

use std::collections::HashSet;

use ::store::{
    Connection, cached, on,
    schema::{cursor, parked, reader},
};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, OptionalExtension, QueryDsl, QueryResult,
    Queryable, RunQueryDsl, Selectable, SelectableHelper,
    dsl::{count_star, exists, min},
};
use kernel_api::Timestamp;

/// Tries go on for this one.
pub(crate) const PARKED: &str = "parked";
/// An operator must decide about this one.
pub(crate) const DEAD: &str = "dead";
/// The next try of a row that waits behind another of its key: never, until it is the first.
pub(crate) const BEHIND: i64 = i64::MAX;

/// Where a subscription stands.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = cursor)]
pub(crate) struct CursorRow {
    pub position: i64,
    pub lease_owner: String,
    pub lease_until_at: i64,
    pub alarm: Option<String>,
}

/// An event that could not be applied, or that waits behind such a one of its key.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = parked)]
pub(crate) struct ParkedRow {
    pub subscription: String,
    pub position: i64,
    pub subject: String,
    pub event: String,
    pub attempts: i32,
    pub next_try_at: i64,
    pub last_error: String,
    pub state: String,
    pub parked_at: i64,
}

/// A process that wants to move a subscription on.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    pub subscription: String,
    pub owner: String,
    pub now: Timestamp,
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
        cursor::lease_owner.eq(&claim.owner).or(cursor::lease_until_at.le(claim.now.micros()));
    let moved = on!(connection, |c| cached(
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
        cursor::lease_owner.eq(&claim.owner).or(cursor::lease_until_at.le(claim.now.micros()));
    let taken = on!(connection, |c| cached(
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

/// Is anything of this subscription parked or dead?
pub(crate) fn any_parked(connection: &mut Connection, subscription: &str) -> QueryResult<bool> {
    on!(connection, |c| cached(diesel::select(exists(
        parked::table.filter(parked::subscription.eq(subscription))
    )))
    .get_result(c))
}

/// Which of these keys have a parked or dead event?
pub(crate) fn blocked(
    connection: &mut Connection,
    subscription: &str,
    subjects: &[&str],
) -> QueryResult<HashSet<String>> {
    let found: Vec<String> = on!(connection, |c| parked::table
        .filter(parked::subscription.eq(subscription))
        .filter(parked::subject.eq_any(subjects))
        .select(parked::subject)
        .distinct()
        .load(c))?;
    Ok(found.into_iter().collect())
}

/// How many rows of a subscription are in one state.
pub(crate) fn count(
    connection: &mut Connection,
    subscription: &str,
    state: &str,
) -> QueryResult<u64> {
    let count: i64 = on!(connection, |c| parked::table
        .filter(parked::subscription.eq(subscription))
        .filter(parked::state.eq(state))
        .select(count_star())
        .get_result(c))?;
    Ok(position(count))
}

/// Parks an event.
pub(crate) fn park(connection: &mut Connection, row: &ParkedRow) -> QueryResult<usize> {
    on!(connection, |c| cached(diesel::insert_into(parked::table).values(row)).execute(c))
}

/// Keys whose next try is due, the longest due first.
pub(crate) fn due(
    connection: &mut Connection,
    subscription: &str,
    now: Timestamp,
    limit: u32,
) -> QueryResult<Vec<String>> {
    on!(connection, |c| parked::table
        .filter(parked::subscription.eq(subscription))
        .filter(parked::state.eq(PARKED))
        .filter(parked::next_try_at.le(now.micros()))
        .order((parked::next_try_at, parked::position))
        .limit(i64::from(limit))
        .select(parked::subject)
        .load(c))
}

/// When the next try is due.
pub(crate) fn next_due(
    connection: &mut Connection,
    subscription: &str,
) -> QueryResult<Option<Timestamp>> {
    let due: Option<i64> = on!(connection, |c| parked::table
        .filter(parked::subscription.eq(subscription))
        .filter(parked::state.eq(PARKED))
        .filter(parked::next_try_at.lt(BEHIND))
        .select(min(parked::next_try_at))
        .get_result(c))?;
    Ok(due.map(Timestamp::from_micros))
}

/// The first rows of one key, in order.
pub(crate) fn of_key(
    connection: &mut Connection,
    subscription: &str,
    subject: &str,
    limit: u32,
) -> QueryResult<Vec<ParkedRow>> {
    on!(connection, |c| parked::table
        .filter(parked::subscription.eq(subscription))
        .filter(parked::subject.eq(subject))
        .order(parked::position)
        .limit(i64::from(limit))
        .select(ParkedRow::as_select())
        .load(c))
}

/// One row.
pub(crate) fn letter(
    connection: &mut Connection,
    subscription: &str,
    at: u64,
) -> QueryResult<Option<ParkedRow>> {
    on!(connection, |c| parked::table
        .find((subscription, column(at)))
        .select(ParkedRow::as_select())
        .get_result(c)
        .optional())
}

/// The rows of a subscription (or of all) after a place in the order, in one state or any.
pub(crate) fn letters(
    connection: &mut Connection,
    subscription: Option<&str>,
    state: Option<&str>,
    after: (&str, u64),
    limit: u32,
) -> QueryResult<Vec<ParkedRow>> {
    on!(connection, |c| {
        let mut query = parked::table
            .filter(
                parked::subscription
                    .gt(after.0)
                    .or(parked::subscription.eq(after.0).and(parked::position.gt(column(after.1)))),
            )
            .order((parked::subscription, parked::position))
            .limit(i64::from(limit))
            .select(ParkedRow::as_select())
            .into_boxed();
        if let Some(subscription) = subscription {
            query = query.filter(parked::subscription.eq(subscription.to_owned()));
        }
        if let Some(state) = state {
            query = query.filter(parked::state.eq(state.to_owned()));
        }
        query.load(c)
    })
}

/// Removes one row. False when it is gone already.
pub(crate) fn remove(
    connection: &mut Connection,
    subscription: &str,
    at: i64,
) -> QueryResult<bool> {
    let removed =
        on!(connection, |c| diesel::delete(parked::table.find((subscription, at))).execute(c))?;
    Ok(removed == 1)
}

/// Records a try that failed, or sets the next one.
pub(crate) fn reschedule(connection: &mut Connection, row: &ParkedRow) -> QueryResult<usize> {
    on!(connection, |c| diesel::update(parked::table.find((&row.subscription, row.position)))
        .set((
            parked::attempts.eq(row.attempts),
            parked::next_try_at.eq(row.next_try_at),
            parked::last_error.eq(&row.last_error),
            parked::state.eq(&row.state),
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
