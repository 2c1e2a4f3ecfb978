//! The queries of inventory: one function each, no decision in any.
//!
//! The hot ones take a whole command's rows in one statement: the rows travel as one JSON parameter, an array of
//! arrays. On SQLite that costs 3.6 µs a row against 4.4 for a loop over a prepared statement, on PostgreSQL one round
//! trip against one per row, and the text does not vary with the number of rows, so it is prepared once.

mod audit;
mod bookings;
mod ledger;
mod levels;
mod reservations;

pub(crate) use audit::audit;
pub(crate) use bookings::{booking, insert_booking};
pub(crate) use ledger::{insert_entries, ledger};
pub(crate) use levels::{levels, levels_to_change, move_levels, open_levels, set_low_at, stock};
pub(crate) use reservations::{
    commit_reservation, expire_reservations, insert_reservation, release_reservation, reservation,
    reservations,
};

use std::str::FromStr;

use diesel::{QueryResult, result::Error};
use serde::{Serialize, de::DeserializeOwned};

use ::store::Connection;

/// How each database reads a JSON array of arrays as a table `line(value)`: what stands before the parameter, and after.
///
/// PostgreSQL guesses that any such array has a hundred rows and then reads all of a small table to join them. The
/// condition is always true, but lets it guess one row and so look each up by its key: half the time.
fn lines_from(connection: &Connection) -> (&'static str, &'static str) {
    if connection.is_postgres() {
        (
            "(SELECT value FROM jsonb_array_elements(",
            "::jsonb) AS element(value) WHERE jsonb_typeof(value) = 'array') AS line ",
        )
    } else {
        ("json_each(", ") AS line ")
    }
}

fn to_json<T: Serialize + ?Sized>(value: &T) -> QueryResult<String> {
    serde_json::to_string(value).map_err(|error| Error::SerializationError(Box::new(error)))
}

fn from_json<T: DeserializeOwned>(text: &str) -> QueryResult<T> {
    serde_json::from_str(text).map_err(|error| Error::DeserializationError(Box::new(error)))
}

/// A column's text as the value that was written there.
fn from_text<T>(text: &str) -> QueryResult<T>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.parse().map_err(|error| Error::DeserializationError(Box::new(error)))
}

/// A column's word as one of those that may stand there.
fn from_word<T: Copy>(word: &str, all: &[T], as_str: fn(T) -> &'static str) -> QueryResult<T> {
    all.iter().copied().find(|one| as_str(*one) == word).ok_or_else(|| {
        Error::DeserializationError(format!("`{word}` is none of the column's words").into())
    })
}
