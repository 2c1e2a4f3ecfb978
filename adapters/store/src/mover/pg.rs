//! A PostgreSQL schema as one side of a move.

use std::time::Duration;

use super::{
    error::{MoveError, SideName},
    libpq::{Pq, PqError, Rows, UNIQUE_VIOLATION},
    lines::{self, Field, Kind, Lines, put_null, put_text, text_of},
    names::MoveId,
    shape::{Column, Table},
    side::{Begin, Change, Key, Range, Side, Wrote},
};
use crate::{
    provision::{identifier, literal},
    server::with_defaults,
};

/// How long a connection may take. Two seconds is the least that libpq knows.
const CONNECT_TIMEOUT_S: u32 = 2;
/// When sent data stays unacknowledged for so long the server has vanished from the network.
const TCP_USER_TIMEOUT_MS: u32 = 10_000;
/// Rows for one statement: its arrays stay at some hundred kilobytes.
const STATEMENT_ROWS_MAX: usize = 2048;
/// Bytes of rows that are sent at once to a COPY.
const SENT_BYTES: usize = 64 * 1024;

/// Joins by hash or merge read a whole table for a thousand keys; just-in-time compilation takes longer than any of
/// our statements. A session that sits in an open transaction for a minute has lost its process.
const SESSION: &str = "
SET client_encoding = 'UTF8'; SET standard_conforming_strings = on; SET statement_timeout = 0; SET jit = off;
SET enable_hashjoin = off; SET enable_mergejoin = off; SET lock_timeout = '1s';
SET idle_in_transaction_session_timeout = '60s'";

/// What the target's session says, so that what it writes is not captured.
const NOT_CAPTURED: &str = "SET carve.apply = 'on'";

/// A connection to the schema, as its role.
pub(super) struct Pg {
    name: SideName,
    c: Pq,
    outgoing: Vec<u8>,
}

impl Pg {
    /// Connects.
    pub fn open(url: &str, name: SideName, id: &MoveId) -> Result<Self, MoveError> {
        let url = with_defaults(
            url,
            &[
                ("application_name", format!("banyan-carve-{id}")),
                ("connect_timeout", CONNECT_TIMEOUT_S.to_string()),
                ("tcp_user_timeout", TCP_USER_TIMEOUT_MS.to_string()),
            ],
        );
        let away = |error: PqError| MoveError::Away { side: name, what: error.message };
        let mut c = Pq::connect(&url).map_err(away)?;
        c.exec(SESSION).map_err(away)?;
        if name == SideName::Target {
            c.exec(NOT_CAPTURED).map_err(away)?;
        }
        Ok(Self { name, c, outgoing: Vec::new() })
    }

    fn error(&self, error: PqError) -> MoveError {
        let (side, what) = (self.name, error.message);
        match error.sqlstate.as_str() {
            _ if error.lost => MoveError::Away { side, what },
            // Admin shutdown, crash shutdown, cannot connect now, too many connections.
            "57P01" | "57P02" | "57P03" | "53300" => MoveError::Away { side, what },
            // Lock not available, serialization failure, deadlock, cancelled.
            "55P03" | "40001" | "40P01" | "57014" => MoveError::Busy { side, what },
            // Disk full.
            "53100" => MoveError::Full { side, what },
            _ => MoveError::Failed { side, what },
        }
    }

    fn exec(&mut self, sql: &str) -> Result<Rows, MoveError> {
        self.c.exec(sql).map_err(|error| self.error(error))
    }

    /// A statement that may find a value that must be unique taken.
    fn wrote(&mut self, result: Result<(), PqError>) -> Result<Wrote, MoveError> {
        match result {
            Ok(()) => Ok(Wrote::All),
            // Exclusion violation.
            Err(error) if error.sqlstate == UNIQUE_VIOLATION || error.sqlstate == "23P01" => {
                Ok(Wrote::Clash)
            }
            Err(error) => Err(self.error(error)),
        }
    }

    fn insert(&mut self, table: &Table, lines: &Lines, end: &str) -> Result<Wrote, MoveError> {
        let sql = format!(
            "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT * FROM unnest({}) {end}",
            table.quoted(),
            Table::list(&table.columns, ""),
            parameters(&table.columns)
        );
        let all: Vec<&[u8]> = lines.iter().collect();
        for part in all.chunks(STATEMENT_ROWS_MAX) {
            let values = arrays(part, &table.columns);
            let result = self.c.exec_params(&sql, &values).map(drop);
            if self.wrote(result)? == Wrote::Clash {
                return Ok(Wrote::Clash);
            }
        }
        Ok(Wrote::All)
    }

    fn flush(&mut self) -> Result<(), MoveError> {
        if self.outgoing.is_empty() {
            return Ok(());
        }
        let sent = self.c.copy_in(&self.outgoing);
        self.outgoing.clear();
        sent.map_err(|error| self.error(error))
    }
}

fn type_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Integer => "int8",
        Kind::Boolean => "bool",
    }
}

