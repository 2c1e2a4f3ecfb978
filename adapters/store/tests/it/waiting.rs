//! Queues and deadlines: who waits, how long, and what is certain afterwards.

use std::{
    sync::{Mutex, mpsc},
    time::Duration,
};

use contract::{Call, Caller, Deadline, Fault, Never, Reason};
use diesel::{Connection as _, PgConnection, RunQueryDsl};
use store::{Limits, Location, Store, migrate, testing};

use crate::{
    door::{reason, reserved, stocked},
    shop::{MIGRATIONS, call, reserve},
};

#[tokio::test]
async fn a_deadline_that_passed_is_certain_to_have_had_no_effect() {
    for (store, _keep) in testing::both(&MIGRATIONS, "shop") {
        stocked(&store, "lamp", 10).await;
        let late = Call::new(Caller::module("test"), Deadline::within(Duration::ZERO));
        let answer = store.write(&late, |tx| reserve(tx, "lamp", 1)).await;
        assert_eq!(reason(answer), Reason::DeadlinePassed);
        assert_eq!(reserved(&store, "lamp").await, (0, 0));
    }
}

/// Holds the only thread of a store, so that what follows has to queue.
struct Held {
    release: mpsc::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Held {
    async fn new(store: &Store) -> Self {
        let (release, wait) = mpsc::channel();
        let wait = Mutex::new(wait);
        let (tell, begun) = tokio::sync::oneshot::channel();
        let tell = Mutex::new(Some(tell));
        let store = store.clone();
        let task = tokio::spawn(async move {
            store
                .write::<_, Never>(&call(), move |_tx| {
                    if let Some(tell) = tell.lock().unwrap().take() {
                        tell.send(()).unwrap();
                    }
                    wait.lock().unwrap().recv().unwrap();
                    Ok(())
                })
                .await
                .unwrap();
        });
        begun.await.unwrap();
        Self { release, task }
    }

    async fn end(self) {
        self.release.send(()).unwrap();
        self.task.await.unwrap();
    }
}

fn narrow(directory: &tempfile::TempDir) -> Store {
    let location = Location::Sqlite { path: directory.path().join("shop.db") };
    migrate("shop", &location, &MIGRATIONS).unwrap();
    let limits = Limits { queue_jobs_max: 2, ..Limits::default() };
    Store::open("shop", &location, limits, kernel_api::Clock::system()).unwrap()
}

#[tokio::test]
async fn a_full_queue_says_so_at_once_and_when_to_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let store = narrow(&directory);
    stocked(&store, "lamp", 10).await;
    let held = Held::new(&store).await;
    let queued: Vec<_> = (0..2)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.write(&call(), |tx| reserve(tx, "lamp", 1)).await })
        })
        .collect();
    while store.waiting().1 < 2 {
        tokio::task::yield_now().await;
    }
    let Err(Fault::NotExecuted(full)) = store.write(&call(), |tx| reserve(tx, "lamp", 1)).await
    else {
        panic!("the queue holds two")
    };
    assert_eq!(full.reason, Reason::Overloaded);
    assert!(full.retry_after.is_some());
    held.end().await;
    for one in queued {
        one.await.unwrap().unwrap();
    }
    assert_eq!(reserved(&store, "lamp").await, (2, 2));
}

#[tokio::test]
async fn a_deadline_that_passes_in_the_queue_leaves_no_effect_and_one_under_way_is_unknown() {
    let directory = tempfile::tempdir().unwrap();
    let store = narrow(&directory);
    stocked(&store, "lamp", 10).await;
    let held = Held::new(&store).await;
    let soon = Call::new(Caller::module("test"), Deadline::within(Duration::from_millis(20)));
    let answer = store.write(&soon, |tx| reserve(tx, "lamp", 1)).await;
    assert_eq!(reason(answer), Reason::DeadlinePassed);
    held.end().await;
    assert_eq!(reserved(&store, "lamp").await, (0, 0));

    let (release, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let soon = Call::new(Caller::module("test"), Deadline::within(Duration::from_millis(20)));
    let answer = store
        .write(&soon, move |tx| {
            let id = reserve(tx, "lamp", 1)?;
            // Ends when the test, which has its answer by then, drops the other end.
            assert!(wait.lock().unwrap().recv().is_err());
            Ok(id)
        })
        .await;
    assert!(matches!(answer, Err(Fault::Unknown(_))), "{answer:?}");
    drop(release);
    // The next write waits for it, and then its effect shows.
    stocked(&store, "chair", 1).await;
    assert_eq!(reserved(&store, "lamp").await, (1, 1));
}

/// The server has room for fewer sessions than the store has threads: those that got one do the work of all.
#[tokio::test]
async fn a_server_without_room_for_every_thread_serves_all_callers() {
    let Some((store, keep)) = testing::postgres(&MIGRATIONS, "shop") else { return };
    let testing::Private::Postgres(database) = &keep else { panic!("on PostgreSQL") };
    let mut admin = PgConnection::establish(&database.admin_url()).unwrap();
    diesel::sql_query(
        "DO $$ BEGIN EXECUTE \
         format('ALTER DATABASE %I CONNECTION LIMIT 2', current_database()); END $$",
    )
    .execute(&mut admin)
    .unwrap();
    drop(admin);
    stocked(&store, "lamp", 1000).await;
    let callers: Vec<_> = (0..64)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..5 {
                    store.write(&call(), |tx| reserve(tx, "lamp", 1)).await.unwrap();
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(reserved(&store, "lamp").await, (320, 320));
}

/// What a new connection takes is taken before anybody waits for it.
#[tokio::test]
async fn a_store_that_is_warmed_has_all_its_connections() {
    let Some((first, _keep)) = testing::postgres(&MIGRATIONS, "shop") else { return };
    let limits = Limits { connections: 3, ..Limits::default() };
    let store = Store::open("shop", first.location(), limits, kernel_api::Clock::system()).unwrap();
    drop(first);
    async fn connections(store: &Store) -> i64 {
        let by = call();
        let counted = store.read::<_, Never>(&by, |c| {
            let counted = diesel::dsl::sql::<diesel::sql_types::BigInt>(
                "(SELECT count(*) FROM pg_stat_activity \
                  WHERE datname = current_database() AND application_name = 'banyan-shop')",
            );
            let store::Connection::Postgres(c) = c else { unreachable!("it is on a server") };
            Ok(diesel::select(counted).get_result(c)?)
        });
        counted.await.unwrap()
    }
    assert!(connections(&store).await < 3, "as they are needed");
    assert!(store.warm(Duration::from_secs(10)).await);
    assert_eq!(connections(&store).await, 3);
    // Again costs nothing, and those that are open stay.
    assert!(store.warm(Duration::from_secs(10)).await);
    assert_eq!(connections(&store).await, 3);
}
