//! Foreign keys of a PostgreSQL side that follows.
//!
//! Its rows come from a side that has checked them, in whatever order; and only a superuser can tell PostgreSQL not to
//! look. So a side gives its foreign keys up while it follows, and makes them again when it leads: first for new rows,
//! in the transaction of the switch, then, online, for those that are there.

use super::{
    capture::patiently,
    error::MoveError,
    names::MoveId,
    side::{Side, one},
    state::{self, KEY, LEADS},
};
use crate::provision::{identifier, literal};

const KEYS: &str = "
SELECT k.conname, c.relname, pg_get_constraintdef(k.oid) FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
WHERE k.contype = 'f' AND k.conparentid = 0 AND c.relnamespace = current_schema()::regnamespace ORDER BY 1";

/// Gives the foreign keys up, and remembers them; on a side that leads nothing.
pub(super) fn loosen(side: &mut dyn Side, id: &MoveId) -> Result<(), MoveError> {
    if !side.is_postgres() {
        return Ok(());
    }
    for row in side.ask(KEYS)? {
        let mut row = row.into_iter().flatten();
        let (Some(name), Some(table), Some(definition)) = (row.next(), row.next(), row.next())
        else {
            continue;
        };
        let value = serde_json::json!([table, definition]).to_string();
        patiently(side, id, &mut |side| {
            // The row that a switch writes: it waits for us, or we see what it wrote.
            let leads =
                format!("SELECT value FROM {} WHERE name = '{LEADS}' FOR UPDATE", id.state());
            if one(side, &leads)?.as_deref() != Some("0") {
                return Ok(());
            }
            state::put(side, id, &format!("{KEY}{name}"), &value)?;
            side.run(&format!(
                "ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}",
                identifier(&table),
                identifier(&name)
            ))
        })?;
    }
    Ok(())
}

/// Makes them again for rows that come; inside the caller's transaction.
pub(super) fn tighten(side: &mut dyn Side, id: &MoveId) -> Result<(), MoveError> {
    if !side.is_postgres() {
        return Ok(());
    }
    for (name, value) in state::all(side, id, KEY)? {
        let (table, definition): (String, String) = serde_json::from_str(&value)
            .map_err(|error| MoveError::Unfit(format!("foreign key {name}: {error}")))?;
        let there = format!(
            "SELECT 1 FROM pg_constraint WHERE conname = {} AND conrelid = {}::regclass",
            literal(&name),
            literal(&identifier(&table))
        );
        if one(side, &there)?.is_none() {
            let loose = if definition.contains("NOT VALID") { "" } else { " NOT VALID" };
            side.run(&format!(
                "ALTER TABLE {} ADD CONSTRAINT {} {definition}{loose}",
                identifier(&table),
                identifier(&name)
            ))?;
        }
    }
    Ok(())
}

/// Checks the rows that are there, without keeping anybody from writing, and forgets that the keys were given up.
pub(super) fn validate(side: &mut dyn Side, id: &MoveId) -> Result<(), MoveError> {
    if !side.is_postgres() {
        return Ok(());
    }
    for (name, value) in state::all(side, id, KEY)? {
        let (table, _definition): (String, String) = serde_json::from_str(&value)
            .map_err(|error| MoveError::Unfit(format!("foreign key {name}: {error}")))?;
        patiently(side, id, &mut |side| {
            side.run(&format!(
                "ALTER TABLE {} VALIDATE CONSTRAINT {}",
                identifier(&table),
                identifier(&name)
            ))?;
            state::forget(side, id, &format!("{KEY}{name}"))
        })?;
    }
    Ok(())
}
