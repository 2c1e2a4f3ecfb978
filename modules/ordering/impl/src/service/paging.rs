//! Cursors: an id as text, that only this module reads.

use kernel_api::Id;

/// The id that a cursor names; before the first where there is none. Nothing when it is none of ours.
pub(super) fn after(cursor: Option<&str>) -> Option<String> {
    let Some(cursor) = cursor else { return Some(String::new()) };
    cursor.parse::<Id<()>>().ok().map(|id| id.to_string())
}
