//! Writers that keep a ledger of what they were told, and go where the module is.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use contract::{Fault, Never, Reason};
use diesel::{RunQueryDsl, sql_types::Text};
use store::{Location, Store, Tx, on};
use tokio::task::JoinHandle;

use super::pair::{CHILD, MONOLITH, count, open_as, texts};
use crate::shop::{Reserved, call, command};

/// The longest that a writer looks for the module's owner: far longer than any switch.
const LOST_MAX: Duration = Duration::from_secs(60);

/// What a writer leaves to the follower, which in a debug build on a busy machine is slower than the writers together.
const PAUSE: Duration = Duration::from_millis(5);

/// Two deployments of one shop, and writers in front of them.
pub struct Load {
    stores: [Store; 2],
    stop: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<Vec<String>>>,
    pub writes: Arc<AtomicU64>,
    writers: Vec<JoinHandle<()>>,
}

fn run(tx: &mut Tx<'_>, sql: &str) -> diesel::QueryResult<usize> {
    on!(tx.connection(), |c| diesel::sql_query(sql).execute(c))
}

/// One transaction of one writer: whatever the number says, all of it idempotent by the key.
fn work(tx: &mut Tx<'_>, key: &str, n: u64) -> diesel::QueryResult<()> {
    let at = n % 20;
    match n % 7 {
        0 => {
            // Two rows exchange what must be unique.
            let two = format!("id IN ('b{at}', 'b{}')", (at + 7) % 20);
            run(
                tx,
                &format!(
                    "UPDATE badge SET nickname = holder, holder = '{key} ' || holder WHERE {two}"
                ),
            )?;
            run(
                tx,
                &format!(
                    "UPDATE badge SET holder = (SELECT o.nickname FROM badge AS o WHERE o.{two} AND o.id <> badge.id), is_active = NOT is_active WHERE {two}"
                ),
            )?;

            run(tx, &format!("UPDATE badge SET nickname = 'n ' || holder WHERE {two}"))?;
        }
        1 => {
            // The key changes, and comes back.
            run(
                tx,
                &format!(
                    "UPDATE folder SET number = number + 1000 WHERE owner = 'o{at}' AND number < 1000"
                ),
            )?;
            run(
                tx,
                &format!(
                    "UPDATE folder SET number = number - 1000, body = 'tab\t{n}' WHERE owner = 'o{}' AND number >= 1000",
                    (at + 3) % 20
                ),
            )?;
        }
        2 => {
            let at = at % 10;
            run(tx, &format!("DELETE FROM book WHERE shelf = 's{at}'"))?;
            run(
                tx,
                &format!(
                    "INSERT INTO book (id, shelf, title) VALUES ('{key}', 's{at}', 'a title')"
                ),
            )?;
        }
        3 => {
            // Gone with its books, and back with another one.
            let at = 10 + at % 10;
            run(tx, &format!("DELETE FROM shelf WHERE id = 's{at}'"))?;
            run(
                tx,
                &format!(
                    "INSERT INTO shelf (id, beside) VALUES ('s{at}', 's{at}') ON CONFLICT (id) DO UPDATE SET beside = shelf.beside"
                ),
            )?;
            run(
                tx,
                &format!(
                    "INSERT INTO book (id, shelf, title) VALUES ('{key}', 's{at}', 'another title')"
                ),
            )?;
        }
        4 => {
            run(tx, &format!("DELETE FROM tag WHERE folder = {at}"))?;
            run(tx, &format!("INSERT INTO tag (word, folder) VALUES ('{key}', {at})"))?;
        }
        5 => {
            run(
                tx,
                &format!(
                    "UPDATE cursor SET lease_owner = '{key}', lease_until_at = 9000000000000000, position = position + 1 WHERE subscription = 'c{}'",
                    at % 3
                ),
            )?;
        }
        _ => {}
    }
    run(tx, &format!("UPDATE stock SET reserved = reserved + 1 WHERE sku = 'sku{}'", n % 50))?;
    on!(tx.connection(), |c| diesel::sql_query(
        "INSERT INTO reservation (id, sku, quantity, made_at) VALUES ($1, $2, 1, 0)"
    )
    .bind::<Text, _>(key)
    .bind::<Text, _>(format!("sku{}", n % 50))
    .execute(c))?;
    tx.emit(&Reserved { id: key.to_owned(), sku: format!("sku{}", n % 50) })
}

