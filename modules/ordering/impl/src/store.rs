//! The queries of ordering: one function each, no decision in any.
//!
//! An order's lines go into their read model in one statement: they travel as one JSON parameter, so the text does not
//! vary with their number and is prepared once, and on PostgreSQL they cost one round trip.

mod books;
mod carts;
mod customers;
mod documents;
mod orders;
mod packed;
mod stream;

pub(crate) use books::{
    Totals, adjustment_totals, flows, order_totals, put_source, return_totals, sources,
};
pub(crate) use carts::{
    CartRow, abandoned, begin_checkout, cart, cart_access, cart_version, delete_abandoned,
    insert_cart, reopen_cart, replace_cart,
};
pub(crate) use customers::{
    customer, customer_by_reference, customer_exists, customers, insert_customer,
};
pub(crate) use documents::{
    AdjustmentRow, NoteRow, adjustment, adjustment_by_reference, adjustments, insert_adjustment,
    insert_note, insert_return_lines, note, note_by_reference, notes, settle_note,
};
pub(crate) use orders::{
    LineRow, OrdersFilter, SummaryRow, add_returned, candidates, delete_lines, insert_lines,
    insert_summary, lines_of, lock_summary, mark_paid, order_by_reference, order_secret,
    save_summary, summaries,
};
pub(crate) use packed::{lines_from_text, lines_to_text};
pub(crate) use stream::{append, append_placed, events_of};

use std::str::FromStr;

use diesel::{QueryResult, result::Error};
use serde::{Serialize, de::DeserializeOwned};

pub(crate) fn to_json<T: Serialize + ?Sized>(value: &T) -> QueryResult<String> {
    serde_json::to_string(value).map_err(|error| Error::SerializationError(Box::new(error)))
}

pub(crate) fn from_json<'a, T: serde::Deserialize<'a>>(text: &'a str) -> QueryResult<T> {
    serde_json::from_str(text).map_err(|error| Error::DeserializationError(Box::new(error)))
}

/// A column's text as the value that was written there.
pub(crate) fn from_text<T>(text: &str) -> QueryResult<T>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.parse().map_err(|error| Error::DeserializationError(Box::new(error)))
}

/// An enum's word as it stands in a column: its serde name.
pub(crate) fn to_word<T: Serialize>(value: &T) -> QueryResult<String> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        Ok(_) => Err(Error::SerializationError("not a word".into())),
        Err(error) => Err(Error::SerializationError(Box::new(error))),
    }
}

/// A column's word as the enum's value.
pub(crate) fn from_word<T: DeserializeOwned>(word: String) -> QueryResult<T> {
    serde_json::from_value(serde_json::Value::String(word))
        .map_err(|error| Error::DeserializationError(Box::new(error)))
}
