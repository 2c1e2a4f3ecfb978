//! Events that could not be applied. While one event of a subject is here, dead ones included, the later events of that
//! subject have to wait here too, so that their order is kept; every other subject goes on.

use contract::Envelope;
use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, QueryResult, Queryable,
    RunQueryDsl, Selectable, SelectableHelper, result::Error,
};
use kernel_api::Timestamp;

use crate::{
    Connection, Tx, cached, on,
    schema::parked::{
        self, attempts, last_error, next_try_at, position, state, subject, subscription,
    },
};

/// It is tried again at `next_try_at`.
pub const PARKED: &str = "parked";
/// It waits for an operator: replay or discard.
pub const DEAD: &str = "dead";

/// An event that could not be applied.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = parked)]
pub struct Parked {
    /// Whose: the name of the subscription.
    pub subscription: String,
    /// The event's position in the feed; with the subscription, the key.
    pub position: i64,
    /// The aggregate's key, whose later events wait behind this one.
    pub subject: String,
    /// The envelope as JSON.
    pub event: String,
    /// How often it was tried; zero for one that only waits behind another.
    pub attempts: i32,
    /// When to try it again (microseconds since 1970).
    pub next_try_at: i64,
    /// Why it failed the last time.
    pub last_error: String,
    /// [`PARKED`] or [`DEAD`].
    pub state: String,
    /// When it came here.
    pub parked_at: i64,
}

impl Parked {
    /// A row for an event that failed, or that waits behind one that did.
    pub fn new(name: &str, event: &Envelope, now: Timestamp) -> QueryResult<Self> {
        Ok(Self {
            subscription: name.to_owned(),
            position: i64::try_from(event.position).unwrap_or(i64::MAX),
            subject: event.subject.clone(),
            event: serde_json::to_string(event)
                .map_err(|error| Error::SerializationError(Box::new(error)))?,
            attempts: 0,
            next_try_at: now.micros(),
            last_error: String::new(),
            state: PARKED.to_owned(),
            parked_at: now.micros(),
        })
    }

    /// The event.
    pub fn envelope(&self) -> Result<Envelope, serde_json::Error> {
        serde_json::from_str(&self.event)
    }
}

/// Puts an event aside.
pub fn park(tx: &mut Tx<'_>, row: &Parked) -> QueryResult<()> {
    on!(tx.connection(), |c| cached(diesel::insert_into(parked::table).values(row)).execute(c))?;
    Ok(())
}

/// Does an event of this subject wait here?
pub fn waits(c: &mut Connection, name: &str, key: &str) -> QueryResult<bool> {
    let found: Option<i64> = on!(c, |c| parked::table
        .filter(subscription.eq(name))
        .filter(subject.eq(key))
        .select(diesel::dsl::min(position))
        .get_result(c))?;
    Ok(found.is_some())
}

/// The subjects of which an event waits here: the usual answer is none, and one query tells it for a whole batch.
pub fn subjects(c: &mut Connection, name: &str) -> QueryResult<Vec<String>> {
    on!(c, |c| parked::table.filter(subscription.eq(name)).select(subject).distinct().load(c))
}

/// The events to try again now: of each subject only its oldest, and only while that is not dead.
pub fn due(c: &mut Connection, name: &str, now: Timestamp, limit: i64) -> QueryResult<Vec<Parked>> {
    let earlier = diesel::alias!(parked as earlier);
    on!(c, |c| parked::table
        .filter(subscription.eq(name))
        .filter(state.eq(PARKED))
        .filter(next_try_at.le(now.micros()))
        .filter(diesel::dsl::not(diesel::dsl::exists(
            earlier
                .filter(earlier.field(subscription).eq(subscription))
                .filter(earlier.field(subject).eq(subject))
                .filter(earlier.field(position).lt(position))
        )))
        .order(position)
        .limit(limit)
        .select(Parked::as_select())
        .load(c))
}

/// Records a failed try: the next one is at `next`, or never when `dead`.
pub fn failed(
    tx: &mut Tx<'_>,
    row: &Parked,
    error: &str,
    next: Option<Timestamp>,
) -> QueryResult<usize> {
    let (stage, next) = match next {
        Some(next) => (PARKED, next.micros()),
        None => (DEAD, row.next_try_at),
    };
    on!(tx.connection(), |c| cached(
        diesel::update(parked::table.find((&row.subscription, row.position))).set((
            attempts.eq(attempts + 1),
            last_error.eq(error),
            state.eq(stage),
            next_try_at.eq(next),
        ))
    )
    .execute(c))
}

/// Takes an event out: it was applied, or an operator discards it. `false` when it is not here.
pub fn remove(tx: &mut Tx<'_>, name: &str, at: i64) -> QueryResult<bool> {
    let gone = on!(tx.connection(), |c| cached(diesel::delete(parked::table.find((name, at))))
        .execute(c))?;
    Ok(gone > 0)
}

/// Makes a dead event due now. `false` when there is no such dead event.
pub fn revive(tx: &mut Tx<'_>, name: &str, at: i64) -> QueryResult<bool> {
    let now = tx.now().micros();
    let done = on!(tx.connection(), |c| cached(
        diesel::update(parked::table.find((name, at)).filter(state.eq(DEAD)))
            .set((state.eq(PARKED), next_try_at.eq(now)))
    )
    .execute(c))?;
    Ok(done > 0)
}

/// One event that waits here.
pub fn find(c: &mut Connection, name: &str, at: i64) -> QueryResult<Option<Parked>> {
    on!(c, |c| parked::table.find((name, at)).select(Parked::as_select()).get_result(c).optional())
}

/// What waits here, by subscription and position, after `(name, position)`.
pub fn list(c: &mut Connection, after: (&str, i64), limit: i64) -> QueryResult<Vec<Parked>> {
    let (name, at) = after;
    on!(c, |c| parked::table
        .filter(diesel::BoolExpressionMethods::or(
            subscription.gt(name),
            diesel::BoolExpressionMethods::and(subscription.eq(name), position.gt(at))
        ))
        .order((subscription, position))
        .limit(limit)
        .select(Parked::as_select())
        .load(c))
}

/// How many wait here: parked, dead.
pub fn count(c: &mut Connection, name: &str) -> QueryResult<(i64, i64)> {
    let mut of = |stage: &str| -> QueryResult<i64> {
        on!(&mut *c, |c| parked::table
            .filter(subscription.eq(name))
            .filter(state.eq(stage))
            .count()
            .get_result(c))
    };
    Ok((of(PARKED)?, of(DEAD)?))
}
