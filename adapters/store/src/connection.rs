//! One connection type for two databases, and the macro that writes a query once for both.

use diesel::{PgConnection, QueryResult, SqliteConnection, connection::SimpleConnection};

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
