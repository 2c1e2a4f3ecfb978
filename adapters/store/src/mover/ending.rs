//! The end of a move: everything that carries its id goes, on each side that can be reached.

use serde::{Deserialize, Serialize};

use super::{
    Location,
    capture::patiently,
    error::MoveError,
    keys,
    names::{MoveId, NOBODY, PREFIX, id_in},
    prepare::empty,
    shape,
    side::Side,
    state,
    switch::{seal, standing},
};
use crate::{Standing, provision::identifier};

/// Something that a move made and that is still there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Leftover {
    /// The move's id.
    pub id: MoveId,
    /// What it is: `table carve_…`, `trigger carve_… of …`.
    pub what: String,
}

/// How the removal went.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Things that were removed.
    pub things: usize,
    /// Sides that could not be reached, and why: there it is to be done again.
    pub away: Vec<String>,
}

/// A thing of a move: its kind, its name, the table that it belongs to.
struct Thing {
    kind: String,
    name: String,
    of: String,
}

const POSTGRES: &str = "
SELECT 'trigger', t.tgname, c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = current_schema()::regnamespace AND NOT t.tgisinternal AND starts_with(t.tgname, 'carve_')
UNION ALL
SELECT 'function', proname, '' FROM pg_proc
WHERE pronamespace = current_schema()::regnamespace AND starts_with(proname, 'carve_')
UNION ALL
SELECT 'table', relname, '' FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND starts_with(relname, 'carve_')
ORDER BY 1 DESC, 2, 3";

const SQLITE: &str = "
SELECT type, name, tbl_name FROM sqlite_schema
WHERE type IN ('trigger', 'table') AND substr(name, 1, 6) = 'carve_' ORDER BY 1 DESC, 2";

fn things(side: &mut dyn Side) -> Result<Vec<Thing>, MoveError> {
    let rows = side.ask(if side.is_postgres() { POSTGRES } else { SQLITE })?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            let mut row = row.into_iter().flatten();
            Some(Thing { kind: row.next()?, name: row.next()?, of: row.next()? })
        })
        .collect())
}

/// What moves left in a database.
pub(super) fn leftovers(side: &mut dyn Side) -> Result<Vec<Leftover>, MoveError> {
    let mut found: Vec<Leftover> = things(side)?
        .into_iter()
        .filter_map(|thing| {
            let of =
                if thing.kind == "trigger" { format!(" of {}", thing.of) } else { String::new() };
            Some(Leftover {
                id: id_in(&thing.name)?,
                what: format!("{} {}{of}", thing.kind, thing.name),
            })
        })
        .collect();
    found.sort();
    Ok(found)
}

/// Removes what `id` made on one side. Nothing of it is needed any more there: the side leads, or follows no longer, or
/// was never more than a copy, and then its rows go too.
pub(super) fn remove(side: &mut dyn Side, id: &MoveId) -> Result<usize, MoveError> {
    let prefix = id.prefix();
    if state::is_there(side, id)? {
        patiently(side, id, &mut |side| keys::tighten(side, id))?;
        let row = standing(side)?;
        if row.owner == id.nobody() {
            let tables = shape::shape(side)?.tables;
            patiently(side, id, &mut |side| {
                drop_triggers(side, &prefix)?;
                empty(side, &tables)?;
                side.run(&seal(&Standing { epoch: row.epoch, owner: NOBODY.to_owned() }))
            })?;
        }
        keys::validate(side, id)?;
    }
    let mut removed = 0;
    // A table's lock is asked for alone, so that nobody waits for more than one of them.
    while let Some(thing) = things(side)?.into_iter().find(|thing| thing.name.starts_with(&prefix))
    {
        patiently(side, id, &mut |side| drop_thing(side, &thing))?;
        removed += 1;
    }
    Ok(removed)
}

/// Removes what any move made, in the caller's transaction.
pub(super) fn drop_all(side: &mut dyn Side) -> Result<(), MoveError> {
    things(side)?.iter().try_for_each(|thing| drop_thing(side, thing))
}

fn drop_triggers(side: &mut dyn Side, prefix: &str) -> Result<(), MoveError> {
    for thing in things(side)? {
        if thing.kind == "trigger" && thing.name.starts_with(prefix) {
            drop_thing(side, &thing)?;
        }
    }
    Ok(())
}

fn drop_thing(side: &mut dyn Side, thing: &Thing) -> Result<(), MoveError> {
    let name = identifier(&thing.name);
    side.run(&match thing.kind.as_str() {
        "trigger" if side.is_postgres() => {
            format!("DROP TRIGGER IF EXISTS {name} ON {}", identifier(&thing.of))
        }
        "trigger" => format!("DROP TRIGGER IF EXISTS {name}"),
        "function" => format!("DROP FUNCTION IF EXISTS {name}()"),
        _ => format!("DROP TABLE IF EXISTS {name}"),
    })
}

/// Does a move fill or follow this database? Migrations wait for its end.
pub(crate) fn is_being_moved(c: &mut crate::Connection) -> diesel::QueryResult<bool> {
    let sql = if c.is_postgres() {
        format!(
            "SELECT relname::text AS line FROM pg_class WHERE relnamespace = current_schema()::regnamespace \
             AND relkind = 'r' AND starts_with(relname, '{PREFIX}')"
        )
    } else {
        format!(
            "SELECT name AS line FROM sqlite_schema WHERE type = 'table' AND substr(name, 1, 6) = '{PREFIX}'"
        )
    };
    Ok(!crate::archive::lines(c, &sql)?.is_empty())
}

/// Is there a file to look into? Looking makes none.
pub(super) fn exists(location: &Location) -> bool {
    match location {
        Location::Sqlite { path } => path.metadata().is_ok_and(|file| file.len() > 0),
        Location::Postgres { .. } => true,
    }
}
