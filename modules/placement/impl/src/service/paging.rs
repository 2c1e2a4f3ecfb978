//! Cursors: where a page ends, as text that only this module reads.

use contract::Fault;
use kernel_api::Id;
use placement_api::{Carve, JournalError, PageError};

/// After every id.
const LAST: &str = "~";

/// The carve that a cursor names; after the newest where there is none.
pub(super) fn before_of(cursor: Option<String>) -> Result<String, Fault<PageError>> {
    let Some(cursor) = cursor else { return Ok(LAST.to_owned()) };
    let id: Result<Id<Carve>, _> = cursor.parse();
    id.map(|id| id.to_string()).map_err(|_bad| Fault::Refused(PageError::BadCursor))
}

/// The entry that a cursor names; before the first where there is none.
pub(super) fn number_of(cursor: Option<String>) -> Result<u64, Fault<JournalError>> {
    let Some(cursor) = cursor else { return Ok(0) };
    cursor.parse().map_err(|_bad| Fault::Refused(JournalError::BadCursor))
}
