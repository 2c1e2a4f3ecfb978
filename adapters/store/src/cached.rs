//! Statements that stay prepared, the writing ones too.

use std::{cell::OnceCell, error::Error, fmt};

use diesel::{
    Connection, QueryResult,
    backend::Backend,
    query_builder::{AstPass, Query, QueryBuilder, QueryFragment, QueryId},
    query_dsl::RunQueryDsl,
    serialize::{Output, ToSql},
    sql_types::Integer,
};

/// A query whose prepared statement is kept by the connection, with its SQL text as the key.
///
/// Diesel keeps SELECTs and plain INSERTs, and never an UPDATE, an upsert or SQL text, because it cannot know that
/// there are not endlessly many of them. Preparing one anew costs PostgreSQL a round trip and SQLite more than the
/// statement itself. Wrap every statement of a hot path whose text does not vary without bound (no batch of changing
/// length, no in-list of literals); [`prepared!`](crate::prepared) is faster where the text does not vary at all.
#[derive(Debug)]
pub struct Cached<Q> {
    query: Q,
    sql: OnceCell<String>,
}

/// Keeps `query` prepared: see [`Cached`]. It has to be the whole query and not a part of one.
pub fn cached<Q>(query: Q) -> Cached<Q> {
    Cached { query, sql: OnceCell::new() }
}

impl<Q> Cached<Q> {
    /// Runs the statement; how many rows it touched. It goes before the method of the same name in `RunQueryDsl`: where
    /// diesel itself would keep the statement, by its type (a plain INSERT on SQLite), diesel is left to do so, because
    /// then the text is not even written.
    pub fn execute<C>(self, c: &mut C) -> QueryResult<usize>
    where
        C: Connection,
        C::Backend: Default,
        <C::Backend as Backend>::QueryBuilder: Default,
        Q: QueryFragment<C::Backend> + QueryId,
    {
        if Q::HAS_STATIC_QUERY_ID && self.query.is_safe_to_cache_prepared(&C::Backend::default())? {
            return c.execute_returning_count(&self.query);
        }
        c.execute_returning_count(&self)
    }

    fn sql<DB>(&self, backend: &DB) -> QueryResult<&str>
    where
        DB: Backend,
        DB::QueryBuilder: Default,
        Q: QueryFragment<DB>,
    {
        if self.sql.get().is_none() {
            let mut builder = DB::QueryBuilder::default();
            self.query.to_sql(&mut builder, backend)?;
            drop(self.sql.set(builder.finish()));
        }
        Ok(self.sql.get().map_or("", String::as_str))
    }
}

impl<Q, DB> QueryFragment<DB> for Cached<Q>
where
    DB: Backend,
    DB::QueryBuilder: Default,
    Q: QueryFragment<DB>,
{
    /// Diesel walks a query once per purpose (text, values, "may it be kept?") and does not say which; in the last one
    /// the parts of an UPDATE say no, and a wrapper cannot take that back: overriding `is_safe_to_cache_prepared` is
    /// lost behind the reference through which `execute` passes the query. So the parts are only walked for their
    /// values, which a value that refuses to be collected finds out, and are text otherwise. The text for that value
    /// stands in a comment.
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        pass.push_sql("/* ");
        if pass.push_bind_param::<Integer, Probe>(&Probe).is_err() {
            return self.query.walk_ast(pass);
        }
        pass.push_sql(" */ ");
        pass.push_sql(self.sql(pass.backend())?);
        Ok(())
    }
}

/// The value that refuses to be collected.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Probe;

impl<DB: Backend> ToSql<Integer, DB> for Probe {
    fn to_sql<'b>(&'b self, _out: &mut Output<'b, '_, DB>) -> diesel::serialize::Result {
        // Of no size, so that the box does not allocate.
        Err(Box::new(Self))
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a value")
    }
}
impl Error for Probe {}

impl<Q: Query> Query for Cached<Q> {
    type SqlType = Q::SqlType;
}

// No static id, so that the key is the SQL text itself: right for optional columns too.
impl<Q> QueryId for Cached<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q, Conn> RunQueryDsl<Conn> for Cached<Q> {}

/// Fixed SQL without values, kept prepared: what begins and ends transactions and savepoints.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fixed(pub &'static str);

impl<DB: Backend> QueryFragment<DB> for Fixed {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        pass.push_sql(self.0);
        Ok(())
    }
}

impl QueryId for Fixed {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Conn> RunQueryDsl<Conn> for Fixed {}
