//! One connection type for two databases, and the macro that writes a query once for both.

use diesel::{
    PgConnection, QueryResult, SqliteConnection,
    backend::Backend,
    connection::SimpleConnection,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    query_dsl::RunQueryDsl,
};

/// A connection to a module's database.
///
/// An enum and not diesel's `MultiConnection`, which has no `on_conflict`, no batch insert, no `union` and no
/// `for_update`.
#[allow(clippy::large_enum_variant, reason = "there are as many as threads, and none is moved")]
pub enum Connection {
    /// A module's own file.
    Sqlite(SqliteConnection),
    /// A module's own schema, as its own role.
    Postgres(PgConnection),
}

impl Connection {
    /// Runs SQL text, possibly several statements, with no parameters and no rows.
    pub fn batch_execute(&mut self, sql: &str) -> QueryResult<()> {
        match self {
            Self::Sqlite(c) => c.batch_execute(sql),
            Self::Postgres(c) => c.batch_execute(sql),
        }
    }

    /// Is this PostgreSQL? For the few statements that only one of the two knows.
    pub fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }
}

/// Runs one diesel expression on whichever database is behind a `&mut Connection`: the body is compiled once per
/// backend with `$c` as the concrete connection.
///
/// ```ignore
/// let found = store::on!(tx.connection(), |c| stock::table.find(&sku).select(Stock::as_select()).get_result(c).optional())?;
/// ```
#[macro_export]
macro_rules! on {
    ($connection:expr, |$c:ident| $body:expr) => {
        match $connection {
            $crate::Connection::Sqlite($c) => $body,
            $crate::Connection::Postgres($c) => $body,
        }
    };
}

/// A query whose prepared statement is kept by the connection, with its SQL text as the key.
///
/// Diesel never keeps INSERT and UPDATE prepared, because it cannot know that their text is stable; preparing one anew
/// costs PostgreSQL a round trip and SQLite most of the statement's time. Wrap every statement of a hot path whose
/// text does not vary without bound (no batch of changing length, no in-list of literals).
#[derive(Debug, Clone, Copy)]
pub struct Cached<Q>(Q);

/// Keeps `query` prepared: see [`Cached`].
pub fn cached<Q>(query: Q) -> Cached<Q> {
    Cached(query)
}

impl<Q, DB> QueryFragment<DB> for Cached<Q>
where
    DB: Backend,
    Q: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.0.walk_ast(pass)
    }

    fn is_safe_to_cache_prepared(&self, _backend: &DB) -> QueryResult<bool> {
        Ok(true)
    }
}

impl<Q: Query> Query for Cached<Q> {
    type SqlType = Q::SqlType;
}

// No static id, so that the key is the SQL text itself: right for optional columns too.
impl<Q> QueryId for Cached<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q, Conn> RunQueryDsl<Conn> for Cached<Q> {}
