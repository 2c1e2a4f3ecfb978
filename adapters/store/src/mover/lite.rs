//! A SQLite file as one side of a move.
//!
//! With rusqlite and not diesel, whose rows are types of the program; both stand on the same SQLite.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rusqlite::{
    Connection, ErrorCode, OpenFlags, Row, Statement,
    backup::Backup,
    config::DbConfig,
    ffi,
    types::{ToSqlOutput, Value, ValueRef},
};

use super::{
    error::{MoveError, SideName},
    lines::{self, Field, Kind, Lines, integer_of, put_integer, put_null, put_text, text_of},
    names::MoveId,
    shape::{Column, Table},
    side::{Begin, Change, Key, Range, Side, Wrote},
};
use crate::{
    provision::{escaped, literal},
    sqlite,
};

/// How often the file's lock is asked for while a busy writer has it: its pause between two commits is short.
const POLL: Duration = Duration::from_micros(100);
/// How long a read waits where SQLite wants it to (another process opens or closes the file).
const BUSY: Duration = Duration::from_secs(1);
/// Lines that are held before they are inserted: enough to prepare the statement once for many.
const HELD_LINES_MAX: usize = 1000;
/// Log rows that one trim forgets: a millisecond of the file's lock.
const TRIM_ROWS: i64 = 5000;
/// Pages that a copy writes before they go from the journal into the file, with a sync of both: 64 megabytes.
const COPY_CHECKPOINT_PAGES: u32 = 16_384;
/// Statements kept prepared: a few for each table of a module.
const STATEMENTS_KEPT: usize = 128;

/// A connection to the file.
pub(super) struct Lite {
    name: SideName,
    c: Connection,
    loading: Option<Table>,
    held: Lines,
    attached: bool,
}

