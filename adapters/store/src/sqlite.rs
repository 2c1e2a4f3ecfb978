//! A module's own SQLite file: one writer thread with group commit, and a few readers.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    sync::Arc,
};

use contract::NotExecuted;
use diesel::{
    Connection as _, QueryResult, RunQueryDsl, SqliteConnection,
    connection::{AnsiTransactionManager, SimpleConnection, TransactionManager},
};

use crate::{
    Connection, OpenError,
    cached::Fixed,
    fault::{self, Trouble},
    limits::SQLITE_BUSY_TIMEOUT,
    shared::Shared,
    task::{End, Job, Kind, Ran},
};

/// The directory of data files belongs to the server alone.
const DIRECTORY_MODE: u32 = 0o700;
/// So does each file.
const FILE_MODE: u32 = 0o600;

/// Opens the file, made with its directory if it is not there.
pub(crate) fn open(path: &Path) -> Result<SqliteConnection, OpenError> {
    let wrong = |what: String| OpenError::File { path: path.to_owned(), what };
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(directory)
            .map_err(|error| wrong(format!("cannot make its directory: {error}")))?;
    }
    // Made here and not by SQLite, so that it never exists with wider rights; its journal files take the file's own.
    let made = fs::OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path);
    if let Err(error) = made
        && error.kind() != std::io::ErrorKind::AlreadyExists
    {
        return Err(wrong(format!("cannot make it: {error}")));
    }
    let text = path.to_str().ok_or_else(|| wrong("its path is not UTF-8".to_owned()))?;
    let mut connection =
        SqliteConnection::establish(text).map_err(|error| wrong(fault::connection(&error)))?;
    connection.batch_execute(&pragmas()).map_err(|error| wrong(explain(&error)))?;
    Ok(connection)
}

fn pragmas() -> String {
    // FULL: an answer that was given is on the disk. The sub-journals of savepoints stay in memory.
    format!(
        "PRAGMA busy_timeout = {};
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -16384;",
        SQLITE_BUSY_TIMEOUT.as_millis()
    )
}

fn explain(error: &diesel::result::Error) -> String {
    let what = match fault::trouble(error) {
        Trouble::ReadOnly => {
            "it is read-only: give the server write access to it and its directory"
        }
        Trouble::Corrupt => "it is damaged or no SQLite database: restore a backup",
        Trouble::Busy => "another process holds its lock",
        Trouble::Full => "the disk is full",
        Trouble::Collision | Trouble::Lost | Trouble::Disk | Trouble::Slow | Trouble::Bug => {
            return error.to_string();
        }
    };
    format!("{what} ({error})")
}

/// The writer thread: takes what waits, runs it as one transaction, answers after its commit.
pub(crate) fn write(shared: &Shared, connection: &mut Connection) {
    while let Some(first) = shared.writes.take() {
        Group { shared, connection, ran: Vec::new(), emitted: false }.run(first);
    }
}

/// A reader thread.
pub(crate) fn read(shared: &Arc<Shared>, connection: SqliteConnection) {
    let mut connection = Connection::Sqlite(connection);
    while let Some(mut job) = shared.reads.take() {
        if !job.begin() {
            continue;
        }
        let ran = if job.kind() == Kind::Snapshot {
            snapshot(shared, &mut connection, &mut *job)
        } else {
            job.run(&mut shared.tx(&mut connection, job.trace()))
        };
        job.end(match ran {
            Ran::Done | Ran::Refused => End::Stands,
            Ran::Failed(error) => End::NotExecuted(shared.failed(&error)),
            Ran::Panicked(message) => End::NotExecuted(shared.panicked(&message)),
        });
    }
}

fn snapshot(shared: &Shared, connection: &mut Connection, job: &mut dyn Job) -> Ran {
    if let Err(error) = statement(connection, "BEGIN") {
        return Ran::Failed(error);
    }
    let ran = job.run(&mut shared.tx(connection, job.trace()));
    match statement(connection, "ROLLBACK") {
        Ok(()) => ran,
        Err(error) => Ran::Failed(error),
    }
}

