//! Where a module's data is, and why it cannot be opened.

use std::{fmt, path::PathBuf};

use diesel::ConnectionError;

use crate::fault;

/// Where a module's data is.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A file of its own.
    Sqlite {
        /// The file; `-wal` and `-shm` files stand beside it while it is open.
        path: PathBuf,
    },
    /// A schema and a role of its own on a PostgreSQL server.
    Postgres {
        /// The URL with the module's role, as libpq reads it: `sslmode`, `sslrootcert` and the rest pass through.
        url: String,
    },
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { path } => write!(f, "{}", path.display()),
            // The URL holds a password.
            Self::Postgres { .. } => f.write_str("postgres://…"),
        }
    }
}

/// A database that cannot be opened: one line that says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The SQLite file.
    #[error("{}: {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The PostgreSQL server.
    #[error("PostgreSQL: {0}")]
    Server(String),
    /// The tables are not there.
    #[error("the tables of {0} are missing: run `banyan migrate`")]
    NotMigrated(String),
    /// The catalog ties the data to something outside the module.
    #[error("the data of {module} is not its own: {findings}")]
    NotAlone {
        /// The module.
        module: String,
        /// What was found.
        findings: String,
    },
    /// A thread cannot be started.
    #[error("cannot start a database thread: {0}")]
    Thread(String),
}

impl OpenError {
    pub(crate) fn server(error: &ConnectionError) -> Self {
        Self::Server(fault::connection(error))
    }
}
