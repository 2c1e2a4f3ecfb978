//! There and back again under load: nothing acknowledged is lost, nothing doubled, both sides equal.

use store::mover::Mover;

use super::{
    load::{Load, fill},
    pair::{CHILD, Kind, MONOLITH, Pair, assert_equal, copy, switch},
};
use crate::shop::call;

const WRITERS: u64 = 6;
const CYCLES: usize = 3;

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

async fn there_and_back(source: Kind, target: Kind) {
    let Some(pair) = Pair::new(source, target) else { return };
    fill(&pair.source, 2000);
    // The child's process is there before the move: its database has tables and belongs to nobody.
    let mover = pair.mover();
    mover.prepare().unwrap();
    let load = Load::start(&pair.source, &pair.target, WRITERS);
    assert!(load.store(CHILD).is_standby());
    load.more(50).await;
    let back: Mover = blocking(move || {
        mover.capture().unwrap();
        copy(&mover, 300);
        mover.follow().unwrap();
        assert_equal(&mover.verify().unwrap());
        mover.back()
    })
    .await;
    let mut forth = back.back();
    let mut back = back;
    for cycle in 0..CYCLES {
        load.more(100).await;
        (forth, back) = blocking(move || {
            let there = switch(&forth, CHILD);
            assert_eq!(there.standing.owner, CHILD);
            assert_eq!(forth.standing().unwrap().0, forth.standing().unwrap().1);
            (forth, back)
        })
        .await;
        load.more(100).await;
        assert!(!load.store(CHILD).is_standby(), "cycle {cycle}");
        (forth, back) = blocking(move || {
            back.follow().unwrap();
            assert_equal(&back.verify().unwrap());
            let here = switch(&back, MONOLITH);
            assert_eq!(here.standing.owner, MONOLITH);
            (forth, back)
        })
        .await;
        load.more(50).await;
        forth = blocking(move || {
            assert_equal(&forth.verify().unwrap());
            forth
        })
        .await;
    }
    let row = load.store(MONOLITH).standing(&call()).await.unwrap();
    assert_eq!(row.epoch, 1 + 2 * CYCLES as u64);
    load.end(&pair.source).await;
    assert_equal(&forth.verify().unwrap());
    assert!(Mover::leftovers(&pair.source).unwrap().len() > 10);
    let removed = forth.remove().unwrap();
    assert_eq!(removed.away, Vec::<String>::new());
    for side in [&pair.source, &pair.target] {
        assert_eq!(Mover::leftovers(side).unwrap(), []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn from_sqlite_to_sqlite_and_back() {
    there_and_back(Kind::Sqlite, Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn from_sqlite_to_postgres_and_back() {
    there_and_back(Kind::Sqlite, Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn from_postgres_to_postgres_and_back() {
    there_and_back(Kind::Postgres, Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn from_postgres_to_sqlite_and_back() {
    there_and_back(Kind::Postgres, Kind::Sqlite).await;
}
