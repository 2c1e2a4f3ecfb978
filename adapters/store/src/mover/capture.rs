//! Change capture: triggers that log the keys of the rows that a transaction changes, in that transaction.
//!
//! Only keys: whoever follows reads the rows as they are by then, so a key that is logged too often costs a read and
//! nothing else. On SQLite the log keeps its rows and the follower a cursor, because there the order of the log is the
//! order of the commits; on PostgreSQL it is not, and the follower takes the rows away.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{
    error::MoveError,
    names::MoveId,
    shape::{Column, Table},
    side::{Begin, Side, one},
};
use crate::provision::{identifier, literal};

/// How long a change of a table may stand in the queue for its lock: whoever comes behind it waits too.
const DDL_LOCK: Duration = Duration::from_millis(40);
/// How often it is tried before somebody else must make room. With the pauses, half a minute.
const DDL_TRIES: u32 = 60;
/// The first pause between two tries; it doubles up to [`DDL_PAUSE_MAX`].
const DDL_PAUSE: Duration = Duration::from_millis(10);
const DDL_PAUSE_MAX: Duration = Duration::from_millis(500);

/// Runs statements that need a table's lock, in one transaction, without making its writers wait for long.
pub(super) fn patiently(
    side: &mut dyn Side,
    id: &MoveId,
    body: &mut dyn FnMut(&mut dyn Side) -> Result<(), MoveError>,
) -> Result<(), MoveError> {
    let mut pause = DDL_PAUSE;
    for _try in 1..DDL_TRIES {
        match once(side, id, body) {
            Err(MoveError::Busy { .. }) => side.roll_back(),
            ended => return ended,
        }
        thread::sleep(pause);
        pause = (pause * 2).min(DDL_PAUSE_MAX);
    }
    once(side, id, body)
}

fn once(
    side: &mut dyn Side,
    id: &MoveId,
    body: &mut dyn FnMut(&mut dyn Side) -> Result<(), MoveError>,
) -> Result<(), MoveError> {
    if side.is_postgres() {
        side.run(&format!("BEGIN; SET LOCAL lock_timeout = {}", DDL_LOCK.as_millis()))?;
    } else {
        side.begin(Begin::Fence(DDL_LOCK * 5), id)?;
    }
    body(side)?;
    side.commit()
}

/// Installs the log and the triggers where they are not. When it returns, every transaction that did not see a trigger
/// has ended: what is read from now on is as of a moment after, or is logged.
pub(super) fn install(side: &mut dyn Side, id: &MoveId, tables: &[Table]) -> Result<(), MoveError> {
    let since = Instant::now();
    let width = tables.iter().map(|table| table.key).max().unwrap_or(1);
    if side.is_postgres() {
        let keys: Vec<_> = (0..width).map(|at| format!("k{at} TEXT")).collect();
        let log = id.log();
        // No index: it would cost every writer, and the log is read as a whole.
        side.run(&format!(
            "CREATE TABLE IF NOT EXISTS {log} (tbl TEXT NOT NULL, {})",
            keys.join(", ")
        ))?;
        for (at, table) in tables.iter().enumerate() {
            patiently(side, id, &mut |side| postgres(side, id, at, table))?;
        }
    } else {
        let keys: Vec<_> = (0..width).map(|at| format!("k{at}")).collect();
        patiently(side, id, &mut |side| {
            side.run(&format!(
                "CREATE TABLE IF NOT EXISTS {} (seq INTEGER PRIMARY KEY, tbl TEXT NOT NULL, {})",
                id.log(),
                keys.join(", ")
            ))?;
            tables.iter().try_for_each(|table| side.run(&sqlite(id, table)))
        })?;
    }
    tracing::info!(id = %id, side = %side.name(), tables = tables.len(), ms = since.elapsed().as_millis(), "capturing changes");
    Ok(())
}

/// Are the triggers of every table there?
pub(super) fn is_installed(
    side: &mut dyn Side,
    id: &MoveId,
    tables: &[Table],
) -> Result<bool, MoveError> {
    let sql = if side.is_postgres() {
        format!(
            "SELECT count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid \
             WHERE c.relnamespace = current_schema()::regnamespace AND t.tgname = '{}capture'",
            id.prefix()
        )
    } else {
        format!(
            "SELECT count(DISTINCT tbl_name) FROM sqlite_schema WHERE type = 'trigger' AND substr(name, 1, {}) = '{}'",
            id.prefix().len(),
            id.prefix()
        )
    };
    Ok(one(side, &sql)?.and_then(|count| count.parse().ok()) == Some(tables.len()))
}

