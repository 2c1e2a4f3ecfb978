//! Getting a move ready: what stands in its way, and the empty, sealed target.

use std::collections::BTreeMap;

use diesel::{Connection as _, SqliteConnection};
use serde::{Deserialize, Serialize};

use super::{
    Links, Location, Migrations, Sides,
    error::{MoveError, SideName},
    keys,
    names::{MoveId, NOBODY},
    shape::{self, Table, count, differences},
    side::{Side, number, one},
    state,
    switch::{seal, standing},
};
use crate::{Standing, migrate, migrations};

/// The oldest PostgreSQL whose catalog this reads.
const POSTGRES_MIN: i64 = 130_000;
/// The target needs the source's room for the rows and about as much again for indexes and journals.
const ROOM: u64 = 2;

/// What a move would meet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// What makes it impossible, each by name; nothing when it can begin.
    pub blockers: Vec<String>,
    /// The tables that move.
    pub tables: Vec<TableSize>,
    /// Bytes of the source's database.
    pub bytes: u64,
    /// Bytes that are free where the target will be; `None` where nobody can say (another machine).
    pub room: Option<u64>,
}

impl Readiness {
    /// All rows.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }
}

/// A table that moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSize {
    /// Its name.
    pub table: String,
    /// Its rows, counted.
    pub rows: u64,
}

/// Asks both sides; `target` is `None` where there is no database yet.
pub(super) fn readiness(
    source: &mut dyn Side,
    target: Option<&mut dyn Side>,
    places: (&Location, &Location),
) -> Result<Readiness, MoveError> {
    let mut found = Readiness::default();
    let here = shape::shape(source)?;
    found.blockers.extend(here.blockers);
    for table in &here.tables {
        found.tables.push(TableSize { table: table.name.clone(), rows: count(source, table)? });
    }
    found.bytes = bytes(source)?;
    server(source, &mut found.blockers)?;
    if let Some(target) = target {
        server(target, &mut found.blockers)?;
        let there = shape::shape(target)?;
        // An empty database gets its tables by `prepare`.
        if !there.tables.is_empty() {
            found.blockers.extend(there.blockers);
            found.blockers.extend(differences(&here.tables, &there.tables));
            if applied(source)? != applied(target)? {
                found.blockers.push("the two sides have had different migrations".to_owned());
            }
        }
    }
    if let (_, Location::Sqlite { path }) = places {
        found.room = room(path);
        if found.room.is_some_and(|room| room < found.bytes * ROOM) {
            found.blockers.push(format!(
                "the disk of the target has {} bytes left, the move needs {}",
                found.room.unwrap_or(0),
                found.bytes * ROOM
            ));
        }
    }
    found.blockers.sort();
    found.blockers.dedup();
    Ok(found)
}

/// What a server itself stands in the way with.
fn server(side: &mut dyn Side, blockers: &mut Vec<String>) -> Result<(), MoveError> {
    if !side.is_postgres() {
        return Ok(());
    }
    let name = side.name();
    if number(side, "SELECT current_setting('server_version_num')")? < POSTGRES_MIN {
        blockers.push(format!("the {name} database is older than PostgreSQL 13"));
    }
    let creates = "SELECT has_schema_privilege(current_schema(), 'CREATE')::text";
    if one(side, creates)?.as_deref() != Some("true") {
        blockers.push(format!("the role of the {name} database may not make tables in its schema"));
    }
    let foreign = "SELECT c.relname FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace \
                   AND c.relkind IN ('r', 'p') AND NOT pg_has_role(c.relowner, 'USAGE') ORDER BY 1";
    for row in side.ask(foreign)? {
        let table = row.into_iter().next().flatten().unwrap_or_default();
        blockers.push(format!("table {table} of the {name} database belongs to another role"));
    }
    let prepared =
        "SELECT gid FROM pg_prepared_xacts WHERE database = current_database() ORDER BY 1";
    for row in side.ask(prepared)? {
        let gid = row.into_iter().next().flatten().unwrap_or_default();
        blockers.push(format!("the {name} database holds the prepared transaction {gid}"));
    }
    Ok(())
}

fn bytes(side: &mut dyn Side) -> Result<u64, MoveError> {
    let sql = if side.is_postgres() {
        "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class \
         WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'm')"
    } else {
        "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
    };
    Ok(u64::try_from(number(side, sql)?).unwrap_or(0))
}

