//! What a closure sees inside a transaction, and the ways it may end.

use contract::{Event, NotExecuted, TraceContext};
use diesel::{ExpressionMethods, QueryResult, result::Error};
use kernel_api::{Id, Timestamp};

use crate::{Connection, cached, schema::outbox};

/// A transaction behind the write door.
///
/// A closure that gets one may run more than once, so it does nothing but query: no other I/O, no message sent. It
/// returns the first database error it sees (`?`); it does not go on after one, because PostgreSQL has then given the
/// transaction up. Unique conflicts that are part of the plan are met with `on_conflict`.
pub struct Tx<'a> {
    pub(crate) connection: &'a mut Connection,
    pub(crate) epoch: u64,
    pub(crate) now: Timestamp,
    pub(crate) trace: TraceContext,
    pub(crate) emitted: bool,
}

/// Why a closure gives its transaction up.
#[derive(Debug)]
pub enum Abort<R> {
    /// The module's rule says no: rolled back, and the caller gets the refusal.
    Refused(R),
    /// The database failed: rolled back, and the caller gets `NotExecuted` (or the closure runs again, where the
    /// database asks for that).
    Failed(Error),
}

impl<R> From<Error> for Abort<R> {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// A column that holds JSON which does not read as what it should be.
impl<R> From<serde_json::Error> for Abort<R> {
    fn from(error: serde_json::Error) -> Self {
        Self::Failed(Error::DeserializationError(Box::new(error)))
    }
}

/// [`Abort`] and the third way that only the store itself takes.
pub(crate) enum Stop<R> {
    Refused(R),
    Failed(Error),
    NotExecuted(NotExecuted),
}

impl<R> From<Abort<R>> for Stop<R> {
    fn from(abort: Abort<R>) -> Self {
        match abort {
            Abort::Refused(refusal) => Self::Refused(refusal),
            Abort::Failed(error) => Self::Failed(error),
        }
    }
}
impl<R> From<Error> for Stop<R> {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Tx<'_> {
    /// The connection, for [`on!`](crate::on).
    pub fn connection(&mut self) -> &mut Connection {
        self.connection
    }

    /// The epoch under which this transaction writes.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The time of this transaction, the same however often it is asked.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Tells a fact: it is in the feed if and only if this transaction commits.
    ///
    /// On PostgreSQL events of one key keep their order when they are told after the statement that locked the row
    /// they are about: the order of the rows in the outbox is then the order of the commits.
    pub fn emit<E: Event>(&mut self, event: &E) -> QueryResult<()> {
        let data = serde_json::to_string(event)
            .map_err(|error| Error::SerializationError(Box::new(error)))?;
        // A version is a small number that people raise by hand.
        let version = i32::try_from(E::VERSION)
            .map_err(|error| Error::SerializationError(Box::new(error)))?;
        let row = (
            outbox::event_id.eq(Id::<E>::fresh().to_string()),
            outbox::kind.eq(E::NAME),
            outbox::version.eq(version),
            outbox::subject.eq(event.key()),
            outbox::data.eq(data),
            outbox::traceparent.eq(self.trace.to_string()),
            outbox::occurred_at.eq(self.now.micros()),
        );
        crate::on!(&mut *self.connection, |c| {
            cached(diesel::insert_into(outbox::table).values(row)).execute(c)
        })?;
        self.emitted = true;
        Ok(())
    }
}
