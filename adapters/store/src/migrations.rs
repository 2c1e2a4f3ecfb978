//! A module's tables: the store's own first, then the module's, each way.

use diesel::{
    SqliteConnection,
    backend::Backend,
    connection::SimpleConnection,
    migration::{Migration, MigrationSource},
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::{Connection, Location, OpenError, mover::is_being_moved, postgres, sqlite};

const SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/store/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/store/postgres");

/// A module's own migrations, for both databases.
///
/// ```ignore
/// pub const MIGRATIONS: store::Migrations = store::Migrations {
///     sqlite: embed_migrations!("../../../migrations/inventory/sqlite"),
///     postgres: embed_migrations!("../../../migrations/inventory/postgres"),
/// };
/// ```
pub struct Migrations {
    /// For SQLite.
    pub sqlite: EmbeddedMigrations,
    /// For PostgreSQL.
    pub postgres: EmbeddedMigrations,
}

/// Migrations that cannot be run or read.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A migration failed; its own transaction is rolled back, those before it stay.
    #[error("migration of {module} failed: {what}")]
    Failed {
        /// The module.
        module: String,
        /// Which migration, and why.
        what: String,
    },
}

/// The store's migrations and the module's as one source.
struct Both<'a>(&'a EmbeddedMigrations, &'a EmbeddedMigrations);

impl<DB: Backend> MigrationSource<DB> for Both<'_> {
    fn migrations(&self) -> diesel::migration::Result<Vec<Box<dyn Migration<DB>>>> {
        let mut all = MigrationSource::<DB>::migrations(self.0)?;
        all.extend(MigrationSource::<DB>::migrations(self.1)?);
        Ok(all)
    }
}

/// One process at a time: of two that start at once, the second finds everything done. It waits for a minute, longer than
/// a migration that serves while it runs may hold anybody up; the lock goes with the connection. On SQLite the file's own
/// lock does it.
const ONE_AT_A_TIME: &str = "
SET lock_timeout = '1min';
SELECT pg_advisory_lock(hashtext('banyan migrate'), hashtext(current_schema()));
RESET lock_timeout";

fn connect(location: &Location) -> Result<Connection, OpenError> {
    match location {
        Location::Sqlite { path } => sqlite::open(path).map(Connection::Sqlite),
        Location::Postgres { url } => {
            let mut c = postgres::establish(url)?;
            let waited = c.batch_execute(ONE_AT_A_TIME);
            waited.map_err(|error| OpenError::Server(error.to_string()))?;
            Ok(Connection::Postgres(c))
        }
    }
}

/// Runs every pending migration of the store and of the module, in that order; the names of those that ran. Running it
/// again does nothing. On PostgreSQL the module's role must be there: see [`provision`](crate::provision).
pub fn migrate(
    module: &str,
    location: &Location,
    migrations: &Migrations,
) -> Result<Vec<String>, MigrateError> {
    let failed = |what: Box<dyn std::error::Error + Send + Sync>| MigrateError::Failed {
        module: module.to_owned(),
        what: what.to_string(),
    };
    let mut c = connect(location)?;
    if is_being_moved(&mut c).map_err(|error| failed(Box::new(error)))?
        && !pending_on(&mut c, migrations).map_err(failed)?.is_empty()
    {
        // The copy would have the old tables.
        let way_out = "its data is being carved: start the version before this one, complete, reverse or cancel the \
                       carve there, then start this one";
        return Err(failed(way_out.into()));
    }
    match c {
        Connection::Sqlite(mut c) => run_sqlite(module, &mut c, migrations),
        Connection::Postgres(mut c) => {
            let mut done = Vec::new();
            for source in [&POSTGRES, &migrations.postgres] {
                let ran = c.run_pending_migrations(Borrowed(source)).map_err(failed)?;
                done.extend(ran.iter().map(ToString::to_string));
            }
            Ok(done)
        }
    }
}

/// The same on an open SQLite database.
pub(crate) fn run_sqlite(
    module: &str,
    c: &mut SqliteConnection,
    migrations: &Migrations,
) -> Result<Vec<String>, MigrateError> {
    let mut done = Vec::new();
    for source in [&SQLITE, &migrations.sqlite] {
        let ran = c.run_pending_migrations(Borrowed(source)).map_err(|what| {
            MigrateError::Failed { module: module.to_owned(), what: what.to_string() }
        })?;
        done.extend(ran.iter().map(ToString::to_string));
    }
    Ok(done)
}

/// The migrations that [`migrate`] would run.
pub fn pending(
    module: &str,
    location: &Location,
    migrations: &Migrations,
) -> Result<Vec<String>, MigrateError> {
    let failed = |what: Box<dyn std::error::Error + Send + Sync>| MigrateError::Failed {
        module: module.to_owned(),
        what: what.to_string(),
    };
    pending_on(&mut connect(location)?, migrations).map_err(failed)
}

fn pending_on(
    c: &mut Connection,
    migrations: &Migrations,
) -> diesel::migration::Result<Vec<String>> {
    match c {
        Connection::Sqlite(c) => c
            .pending_migrations(Both(&SQLITE, &migrations.sqlite))
            .map(|pending| pending.iter().map(|one| one.name().to_string()).collect()),
        Connection::Postgres(c) => c
            .pending_migrations(Both(&POSTGRES, &migrations.postgres))
            .map(|pending| pending.iter().map(|one| one.name().to_string()).collect()),
    }
}

/// Takes the last migration back and names it.
pub fn revert_last(
    module: &str,
    location: &Location,
    migrations: &Migrations,
) -> Result<String, MigrateError> {
    let failed = |what: Box<dyn std::error::Error + Send + Sync>| MigrateError::Failed {
        module: module.to_owned(),
        what: what.to_string(),
    };
    match connect(location)? {
        Connection::Sqlite(mut c) => c
            .revert_last_migration(Both(&SQLITE, &migrations.sqlite))
            .map(|version| version.to_string())
            .map_err(failed),
        Connection::Postgres(mut c) => c
            .revert_last_migration(Both(&POSTGRES, &migrations.postgres))
            .map(|version| version.to_string())
            .map_err(failed),
    }
}

struct Borrowed<'a>(&'a EmbeddedMigrations);

impl<DB: Backend> MigrationSource<DB> for Borrowed<'_> {
    fn migrations(&self) -> diesel::migration::Result<Vec<Box<dyn Migration<DB>>>> {
        MigrationSource::<DB>::migrations(self.0)
    }
}
