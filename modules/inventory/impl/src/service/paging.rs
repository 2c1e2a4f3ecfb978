//! Cursors: where a page ends, as text that only this module reads.

use inventory_api::{LedgerError, Location, PageError, Reservation};
use kernel_api::{Id, Sku};

use contract::Fault;

use crate::domain::Place;

/// A place as a cursor. A location has no `/`, a SKU may, so the last one parts them.
pub(super) fn cursor_of(place: &Place) -> String {
    format!("{}/{}", place.sku, place.location)
}

/// The place that a cursor names; before the first where there is none.
pub(super) fn place_of(cursor: Option<String>) -> Result<(String, String), Fault<PageError>> {
    let Some(cursor) = cursor else { return Ok(Default::default()) };
    cursor
        .rsplit_once('/')
        .and_then(|(sku, location)| Some((sku.parse().ok()?, location.parse().ok()?)))
        .map(|(sku, location): (Sku, Location)| (sku.to_string(), location.to_string()))
        .ok_or(Fault::Refused(PageError::BadCursor))
}

/// An entry of a ledger as a cursor.
pub(super) fn cursor_after(location: &Location, number: i64) -> String {
    format!("{location}/{number}")
}

/// The entry that a cursor names; before the first where there is none.
pub(super) fn entry_of(cursor: Option<String>) -> Result<(String, i64), Fault<LedgerError>> {
    let Some(cursor) = cursor else { return Ok(Default::default()) };
    cursor
        .rsplit_once('/')
        .and_then(|(location, number)| Some((location.parse().ok()?, number.parse().ok()?)))
        .map(|(location, number): (Location, i64)| (location.to_string(), number))
        .ok_or(Fault::Refused(LedgerError::BadCursor))
}

/// The reservation that a cursor names; before the first where there is none.
pub(super) fn id_of(cursor: Option<String>) -> Result<String, Fault<PageError>> {
    let Some(cursor) = cursor else { return Ok(String::new()) };
    let id: Result<Id<Reservation>, _> = cursor.parse();
    id.map(|id| id.to_string()).map_err(|_bad| Fault::Refused(PageError::BadCursor))
}
