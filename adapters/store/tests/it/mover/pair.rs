//! Two databases to move between.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use diesel::{Connection as _, PgConnection, QueryableByName, RunQueryDsl, SqliteConnection};
use kernel_api::Clock;
use store::{
    Connection, EmbeddedMigrations, Limits, Location, Migrations, Store, embed_migrations, migrate,
    mover::{Compared, MoveId, Mover, Pace, Sides, Switch, SwitchError, Switched},
    on, provision,
    testing::{Private, PrivateDatabase},
};

const SQLITE: EmbeddedMigrations = embed_migrations!("tests/carved/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("tests/carved/postgres");

pub fn migrations() -> Migrations {
    Migrations { sqlite: SQLITE, postgres: POSTGRES }
}

pub const MONOLITH: &str = "monolith";
pub const CHILD: &str = "shop";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

pub struct Pair {
    pub source: Location,
    pub target: Location,
    _keep: [Private; 2],
}

/// A place with nothing in it; `None` where there is no server.
fn place(kind: Kind) -> Option<(Location, Private)> {
    match kind {
        Kind::Sqlite => {
            let home = tempfile::tempdir().unwrap();
            let path = home.path().join("it's 100% shop.db");
            Some((Location::Sqlite { path }, Private::Sqlite(home)))
        }
        Kind::Postgres => {
            let database = PrivateDatabase::create()?;
            let location = provision(&database.admin_url(), "shop", "secret").unwrap();
            Some((location, Private::Postgres(database)))
        }
    }
}

impl Pair {
    /// The source has its tables, the target has nothing.
    pub fn new(source: Kind, target: Kind) -> Option<Self> {
        let (source, one) = place(source)?;
        let (target, other) = place(target)?;
        migrate("shop", &source, &migrations()).unwrap();
        Some(Self { source, target, _keep: [one, other] })
    }

    /// Every pair that is there.
    pub fn all() -> impl Iterator<Item = Self> {
        let kinds = [Kind::Sqlite, Kind::Postgres];
        kinds
            .into_iter()
            .flat_map(move |source| kinds.into_iter().map(move |target| (source, target)))
            .filter_map(|(source, target)| Self::new(source, target))
    }

    pub fn mover(&self) -> Mover {
        self.mover_named("m1")
    }

    pub fn mover_named(&self, id: &str) -> Mover {
        Mover::new(Sides {
            module: "shop".to_owned(),
            id: MoveId::new(id).unwrap(),
            source: self.source.clone(),
            target: self.target.clone(),
            migrations: Arc::new(migrations()),
        })
    }

    /// Up to the copy's end.
    pub fn copied(&self) -> Mover {
        let mover = self.mover();
        mover.prepare().unwrap();
        mover.capture().unwrap();
        copy(&mover, 100);
        mover
    }
}

pub fn copy(mover: &Mover, chunk_rows: u64) {
    let pace = Pace { chunk_rows, rows_per_second: None };
    let copied = mover.copy(&pace, &mut |_progress| ControlFlow::Continue(())).unwrap();
    assert!(copied.is_whole);
}

pub fn open_as(location: &Location, deployment: &str) -> Store {
    let limits = Limits { connections: 4, readers: 1, ..Limits::default() };
    Store::open_as("shop", location, limits, Clock::system(), deployment).unwrap()
}

/// A connection beside the door.
pub fn connect(location: &Location) -> Connection {
    match location {
        Location::Sqlite { path } => {
            let mut c = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
            diesel::connection::SimpleConnection::batch_execute(
                &mut c,
                "PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON; PRAGMA recursive_triggers = ON",
            )
            .unwrap();
            Connection::Sqlite(c)
        }
        Location::Postgres { url } => Connection::Postgres(PgConnection::establish(url).unwrap()),
    }
}

pub fn run(location: &Location, sql: &str) {
    connect(location).batch_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
}

#[derive(QueryableByName)]
struct Text {
    #[diesel(sql_type = diesel::sql_types::Text)]
    text: String,
}

/// The one column of a query, which it has to call `text`.
pub fn texts(location: &Location, sql: &str) -> Vec<String> {
    let mut c = connect(location);
    let found: Vec<Text> = on!(&mut c, |c| diesel::sql_query(sql).load(c))
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    found.into_iter().map(|one| one.text).collect()
}

pub fn count(location: &Location, table: &str) -> u64 {
    let sql = format!("SELECT CAST(count(*) AS TEXT) AS text FROM {table}");
    texts(location, &sql)[0].parse().unwrap()
}

/// A switch with bounds that hold on a busy machine and in a debug build; how long one takes is the bench's matter.
pub fn unhurried(to: &str) -> Switch {
    Switch {
        lag_max: 5000,
        lock_wait: Duration::from_millis(500),
        within: Duration::from_secs(20),
        ..Switch::to(to)
    }
}

/// Switches; what is "not now" is tried again a bounded number of times.
pub fn switch(mover: &Mover, to: &str) -> Switched {
    let wish = unhurried(to);
    for _try in 0..400 {
        match mover.switch(&wish) {
            Ok(switched) => return switched,
            Err(SwitchError::NotNow(_why)) => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
    panic!("400 times it was not now: {:?}", mover.switch(&wish));
}

#[track_caller]
pub fn assert_equal(compared: &Compared) {
    let differing: Vec<_> = compared.tables.iter().filter(|table| !table.is_equal).collect();
    assert!(differing.is_empty(), "{differing:?}");
}
