//! What a database's error means for the caller: the one place that reads error texts.

#[cfg(test)]
mod tests;

use contract::{NotExecuted, Reason};
use diesel::result::{ConnectionError, DatabaseErrorKind, Error};

use crate::limits::RETRY_WHEN_AWAY;

/// What to do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Two transactions met; the same closure run again will find its way.
    Collision,
    /// The connection is gone.
    Lost,
    /// The disk, or the room that the database may take of it, is full.
    Full,
    /// The file or the server takes no writes.
    ReadOnly,
    /// The disk fails.
    Disk,
    /// The file is not what it was.
    Corrupt,
    /// Another process holds the lock.
    Busy,
    /// The statement ran too long, or an administrator had enough of it, and was ended.
    Slow,
    /// The query or the data is wrong: our bug.
    Bug,
}

/// Reads an error. SQLite's texts are fixed English and diesel keeps no code of them; PostgreSQL's may be translated,
/// so for it everything that matters here has a kind of its own, and a text is only the second way to see it.
pub(crate) fn trouble(error: &Error) -> Trouble {
    match error {
        Error::DatabaseError(kind, information) => match kind {
            DatabaseErrorKind::SerializationFailure => Trouble::Collision,
            DatabaseErrorKind::ClosedConnection => Trouble::Lost,
            DatabaseErrorKind::ReadOnlyTransaction => Trouble::ReadOnly,
            DatabaseErrorKind::UniqueViolation
                if information.table_name() == Some("idempotency")
                    || information.message().contains("idempotency.") =>
            {
                // Somebody else gave the answer to this very key a moment ago: the next run finds it.
                Trouble::Collision
            }
            DatabaseErrorKind::UniqueViolation
            | DatabaseErrorKind::ForeignKeyViolation
            | DatabaseErrorKind::NotNullViolation
            | DatabaseErrorKind::CheckViolation
            | DatabaseErrorKind::RestrictViolation
            | DatabaseErrorKind::ExclusionViolation => Trouble::Bug,
            DatabaseErrorKind::UnableToSendCommand | _ => by_text(information.message()),
        },
        Error::BrokenTransactionManager => Trouble::Lost,
        _ => Trouble::Bug,
    }
}

fn by_text(text: &str) -> Trouble {
    let any = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    if any(&["deadlock detected"]) {
        Trouble::Collision
    } else if any(&["database or disk is full", "No space left on device", "could not extend file"])
    {
        Trouble::Full
    } else if any(&["readonly database", "read-only transaction"]) {
        Trouble::ReadOnly
    } else if any(&["disk I/O error", "unable to open database file"]) {
        Trouble::Disk
    } else if any(&["malformed", "file is not a database"]) {
        Trouble::Corrupt
    } else if any(&["database is locked", "database table is locked"]) {
        Trouble::Busy
    } else if any(&["statement timeout", "lock timeout", "due to user request"]) {
        Trouble::Slow
    } else if any(&[
        "server closed the connection",
        "connection to server",
        "no connection to the server",
        "terminating connection",
        "SSL connection has been closed",
    ]) {
        Trouble::Lost
    } else {
        Trouble::Bug
    }
}

/// What the caller is told about an error that rolled its work back, with what an operator can do.
pub(crate) fn not_executed(error: &Error) -> NotExecuted {
    let (reason, what) = match trouble(error) {
        Trouble::Collision => (Reason::Overloaded, "too many transactions met on the same rows"),
        Trouble::Lost => (Reason::Unavailable, "the connection to the database was lost"),
        Trouble::Full => (Reason::Unavailable, "the disk is full: make room, nothing was lost"),
        Trouble::ReadOnly => {
            (Reason::Unavailable, "the database is read-only: give the server write access to it")
        }
        Trouble::Disk => (Reason::Unavailable, "the disk fails: look at the system's log"),
        Trouble::Corrupt => {
            (Reason::Failed, "the database file is damaged: stop, and restore a backup")
        }
        Trouble::Busy => (Reason::Unavailable, "another process holds the database's lock"),
        Trouble::Slow => (Reason::Unavailable, "a statement took too long or was cancelled"),
        Trouble::Bug => (Reason::Failed, "the store failed, see its log"),
    };
    let answer = NotExecuted::new(reason, what);
    if reason.is_passing() { answer.after(RETRY_WHEN_AWAY) } else { answer }
}

/// The one line about a database that cannot be opened.
pub(crate) fn connection(error: &ConnectionError) -> String {
    one_line(&error.to_string())
}

/// libpq's messages have several lines; a log and an exit message have one.
pub(crate) fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}
