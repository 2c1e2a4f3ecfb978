//! A module's own SQLite file: how it is opened, and its readers. The writer is in `group`.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    sync::{Arc, Once},
};

use diesel::{
    Connection as _, QueryResult, RunQueryDsl, SqliteConnection,
    connection::{AnsiTransactionManager, SimpleConnection, TransactionManager},
};

use crate::{
    Connection, OpenError,
    cached::Fixed,
    fault::{self, Trouble},
    limits::SQLITE_BUSY_TIMEOUT,
    task::{End, Job, Kind, Ran},
    threads::Shared,
};

/// The directory of data files belongs to the server alone.
const DIRECTORY_MODE: u32 = 0o700;
/// So does each file.
const FILE_MODE: u32 = 0o600;

/// SQLite with a lock per connection and statistics per allocation costs a tenth of a small transaction, and we use
/// neither: a connection belongs to one thread, and Rust holds that (`SqliteConnection` is not `Sync`).
#[allow(unsafe_code, reason = "SQLite is configured through its C interface only")]
pub(crate) fn configure() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: both options take what is given here, and nothing else runs inside SQLite meanwhile; when some
        // other part of the process has opened a database before, SQLite refuses, and stays as it is.
        unsafe {
            libsqlite3_sys::sqlite3_config(libsqlite3_sys::SQLITE_CONFIG_MULTITHREAD);
            libsqlite3_sys::sqlite3_config(libsqlite3_sys::SQLITE_CONFIG_MEMSTATUS, 0);
        }
    });
}

/// Opens the file, made with its directory if it is not there.
pub(crate) fn open(path: &Path) -> Result<SqliteConnection, OpenError> {
    configure();
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
    // FULL: an answer that was given is on the disk. The sub-journals of savepoints stay in memory. Recursive triggers:
    // without them a REPLACE deletes rows that no trigger hears of, and a carve's triggers must hear of all.
    format!(
        "PRAGMA busy_timeout = {};
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA recursive_triggers = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -16384;",
        SQLITE_BUSY_TIMEOUT.as_millis()
    )
}

/// What is wrong with a file, and what to do about it.
pub(crate) fn explain(error: &diesel::result::Error) -> String {
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

/// Opens the file for a reader, which cannot write: only the writer's connection is behind the fence.
pub(crate) fn open_reader(path: &Path) -> Result<SqliteConnection, OpenError> {
    let mut connection = open(path)?;
    connection
        .batch_execute("PRAGMA query_only = ON")
        .map_err(|error| OpenError::File { path: path.to_owned(), what: explain(&error) })?;
    Ok(connection)
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
            job_alone(shared, &mut connection, &mut *job)
        };
        job.end(match ran {
            Ran::Done | Ran::Refused => End::Stands,
            Ran::Failed(error) => End::NotExecuted(shared.failed(&error)),
            Ran::Panicked(message) => End::NotExecuted(shared.panicked(&message)),
        });
    }
}

fn snapshot(shared: &Shared, connection: &mut Connection, job: &mut dyn Job) -> Ran {
    let Connection::Sqlite(c) = &mut *connection else { return job_alone(shared, connection, job) };
    if let Err(error) = AnsiTransactionManager::begin_transaction_sql(c, "BEGIN") {
        return Ran::Failed(error);
    }
    let ran = job_alone(shared, connection, job);
    let Connection::Sqlite(c) = connection else { return ran };
    match AnsiTransactionManager::rollback_transaction(c) {
        Ok(()) => ran,
        Err(error) => Ran::Failed(error),
    }
}

fn job_alone(shared: &Shared, connection: &mut Connection, job: &mut dyn Job) -> Ran {
    job.run(&mut shared.tx(connection, job.trace()))
}

/// Runs a statement that begins or ends something, kept prepared.
pub(crate) fn statement(connection: &mut Connection, sql: &'static str) -> QueryResult<()> {
    crate::on!(connection, |c| Fixed(sql).execute(c)).map(|_none| ())
}