/// `$1::text[], $2::int8[], …`
fn parameters(columns: &[Column]) -> String {
    let all = columns
        .iter()
        .enumerate()
        .map(|(at, column)| format!("${}::{}[]", at + 1, type_of(column.kind)));
    all.collect::<Vec<_>>().join(", ")
}

/// One array per column out of the heads of lines.
fn arrays(lines: &[&[u8]], columns: &[Column]) -> Vec<Vec<u8>> {
    let mut arrays: Vec<Vec<u8>> = columns.iter().map(|_column| vec![b'{']).collect();
    for line in lines {
        for ((field, column), array) in lines::fields(line).zip(columns).zip(&mut arrays) {
            if array.len() > 1 {
                array.push(b',');
            }
            match (field, column.kind) {
                (Field::Null, _) => array.extend_from_slice(b"NULL"),
                (Field::Raw(raw), Kind::Integer | Kind::Boolean) => array.extend_from_slice(raw),
                (Field::Raw(raw), Kind::Text) => {
                    array.push(b'"');
                    for byte in text_of(raw) {
                        if byte == b'"' || byte == b'\\' {
                            array.push(b'\\');
                        }
                        array.push(byte);
                    }
                    array.push(b'"');
                }
            }
        }
    }
    for array in &mut arrays {
        array.push(b'}');
    }
    arrays
}

/// `t.a = k.c0 AND t.b = k.c1 …`, where `k` is [`keys`].
fn same_key(table: &Table) -> String {
    let all = table
        .keys()
        .iter()
        .enumerate()
        .map(|(at, column)| format!("t.{} = k.c{at}", identifier(&column.name)));
    all.collect::<Vec<_>>().join(" AND ")
}

/// The keys as rows named `k`.
fn keys(table: &Table) -> String {
    let names: Vec<_> = (0..table.key).map(|at| format!("c{at}")).collect();
    format!("unnest({}) AS k ({})", parameters(table.keys()), names.join(", "))
}

/// A key as a row of SQL literals.
fn row(table: &Table, key: &[u8]) -> String {
    let values = lines::fields(key).zip(table.keys()).map(|(field, column)| match field {
        Field::Null => "NULL".to_owned(),
        Field::Raw(raw) => {
            let text = literal(&String::from_utf8_lossy(&text_of(raw)));
            format!("{text}::{}", type_of(column.kind))
        }
    });
    format!("({})", values.collect::<Vec<_>>().join(", "))
}

fn put(line: &mut Vec<u8>, value: Option<&[u8]>, kind: Kind) {
    match (value, kind) {
        (None, _) => put_null(line),
        (Some(text), Kind::Text) => put_text(line, text),
        (Some(value), Kind::Integer | Kind::Boolean) => line.extend_from_slice(value),
    }
}

fn put_row(line: &mut Vec<u8>, rows: &Rows, row: usize, first: usize, columns: &[Column]) {
    for (at, column) in columns.iter().enumerate() {
        if at > 0 {
            line.push(b'\t');
        }
        put(line, rows.get(row, first + at), column.kind);
    }
}

impl Side for Pg {
    fn name(&self) -> SideName {
        self.name
    }

    fn is_postgres(&self) -> bool {
        true
    }

    fn run(&mut self, sql: &str) -> Result<(), MoveError> {
        self.exec(sql).map(drop)
    }

