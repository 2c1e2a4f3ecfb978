//! The mover against the databases' own tools on the same rows, interleaved, and the pause of its switches under
//! writers: `cargo bench -p banyan-store --bench mover [copy|follow|switch] [--rows 1000000]`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a bench prints, and stops at the first surprise"
)]

use std::{
    ops::ControlFlow,
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use contract::{Call, Caller, Deadline, Never};
use diesel::{
    Connection as _, PgConnection, RunQueryDsl, connection::SimpleConnection, sql_types::Text,
};
use kernel_api::{Clock, Id};
use store::{
    EmbeddedMigrations, Limits, Location, Migrations, Store, embed_migrations, migrate,
    mover::{MoveId, Mover, Pace, Sides, Switch, SwitchError},
    on, provision,
    testing::{Private, PrivateDatabase},
};

const SQLITE: EmbeddedMigrations = embed_migrations!("tests/carved/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("tests/carved/postgres");
const ROUNDS: usize = 3;
const SWITCHES: usize = 50;
const WRITERS: usize = 16;
/// What a writer leaves between two writes: together they ask for some thousands a second.
const PAUSE: Duration = Duration::from_millis(3);

fn migrations() -> Migrations {
    Migrations { sqlite: SQLITE, postgres: POSTGRES }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sqlite,
    Postgres,
}

fn place(kind: Kind) -> Option<(Location, Private)> {
    if kind == Kind::Sqlite {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("shop.db");
        return Some((Location::Sqlite { path }, Private::Sqlite(home)));
    }
    let database = PrivateDatabase::create()?;
    let location = provision(&database.admin_url(), "shop", "secret").unwrap();
    Some((location, Private::Postgres(database)))
}

fn run(location: &Location, sql: &str) {
    match location {
        Location::Sqlite { path } => {
            rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
        }
        Location::Postgres { url } => {
            PgConnection::establish(url).unwrap().batch_execute(sql).unwrap();
        }
    }
}

/// So many reservations of a shop, as a module has them: an id, a reference, a number, a time.
fn fill(location: &Location, rows: u64) {
    migrate("shop", location, &migrations()).unwrap();
    let (generate, number, random) = match location {
        Location::Sqlite { .. } => (
            format!(
                "WITH RECURSIVE g(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < {rows})"
            ),
            "FROM g",
            "lower(hex(randomblob(16)))",
        ),
        Location::Postgres { .. } => {
            (String::new(), "FROM generate_series(1, $ROWS) AS g (n)", "md5(random()::text)")
        }
    };
    let number = number.replace("$ROWS", &rows.to_string());
    let ident = match location {
        Location::Sqlite { .. } => "printf('%08d', n)",
        Location::Postgres { .. } => "lpad(n::text, 8, '0')",
    };
    run(
        location,
        &format!(
            "INSERT INTO reservation (id, sku, quantity, made_at) {generate}
             SELECT 'r-' || {ident} || '-' || {random}, 'sku-' || (n % 1000), n % 7 + 1, 1700000000000000 + n {number}"
        ),
    );
    let skus: Vec<_> = (0..1000).map(|n| format!("('sku-{n}', 1000000000, 0)")).collect();
    run(
        location,
        &format!("INSERT INTO stock (sku, on_hand, reserved) VALUES {}", skus.join(", ")),
    );
}

fn mover(source: &Location, target: &Location) -> Mover {
    Mover::new(Sides {
        module: "shop".to_owned(),
        id: MoveId::new("bench").unwrap(),
        source: source.clone(),
        target: target.clone(),
        migrations: Arc::new(migrations()),
    })
}

fn copied(source: &Location, target: &Location) -> (Mover, Duration) {
    let mover = mover(source, target);
    mover.prepare().unwrap();
    mover.capture().unwrap();
    let copied = mover.copy(&Pace::default(), &mut |_progress| ControlFlow::Continue(())).unwrap();
    assert!(copied.is_whole);
    (mover, copied.took)
}

fn shell(script: &str) -> Duration {
    let started = Instant::now();
    let done = Command::new("sh").args(["-c", script]).output().unwrap();
    assert!(done.status.success(), "{script}: {}", String::from_utf8_lossy(&done.stderr));
    started.elapsed()
}

/// The database's own tool from the source to a new place.
fn tool(source: &Location) -> Option<(&'static str, Duration)> {
    match source {
        Location::Sqlite { path } => {
            let home = tempfile::tempdir().unwrap();
            let copy = home.path().join("copy.db");
            let (from, to) = (path.display(), copy.display());
            Some(("sqlite3 .backup", shell(&format!("sqlite3 {from} '.backup {to}'"))))
        }
        Location::Postgres { url } => {
            let (target, keep) = place(Kind::Postgres)?;
            let Location::Postgres { url: to } = &target else { panic!("a server") };
            let script = format!(
                "pg_dump --no-owner --no-privileges -n shop '{url}' | psql -q -o /dev/null '{to}' 2>/dev/null"
            );
            let took = shell(&script);
            drop(keep);
            Some(("pg_dump | psql", took))
        }
    }
}

/// Another way through SQLite that writes rows and not pages.
fn vacuum_into(path: &Path) -> Duration {
    let home = tempfile::tempdir().unwrap();
    let copy = home.path().join("copy.db");
    shell(&format!("sqlite3 {} \"VACUUM INTO '{}'\"", path.display(), copy.display()))
}

/// Kilobytes that this process has had in memory at most, so far.
fn highest_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn copies(rows: u64) {
    for (source, target) in [
        (Kind::Sqlite, Kind::Sqlite),
        (Kind::Sqlite, Kind::Postgres),
        (Kind::Postgres, Kind::Postgres),
        (Kind::Postgres, Kind::Sqlite),
    ] {
        let Some((from, _keep)) = place(source) else { continue };
        fill(&from, rows);
        let (mut ours, mut theirs, mut vacuum) = (Vec::new(), Vec::new(), Vec::new());
        let mut name = "";
        let before = highest_kb();
        for _round in 0..ROUNDS {
            let Some((to, keep)) = place(target) else { continue };
            let (mover, took) = copied(&from, &to);
            ours.push(rows as f64 / took.as_secs_f64());
            mover.follow().unwrap();
            assert!(mover.verify().unwrap().is_equal());
            mover.remove().unwrap();
            drop(keep);
            if let Some((tool, took)) = tool(&from) {
                name = tool;
                theirs.push(rows as f64 / took.as_secs_f64());
            }
            if let Location::Sqlite { path } = &from {
                vacuum.push(rows as f64 / vacuum_into(path).as_secs_f64());
            }
        }
        let (ours, theirs) = (median(ours), median(theirs));
        println!(
            "copy {source:?} -> {target:?}: {ours:>9.0} rows/s; {name} {theirs:>9.0} rows/s; ratio {:.2}; memory {} -> {} KB",
            ours / theirs,
            before,
            highest_kb()
        );
        if !vacuum.is_empty() {
            println!("{:>28} VACUUM INTO {:.0} rows/s", "", median(vacuum));
        }
    }
}

fn follows(rows: u64) {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let (Some((from, _one)), Some((to, _other))) = (place(kind), place(kind)) else { continue };
        fill(&from, rows);
        let (mover, _took) = copied(&from, &to);
        run(&from, "UPDATE reservation SET quantity = quantity + 1");
        let before = highest_kb();
        let started = Instant::now();
        let followed = mover.follow().unwrap();
        let rate = followed.rows as f64 / started.elapsed().as_secs_f64();
        println!(
            "follow {kind:?}: {} changes in one batch, {rate:.0} rows/s; memory {before} -> {} KB",
            followed.rows,
            highest_kb()
        );
        let started = Instant::now();
        let compared = mover.verify().unwrap();
        assert!(compared.is_equal());
        let rate = compared.rows() as f64 / started.elapsed().as_secs_f64();
        println!("verify {kind:?}: {rate:.0} rows/s on each side");
    }
}

fn call() -> Call {
    Call::new(Caller::module("bench"), Deadline::within(Duration::from_secs(30)))
}

async fn writer(
    stores: [Store; 2],
    stop: Arc<AtomicBool>,
    told: Arc<Mutex<Vec<Instant>>>,
    at: usize,
) {
    while !stop.load(Ordering::Relaxed) {
        let id = Id::<()>::fresh().to_string();
        let sku = format!("sku-{}", at * 17 % 1000);
        let mut is_written = false;
        for store in stores.iter().filter(|store| !store.is_standby()) {
            let (id, sku) = (id.clone(), sku.clone());
            let answer = store
                .write::<_, Never>(&call(), move |tx| {
                    on!(tx.connection(), |c| {
                        diesel::sql_query("UPDATE stock SET reserved = reserved + 1 WHERE sku = $1")
                            .bind::<Text, _>(&sku)
                            .execute(c)?;
                        diesel::sql_query("INSERT INTO reservation (id, sku, quantity, made_at) VALUES ($1, $2, 1, 0)")
                            .bind::<Text, _>(&id)
                            .bind::<Text, _>(&sku)
                            .execute(c)?;
                    });
                    Ok(())
                })
                .await;
            if answer.is_ok() {
                told.lock().unwrap().push(Instant::now());
                is_written = true;
                break;
            }
        }
        if is_written {
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        for store in &stores {
            drop(store.settle(&call()).await);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The longest time without an acknowledged write around each switch.
async fn switches(source: Kind, target: Kind) {
    let (Some((from, _one)), Some((to, _other))) = (place(source), place(target)) else { return };
    fill(&from, 10_000);
    let (forth, _took) = copied(&from, &to);
    let back = forth.back();
    let open = |location: &Location, name: &str| {
        Store::open_as("shop", location, Limits::default(), Clock::system(), name).unwrap()
    };
    let stores = [open(&from, "monolith"), open(&to, "shop")];
    let (stop, told): (Arc<AtomicBool>, Arc<Mutex<Vec<Instant>>>) = Default::default();
    let writers: Vec<_> = (0..WRITERS)
        .map(|at| tokio::spawn(writer(stores.clone(), Arc::clone(&stop), Arc::clone(&told), at)))
        .collect();
    let began = Instant::now();
    let (windows, late) = tokio::task::spawn_blocking(move || {
        let (mut windows, mut late) = (Vec::new(), 0);
        for turn in 0..SWITCHES {
            let (mover, owner) = if turn % 2 == 0 { (&forth, "shop") } else { (&back, "monolith") };
            mover.follow().unwrap();
            let since = Instant::now();
            let pause = loop {
                match mover.switch(&Switch::to(owner)) {
                    Ok(switched) => break switched.pause(),
                    Err(SwitchError::NotNow(_)) => late += 1,
                    Err(error) => panic!("{error}"),
                }
                assert!(since.elapsed() < Duration::from_secs(60), "it is never the time");
            };
            windows.push((since, Instant::now(), pause));
            std::thread::sleep(Duration::from_millis(200));
        }
        assert!(forth.verify().unwrap().is_equal());
        (windows, late)
    })
    .await
    .unwrap();
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    let mut told = told.lock().unwrap().clone();
    told.sort();
    let rate = told.len() as f64 / began.elapsed().as_secs_f64();
    let gaps = windows.iter().map(|(since, until, _pause)| {
        let around = |at: &&Instant| {
            **at + Duration::from_millis(50) > *since && **at < *until + Duration::from_millis(150)
        };
        let near: Vec<_> = told.iter().filter(around).collect();
        near.windows(2).map(|two| *two[1] - *two[0]).max().unwrap_or_default().as_secs_f64() * 1e3
    });
    let shown = |mut all: Vec<f64>| {
        all.sort_by(f64::total_cmp);
        format!(
            "p50 {:.1}, p99 {:.1}, worst {:.1} ms",
            all[all.len() / 2],
            all[all.len() * 99 / 100],
            all[all.len() - 1]
        )
    };
    let locked = windows.iter().map(|(.., pause)| pause.as_secs_f64() * 1e3).collect();
    println!(
        "switch {source:?} <-> {target:?}: {SWITCHES} at {rate:.0} writes/s: no write for {}; under the lock {}; {late} times not now",
        shown(gaps.collect()),
        shown(locked)
    );
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let only = arguments.iter().find(|one| ["copy", "follow", "switch"].contains(&one.as_str()));
    let wanted = |name: &str| only.is_none_or(|only| only == name);
    let rows = arguments.iter().position(|one| one == "--rows");
    let rows = rows.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(1_000_000);
    if wanted("copy") {
        copies(rows);
    }
    if wanted("follow") {
        follows(rows.min(200_000));
    }
    if wanted("switch") {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            for (source, target) in [
                (Kind::Sqlite, Kind::Sqlite),
                (Kind::Sqlite, Kind::Postgres),
                (Kind::Postgres, Kind::Postgres),
            ] {
                switches(source, target).await;
            }
        });
    }
}
