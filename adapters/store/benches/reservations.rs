//! Durable reservations through the write door against the same rows written as fast as the database lets a program
//! without a door: a raw rusqlite loop in batches of 64, and pgbench. Each pair runs interleaved, so that what else
//! the machine does hits both.
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
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use contract::{Call, Caller, Deadline, Never};
use diesel::{prelude::*, sql_types::Text};
use kernel_api::{Clock, Id};
use store::{
    Abort, Connection, EmbeddedMigrations, Limits, Location, Migrations, Store, Tx, cached,
    embed_migrations, migrate, on, prepared, provision, testing,
};

const MIGRATIONS: Migrations = Migrations { sqlite: SQLITE, postgres: POSTGRES };
const SQLITE: EmbeddedMigrations = embed_migrations!("tests/migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("tests/migrations/postgres");

const SKUS: usize = 1000;
const CALLERS: usize = 64;
const BATCH: usize = 64;
const CONNECTIONS: usize = 16;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(3);

diesel::table! {
    stock (sku) {
        sku -> Text,
        on_hand -> BigInt,
        reserved -> BigInt,
    }
}
diesel::table! {
    reservation (id) {
        id -> Text,
        sku -> Text,
        quantity -> BigInt,
        made_at -> BigInt,
    }
}

fn call() -> Call {
    Call::new(Caller::module("bench"), Deadline::within(Duration::from_secs(60)))
}

fn sku(n: u64) -> String {
    // Knuth's multiplicative hash: spread over the SKUs, the same for everyone.
    (n.wrapping_mul(2_654_435_761) % SKUS as u64).to_string()
}

fn reserve(tx: &mut Tx<'_>, sku: &str) -> Result<(), Abort<Never>> {
    let id = Id::<()>::fresh().to_string();
    let now = tx.now().micros();
    on!(tx.connection(), |c| {
        let taken = prepared!(
            diesel::update(
                stock::table
                    .filter(stock::sku.eq(sku))
                    .filter((stock::on_hand - stock::reserved).ge(1)),
            )
            .set(stock::reserved.eq(stock::reserved + 1)),
        )
        .execute(c)?;
        assert_eq!(taken, 1);
        let row = (
            reservation::id.eq(&id),
            reservation::sku.eq(sku),
            reservation::quantity.eq(1),
            reservation::made_at.eq(now),
        );
        prepared!(diesel::insert_into(reservation::table).values(row)).execute(c)?;
    });
    Ok(())
}

const ONE: &str = "WITH taken AS (UPDATE stock SET reserved = reserved + 1 \
     WHERE sku = $1 AND on_hand - reserved >= 1 AND EXISTS (SELECT 1 FROM fence WHERE epoch = $2) RETURNING sku) \
     INSERT INTO reservation (id, sku, quantity, made_at) SELECT $3, sku, 1, $4 FROM taken";

fn reserve_one(c: &mut Connection, epoch: u64, sku: &str, now: i64) -> QueryResult<Option<()>> {
    let Connection::Postgres(c) = c else { panic!("only PostgreSQL has writing CTEs") };
    let done = prepared!(
        diesel::sql_query(ONE)
            .bind::<Text, _>(sku)
            .bind::<diesel::sql_types::BigInt, _>(i64::try_from(epoch).unwrap())
            .bind::<Text, _>(Id::<()>::fresh().to_string())
            .bind::<diesel::sql_types::BigInt, _>(now),
    )
    .execute(c)?;
    Ok((done == 1).then_some(()))
}

async fn fill(store: &Store) {
    store
        .write::<_, Never>(&call(), |tx| {
            for n in 0..SKUS {
                let row = (
                    stock::sku.eq(n.to_string()),
                    stock::on_hand.eq(1_000_000_000),
                    stock::reserved.eq(0),
                );
                on!(tx.connection(), |c| cached(diesel::insert_into(stock::table).values(row))
                    .execute(c))?;
            }
            Ok(())
        })
        .await
        .unwrap();
}

/// Transactions per second of many callers, each asking again as soon as it is answered.
async fn ours(store: &Store, callers: usize, single: bool) -> f64 {
    let stop = Arc::new(AtomicBool::new(false));
    let count = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let (store, stop, count) = (store.clone(), Arc::clone(&stop), Arc::clone(&count));
            tokio::spawn(async move {
                let mut n = caller as u64 * 1_000_003;
                while !stop.load(Ordering::Relaxed) {
                    n += 1;
                    let sku = sku(n);
                    if single {
                        let now = store.clock().now().micros();
                        store
                            .write_one::<_, Never>(&call(), move |c, epoch| {
                                reserve_one(c, epoch, &sku, now)
                            })
                            .await
                            .unwrap()
                            .unwrap();
                    } else {
                        store.write(&call(), move |tx| reserve(tx, &sku)).await.unwrap();
                    }
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    tokio::time::sleep(ROUND).await;
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    count.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64()
}

/// The raw loop: one thread, prepared statements, batches of 64, the fence read once per batch.
fn raw_sqlite(path: &Path) -> f64 {
    let mut c = rusqlite::Connection::open(path).unwrap();
    c.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
         PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16384;",
    )
    .unwrap();
    let started = Instant::now();
    let mut count = 0_u64;
    while started.elapsed() < ROUND {
        let tx = c.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
        {
            let mut fence = tx.prepare_cached("SELECT epoch FROM fence WHERE id = 1").unwrap();
            let mut update = tx
                .prepare_cached(
                    "UPDATE stock SET reserved = reserved + 1 WHERE sku = ?1 AND on_hand - reserved >= ?2",
                )
                .unwrap();
            let mut insert = tx
                .prepare_cached(
                    "INSERT INTO reservation (id, sku, quantity, made_at) VALUES (?1, ?2, ?3, ?4)",
                )
                .unwrap();
            let epoch: i64 = fence.query_row((), |row| row.get(0)).unwrap();
            assert_eq!(epoch, 1);
            for _ in 0..BATCH {
                count += 1;
                let sku = sku(count);
                assert_eq!(update.execute((&sku, 1)).unwrap(), 1);
                let id = Id::<()>::fresh().to_string();
                insert.execute((id, &sku, 1, kernel_api::Timestamp::now().micros())).unwrap();
            }
        }
        tx.commit().unwrap();
    }
    count as f64 / started.elapsed().as_secs_f64()
}

fn pgbench(url: &str, script: &Path) -> f64 {
    let output = Command::new("pgbench")
        .args(["-n", "-M", "prepared", "-c", "16", "-j", "2", "-T"])
        .arg(ROUND.as_secs().to_string())
        .arg("-f")
        .arg(script)
        .arg(url)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok())
        .unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)))
}