/// Runs a statement that begins or ends something, kept prepared.
fn statement(connection: &mut Connection, sql: &'static str) -> QueryResult<()> {
    crate::on!(connection, |c| Fixed(sql).execute(c)).map(|_none| ())
}

/// One commit and the callers that share it.
struct Group<'a> {
    shared: &'a Shared,
    connection: &'a mut Connection,
    /// Jobs whose answers wait for the commit.
    ran: Vec<(Box<dyn Job>, End)>,
    emitted: bool,
}

impl Group<'_> {
    fn run(mut self, first: Box<dyn Job>) {
        if let Err(reason) = self.begin() {
            first.end(End::NotExecuted(reason));
            return;
        }
        let mut next = Some(first);
        while let Some(job) = next {
            if job.begin()
                && let Err(lost) = self.one(job)
            {
                return self.lost(&lost);
            }
            next = if self.ran.len() < self.shared.limits.group_max {
                self.shared.writes.take_now()
            } else {
                None
            };
        }
        self.commit();
    }

    /// Begins the transaction and checks the fence, once for all.
    fn begin(&mut self) -> Result<(), NotExecuted> {
        let Connection::Sqlite(c) = &mut *self.connection else { return Ok(()) };
        AnsiTransactionManager::begin_transaction_sql(c, "BEGIN IMMEDIATE")
            .map_err(|error| self.shared.failed(&error))?;
        let epoch = crate::fence::epoch(self.connection);
        let verdict = match epoch {
            Ok(epoch) => self.shared.fenced(epoch),
            Err(error) => Err(self.shared.failed(&error)),
        };
        if verdict.is_err() {
            self.roll_back();
        }
        verdict
    }

    /// Runs one caller's closure in a savepoint of its own. `Err` when the whole group is lost, that caller included.
    fn one(&mut self, mut job: Box<dyn Job>) -> QueryResult<()> {
        let (end, kept) = match statement(self.connection, "SAVEPOINT one") {
            Ok(()) => self.closure(&mut *job),
            Err(error) => (End::Stands, Err(error)),
        };
        // Held until the commit even when refused: the refusal may rest on what others in this group wrote.
        self.ran.push((job, end));
        kept
    }

    fn closure(&mut self, job: &mut dyn Job) -> (End, QueryResult<()>) {
        let mut tx = self.shared.tx(self.connection, job.trace());
        let ran = job.run(&mut tx);
        let emitted = tx.emitted;
        let end = match ran {
            Ran::Done => {
                self.emitted |= emitted;
                return (End::Stands, statement(self.connection, "RELEASE one"));
            }
            Ran::Refused => End::Stands,
            Ran::Failed(error) => End::NotExecuted(self.shared.failed(&error)),
            Ran::Panicked(message) => End::NotExecuted(self.shared.panicked(&message)),
        };
        let undone = statement(self.connection, "ROLLBACK TO one")
            .and_then(|()| statement(self.connection, "RELEASE one"));
        (end, undone)
    }

    fn commit(mut self) {
        let Connection::Sqlite(c) = &mut *self.connection else { return };
        match AnsiTransactionManager::commit_transaction(c) {
            Ok(()) => {
                self.shared.committed(self.emitted);
                for (job, end) in self.ran.drain(..) {
                    job.end(end);
                }
            }
            Err(error) => self.lost(&error),
        }
    }

    /// The group is lost: everyone in it is told so.
    fn lost(mut self, error: &diesel::result::Error) {
        let reason = self.shared.failed(error);
        self.roll_back();
        for (job, end) in self.ran.drain(..) {
            // Who failed by itself keeps its own reason.
            let own = matches!(end, End::NotExecuted(_));
            job.end(if own { end } else { End::NotExecuted(reason.clone()) });
        }
    }

    fn roll_back(&mut self) {
        let Connection::Sqlite(c) = &mut *self.connection else { return };
        // SQLite may have rolled back by itself (full disk, I/O error): then there is nothing to do here.
        drop(AnsiTransactionManager::rollback_transaction(c));
    }
}