/// What the writers write about.
pub fn fill(location: &Location, extra: u64) {
    let mut sql = String::from("BEGIN;");
    for n in 0..50 {
        sql.push_str(&format!("INSERT INTO stock VALUES ('sku{n}', 1000000000, 0);"));
    }
    for n in 0..20 {
        sql.push_str(&format!(
            "INSERT INTO badge VALUES ('b{n}', 'h{n}', 'n{n}', true);
             INSERT INTO shelf (id) VALUES ('s{n}');
             INSERT INTO book VALUES ('first{n}', 's{n}', 'It''s \"all\" {{here}}, \\N');"
        ));
        for number in 0..5 {
            sql.push_str(&format!(
                "INSERT INTO folder VALUES ('o{n}', {number}, 'line\nfeed \\ ü', NULL);"
            ));
        }
    }
    for n in 0..3 {
        sql.push_str(&format!(
            "INSERT INTO cursor (subscription, position, updated_at) VALUES ('c{n}', 0, 0);"
        ));
    }
    for n in 0..extra {
        sql.push_str(&format!("INSERT INTO tag VALUES ('old{n:06}', 999);"));
    }
    sql.push_str("COMMIT");
    super::pair::run(location, &sql);
}

impl Load {
    /// Begins to write.
    pub fn start(source: &Location, target: &Location, writers: u64) -> Self {
        let stores = [open_as(source, MONOLITH), open_as(target, CHILD)];
        let mut load = Self {
            stores,
            stop: Arc::default(),
            acknowledged: Arc::default(),
            writes: Arc::default(),
            writers: Vec::new(),
        };
        for writer in 0..writers {
            let stores = load.stores.clone();
            let (stop, acknowledged) = (Arc::clone(&load.stop), Arc::clone(&load.acknowledged));
            let writes = Arc::clone(&load.writes);
            load.writers.push(tokio::spawn(async move {
                for turn in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let key = format!("w{writer}-{turn}");
                    write(&stores, &key, writer + turn * writers).await;
                    acknowledged.lock().unwrap().push(key);
                    writes.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(PAUSE).await;
                }
            }));
        }
        load
    }

    pub fn store(&self, deployment: &str) -> &Store {
        &self.stores[usize::from(deployment == CHILD)]
    }

    /// Waits until so many more writes were acknowledged.
    pub async fn more(&self, writes: u64) {
        let until = self.writes.load(Ordering::Relaxed) + writes;
        let deadline = Instant::now() + LOST_MAX;
        while self.writes.load(Ordering::Relaxed) < until {
            assert!(Instant::now() < deadline, "the writers stand still");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Stops, and holds what the writers were told against the owner's data.
    pub async fn end(self, owner: &Location) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for writer in self.writers {
            writer.await.unwrap();
        }
        let mut told = self.acknowledged.lock().unwrap().clone();
        told.sort();
        let mut there = texts(owner, "SELECT id AS text FROM reservation");
        there.sort();
        assert_eq!(there, told, "each acknowledged write is there once, and nothing else");
        let reserved = texts(owner, "SELECT CAST(sum(reserved) AS TEXT) AS text FROM stock");
        assert_eq!(reserved[0].parse::<usize>().unwrap(), told.len());
        assert_eq!(count(owner, "outbox"), told.len() as u64, "each told its event once");
        let store = &self.stores[0];
        let store = if store.location() == owner { store } else { &self.stores[1] };
        while store.sequence(&call(), 10_000).await.unwrap() > 0 {}
        let positions =
            texts(owner, "SELECT CAST(position AS TEXT) AS text FROM outbox ORDER BY position");
        let dense: Vec<_> = (1..=told.len()).map(|at| at.to_string()).collect();
        assert_eq!(positions, dense, "positions are dense");
        told.len() as u64
    }
}

/// Writes until it is known to be written: once, wherever the module is.
async fn write(stores: &[Store; 2], key: &str, n: u64) {
    let deadline = Instant::now() + LOST_MAX;
    while Instant::now() < deadline {
        for store in stores.iter().filter(|store| !store.is_standby()) {
            let owned = key.to_owned();
            let answer: contract::Answer<(), Never> =
                store.command(&command(key), "work", &n, move |tx| Ok(work(tx, &owned, n)?)).await;
            match answer {
                Ok(()) => return,
                Err(Fault::NotExecuted(why)) => {
                    assert_ne!(why.reason, Reason::Failed, "{}", why.detail);
                    assert_ne!(why.reason, Reason::KeyReused, "{}", why.detail);
                }
                Err(Fault::Unknown(_)) => {}
                Err(Fault::Refused(never)) => match never {},
            }
        }
        for store in stores {
            drop(store.settle(&call()).await);
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    panic!("{key}: the module was nowhere");
}
