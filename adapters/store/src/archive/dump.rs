//! Writing a module's tables into one file.

use std::{
    fs,
    io::{BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use diesel::{
    PgConnection, RunQueryDsl,
    connection::{DefaultLoadingMode, SimpleConnection},
    pg::PgRowByRowLoadingMode,
};
use kernel_api::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{ArchiveError, Archived, FORMAT, Footer, Header, Line, Start, TITLE, Table};
use crate::{Connection, Location, postgres, provision::identifier, sqlite};

/// A backup holds everything that the module knows.
const FILE_MODE: u32 = 0o600;

/// Writes all of `module`'s data as of one moment into the new file `path`, while the module may be serving. The file
/// appears under its name only when it is whole; one that is there already is not touched.
pub fn backup(module: &str, location: &Location, path: &Path) -> Result<Archived, ArchiveError> {
    let file =
        |what: &dyn ToString| ArchiveError::File { path: path.to_owned(), what: what.to_string() };
    if path.exists() {
        return Err(file(&"it is there already: name a new file"));
    }
    let partial = PathBuf::from(format!("{}.partial", path.display()));
    let result = write(module, location, &partial, &|error| file(&error)).and_then(|archived| {
        fs::rename(&partial, path).map_err(|error| file(&error))?;
        Ok(archived)
    });
    if result.is_err() {
        // What is left of it is of no use to anyone; when it cannot be removed its name says so.
        drop(fs::remove_file(&partial));
    }
    result
}

type FileError<'a> = dyn Fn(std::io::Error) -> ArchiveError + 'a;

fn write(
    module: &str,
    location: &Location,
    partial: &Path,
    file: &FileError<'_>,
) -> Result<Archived, ArchiveError> {
    let mut c = snapshot(location)?;
    let tables = super::tables(&mut c)?;
    let header = Header {
        title: TITLE.to_owned(),
        format: FORMAT,
        module: module.to_owned(),
        migrations: super::migrations(&mut c)?,
        made_at: Timestamp::now(),
        tables: tables.iter().map(|(table, _kinds)| table.clone()).collect(),
    };
    let target = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(FILE_MODE)
        .open(partial)
        .map_err(file)?;
    let mut out = Sink { out: BufWriter::new(target), hash: Sha256::new(), file };
    out.json(&header)?;
    let mut rows = 0;
    for (table, kinds) in &tables {
        out.json(&Start { table: table.name.clone() })?;
        rows += dump(&mut c, table, kinds, &mut out)?;
    }
    let archived = out.close(module, tables.len(), rows)?;
    c.batch_execute("ROLLBACK")?;
    Ok(archived)
}

/// A connection of the backup's own, inside a transaction that sees one moment and may last.
fn snapshot(location: &Location) -> Result<Connection, ArchiveError> {
    match location {
        Location::Sqlite { path } => {
            if !path.exists() {
                return Err(ArchiveError::File {
                    path: path.clone(),
                    what: "there is no such database".to_owned(),
                });
            }
            let mut c = sqlite::open(path)?;
            c.batch_execute("PRAGMA query_only = ON; BEGIN")?;
            Ok(Connection::Sqlite(c))
        }
        Location::Postgres { url } => {
            let mut c: PgConnection = postgres::establish(url)?;
            c.batch_execute(
                "SET statement_timeout = 0; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            )?;
            Ok(Connection::Postgres(c))
        }
    }
}

fn dump(
    c: &mut Connection,
    table: &Table,
    kinds: &[String],
    out: &mut Sink<'_>,
) -> Result<u64, ArchiveError> {
    let name = identifier(&table.name);
    let columns = table.columns.iter().map(|column| identifier(column));
    let mut rows = 0;
    match c {
        Connection::Sqlite(c) => {
            let columns = columns.zip(kinds).map(|(column, kind)| sqlite_value(&column, kind));
            let sql = format!(
                "SELECT json_array({}) AS line FROM {name}",
                columns.collect::<Vec<_>>().join(", ")
            );
            let query = diesel::sql_query(sql);
            for line in query.load_iter::<Line, DefaultLoadingMode>(c)? {
                out.line(&line?.line)?;
                rows += 1;
            }
        }
        Connection::Postgres(c) => {
            // Events without a position come last and in their order, so that any target gives them the next ones.
            let order = if table.name == "outbox" {
                " ORDER BY position NULLS LAST, insertion"
            } else {
                ""
            };
            let columns = columns.collect::<Vec<_>>().join(", ");
            let sql =
                format!("SELECT json_build_array({columns})::text AS line FROM {name}{order}");
            let query = diesel::sql_query(sql);
            for line in query.load_iter::<Line, PgRowByRowLoadingMode>(c)? {
                out.line(&line?.line)?;
                rows += 1;
            }
        }
    }
    Ok(rows)
}

/// SQLite keeps a boolean as a number; in the archive it is one, so that PostgreSQL reads it.
fn sqlite_value(column: &str, kind: &str) -> String {
    if kind.starts_with("bool") {
        format!("json(CASE {column} WHEN 0 THEN 'false' WHEN 1 THEN 'true' ELSE 'null' END)")
    } else {
        column.to_owned()
    }
}

/// The file, and the checksum of what went into it.
struct Sink<'a> {
    out: BufWriter<fs::File>,
    hash: Sha256,
    file: &'a FileError<'a>,
}

impl Sink<'_> {
    fn json(&mut self, value: &impl Serialize) -> Result<(), ArchiveError> {
        let text =
            serde_json::to_string(value).map_err(|error| ArchiveError::Unfit(error.to_string()))?;
        self.line(&text)
    }

    fn line(&mut self, text: &str) -> Result<(), ArchiveError> {
        // A row of JSON has no raw line feed: both databases escape those inside strings.
        for bytes in [text.as_bytes(), b"\n"] {
            self.hash.update(bytes);
            self.out.write_all(bytes).map_err(self.file)?;
        }
        Ok(())
    }

    fn close(mut self, module: &str, tables: usize, rows: u64) -> Result<Archived, ArchiveError> {
        let sha256 = super::file::hex(&self.hash.clone().finalize());
        self.json(&Footer { rows, sha256: sha256.clone() })?;
        self.out.flush().map_err(self.file)?;
        self.out.get_ref().sync_all().map_err(self.file)?;
        Ok(Archived { module: module.to_owned(), tables, rows, sha256 })
    }
}