impl Lite {
    /// Opens a file that is there. What the source's connection writes is captured like anybody's writes; what the
    /// target's writes is not, and its foreign keys are not checked: its rows come from a side that did.
    pub fn open(path: &Path, name: SideName) -> Result<Self, MoveError> {
        sqlite::configure();
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI;
        let failed = |error: rusqlite::Error| MoveError::Away {
            side: name,
            what: format!("{}: {error}", path.display()),
        };
        let c = Connection::open_with_flags(path, flags).map_err(failed)?;
        c.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        c.busy_timeout(BUSY).map_err(failed)?;
        c.execute_batch(
            "PRAGMA foreign_keys = OFF; PRAGMA recursive_triggers = ON; PRAGMA temp_store = MEMORY;
             PRAGMA cache_size = -16384",
        )
        .map_err(failed)?;
        c.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, name == SideName::Source)
            .map_err(failed)?;
        Ok(Self { name, c, loading: None, held: Lines::default(), attached: false })
    }

    fn error(&self, failed: &rusqlite::Error) -> MoveError {
        error(self.name, failed)
    }

    /// What copies this file's pages into another one.
    pub fn backup_into<'a>(&'a self, to: &'a mut Self) -> Result<Backup<'a, 'a>, MoveError> {
        let side = to.name;
        Backup::new(&self.c, &mut to.c).map_err(|failed| error(side, &failed))
    }

    /// How soon what the next transactions write is on the disk.
    pub fn sync_for(&self, how: Begin) -> Result<(), MoveError> {
        let pragmas = match how {
            Begin::Snapshot => return Ok(()),
            Begin::Apply(_) | Begin::Fence(_) => {
                "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 1000".to_owned()
            }
            Begin::Copy(_) => format!(
                "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = {COPY_CHECKPOINT_PAGES}"
            ),
        };
        self.c.execute_batch(&pragmas).map_err(|error| self.error(&error))
    }

    /// Begins as the only writer. The handler that SQLite has for this sleeps ever longer and so hardly ever wins
    /// against a busy writer.
    fn begin_immediate(&self, wait: Duration) -> Result<(), MoveError> {
        let until = Instant::now() + wait;
        self.c.busy_timeout(Duration::ZERO).map_err(|error| self.error(&error))?;
        let begun = loop {
            match self.c.execute_batch("BEGIN IMMEDIATE") {
                Err(error)
                    if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                        && Instant::now() < until =>
                {
                    thread::sleep(POLL);
                }
                other => break other,
            }
        };
        self.c.busy_timeout(BUSY).map_err(|error| self.error(&error))?;
        begun.map_err(|error| match self.error(&error) {
            MoveError::Busy { side, .. } => MoveError::Busy {
                side,
                what: format!("no turn to write within {} ms", wait.as_millis()),
            },
            other => other,
        })
    }

    /// Runs one statement per line.
    fn each(&self, sql: &str, table: &Table, lines: &Lines) -> Result<Wrote, MoveError> {
        let mut statement = self.c.prepare_cached(sql).map_err(|error| self.error(&error))?;
        for line in lines.iter() {
            bind(&mut statement, &table.columns, line, 1)?;
            match statement.raw_execute() {
                Ok(_rows) => {}
                Err(error) if is_clash(&error) => return Ok(Wrote::Clash),
                Err(error) => return Err(self.error(&error)),
            }
        }
        Ok(Wrote::All)
    }

    fn flush(&mut self) -> Result<(), MoveError> {
        let Some(table) = self.loading.take() else { return Ok(()) };
        let held = std::mem::take(&mut self.held);
        let added = self.add(&table, &held);
        self.loading = Some(table);
        added
    }

    /// Copies the next rows straight from another file, which is faster than through lines; how many, and the last
    /// one's key.
    pub fn pull(
        &mut self,
        path: &Path,
        table: &Table,
        after: Option<&Key>,
        rows: u64,
    ) -> Result<(u64, Option<Key>), MoveError> {
        self.attach(path)?;
        let keys = Table::list(table.keys(), "");
        let columns = Table::list(&table.columns, "");
        let name = table.quoted();
        let above = after.map(|_key| above(table)).unwrap_or_default();
        let last = format!(
            "SELECT {keys} FROM carve_source.{name} WHERE true{above} ORDER BY {keys} LIMIT 1 OFFSET {}",
            rows.saturating_sub(1)
        );
        let upto = self.first_key(&last, table, after)?;
        let below = upto.as_ref().map(|_key| upto_end(table)).unwrap_or_default();
        let insert = format!(
            "INSERT INTO main.{name} ({columns}) SELECT {columns} FROM carve_source.{name} \
             WHERE true{above}{below} ORDER BY {keys} ON CONFLICT DO NOTHING"
        );
        let mut statement = self.c.prepare_cached(&insert).map_err(|error| self.error(&error))?;
        let mut at = 1;
        for key in [after, upto.as_ref()].into_iter().flatten() {
            bind(&mut statement, table.keys(), key, at)?;
            at += table.key;
        }
        let copied = statement.raw_execute().map_err(|error| self.error(&error))?;
        Ok((u64::try_from(copied).unwrap_or(0), upto))
    }

    /// Makes the other file readable beside this one, outside of a transaction.
    pub fn attach(&mut self, path: &Path) -> Result<(), MoveError> {
        if !self.attached {
            let path = path.to_string_lossy();
            let uri = literal(&format!("file:{}?mode=ro", escaped(&path)));
            self.run(&format!("ATTACH {uri} AS carve_source"))?;
            self.attached = true;
        }
        Ok(())
    }

    fn first_key(
        &self,
        sql: &str,
        table: &Table,
        after: Option<&Key>,
    ) -> Result<Option<Key>, MoveError> {
        let error = |error: rusqlite::Error| self.error(&error);
        let mut statement = self.c.prepare_cached(sql).map_err(error)?;
        if let Some(after) = after {
            bind(&mut statement, table.keys(), after, 1)?;
        }
        let mut rows = statement.raw_query();
        let Some(row) = rows.next().map_err(error)? else { return Ok(None) };
        let mut key = Vec::new();
        encode(row, 0, &table.name, table.keys(), &mut key)?;
        Ok(Some(key))
    }

    /// A bound on the file's size, as a full disk is one.
    #[cfg(feature = "testing")]
    pub fn starve(&self, pages: u32) -> Result<(), MoveError> {
        self.c
            .execute_batch(&format!("PRAGMA max_page_count = {pages}"))
            .map_err(|error| self.error(&error))
    }
}