    fn ask(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, MoveError> {
        let rows = self.exec(sql)?;
        let width = rows.width();
        Ok((0..rows.len())
            .map(|row| (0..width).map(|column| rows.text(row, column)).collect())
            .collect())
    }

    fn begin(&mut self, how: Begin, id: &MoveId) -> Result<(), MoveError> {
        // Whoever applies holds this row, and took it before it looked at the source: two followers cannot leave an old
        // value behind. There is no such row before `prepare`, which locks the fence.
        let turn = |wait: Duration| {
            format!(
                "SET LOCAL lock_timeout = {}; SELECT name FROM {} WHERE name = 'leads' FOR UPDATE",
                wait.as_millis(),
                id.state()
            )
        };
        match how {
            Begin::Snapshot => self.run("BEGIN ISOLATION LEVEL REPEATABLE READ"),
            Begin::Apply(wait) => self.run(&format!("BEGIN; {}", turn(wait))),
            Begin::Copy(wait) => {
                self.run(&format!("BEGIN; SET LOCAL synchronous_commit = off; {}", turn(wait)))
            }
            Begin::Fence(wait) => self.run(&format!(
                "BEGIN; SET LOCAL lock_timeout = {}; LOCK TABLE fence IN ACCESS EXCLUSIVE MODE",
                wait.as_millis()
            )),
        }
    }

    fn roll_back(&mut self) {
        self.outgoing.clear();
        drop(self.c.exec("ROLLBACK"));
    }

    fn take(
        &mut self,
        id: &MoveId,
        tables: &[Table],
        _cursor: &mut i64,
        limit: usize,
    ) -> Result<Vec<Change>, MoveError> {
        // No order and no sequence: everything that the snapshot sees is taken, a part at a time.
        let log = id.log();
        let rows = self.exec(&format!(
            "DELETE FROM {log} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {log} LIMIT {limit})) RETURNING *"
        ))?;
        let mut changes = Vec::with_capacity(rows.len());
        for row in 0..rows.len() {
            let name = rows.text(row, 0).unwrap_or_default();
            let table = tables.iter().find(|table| table.name == name).ok_or_else(|| {
                MoveError::Unfit(format!("the log names table {name}, which does not move"))
            })?;
            let mut key: Key = Vec::new();
            put_row(&mut key, &rows, row, 1, table.keys());
            changes.push((name, key));
        }
        Ok(changes)
    }

    fn waiting(&mut self, id: &MoveId, _cursor: i64) -> Result<u64, MoveError> {
        let count = super::side::number(self, &format!("SELECT count(*) FROM {}", id.log()))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    fn trim(&mut self, id: &MoveId, _cursor: i64) -> Result<(), MoveError> {
        // Dead rows at the end of the log go back to the system; where somebody reads it, they stay for another time.
        let log = id.log();
        let size = super::side::number(self, &format!("SELECT pg_relation_size('{log}')"))?;
        if size < TRIM_BYTES { Ok(()) } else { self.run(&format!("VACUUM {log}")) }
    }

    fn read(
        &mut self,
        table: &Table,
        wanted: &[&[u8]],
        lines: &mut Lines,
    ) -> Result<(), MoveError> {
        let sql = format!(
            "SELECT {} FROM {} JOIN {} t ON {}",
            Table::list(&table.columns, "t."),
            keys(table),
            table.quoted(),
            same_key(table)
        );
        let mut line = Vec::new();
        for part in wanted.chunks(STATEMENT_ROWS_MAX) {
            let values = arrays(part, table.keys());
            let rows = self.c.exec_params(&sql, &values).map_err(|error| self.error(error))?;
            for row in 0..rows.len() {
                line.clear();
                put_row(&mut line, &rows, row, 0, &table.columns);
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
        let names = Table::list(table.keys(), "");
        let mut sql = format!(
            "COPY (SELECT {} FROM {} WHERE {}",
            Table::list(&table.columns, ""),
            table.quoted(),
            table.only.unwrap_or("true")
        );
        if let Some(after) = &range.after {
            sql.push_str(&format!(" AND ({names}) > {}", row(table, after)));
        }
        if let Some(upto) = &range.upto {
            sql.push_str(&format!(" AND ({names}) <= {}", row(table, upto)));
        }
        if let Some(limit) = limit {
            sql.push_str(&format!(" ORDER BY {names} LIMIT {limit}"));
        }
        sql.push_str(") TO STDOUT");
        self.exec(&sql)?;
        let mut line = Vec::new();
        while self.c.copied_out(&mut line).map_err(|error| self.error(error))? {
            each(&line)?;
        }
        Ok(())
    }

    fn upsert(&mut self, table: &Table, lines: &Lines) -> Result<Wrote, MoveError> {
        let set = table.others().iter().map(|column| {
            let name = identifier(&column.name);
            format!("{name} = excluded.{name}")
        });
        let set = set.collect::<Vec<_>>().join(", ");
        let action =
            if set.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {set}") };
        let end = format!("ON CONFLICT ({}) DO {action}", Table::list(table.keys(), ""));
        self.insert(table, lines, &end)
    }

    fn add(&mut self, table: &Table, lines: &Lines) -> Result<(), MoveError> {
        self.insert(table, lines, "ON CONFLICT DO NOTHING").map(drop)
    }

    fn delete(&mut self, table: &Table, gone: &[&[u8]]) -> Result<(), MoveError> {
        let sql = format!(
            "DELETE FROM {} t USING {} WHERE {}",
            table.quoted(),
            keys(table),
            same_key(table)
        );
        for part in gone.chunks(STATEMENT_ROWS_MAX) {
            let values = arrays(part, table.keys());
            self.c.exec_params(&sql, &values).map_err(|error| self.error(error))?;
        }
        Ok(())
    }

    fn load(&mut self, table: &Table) -> Result<(), MoveError> {
        self.outgoing.clear();
        let columns = Table::list(&table.columns, "");
        self.run(&format!("COPY {} ({columns}) FROM STDIN", table.quoted()))
    }

    fn load_line(&mut self, line: &[u8]) -> Result<(), MoveError> {
        self.outgoing.extend_from_slice(line);
        if self.outgoing.len() >= SENT_BYTES { self.flush() } else { Ok(()) }
    }

    fn load_end(&mut self) -> Result<Wrote, MoveError> {
        let sent = self.c.copy_in(&self.outgoing);
        self.outgoing.clear();
        let ended = sent.and_then(|()| self.c.copy_in_end());
        self.wrote(ended)
    }
}

/// The size from which a log is worth a vacuum: a scan of so much takes a few milliseconds.
const TRIM_BYTES: i64 = 8 * 1024 * 1024;
