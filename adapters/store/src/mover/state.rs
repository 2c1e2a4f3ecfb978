//! What a move knows about each side, in a table there: so any process can go on with it.
//!
//! | name | on | value |
//! |---|---|---|
//! | `leads` | both | `1` on the side that the other one follows, `0` there |
//! | `copied` | the side that follows | `1` when its tables hold a copy, so that changes can be applied |
//! | `copy:<table>` | the side that follows | how far the table is copied |
//! | `seed` | the side that follows | the copy by pages was begun once: it is not tried again |
//! | `cursor` | the side that follows | how far the other side's log is applied, where that log keeps its rows |
//! | `redo` | the side that led last | keys of the rows that its last switch applied: the target may have lost them with its transaction |
//! | `key:<name>` | the side that follows | a foreign key that it gave up, to be made again |

use super::{
    error::MoveError,
    names::MoveId,
    side::{Side, one},
};
use crate::provision::literal;

pub(super) const LEADS: &str = "leads";
pub(super) const COPIED: &str = "copied";
pub(super) const COPY: &str = "copy:";
pub(super) const SEED: &str = "seed";
pub(super) const CURSOR: &str = "cursor";
pub(super) const REDO: &str = "redo";
pub(super) const KEY: &str = "key:";

/// Makes the table where it is not; `leads` gets this value only then.
pub(super) fn create(side: &mut dyn Side, id: &MoveId, leads: bool) -> Result<(), MoveError> {
    let (state, leads) = (id.state(), u8::from(leads));
    side.run(&format!(
        "CREATE TABLE IF NOT EXISTS {state} (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL);
         INSERT INTO {state} (name, value) VALUES ('{LEADS}', '{leads}') ON CONFLICT (name) DO NOTHING"
    ))
}

/// Has the move been here?
pub(super) fn is_there(side: &mut dyn Side, id: &MoveId) -> Result<bool, MoveError> {
    let state = literal(&id.state());
    let sql = if side.is_postgres() {
        format!(
            "SELECT 1 FROM pg_class WHERE relname = {state} AND relnamespace = current_schema()::regnamespace"
        )
    } else {
        format!("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = {state}")
    };
    Ok(one(side, &sql)?.is_some())
}

pub(super) fn get(
    side: &mut dyn Side,
    id: &MoveId,
    name: &str,
) -> Result<Option<String>, MoveError> {
    one(side, &format!("SELECT value FROM {} WHERE name = {}", id.state(), literal(name)))
}

pub(super) fn put(
    side: &mut dyn Side,
    id: &MoveId,
    name: &str,
    value: &str,
) -> Result<(), MoveError> {
    side.run(&puts(id, &[(name, value)]))
}

/// What writes several.
pub(super) fn puts(id: &MoveId, values: &[(&str, &str)]) -> String {
    let rows =
        values.iter().map(|(name, value)| format!("({}, {})", literal(name), literal(value)));
    format!(
        "INSERT INTO {} (name, value) VALUES {} ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        id.state(),
        rows.collect::<Vec<_>>().join(", ")
    )
}

pub(super) fn forget(side: &mut dyn Side, id: &MoveId, name: &str) -> Result<(), MoveError> {
    side.run(&format!("DELETE FROM {} WHERE name = {}", id.state(), literal(name)))
}

/// Every name with this beginning, and its value.
pub(super) fn all(
    side: &mut dyn Side,
    id: &MoveId,
    beginning: &str,
) -> Result<Vec<(String, String)>, MoveError> {
    let length = beginning.len();
    let rows = side.ask(&format!(
        "SELECT name, value FROM {} WHERE substr(name, 1, {length}) = {} ORDER BY name",
        id.state(),
        literal(beginning)
    ))?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            let mut row = row.into_iter().flatten();
            let (name, value) = (row.next()?, row.next()?);
            Some((name.get(length..)?.to_owned(), value))
        })
        .collect())
}

pub(super) fn leads(side: &mut dyn Side, id: &MoveId) -> Result<bool, MoveError> {
    Ok(get(side, id, LEADS)?.as_deref() == Some("1"))
}

pub(super) fn cursor(side: &mut dyn Side, id: &MoveId) -> Result<i64, MoveError> {
    Ok(get(side, id, CURSOR)?.and_then(|text| text.parse().ok()).unwrap_or(0))
}