/// What a failure means for the move.
pub(super) fn error(side: SideName, error: &rusqlite::Error) -> MoveError {
    let what = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => MoveError::Busy { side, what },
        Some(ErrorCode::DiskFull) => MoveError::Full { side, what },
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => MoveError::Away { side, what },
        _ => MoveError::Failed { side, what },
    }
}

fn is_clash(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    matches!(
        code,
        Some(
            ffi::SQLITE_CONSTRAINT_UNIQUE
                | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
                | ffi::SQLITE_CONSTRAINT_ROWID
        )
    )
}

fn above(table: &Table) -> String {
    format!(" AND ({}) > ({})", Table::list(table.keys(), ""), marks(table.key))
}

fn upto_end(table: &Table) -> String {
    format!(" AND ({}) <= ({})", Table::list(table.keys(), ""), marks(table.key))
}

fn marks(count: usize) -> String {
    vec!["?"; count].join(", ")
}

/// Binds the fields of a line, as many as there are columns, from parameter `first` on.
fn bind(
    statement: &mut Statement<'_>,
    columns: &[Column],
    line: &[u8],
    first: usize,
) -> Result<(), MoveError> {
    for (at, (field, column)) in lines::fields(line).zip(columns).enumerate() {
        let bound = match (field, column.kind) {
            (Field::Null, _) => statement.raw_bind_parameter(first + at, Value::Null),
            (Field::Raw(raw), Kind::Integer) => {
                statement.raw_bind_parameter(first + at, integer_of(raw)?)
            }
            (Field::Raw(raw), Kind::Boolean) => {
                statement.raw_bind_parameter(first + at, i64::from(raw == b"t"))
            }
            (Field::Raw(raw), Kind::Text) if raw.contains(&b'\\') => {
                statement.raw_bind_parameter(first + at, Text(&text_of(raw)))
            }
            (Field::Raw(raw), Kind::Text) => statement.raw_bind_parameter(first + at, Text(raw)),
        };
        bound.map_err(|error| MoveError::Unfit(format!("{}: {error}", column.name)))?;
    }
    Ok(())
}

/// Text that need not be looked through for UTF-8 again.
struct Text<'a>(&'a [u8]);

impl rusqlite::ToSql for Text<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}

/// Adds the row's values from column `first` on to a line.
fn encode(
    row: &Row<'_>,
    first: usize,
    table: &str,
    columns: &[Column],
    line: &mut Vec<u8>,
) -> Result<(), MoveError> {
    for (at, column) in columns.iter().enumerate() {
        if at > 0 {
            line.push(b'\t');
        }
        let value = row.get_ref(first + at).map_err(|error| MoveError::Unfit(error.to_string()))?;
        match (value, column.kind) {
            (ValueRef::Null, _) => put_null(line),
            (ValueRef::Text(text), Kind::Text) => put_text(line, text),
            (ValueRef::Integer(number), Kind::Integer) => put_integer(line, number),
            (ValueRef::Integer(0), Kind::Boolean) => line.push(b'f'),
            (ValueRef::Integer(1), Kind::Boolean) => line.push(b't'),
            (other, kind) => {
                return Err(MoveError::Unfit(format!(
                    "column {} of table {table} holds a value of type {}, which is no {kind:?}",
                    column.name,
                    other.data_type()
                )));
            }
        }
    }
    Ok(())
}

impl Side for Lite {
    fn name(&self) -> SideName {
        self.name
    }

    fn is_postgres(&self) -> bool {
        false
    }

    fn as_lite(&mut self) -> Option<&mut Self> {
        Some(self)
    }

