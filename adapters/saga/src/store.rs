//! The queries of the saga table: one function each, no decisions.

use ::store::{Connection, cached, on, prepared};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, OptionalExtension, QueryDsl, QueryResult,
    Queryable, RunQueryDsl, Selectable, SelectableHelper,
    dsl::{count_star, min, sql},
    sql_types::Bool,
};
use kernel_api::Timestamp;

use crate::{SagaFilter, SagaId, Status};

diesel::table! {
    saga (id) {
        id -> Text,
        kind -> Text,
        version -> BigInt,
        state -> Text,
        step -> Text,
        status -> Text,
        revision -> BigInt,
        attempts -> BigInt,
        in_doubt -> Bool,
        next_try_at -> BigInt,
        lease_owner -> Text,
        lease_until_at -> BigInt,
        last_error -> Nullable<Text>,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

/// The revision of a saga that has been started and not been touched since.
pub(crate) const STARTED: i64 = 1;

/// A saga.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = saga)]
pub(crate) struct SagaRow {
    pub id: String,
    pub kind: String,
    pub version: i64,
    pub state: String,
    pub step: String,
    pub status: String,
    pub revision: i64,
    pub attempts: i64,
    pub in_doubt: bool,
    pub next_try_at: i64,
    pub lease_owner: String,
    pub lease_until_at: i64,
    pub last_error: Option<String>,
    pub created_at: i64,
    pub updated_at: i64,
}

impl SagaRow {
    /// The status. The table admits no other word; should it ever, an operator must look.
    pub fn status(&self) -> Status {
        self.status.parse().unwrap_or(Status::Stuck)
    }

    /// Tries of the present step.
    pub fn attempts(&self) -> u32 {
        u32::try_from(self.attempts).unwrap_or(u32::MAX)
    }
}

/// A running saga, in words that let both databases use the index of running ones: it does not fit a bound value.
fn running() -> diesel::expression::SqlLiteral<Bool> {
    sql::<Bool>("status = 'running'")
}

/// Adds a saga.
pub(crate) fn insert(connection: &mut Connection, row: &SagaRow) -> QueryResult<usize> {
    on!(connection, |c| cached(diesel::insert_into(saga::table).values(row)).execute(c))
}

/// One saga.
pub(crate) fn find(connection: &mut Connection, id: SagaId) -> QueryResult<Option<SagaRow>> {
    on!(connection, |c| saga::table
        .find(id.to_string())
        .select(SagaRow::as_select())
        .get_result(c)
        .optional())
}

/// Writes a saga that was read with revision `from`. False when it has moved on since.
pub(crate) fn record(connection: &mut Connection, from: i64, row: &SagaRow) -> QueryResult<bool> {
    let written = on!(connection, |c| prepared!(
        diesel::update(saga::table.find(&row.id)).filter(saga::revision.eq(from)).set((
            saga::version.eq(row.version),
            saga::state.eq(&row.state),
            saga::step.eq(&row.step),
            saga::status.eq(&row.status),
            saga::revision.eq(row.revision),
            saga::attempts.eq(row.attempts),
            saga::in_doubt.eq(row.in_doubt),
            saga::next_try_at.eq(row.next_try_at),
            saga::lease_owner.eq(&row.lease_owner),
            saga::lease_until_at.eq(row.lease_until_at),
            saga::last_error.eq(&row.last_error),
            saga::updated_at.eq(row.updated_at),
        ))
    )
    .execute(c))?;
    Ok(written == 1)
}

/// Running sagas that are due and that nobody drives, the longest due first. `alone` names the only owner whose leases
/// bind, where nobody else can have the table open.
pub(crate) fn due(
    connection: &mut Connection,
    now: Timestamp,
    alone: Option<&str>,
    limit: usize,
) -> QueryResult<Vec<String>> {
    on!(connection, |c| {
        let query = saga::table
            .filter(running())
            .filter(saga::next_try_at.le(now.micros()))
            .order(saga::next_try_at)
            .limit(i64::try_from(limit).unwrap_or(i64::MAX))
            .select(saga::id);
        let over = saga::lease_until_at.le(now.micros());
        match alone {
            Some(owner) => query.filter(over.or(saga::lease_owner.ne(owner))).load(c),
            None => query.filter(over).load(c),
        }
    })
}

/// When the next saga that nobody drives is due.
pub(crate) fn next_due(
    connection: &mut Connection,
    now: Timestamp,
) -> QueryResult<Option<Timestamp>> {
    let due: Option<i64> = on!(connection, |c| saga::table
        .filter(running())
        .filter(saga::next_try_at.gt(now.micros()))
        .select(min(saga::next_try_at))
        .get_result(c))?;
    Ok(due.map(Timestamp::from_micros))
}

/// Sagas after an id, newest ids last.
pub(crate) fn list(
    connection: &mut Connection,
    filter: &SagaFilter,
    after: &str,
    limit: u32,
) -> QueryResult<Vec<SagaRow>> {
    on!(connection, |c| {
        let mut query = saga::table
            .filter(saga::id.gt(after.to_owned()))
            .order(saga::id)
            .limit(i64::from(limit))
            .select(SagaRow::as_select())
            .into_boxed();
        query = match filter.status {
            Some(Status::Stuck) => query.filter(sql::<Bool>("status = 'stuck'")),
            Some(Status::Running) => query.filter(running()),
            Some(status) => query.filter(saga::status.eq(status.as_str())),
            None => query,
        };
        if let Some(kind) = filter.kind.clone() {
            query = query.filter(saga::kind.eq(kind));
        }
        query.load(c)
    })
}

/// How many sagas are running and how many are stuck.
pub(crate) fn open(connection: &mut Connection) -> QueryResult<(i64, i64)> {
    let running: i64 = on!(&mut *connection, |c| saga::table
        .filter(running())
        .select(count_star())
        .get_result(c))?;
    let stuck: i64 = on!(connection, |c| saga::table
        .filter(sql::<Bool>("status = 'stuck'"))
        .select(count_star())
        .get_result(c))?;
    Ok((running, stuck))
}
