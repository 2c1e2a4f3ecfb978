//! Inserting many rows the way each database likes it.

use diesel::{PgConnection, QueryResult, SqliteConnection};

use crate::{Connection, limits::CHUNK_ROWS_MAX};

/// Inserts `rows`: on SQLite one by one with a statement that stays prepared, on PostgreSQL in statements of up to
/// [`CHUNK_ROWS_MAX`] rows. Gives how many went in.
///
/// ```ignore
/// store::insert_all(
///     tx.connection(),
///     &rows,
///     |c, row| cached(diesel::insert_into(ledger::table).values(row)).execute(c),
///     |c, rows| diesel::insert_into(ledger::table).values(rows).execute(c),
/// )?;
/// ```
///
/// Measured (`benches/reservations.rs bulk`): on SQLite a call costs next to nothing, so single rows with a statement
/// that stays prepared are as fast as anything; on PostgreSQL each call is a round trip, and beyond 100 rows in one
/// there is little left to gain.
pub fn insert_all<T>(
    connection: &mut Connection,
    rows: &[T],
    mut one: impl FnMut(&mut SqliteConnection, &T) -> QueryResult<usize>,
    mut many: impl FnMut(&mut PgConnection, &[T]) -> QueryResult<usize>,
) -> QueryResult<usize> {
    match connection {
        Connection::Sqlite(c) => rows.iter().map(|row| one(c, row)).sum(),
        Connection::Postgres(c) => rows.chunks(CHUNK_ROWS_MAX).map(|rows| many(c, rows)).sum(),
    }
}
