//! Backup and restore of one module: one portable file for both databases.
//!
//! JSON lines, so that it can be read in twenty years with no program of ours: a header (module, migrations, tables),
//! then for each table a line with its columns and one array per row, then a last line with the number of rows and the
//! SHA-256 of all bytes before it. A backup is one consistent moment, taken while the module serves.

mod dump;
mod file;
mod load;

use std::path::PathBuf;

use diesel::{QueryResult, QueryableByName, RunQueryDsl, sql_types::Text};
use serde::{Deserialize, Serialize};

use crate::{Connection, MigrateError, OpenError};

pub use dump::backup;
pub(crate) use load::count;
pub use load::{check_backup, restore};

/// The format's version: rises when an old reader could not read a new file.
const FORMAT: u32 = 1;
/// Says what the file is to whoever opens it.
const TITLE: &str = "banyan module backup";
/// Diesel's own table, which migrations fill on restore.
const MIGRATIONS_TABLE: &str = "__diesel_schema_migrations";

/// What a backup or a restore did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Archived {
    /// The module.
    pub module: String,
    /// Tables with rows or without.
    pub tables: usize,
    /// All their rows.
    pub rows: u64,
    /// The checksum of the file.
    pub sha256: String,
}

/// A backup or a restore that could not be done; whatever it had begun is undone.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file.
    #[error("{}: {what}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The module's database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The module's tables cannot be made.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// The database failed on the way.
    #[error("the database failed: {0}")]
    Database(#[from] diesel::result::Error),
    /// The database holds something that a backup cannot carry, or is not what the archive is for.
    #[error("{0}")]
    Unfit(String),
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    title: String,
    format: u32,
    module: String,
    migrations: Vec<String>,
    made_at: kernel_api::Timestamp,
    tables: Vec<Table>,
}

/// A table and the columns that are carried; generated ones are made anew by the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Table {
    name: String,
    columns: Vec<String>,
}

/// The line in front of a table's rows.
#[derive(Debug, Serialize, Deserialize)]
struct Start {
    table: String,
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
struct Footer {
    rows: u64,
    sha256: String,
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

pub(crate) fn lines(c: &mut Connection, sql: &str) -> QueryResult<Vec<String>> {
    let lines: Vec<Line> = crate::on!(c, |c| diesel::sql_query(sql).load(c))?;
    Ok(lines.into_iter().map(|line| line.line).collect())
}

/// Migrations that have run.
fn migrations(c: &mut Connection) -> QueryResult<Vec<String>> {
    lines(c, &format!("SELECT version AS line FROM {MIGRATIONS_TABLE} ORDER BY version"))
}

/// The tables of the module, by name, with `kind` of each column: what is written into the header is only the names.
fn tables(c: &mut Connection) -> Result<Vec<(Table, Vec<String>)>, ArchiveError> {
    #[derive(Deserialize)]
    struct Column(String, String, String);

    let sql = if c.is_postgres() { POSTGRES_COLUMNS } else { SQLITE_COLUMNS };
    let mut tables: Vec<(Table, Vec<String>)> = Vec::new();
    for line in lines(c, sql)? {
        let Column(table, column, kind) = serde_json::from_str(&line).map_err(|error| {
            ArchiveError::Unfit(format!("the catalog gave an unreadable line: {error}"))
        })?;
        // What a carve has made here is no part of the module.
        if table == MIGRATIONS_TABLE || table.starts_with(crate::mover::PREFIX) {
            continue;
        }
        let kind = kind.to_lowercase();
        if !CARRIED.contains(&kind.as_str()) {
            return Err(ArchiveError::Unfit(format!(
                "{table}.{column} is of type {kind}, which a backup does not carry"
            )));
        }
        match tables.last_mut() {
            Some((last, kinds)) if last.name == table => {
                last.columns.push(column);
                kinds.push(kind);
            }
            Some(_) | None => {
                tables.push((Table { name: table, columns: vec![column] }, vec![kind]));
            }
        }
    }
    Ok(tables)
}

/// The portable column types, by both databases' names for them. No floating point and no bytes: SQLite's JSON cannot
/// carry either whole, and the tables have neither.
const CARRIED: [&str; 6] = ["text", "bigint", "integer", "smallint", "boolean", "bool"];

/// `insertion` exists on PostgreSQL alone and means nothing elsewhere.
const POSTGRES_COLUMNS: &str = "
SELECT json_build_array(c.relname, a.attname, format_type(a.atttypid, NULL))::text AS line
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
  AND NOT c.relispartition
  AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
  AND NOT (c.relname = 'outbox' AND a.attname = 'insertion')
ORDER BY c.relname COLLATE \"C\", a.attname COLLATE \"C\"";

const SQLITE_COLUMNS: &str = "
SELECT json_array(t.name, c.name, c.type) AS line
FROM pragma_table_list t, pragma_table_xinfo(t.name) c
WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND c.hidden = 0
ORDER BY t.name, c.name";
