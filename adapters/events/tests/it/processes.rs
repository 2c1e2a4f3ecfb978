//! Several processes of one module, and processes that die.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use kernel_api::Clock;
use store::{Limits, Location, Store};

use crate::world::{World, call, eventually, limits, worlds};

/// Runs a future on a runtime of its own, as in another process, and kills it there when told to.
struct Process(Option<tokio::runtime::Runtime>);

impl Process {
    fn start(body: impl Future<Output = ()> + Send + 'static) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.spawn(body);
        Self(Some(runtime))
    }

    /// Every task is dropped where it stands; nothing is given back.
    fn kill(mut self) {
        self.0.take().unwrap().shutdown_background();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// A worker of the world's subscription in a process of its own.
fn worker(world: &World, store: Store) -> Process {
    let (feed, ears, ownership) =
        (world.feed(), Arc::clone(&world.ears), world.ownership.subscribe());
    let config = events::SubscriberConfig {
        limits: limits(),
        ..events::SubscriberConfig::new(crate::world::NAME)
    };
    Process::start(async move {
        let _subscription = events::subscribe(config, store, feed, ears, ownership);
        std::future::pending::<()>().await;
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_killed_anywhere_repeats_nothing_and_loses_nothing() {
    for world in worlds() {
        let world = Arc::new(world);
        let telling = Arc::new(AtomicBool::new(true));
        let teller = tokio::spawn({
            let (world, telling) = (Arc::clone(&world), Arc::clone(&telling));
            async move {
                for value in 1..=150 {
                    world.tell(&["a", "b", "c", "d"], value).await;
                }
                telling.store(false, Ordering::Release);
            }
        });
        let mut kills: u64 = 0;
        while telling.load(Ordering::Acquire) {
            let process = worker(&world, world.hearer.clone());
            // Wherever it is by then: before the write, while it commits, between commit and answer.
            let before = world.heard().await.get("a").map_or(0, |heard| heard.0);
            let _moved = tokio::time::timeout(Duration::from_millis(20 + kills % 7), async {
                while world.heard().await.get("a").map_or(0, |heard| heard.0) == before {
                    tokio::task::yield_now().await;
                }
            })
            .await;
            process.kill();
            kills += 1;
            // The lease of the dead ends by the clock.
            world.clock.advance(limits().lease);
        }
        teller.await.unwrap();
        let process = worker(&world, world.hearer.clone());
        let all = (150, 150);
        world.hears(&[("a", all), ("b", all), ("c", all), ("d", all)]).await;
        process.kill();
        assert!(kills > 3, "{kills} kills prove little");
    }
}

fn second_store(world: &World, clock: &Clock) -> Option<Store> {
    match world.hearer.location() {
        Location::Sqlite { .. } => None,
        location @ Location::Postgres { .. } => {
            let limits = Limits { connections: 2, ..Limits::default() };
            Some(Store::open("hearer", location, limits, clock.clone()).unwrap())
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_processes_one_hears_and_the_other_takes_over() {
    for world in worlds() {
        // On SQLite two workers of one process, which is as far as sharing goes there.
        let other = second_store(&world, &world.clock).unwrap_or_else(|| world.hearer.clone());
        let first = worker(&world, world.hearer.clone());
        world.tell(&["a"], 1).await;
        world.hears(&[("a", (1, 1))]).await;
        let second = worker(&world, other);
        for value in 2..=50 {
            world.tell(&["a", "b"], value).await;
        }
        world.hears(&[("a", (50, 50)), ("b", (50, 49))]).await;
        first.kill();
        world.tell(&["a", "b"], 51).await;
        eventually(async || {
            let leased = world.status().await.leased_until;
            if leased > world.clock.now() { Ok(()) } else { Err("no lease".to_owned()) }
        })
        .await;
        // The second respects the lease of the dead until it ends, and then goes on.
        world.clock.advance(limits().lease);
        world.hears(&[("a", (51, 51)), ("b", (51, 50))]).await;
        second.kill();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_else_can_be_the_lease_of_the_dead_binds_nobody() {
    for world in worlds() {
        let first = worker(&world, world.hearer.clone());
        world.tell(&["a"], 1).await;
        world.hears(&[("a", (1, 1))]).await;
        first.kill();
        assert!(world.status().await.leased_until > world.clock.now(), "its lease stands");
        let second = worker(&world, world.hearer.clone().alone());
        world.tell(&["a"], 2).await;
        // The clock stands still.
        world.hears(&[("a", (2, 2))]).await;
        second.kill();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_race_without_a_lease_still_give_each_event_one_effect() {
    for world in worlds() {
        let other = second_store(&world, &world.clock).unwrap_or_else(|| world.hearer.clone());
        let _workers = [
            worker(&world, world.hearer.clone()),
            worker(&world, other),
            worker(&world, world.hearer.clone()),
        ];
        for value in 1..=100 {
            world.tell(&["a", "b"], value).await;
            // Every lease has ended when the next event comes.
            world.clock.advance(limits().lease);
        }
        world.hears(&[("a", (100, 100)), ("b", (100, 100))]).await;
        let status = world.stands("read", |status| status.cursor == 200).await;
        assert_eq!((status.parked, status.dead), (0, 0));
        assert!(events::status(&world.hearer, &call()).await.unwrap().len() == 1);
    }
}

/// A transaction that took its place in the outbox early and commits late, under a running subscription.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sequencer_gives_late_commits_their_place_and_none_is_skipped() {
    let Some(world) = worlds().into_iter().find(|world| world.teller.needs_sequencer()) else {
        return;
    };
    let sequencer =
        tokio::spawn(events::sequence(world.teller.clone(), world.ownership.subscribe()));
    let subscription = world.subscribe();
    let (entered, inside) = std::sync::mpsc::channel();
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let (teller, gate) = (world.teller.clone(), std::sync::Mutex::new(gate));
    let late = tokio::spawn(async move {
        let call = call();
        let told = teller.write::<_, contract::Never>(&call, move |tx| {
            tx.emit(&crate::world::Counted { key: "late".to_owned(), value: 1 })?;
            entered.send(()).unwrap();
            gate.lock().unwrap().recv().unwrap();
            Ok(())
        });
        told.await.unwrap();
    });
    tokio::task::spawn_blocking(move || inside.recv().unwrap()).await.unwrap();
    let asked = call();
    let told = world.teller.write::<_, contract::Never>(&asked, |tx| {
        for value in 1..=10 {
            tx.emit(&crate::world::Counted { key: "early".to_owned(), value })?;
        }
        Ok(())
    });
    told.await.unwrap();
    world.hears(&[("early", (10, 10))]).await;
    go.send(()).unwrap();
    late.await.unwrap();
    world.hears(&[("early", (10, 10)), ("late", (1, 1))]).await;
    assert_eq!(subscription.settled(&call()).await.unwrap().cursor, 11);
    subscription.stop().await;
    sequencer.abort();
}
