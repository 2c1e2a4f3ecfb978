//! The queries of parked events and dead letters.

use std::collections::HashSet;

use ::store::{Connection, cached, on, schema::parked};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, OptionalExtension, QueryDsl, QueryResult,
    Queryable, RunQueryDsl, Selectable, SelectableHelper,
    dsl::{count_star, exists, min, sql},
    expression::SqlLiteral,
    sql_types::Bool,
};
use kernel_api::Timestamp;

use super::{column, position};

/// Tries go on for this one.
pub(crate) const PARKED: &str = "parked";
/// An operator must decide about this one.
pub(crate) const DEAD: &str = "dead";
/// The next try of a row that waits behind another of its key: never, until it is the first.
pub(crate) const BEHIND: i64 = i64::MAX;

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

/// How many rows of a subscription wait behind another of their key.
pub(crate) fn count_waiting(connection: &mut Connection, subscription: &str) -> QueryResult<u64> {
    let count: i64 = on!(connection, |c| parked::table
        .filter(parked::subscription.eq(subscription))
        .filter(tried_again())
        .filter(parked::next_try_at.eq(BEHIND))
        .select(count_star())
        .get_result(c))?;
    Ok(position(count))
}

/// Parks an event.
pub(crate) fn park(connection: &mut Connection, row: &ParkedRow) -> QueryResult<usize> {
    on!(connection, |c| cached(diesel::insert_into(parked::table).values(row)).execute(c))
}

/// A row that is tried again, in words that let SQLite use the index of such rows: it does not fit a bound value.
fn tried_again() -> SqlLiteral<Bool> {
    sql::<Bool>("state = 'parked'")
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
        .filter(tried_again())
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
        .filter(tried_again())
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

/// Removes the rows of a subscription whose events stand after a position.
pub(crate) fn remove_after(
    connection: &mut Connection,
    subscription: &str,
    at: u64,
) -> QueryResult<usize> {
    on!(connection, |c| diesel::delete(
        parked::table
            .filter(parked::subscription.eq(subscription))
            .filter(parked::position.gt(column(at)))
    )
    .execute(c))
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
