//! The queries of placement: one function each, no decision in any.

mod carves;
mod journal;
mod places;
mod processes;

pub(crate) use carves::{
    CarveRow, Lease, carve, carves, free_carves, given_up, insert_carve, open_carves, renew_lease,
    set_data, take_lease, update_carve,
};
pub(crate) use journal::{Line, append, entries};
pub(crate) use places::{
    Said, move_place, place, places, put_place, put_site, say_site, site, sites,
};
pub(crate) use processes::{forget_processes, live_processes, put_process, remove_process};

use std::str::FromStr;

use diesel::{QueryResult, result::Error};
use serde::{Serialize, de::DeserializeOwned};

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

fn from_texts<T>(text: Option<&String>) -> QueryResult<Option<T>>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.map(|text| from_text(text)).transpose()
}

/// A number that counts up and fits: a column of ours holds no other.
fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
