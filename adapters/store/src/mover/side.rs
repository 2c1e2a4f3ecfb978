//! What the mover asks of a database, whichever kind it is. The two kinds are in `lite` and `pg`.

use std::time::Duration;

use super::{
    error::{MoveError, SideName},
    lines::Lines,
    names::MoveId,
    shape::Table,
};

/// A key: the head of its row's line.
pub(super) type Key = Vec<u8>;

/// A row that changed: the table's name and the key.
pub(super) type Change = (String, Key);

/// How a transaction begins.
#[derive(Debug, Clone, Copy)]
pub(super) enum Begin {
    /// Reads one moment, and takes the log's rows of that moment.
    Snapshot,
    /// The only one that applies to this side, wherever else a mover runs: waits at most so long for its turn.
    Apply(Duration),
    /// The same without the wait for the disk at its end: what is lost with the power is copied again.
    Copy(Duration),
    /// Keeps every writer out until its end: waits at most so long.
    Fence(Duration),
}

/// How writing rows went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrote {
    /// All are there.
    All,
    /// A row that is not among them holds a value that must be unique.
    Clash,
}

/// Keys of a table, in the order of its key on the side that reads: above `after`, up to `upto` and that one too.
#[derive(Debug, Clone, Default)]
pub(super) struct Range {
    pub after: Option<Key>,
    pub upto: Option<Key>,
}

/// A connection to one of the two databases.
pub(super) trait Side: Send {
    /// Source or target, for messages.
    fn name(&self) -> SideName;
    fn is_postgres(&self) -> bool;
    /// The SQLite side, where it is one: two files have a faster way between them.
    fn as_lite(&mut self) -> Option<&mut super::lite::Lite> {
        None
    }

    /// Runs SQL text, several statements perhaps.
    fn run(&mut self, sql: &str) -> Result<(), MoveError>;
    /// Runs a small query.
    fn ask(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, MoveError>;

    fn begin(&mut self, how: Begin, id: &MoveId) -> Result<(), MoveError>;
    /// Everything after this can be undone alone.
    fn mark(&mut self) -> Result<(), MoveError> {
        self.run("SAVEPOINT carve_mark")
    }
    fn back_to_mark(&mut self) -> Result<(), MoveError> {
        self.run("ROLLBACK TO carve_mark")
    }
    fn commit(&mut self) -> Result<(), MoveError> {
        self.run("COMMIT")
    }
    /// Undoes whatever is open; an error only means that there is nothing open any more.
    fn roll_back(&mut self);

    /// At most `limit` changes of the log that the open transaction sees. `cursor` is where a log that keeps its rows is
    /// read on; one that gives them away leaves it alone.
    fn take(
        &mut self,
        id: &MoveId,
        tables: &[Table],
        cursor: &mut i64,
        limit: usize,
    ) -> Result<Vec<Change>, MoveError>;
    /// How many changes wait behind `cursor`.
    fn waiting(&mut self, id: &MoveId, cursor: i64) -> Result<u64, MoveError>;
    /// Forgets what the log keeps up to `cursor`, a bounded part at a time and only where that makes nobody wait.
    fn trim(&mut self, id: &MoveId, cursor: i64) -> Result<(), MoveError>;

    /// Adds the rows with these keys to `lines`.
    fn read(&mut self, table: &Table, keys: &[&[u8]], lines: &mut Lines) -> Result<(), MoveError>;
    /// Gives the rows of a range in the order of their keys, at most `limit`.
    fn stretch(
        &mut self,
        table: &Table,
        range: &Range,
        limit: Option<u64>,
        each: &mut dyn FnMut(&[u8]) -> Result<(), MoveError>,
    ) -> Result<(), MoveError>;

    /// Inserts rows, or makes those with their keys equal to them.
    fn upsert(&mut self, table: &Table, lines: &Lines) -> Result<Wrote, MoveError>;
    /// Inserts the rows that clash with nothing.
    fn add(&mut self, table: &Table, lines: &Lines) -> Result<(), MoveError>;
    /// Deletes the rows with these keys.
    fn delete(&mut self, table: &Table, keys: &[&[u8]]) -> Result<(), MoveError>;

    /// Begins to take many new rows; then [`load_line`](Self::load_line) for each and [`load_end`](Self::load_end).
    fn load(&mut self, table: &Table) -> Result<(), MoveError>;
    fn load_line(&mut self, line: &[u8]) -> Result<(), MoveError>;
    fn load_end(&mut self) -> Result<Wrote, MoveError>;
}

/// One value of the first row.
pub(super) fn one(side: &mut dyn Side, sql: &str) -> Result<Option<String>, MoveError> {
    Ok(side.ask(sql)?.into_iter().next().and_then(|row| row.into_iter().next()).flatten())
}

/// A number that a query gives; zero for NULL and for no row.
pub(super) fn number(side: &mut dyn Side, sql: &str) -> Result<i64, MoveError> {
    let text = one(side, sql)?.unwrap_or_default();
    Ok(text.parse().unwrap_or(0))
}