    fn run(&mut self, sql: &str) -> Result<(), MoveError> {
        self.c.execute_batch(sql).map_err(|error| self.error(&error))
    }

    fn ask(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, MoveError> {
        let error = |error: rusqlite::Error| self.error(&error);
        let mut statement = self.c.prepare_cached(sql).map_err(error)?;
        let width = statement.column_count();
        let mut rows = statement.raw_query();
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(error)? {
            let values = (0..width).map(|column| {
                Ok(match row.get_ref(column).map_err(error)? {
                    ValueRef::Null => None,
                    ValueRef::Integer(number) => Some(number.to_string()),
                    ValueRef::Real(number) => Some(number.to_string()),
                    ValueRef::Text(text) | ValueRef::Blob(text) => {
                        Some(String::from_utf8_lossy(text).into_owned())
                    }
                })
            });
            found.push(values.collect::<Result<Vec<_>, MoveError>>()?);
        }
        Ok(found)
    }

    fn begin(&mut self, how: Begin, _id: &MoveId) -> Result<(), MoveError> {
        self.sync_for(how)?;
        match how {
            Begin::Snapshot => self.run("BEGIN"),
            Begin::Apply(wait) | Begin::Fence(wait) | Begin::Copy(wait) => {
                self.begin_immediate(wait)
            }
        }
    }

    fn roll_back(&mut self) {
        self.loading = None;
        self.held.clear();
        if !self.c.is_autocommit() {
            drop(self.c.execute_batch("ROLLBACK"));
        }
    }

    fn take(
        &mut self,
        id: &MoveId,
        tables: &[Table],
        cursor: &mut i64,
        limit: usize,
    ) -> Result<Vec<Change>, MoveError> {
        let error = |error: rusqlite::Error| self.error(&error);
        let sql = format!("SELECT * FROM {} WHERE seq > ? ORDER BY seq LIMIT {limit}", id.log());
        let mut statement = self.c.prepare_cached(&sql).map_err(error)?;
        let mut rows = statement.query([*cursor]).map_err(error)?;
        let mut changes = Vec::new();
        while let Some(row) = rows.next().map_err(error)? {
            *cursor = row.get(0).map_err(error)?;
            let name: String = row.get(1).map_err(error)?;
            let table = tables.iter().find(|table| table.name == name).ok_or_else(|| {
                MoveError::Unfit(format!("the log names table {name}, which does not move"))
            })?;
            let mut key = Vec::new();
            encode(row, 2, &table.name, table.keys(), &mut key)?;
            changes.push((name, key));
        }
        Ok(changes)
    }

    fn waiting(&mut self, id: &MoveId, cursor: i64) -> Result<u64, MoveError> {
        let newest = super::side::number(self, &format!("SELECT max(seq) FROM {}", id.log()))?;
        Ok(u64::try_from(newest - cursor).unwrap_or(0))
    }

    fn trim(&mut self, id: &MoveId, cursor: i64) -> Result<(), MoveError> {
        let log = id.log();
        let oldest = super::side::number(self, &format!("SELECT min(seq) FROM {log}"))?;
        if cursor - oldest < TRIM_ROWS {
            return Ok(());
        }
        // The newest row stays, so that no number is given twice.
        let end = cursor.min(oldest + TRIM_ROWS);
        match self.begin_immediate(Duration::ZERO) {
            Ok(()) => self.run(&format!("DELETE FROM {log} WHERE seq < {end}; COMMIT")),
            Err(MoveError::Busy { .. }) => Ok(()),
            Err(other) => Err(other),
        }
    }

    fn read(&mut self, table: &Table, keys: &[&[u8]], lines: &mut Lines) -> Result<(), MoveError> {
        let error = |error: rusqlite::Error| self.error(&error);
        let sql = format!(
            "SELECT {} FROM {} WHERE ({}) = ({})",
            Table::list(&table.columns, ""),
            table.quoted(),
            Table::list(table.keys(), ""),
            marks(table.key)
        );
        let mut statement = self.c.prepare_cached(&sql).map_err(error)?;
        let mut line = Vec::new();
        for key in keys {
            bind(&mut statement, table.keys(), key, 1)?;
            let mut rows = statement.raw_query();
            if let Some(row) = rows.next().map_err(error)? {
                line.clear();
                encode(row, 0, &table.name, &table.columns, &mut line)?;
                line.push(b'\n');
                lines.push(&line);
            }
        }
        Ok(())
    }

    fn stretch(
        &mut self,
        table: &Table,
        range: &Range,
        limit: Option<u64>,
        each: &mut dyn FnMut(&[u8]) -> Result<(), MoveError>,
    ) -> Result<(), MoveError> {
        let error = |error: rusqlite::Error| self.error(&error);
        let keys = Table::list(table.keys(), "");
        let mut sql = format!(
            "SELECT {} FROM {} WHERE true",
            Table::list(&table.columns, ""),
            table.quoted()
        );
        if range.after.is_some() {
            sql.push_str(&above(table));
        }
        if range.upto.is_some() {
            sql.push_str(&upto_end(table));
        }
        sql.push_str(&format!(" ORDER BY {keys}"));
        if let Some(limit) = limit {
            sql.push_str(&format!(" LIMIT {limit}"));
        }
        let mut statement = self.c.prepare_cached(&sql).map_err(error)?;
        let mut at = 1;
        for key in [&range.after, &range.upto].into_iter().flatten() {
            bind(&mut statement, table.keys(), key, at)?;
            at += table.key;
        }
        let mut rows = statement.raw_query();
        let mut line = Vec::new();
        while let Some(row) = rows.next().map_err(error)? {
            line.clear();
            encode(row, 0, &table.name, &table.columns, &mut line)?;
            line.push(b'\n');
            each(&line)?;
        }
        Ok(())
    }

    fn upsert(&mut self, table: &Table, lines: &Lines) -> Result<Wrote, MoveError> {
        let set = table.others().iter().map(|column| {
            let name = crate::provision::identifier(&column.name);
            format!("{name} = excluded.{name}")
        });
        let set = set.collect::<Vec<_>>().join(", ");
        let sql = format!(
            "INSERT INTO {} ({}) VALUES ({}) ON CONFLICT ({}) DO {}",
            table.quoted(),
            Table::list(&table.columns, ""),
            marks(table.columns.len()),
            Table::list(table.keys(), ""),
            if set.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {set}") }
        );
        self.each(&sql, table, lines)
    }

    fn add(&mut self, table: &Table, lines: &Lines) -> Result<(), MoveError> {
        let sql = format!(
            "INSERT INTO {} ({}) VALUES ({}) ON CONFLICT DO NOTHING",
            table.quoted(),
            Table::list(&table.columns, ""),
            marks(table.columns.len())
        );
        self.each(&sql, table, lines).map(drop)
    }

    fn delete(&mut self, table: &Table, keys: &[&[u8]]) -> Result<(), MoveError> {
        let error = |error: rusqlite::Error| self.error(&error);
        let sql = format!(
            "DELETE FROM {} WHERE ({}) = ({})",
            table.quoted(),
            Table::list(table.keys(), ""),
            marks(table.key)
        );
        let mut statement = self.c.prepare_cached(&sql).map_err(error)?;
        for key in keys {
            bind(&mut statement, table.keys(), key, 1)?;
            statement.raw_execute().map_err(error)?;
        }
        Ok(())
    }

    fn load(&mut self, table: &Table) -> Result<(), MoveError> {
        self.loading = Some(table.clone());
        self.held.clear();
        Ok(())
    }

    fn load_line(&mut self, line: &[u8]) -> Result<(), MoveError> {
        self.held.push(line);
        if self.held.len() >= HELD_LINES_MAX { self.flush() } else { Ok(()) }
    }

    fn load_end(&mut self) -> Result<Wrote, MoveError> {
        self.flush()?;
        self.loading = None;
        Ok(Wrote::All)
    }
}
