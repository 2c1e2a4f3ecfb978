//! Every bound of the store, with its reason.

use std::time::Duration;

/// The bounds of one module's store. The defaults fit a shop on one machine.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Jobs that may wait for a thread. At the measured rates 1,024 are gone in well under a second, so whoever is let
    /// in is answered soon; more would only make everyone late.
    pub queue_jobs_max: usize,
    /// Callers' transactions in one commit on SQLite. Beyond a few dozen the cost of the sync no longer shows, and a
    /// failed commit fails them all.
    pub group_max: usize,
    /// Reader threads on SQLite: reads do not block each other, and more threads than cores gain nothing.
    pub readers: usize,
    /// Connections to PostgreSQL, made when there is work for them. A server's default allows 100 for all: with eight,
    /// two processes of four modules fit, and a connection more than its cores can serve gains nothing.
    pub connections: usize,
    /// How long one statement may run on PostgreSQL before the server ends it: longer than any query of a shop,
    /// shorter than a caller's patience.
    pub statement_timeout: Duration,
    /// How long a connection to PostgreSQL may take. Two seconds is the least that libpq knows.
    pub connect_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue_jobs_max: 1024,
            group_max: 256,
            readers: 2,
            connections: 8,
            statement_timeout: Duration::from_secs(15),
            connect_timeout: Duration::from_secs(2),
        }
    }
}

/// When to come back after a full queue: the time in which a full queue drains.
pub(crate) const RETRY_WHEN_FULL: Duration = Duration::from_millis(250);

/// When to come back after the database was away or out of room: soon, because a restart takes seconds.
pub(crate) const RETRY_WHEN_AWAY: Duration = Duration::from_secs(1);

/// How long SQLite waits for another process's lock (a backup tool, a shell) before it gives up.
pub(crate) const SQLITE_BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Rows of an in-list or of a multi-row insert in one statement: under SQLite's 32,766 and PostgreSQL's 65,535
/// parameters with 50 columns, and beyond it nothing gets faster.
pub const CHUNK_ROWS_MAX: usize = 500;

/// Events that one read of a feed gives at most: at a kilobyte each, one megabyte.
pub const FEED_PAGE_MAX: u32 = 1000;
