//! Private databases for tests.

use kernel_api::Clock;
use tempfile::TempDir;

use crate::{Limits, Location, Migrations, Store, migrate};

/// What keeps a private database alive; dropping it removes the database.
pub enum Private {
    /// A directory with the SQLite file.
    Sqlite(TempDir),
    /// A database on the server.
    Postgres(()),
}

/// A store on a new SQLite file; the directory goes with the returned guard.
pub fn sqlite(migrations: &Migrations) -> (Store, TempDir) {
    sqlite_at(migrations, Clock::system())
}

/// The same with a clock of the test's own.
pub fn sqlite_at(migrations: &Migrations, clock: Clock) -> (Store, TempDir) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let location = Location::Sqlite { path: directory.path().join("module.db") };
    migrate("module", &location, migrations).expect("the module's migrations");
    let store = Store::open("module", &location, Limits::default(), clock).expect("a new file");
    (store, directory)
}

/// A store on a new PostgreSQL database; `None`, and a line that says so, when there is no server.
pub fn postgres(migrations: &Migrations, module: &str) -> Option<(Store, Private)> {
    postgres_at(migrations, module, Clock::system())
}

/// The same with a clock of the test's own.
pub fn postgres_at(
    _migrations: &Migrations,
    _module: &str,
    _clock: Clock,
) -> Option<(Store, Private)> {
    None
}

/// A store on each database that is there: SQLite always, PostgreSQL where there is a server.
pub fn both(migrations: &Migrations, module: &str) -> Vec<(Store, Private)> {
    both_at(migrations, module, &Clock::system())
}

/// The same with a clock of the test's own.
pub fn both_at(migrations: &Migrations, module: &str, clock: &Clock) -> Vec<(Store, Private)> {
    let (store, directory) = sqlite_at(migrations, clock.clone());
    let mut all = vec![(store, Private::Sqlite(directory))];
    all.extend(postgres_at(migrations, module, clock.clone()));
    all
}