const SEVERAL_SCRIPT: &str = "\\set sku random(0, 999)
BEGIN;
SELECT 1 / count(*) FROM fence WHERE epoch = 1;
UPDATE stock SET reserved = reserved + 1 WHERE sku = :sku AND on_hand - reserved >= 1;
INSERT INTO reservation (id, sku, quantity, made_at) VALUES (gen_random_uuid()::text, :sku, 1, 0);
COMMIT;
";
const ONE_SCRIPT: &str = "\\set sku random(0, 999)
WITH taken AS (UPDATE stock SET reserved = reserved + 1 WHERE sku = :sku AND on_hand - reserved >= 1 AND EXISTS (SELECT 1 FROM fence WHERE epoch = 1) RETURNING sku) INSERT INTO reservation (id, sku, quantity, made_at) SELECT gen_random_uuid()::text, sku, 1, 0 FROM taken;
";

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn report(name: &str, ours: Vec<f64>, theirs: Vec<f64>, target: f64) {
    let (ours, theirs) = (median(ours), median(theirs));
    let ratio = ours / theirs;
    println!("{name:<52} {ours:>9.0}/s {theirs:>9.0}/s {ratio:>6.2} (target {target})");
}

async fn sqlite() {
    let (store, directory) = testing::sqlite(&MIGRATIONS);
    fill(&store).await;
    let path = directory.path().join("module.db");
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        b.push(raw_sqlite(&path));
        a.push(ours(&store, CALLERS, false).await);
    }
    report("SQLite, 64 callers : raw rusqlite, batches of 64", a, b, 0.7);
}

async fn postgres() {
    let Some(database) = testing::PrivateDatabase::create() else { return };
    let location = provision(&database.admin_url(), "bench", "secret").unwrap();
    migrate("bench", &location, &MIGRATIONS).unwrap();
    let limits = Limits { connections: CONNECTIONS, ..Limits::default() };
    let store = Store::open("bench", &location, limits, Clock::system()).unwrap();
    fill(&store).await;
    let Location::Postgres { url } = &location else { panic!("provisioned on PostgreSQL") };
    let scripts = tempfile::tempdir().unwrap();
    let several = scripts.path().join("several.sql");
    let one = scripts.path().join("one.sql");
    std::fs::write(&several, SEVERAL_SCRIPT).unwrap();
    std::fs::write(&one, ONE_SCRIPT).unwrap();
    for (name, script, single) in [
        ("PostgreSQL, transaction, 16 connections : pgbench", &several, false),
        ("PostgreSQL, one statement, 16 connections : pgbench", &one, true),
    ] {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            b.push(pgbench(url, script));
            a.push(ours(&store, CALLERS, single).await);
        }
        report(name, a, b, 0.9);
    }
}

/// Rows per second of an import, by how they are inserted.
async fn bulk() {
    const ROWS: usize = 20_000;
    #[derive(Insertable, Clone)]
    #[diesel(table_name = stock)]
    struct Row {
        sku: String,
        on_hand: i64,
        reserved: i64,
    }
    let rows: Vec<_> =
        (0..ROWS).map(|n| Row { sku: format!("sku-{n}"), on_hand: 1, reserved: 0 }).collect();
    for (store, _keep) in testing::both(&MIGRATIONS, "bench") {
        for chunk in [1, 10, 100, 500, 1000] {
            let rows = rows.clone();
            let started = Instant::now();
            store
                .write::<_, Never>(&call(), move |tx| {
                    on!(tx.connection(), |c| diesel::delete(stock::table).execute(c))?;
                    for rows in rows.chunks(chunk) {
                        match (tx.connection(), rows) {
                            (Connection::Sqlite(c), [row]) => {
                                cached(diesel::insert_into(stock::table).values(row)).execute(c)?
                            }
                            (Connection::Sqlite(c), rows) => {
                                diesel::insert_into(stock::table).values(rows).execute(c)?
                            }
                            (Connection::Postgres(c), rows) => {
                                cached(diesel::insert_into(stock::table).values(rows)).execute(c)?
                            }
                        };
                    }
                    Ok(())
                })
                .await
                .unwrap();
            let rate = ROWS as f64 / started.elapsed().as_secs_f64();
            let database = if store.is_postgres() { "PostgreSQL" } else { "SQLite" };
            println!("{database:<12} {chunk:>5} rows a statement: {rate:>9.0} rows/s");
        }
    }
}

fn main() {
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    println!(
        "{:<52} {:>11} {:>11} {:>6}",
        "median of interleaved rounds", "ours", "theirs", "ratio"
    );
    runtime.block_on(async {
        if wanted("sqlite") {
            sqlite().await;
        }
        if wanted("postgres") {
            postgres().await;
        }
        if wanted("bulk") {
            bulk().await;
        }
    });
}