fn names(table: &Table) -> String {
    (0..table.key).map(|at| format!("k{at}")).collect::<Vec<_>>().join(", ")
}

fn values(columns: &[Column], of: &str, cast: &str) -> String {
    let all = columns.iter().map(|column| format!("{of}.{}{cast}", identifier(&column.name)));
    all.collect::<Vec<_>>().join(", ")
}

fn postgres(side: &mut dyn Side, id: &MoveId, at: usize, table: &Table) -> Result<(), MoveError> {
    let (prefix, name) = (id.prefix(), table.quoted());
    let there = format!(
        "SELECT 1 FROM pg_trigger WHERE tgrelid = {}::regclass AND tgname = '{prefix}capture'",
        literal(&name)
    );
    if one(side, &there)?.is_some() {
        return Ok(());
    }
    let schema = identifier(&one(side, "SELECT current_schema()")?.unwrap_or_default());
    let log = format!("{schema}.{}", id.log());
    let insert = |of: &str| {
        format!(
            "INSERT INTO {log} (tbl, {}) VALUES ({}, {})",
            names(table),
            literal(&table.name),
            values(table.keys(), of, "::text")
        )
    };
    // A row whose key is not there yet (an event without a position) is logged when it gets it.
    let has = |of: &str| {
        let all =
            table.keys().iter().map(|key| format!("{of}.{} IS NOT NULL", identifier(&key.name)));
        all.collect::<Vec<_>>().join(" AND ")
    };
    let changed = table.keys().iter().map(|key| {
        let key = identifier(&key.name);
        format!("NEW.{key} IS DISTINCT FROM OLD.{key}")
    });
    let changed = changed.collect::<Vec<_>>().join(" OR ");
    side.run(&format!(
        "CREATE OR REPLACE FUNCTION {schema}.{prefix}on_{at}() RETURNS trigger LANGUAGE plpgsql AS $carve$
         BEGIN
           IF TG_OP = 'TRUNCATE' THEN
             RAISE EXCEPTION 'table % is being moved ({id}): it cannot be truncated', TG_TABLE_NAME;
           END IF;
           IF TG_OP <> 'INSERT' THEN
             IF {} THEN {}; END IF;
           END IF;
           IF TG_OP <> 'DELETE' THEN
             IF TG_OP = 'INSERT' OR {changed} THEN
               IF {} THEN {}; END IF;
             END IF;
           END IF;
           RETURN NULL;
         END $carve$;
         CREATE TRIGGER {prefix}capture AFTER INSERT OR UPDATE OR DELETE ON {name} FOR EACH ROW
           WHEN (current_setting('carve.apply', true) IS DISTINCT FROM 'on')
           EXECUTE FUNCTION {schema}.{prefix}on_{at}();
         CREATE TRIGGER {prefix}truncate BEFORE TRUNCATE ON {name} FOR EACH STATEMENT
           EXECUTE FUNCTION {schema}.{prefix}on_{at}()",
        has("OLD"),
        insert("OLD"),
        has("NEW"),
        insert("NEW"),
    ))
}

/// Not captured is what the follower writes: its connection runs without triggers.
fn sqlite(id: &MoveId, table: &Table) -> String {
    let (prefix, name, log) = (id.prefix(), table.quoted(), id.log());
    let trigger = |verb: &str| identifier(&format!("{prefix}{}_{verb}", table.name));
    let insert = |of: &str| {
        format!(
            "INSERT INTO {log} (tbl, {}) VALUES ({}, {})",
            names(table),
            literal(&table.name),
            values(table.keys(), of, "")
        )
    };
    let changed = table.keys().iter().map(|key| {
        let key = identifier(&key.name);
        format!("new.{key} IS NOT old.{key}")
    });
    format!(
        "CREATE TRIGGER IF NOT EXISTS {} AFTER INSERT ON {name} BEGIN {}; END;
         CREATE TRIGGER IF NOT EXISTS {} AFTER DELETE ON {name} BEGIN {}; END;
         CREATE TRIGGER IF NOT EXISTS {} AFTER UPDATE ON {name} BEGIN {}; END;
         CREATE TRIGGER IF NOT EXISTS {} AFTER UPDATE OF {} ON {name} WHEN {} BEGIN {}; END;",
        trigger("insert"),
        insert("new"),
        trigger("delete"),
        insert("old"),
        trigger("update"),
        insert("old"),
        trigger("rekey"),
        Table::list(table.keys(), ""),
        changed.collect::<Vec<_>>().join(" OR "),
        insert("new"),
    )
}
