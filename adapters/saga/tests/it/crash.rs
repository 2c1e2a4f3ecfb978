//! A process that dies between any two moments of a saga, and two that drive one.

use std::sync::{Arc, atomic::Ordering};

use saga::{SagaId, Status};

use crate::world::{
    Meets::{DoneThenHangs, Hangs, Says},
    Purchase, Said, World, begin, call, eventually, limits, long, soon, worlds,
};

/// Starts a saga in a process of its own that is killed once the outside hangs.
async fn dies(world: &World) -> SagaId {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (outside, store) = (Arc::clone(&world.outside), world.store.clone());
    let (tell, told) = tokio::sync::oneshot::channel();
    runtime.spawn(async move {
        let runner =
            saga::Runner::new(store.clone(), limits(), vec![saga::definition(Purchase(outside))]);
        let id = begin(&runner, &store).await;
        tell.send(id).unwrap();
        drop(runner.drive(id, long()).await);
    });
    let id = told.await.unwrap();
    world.outside.hanging.notified().await;
    runtime.shutdown_background();
    id
}

async fn ends(world: &World, id: SagaId) -> Status {
    let runner = world.runner();
    runner.start(world.ownership.subscribe());
    // The lease of the dead ends by the clock.
    world.clock.advance(limits().lease);
    let status = eventually(async || {
        let view = runner.show(&call(), id).await.unwrap();
        if view.status.is_over() { Ok(view.status) } else { Err(format!("{view:?}")) }
    })
    .await;
    runner.stop(long()).await;
    status
}

#[tokio::test]
async fn a_process_killed_in_any_step_leaves_a_saga_that_ends() {
    for world in worlds() {
        let (yes, no) = (Says(Said::Yes), Says(Said::No));
        // Before the first call, after it, before and after the second one, and on the way back.
        let forward =
            [vec![Hangs], vec![DoneThenHangs], vec![yes, Hangs], vec![yes, DoneThenHangs]];
        for script in forward {
            world.outside.will(&script);
            let id = dies(&world).await;
            assert_eq!(ends(&world, id).await, Status::Done, "{script:?}");
            assert_eq!(world.effects(id).await, ["Take to Pay", "done"]);
            assert!(world.outside.did(id, "take") && world.outside.did(id, "pay"));
        }
        for script in [vec![yes, no, Hangs], vec![yes, no, DoneThenHangs]] {
            world.outside.will(&script);
            let id = dies(&world).await;
            assert_eq!(ends(&world, id).await, Status::Compensated, "{script:?}");
            assert_eq!(world.effects(id).await.len(), 3);
            assert!(world.outside.did(id, "take") && world.outside.did(id, "give-back"));
            assert!(!world.outside.did(id, "pay"));
        }
    }
}

#[tokio::test]
async fn a_saga_whose_starter_died_before_it_drove_it_is_picked_up() {
    for world in worlds() {
        let id = world.begin(&world.runner()).await;
        assert_eq!(ends(&world, id).await, Status::Done);
        assert_eq!(world.effects(id).await.len(), 2);
    }
}

#[tokio::test]
async fn where_nobody_else_can_be_the_dead_are_followed_at_once() {
    for mut world in worlds() {
        world.outside.will(&[DoneThenHangs]);
        let id = dies(&world).await;
        let heir = world.runner();
        let waits = heir.drive(id, soon()).await.unwrap();
        assert_eq!(waits.status, Status::Running, "it may live: its lease is respected");

        world.store = world.store.clone().alone();
        // Nobody comes back to ask for it, and the clock stands still.
        let heir = world.runner();
        heir.start(world.ownership.subscribe());
        let ended = eventually(async || {
            let view = heir.show(&call(), id).await.unwrap();
            if view.status.is_over() { Ok(view) } else { Err(format!("{view:?}")) }
        });
        assert_eq!(ended.await.status, Status::Done);
        assert_eq!(heir.counters().taken_over.load(Ordering::Relaxed), 1);
        assert_eq!(world.effects(id).await, ["Take to Pay", "done"]);

        // Somebody does, and the background does not look.
        world.outside.will(&[Hangs]);
        let id = dies(&world).await;
        assert_eq!(world.runner().drive(id, long()).await.unwrap().status, Status::Done);
        heir.stop(long()).await;
    }
}

#[tokio::test]
async fn a_step_taken_over_is_in_doubt() {
    for world in worlds() {
        world.outside.will(&[Says(Said::Yes), DoneThenHangs]);
        let id = dies(&world).await;
        // Whoever takes over hears nothing but that it is not there: the payment may still have been made.
        world.outside.will(&[crate::world::Meets::Away; 4]);
        assert_eq!(ends(&world, id).await, Status::Stuck);
        assert!(world.runner().show(&call(), id).await.unwrap().in_doubt);
        assert!(world.outside.did(id, "pay"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_runners_of_one_saga_record_each_step_once() {
    for world in worlds() {
        for round in 0..20 {
            let (one, two) = (world.runner(), world.runner());
            let id = world.begin(&one).await;
            if round % 2 == 0 {
                // So that both think it is theirs.
                world.clock.advance(limits().lease);
            }
            let (first, second) = tokio::join!(one.drive(id, long()), two.drive(id, long()));
            assert_eq!(first.unwrap().status, Status::Done);
            assert_eq!(second.unwrap().status, Status::Done);
            assert_eq!(world.effects(id).await, ["Take to Pay", "done"]);
        }
    }
}
