//! Reading a module's tables back from a file: checked as a whole first, loaded in one transaction or not at all.

use std::{collections::BTreeMap, path::Path};

use diesel::{
    Connection as _, QueryResult, RunQueryDsl, SqliteConnection, connection::SimpleConnection,
    sql_types::Text,
};

use super::{
    ArchiveError, Archived, Table,
    file::{Archive, Row},
};
use crate::{
    Connection, Location, Migrations, migrate, migrations, on, postgres, provision::identifier,
    sqlite,
};

/// Rows of one INSERT: a statement of some hundred kilobytes.
const BATCH_ROWS: usize = 1000;

/// Restores `path` into the empty database at `location`: one without tables, or with tables in which nothing
/// happened yet. The file's checksum, its module and its migrations are checked before anything is touched.
pub fn restore(
    module: &str,
    location: &Location,
    migrations: &Migrations,
    path: &Path,
) -> Result<Archived, ArchiveError> {
    let archive = checked(module, path)?;
    migrate(module, location, migrations)?;
    let mut c = connect(location)?;
    let known = super::migrations(&mut c)?;
    if known != archive.header.migrations {
        return Err(archive.wrong(format!(
            "it was made with migrations {:?}, this program has {known:?}: restore with the version that made it, \
             then migrate",
            archive.header.migrations
        )));
    }
    let tables = super::tables(&mut c)?;
    archive.fits(&tables)?;
    // Nobody writes from here on: what is empty now is empty until the end.
    c.batch_execute(if c.is_postgres() {
        "BEGIN; LOCK TABLE fence IN ACCESS EXCLUSIVE MODE"
    } else {
        "BEGIN IMMEDIATE"
    })?;
    empty(module, &mut c, &tables, migrations)?;
    load(&mut c, &archive, &tables)?;
    // An error above drops the connection, and with it the transaction.
    c.batch_execute("COMMIT")?;
    Ok(Archived {
        module: module.to_owned(),
        tables: tables.len(),
        rows: archive.footer.rows,
        sha256: archive.footer.sha256,
    })
}

/// Is `path` an undamaged backup of this module? Asks no database, so all files of a directory can be checked before the
/// first is restored.
pub fn check_backup(module: &str, path: &Path) -> Result<(), ArchiveError> {
    checked(module, path).map(drop)
}

fn checked<'a>(module: &str, path: &'a Path) -> Result<Archive<'a>, ArchiveError> {
    let archive = Archive::check(path)?;
    if archive.header.module == module {
        Ok(archive)
    } else {
        Err(archive.wrong(format!("it is a backup of {}", archive.header.module)))
    }
}

fn connect(location: &Location) -> Result<Connection, ArchiveError> {
    Ok(match location {
        Location::Sqlite { path } => Connection::Sqlite(sqlite::open(path)?),
        Location::Postgres { url } => {
            let mut c = postgres::establish(url)?;
            c.batch_execute("SET statement_timeout = 0")?;
            Connection::Postgres(c)
        }
    })
}

/// Is there nothing in the tables but what migrations put there? What they put is counted in a database in memory.
fn empty(
    module: &str,
    c: &mut Connection,
    tables: &[(Table, Vec<String>)],
    source: &Migrations,
) -> Result<(), ArchiveError> {
    let mut fresh = SqliteConnection::establish(":memory:")
        .map_err(|error| ArchiveError::Unfit(error.to_string()))?;
    migrations::run_sqlite(module, &mut fresh, source)?;
    let mut fresh = Connection::Sqlite(fresh);
    for (table, _kinds) in tables {
        let rows = count(c, &table.name)?;
        // A table that only PostgreSQL has is new when it is empty.
        let born_with = count(&mut fresh, &table.name).unwrap_or(0);
        if rows != born_with {
            return Err(ArchiveError::Unfit(format!(
                "the database of {module} is not empty ({} has {rows} rows): a backup is restored into an empty \
                 one only",
                table.name
            )));
        }
    }
    Ok(())
}

pub(crate) fn count(c: &mut Connection, table: &str) -> QueryResult<i64> {
    #[derive(diesel::QueryableByName)]
    struct Count {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        rows: i64,
    }
    let sql = format!("SELECT count(*) AS rows FROM {}", identifier(table));
    let count: Count = on!(c, |c| diesel::sql_query(sql).get_result(c))?;
    Ok(count.rows)
}