/// Bytes that the file system has left for the server's user.
pub(super) fn room(path: &std::path::Path) -> Option<u64> {
    let folder = path.ancestors().skip(1).find(|folder| folder.exists())?;
    let found = rustix::fs::statvfs(folder).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

fn applied(side: &mut dyn Side) -> Result<Vec<Vec<Option<String>>>, MoveError> {
    side.ask("SELECT version FROM __diesel_schema_migrations ORDER BY version")
}

/// Makes the target's tables where they are not.
pub(super) fn make_tables(
    module: &str,
    target: &Location,
    tables: &Migrations,
) -> Result<(), MoveError> {
    migrate(module, target, tables)
        .map(drop)
        .map_err(|error| MoveError::Failed { side: SideName::Target, what: error.to_string() })
}

/// Why the target may not be filled, where it has the tables already.
pub(super) fn is_not_empty(
    (source, target): (&mut dyn Side, &mut dyn Side),
    sides: &Sides,
    given_up: &[Standing],
) -> Result<Option<String>, MoveError> {
    let there = shape::shape(target)?.tables;
    if there.is_empty() || state::is_there(target, &sides.id)? {
        return Ok(None);
    }
    let born_with = born_with(&sides.module, &sides.migrations, &there)?;
    let (row, led) = (standing(target)?, standing(source)?);
    match may_be_filled(target, &row, (&led, given_up), &there, &born_with) {
        Ok(()) => Ok(None),
        Err(MoveError::NotEmpty(what)) => Ok(Some(MoveError::NotEmpty(what).to_string())),
        Err(other) => Err(other),
    }
}

impl Links {
    /// Seals the target for this move and empties it, unless it is this move's already.
    pub fn prepare(
        &mut self,
        id: &MoveId,
        module: &str,
        (tables, given_up): (&Migrations, &[Standing]),
    ) -> Result<(), MoveError> {
        if applied(&mut *self.source)? != applied(&mut *self.target)? {
            let what = "the two sides have had different migrations".to_owned();
            return Err(MoveError::Blocked(vec![what]));
        }
        if state::is_there(&mut *self.target, id)? {
            return Ok(());
        }
        let source = standing(&mut *self.source)?;
        let born_with = born_with(module, tables, &self.there)?;
        let there = self.there.clone();
        super::capture::patiently(&mut *self.target, id, &mut |target| {
            if target.is_postgres() {
                target.run("LOCK TABLE fence IN ACCESS EXCLUSIVE MODE")?;
            }
            let row = standing(target)?;
            may_be_filled(target, &row, (&source, given_up), &there, &born_with)?;
            target.run(&seal(&Standing { epoch: row.epoch, owner: id.nobody() }))?;
            empty(target, &there)?;
            state::create(target, id, false)
        })?;
        keys::loosen(&mut *self.target, id)
    }
}

/// Is the target's data nobody's? It may be new; or filled by a move that was given up; or the side that the module was
/// moved away from, whose row says the very same as the source's; or one that it was moved away from before that, whose
/// row the caller knows. Any other owner may be another shop's.
fn may_be_filled(
    target: &mut dyn Side,
    row: &Standing,
    (source, given_up): (&Standing, &[Standing]),
    tables: &[Table],
    born_with: &BTreeMap<String, u64>,
) -> Result<(), MoveError> {
    let was_left = row == source || (given_up.contains(row) && row.epoch < source.epoch);
    if row.owner.starts_with(NOBODY) || (was_left && row.epoch > 1 && !row.owner.is_empty()) {
        return Ok(());
    }
    if !row.owner.is_empty() {
        return Err(MoveError::NotEmpty(format!(
            "its fence row is at epoch {} and names {}",
            row.epoch, row.owner
        )));
    }
    for table in tables {
        let rows = count(target, table)?;
        if rows != born_with.get(&table.name).copied().unwrap_or(0) {
            return Err(MoveError::NotEmpty(format!("table {} has {rows} rows", table.name)));
        }
    }
    Ok(())
}

/// The rows that migrations put into each table, counted in a database in memory.
fn born_with(
    module: &str,
    source: &Migrations,
    tables: &[Table],
) -> Result<BTreeMap<String, u64>, MoveError> {
    let failed = |what: String| MoveError::Failed { side: SideName::Target, what };
    let mut fresh =
        SqliteConnection::establish(":memory:").map_err(|error| failed(error.to_string()))?;
    migrations::run_sqlite(module, &mut fresh, source)
        .map_err(|error| failed(error.to_string()))?;
    let mut fresh = crate::Connection::Sqlite(fresh);
    let counted = tables.iter().map(|table| {
        // A table that only PostgreSQL has is new when it is empty.
        let rows = crate::archive::count(&mut fresh, &table.name).unwrap_or(0);
        (table.name.clone(), u64::try_from(rows).unwrap_or(0))
    });
    Ok(counted.collect())
}

/// Removes every row that moves.
pub(super) fn empty(side: &mut dyn Side, tables: &[Table]) -> Result<(), MoveError> {
    if side.is_postgres() {
        let names: Vec<_> = tables.iter().map(Table::quoted).collect();
        // All at once, because of the keys between them.
        return side.run(&format!("TRUNCATE {}", names.join(", ")));
    }
    tables.iter().try_for_each(|table| side.run(&format!("DELETE FROM {}", table.quoted())))
}
