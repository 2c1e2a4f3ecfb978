//! Private databases for tests.
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

use kernel_api::Clock;
use tempfile::TempDir;

use crate::{Limits, Location, Migrations, Scratch, Store, migrate, postgres as server, provision};

/// Where a server is looked for when `BANYAN_TEST_POSTGRES` does not say: over TCP and on the usual socket.
const USUAL_URLS: [&str; 2] = [
    "postgres://postgres@127.0.0.1:5432/postgres",
    "postgres://postgres@/postgres?host=/var/run/postgresql",
];

/// What keeps a private database alive; dropping it removes the database.
pub enum Private {
    /// A directory with the SQLite file.
    Sqlite(TempDir),
    /// A database on the server.
    Postgres(PrivateDatabase),
}

/// A database on the test server that is dropped, with the roles made for it, at the end.
pub struct PrivateDatabase(Scratch);

impl PrivateDatabase {
    /// A new database; `None`, and a line that says so, when there is no server. In CI that is a failure.
    pub fn create() -> Option<Self> {
        let Some(server_url) = server_url() else {
            assert!(!set("CI"), "PostgreSQL not reachable, and in CI nothing is skipped");
            eprintln!("skipped: PostgreSQL not reachable");
            return None;
        };
        Some(Self(Scratch::create(&server_url).expect("the server answered a moment ago")))
    }

    /// The administrator's URL of this database.
    pub fn admin_url(&self) -> String {
        self.0.admin_url()
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        self.0.name()
    }
}

#[allow(clippy::disallowed_methods, reason = "tests have no settings but the environment")]
fn set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty() && value != "false")
}

/// The server that tests use, if one answers.
#[allow(clippy::disallowed_methods, reason = "tests have no settings but the environment")]
pub fn server_url() -> Option<String> {
    match std::env::var("BANYAN_TEST_POSTGRES") {
        Ok(url) => server::establish(&url).is_ok().then_some(url),
        Err(_unset) => USUAL_URLS
            .iter()
            .find(|url| server::establish(url).is_ok())
            .map(|url| (*url).to_owned()),
    }
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
    migrations: &Migrations,
    module: &str,
    clock: Clock,
) -> Option<(Store, Private)> {
    let database = PrivateDatabase::create()?;
    let location =
        provision(&database.admin_url(), module, "a test's password").expect("a role and a schema");
    migrate(module, &location, migrations).expect("the module's migrations");
    // Few connections: many tests run at once against one server.
    let limits = Limits { connections: 4, ..Limits::default() };
    let store = Store::open(module, &location, limits, clock).expect("a new database");
    Some((store, Private::Postgres(database)))
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