fn load(
    c: &mut Connection,
    archive: &Archive<'_>,
    tables: &[(Table, Vec<String>)],
) -> Result<(), ArchiveError> {
    // Rows come table by table, so keys between tables are checked at the end.
    let keys = hold_keys(c)?;
    for (table, _kinds) in tables {
        c.batch_execute(&format!("DELETE FROM {}", identifier(&table.name)))?;
    }
    let statements: BTreeMap<&str, String> = tables
        .iter()
        .map(|(table, kinds)| (table.name.as_str(), insert(c.is_postgres(), table, kinds)))
        .collect();
    let mut batch = Batch { sql: "", rows: Vec::new() };
    archive.rows(|line| match line {
        Row::Start(table) => {
            batch.flush(c)?;
            batch.sql = statements.get(table).map_or("", String::as_str);
            Ok(())
        }
        Row::Values(values) => {
            batch.rows.push(values.to_owned());
            if batch.rows.len() >= BATCH_ROWS { batch.flush(c) } else { Ok(()) }
        }
    })?;
    batch.flush(c)?;
    if c.is_postgres() {
        move_sequences(c, tables)?;
    }
    release_keys(c, &keys)?;
    Ok(())
}

/// Rows on their way into one table.
struct Batch<'a> {
    sql: &'a str,
    rows: Vec<String>,
}

impl Batch<'_> {
    fn flush(&mut self, c: &mut Connection) -> Result<(), ArchiveError> {
        if !self.rows.is_empty() {
            let rows = format!("[{}]", self.rows.join(","));
            self.rows.clear();
            on!(c, |c| diesel::sql_query(self.sql).bind::<Text, _>(rows).execute(c))?;
        }
        Ok(())
    }
}

/// The INSERT that takes a JSON array of rows.
fn insert(is_postgres: bool, table: &Table, kinds: &[String]) -> String {
    let name = identifier(&table.name);
    let columns: Vec<_> = table.columns.iter().map(|column| identifier(column)).collect();
    let columns = columns.join(", ");
    let values: Vec<_> = kinds
        .iter()
        .enumerate()
        .map(|(at, kind)| {
            if is_postgres {
                format!("(one ->> {at})::{kind}")
            } else {
                format!("json_extract(value, '$[{at}]')")
            }
        })
        .collect();
    let values = values.join(", ");
    if is_postgres {
        format!(
            "INSERT INTO {name} ({columns}) OVERRIDING SYSTEM VALUE \
             SELECT {values} FROM json_array_elements($1::json) WITH ORDINALITY AS rows (one, nth) ORDER BY nth"
        )
    } else {
        format!("INSERT INTO {name} ({columns}) SELECT {values} FROM json_each(?1) ORDER BY key")
    }
}

/// Puts the checks of foreign keys off to the end; gives what must be put back.
fn hold_keys(c: &mut Connection) -> QueryResult<Vec<String>> {
    if !c.is_postgres() {
        c.batch_execute("PRAGMA defer_foreign_keys = ON")?;
        return Ok(Vec::new());
    }
    let keys = super::lines(
        c,
        "SELECT format('ALTER TABLE %s ALTER CONSTRAINT %I', conrelid::regclass, conname) AS line \
         FROM pg_constraint WHERE contype = 'f' AND NOT condeferrable \
         AND connamespace = current_schema()::regnamespace",
    )?;
    for key in &keys {
        c.batch_execute(&format!("{key} DEFERRABLE INITIALLY DEFERRED"))?;
    }
    c.batch_execute("SET CONSTRAINTS ALL DEFERRED")?;
    Ok(keys)
}

fn release_keys(c: &mut Connection, keys: &[String]) -> QueryResult<()> {
    if c.is_postgres() {
        c.batch_execute("SET CONSTRAINTS ALL IMMEDIATE")?;
    }
    for key in keys {
        c.batch_execute(&format!("{key} NOT DEFERRABLE"))?;
    }
    Ok(())
}

/// Numbers that the database gives go on after the highest that was restored.
fn move_sequences(c: &mut Connection, tables: &[(Table, Vec<String>)]) -> QueryResult<()> {
    for (table, kinds) in tables {
        for (column, kind) in table.columns.iter().zip(kinds) {
            if kind == "bigint" || kind == "integer" {
                let (name, quoted) = (identifier(&table.name), identifier(column));
                let (name_text, column_text) =
                    (name.replace('\'', "''"), column.replace('\'', "''"));
                c.batch_execute(&format!(
                    "SELECT setval(s, greatest((SELECT max({quoted}) FROM {name}), 1)) \
                     FROM pg_get_serial_sequence('{name_text}', '{column_text}') AS s WHERE s IS NOT NULL"
                ))?;
            }
        }
    }
    Ok(())
}
