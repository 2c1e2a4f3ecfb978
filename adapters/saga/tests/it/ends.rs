//! How sagas come to their ends, and what of them stays.

use std::{sync::atomic::Ordering, time::Duration};

use contract::{Deadline, Fault, Never, Ownership};
use saga::{Limits, Missing, Progress, SagaId, Status};
use store::Abort;

use crate::world::{
    Meets::{Away, Confused, DoneButLost, Hangs, Lost, Panics, Says},
    Purchase, Said, Stage, World, call, eventually, limits, long, worlds,
};

const ALL: [&str; 2] = ["Take to Pay", "done"];
const UNDONE: [&str; 3] = ["Pay to GiveBack", "Take to Pay", "compensated"];

#[tokio::test]
async fn each_step_is_one_write_with_its_effects() {
    for world in worlds() {
        let runner = world.runner();
        let (id, progress) = world.buy(&runner).await;
        assert_eq!((progress.status, progress.state()), (Status::Done, Some(Stage::Pay)));
        assert_eq!(world.effects(id).await, ALL);
        assert_eq!(
            *world.outside.calls.lock().unwrap(),
            [format!("{id}:take"), format!("{id}:pay")]
        );
        assert_eq!(runner.counters().steps.load(Ordering::Relaxed), 2);
        // Looking at it again is only looking.
        assert_eq!(runner.drive(id, long()).await.unwrap().status, Status::Done);
        assert_eq!(world.outside.calls.lock().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn a_refusal_is_compensated_backwards() {
    for world in worlds() {
        world.outside.will(&[Says(Said::Yes), Says(Said::No)]);
        let (id, progress) = world.buy(&world.runner()).await;
        assert_eq!(progress.status, Status::Compensated);
        assert_eq!(world.effects(id).await, UNDONE);
    }
}

#[tokio::test]
async fn an_unknown_outcome_is_asked_for_again_with_the_same_key() {
    for world in worlds() {
        for lost in [DoneButLost, Lost, Panics] {
            world.outside.will(&[Says(Said::Yes), lost, Says(Said::No)]);
            let (id, progress) = world.buy(&world.runner()).await;
            // The kept answer counts, whatever would be said to a new question.
            let kept = lost == DoneButLost;
            assert_eq!(progress.status == Status::Done, kept, "{lost:?}: {progress:?}");
            assert_eq!(world.outside.did(id, "pay"), kept);
            let key = format!("{id}:pay");
            let asked = world.outside.calls.lock().unwrap().iter().filter(|k| **k == key).count();
            assert_eq!(asked, 2);
        }
    }
}

#[tokio::test]
async fn a_doubtful_step_is_never_given_up_but_stuck() {
    for world in worlds() {
        world.outside.will(&[Says(Said::Yes), DoneButLost, Away, Away, Away]);
        let (id, progress) = world.buy(&world.runner()).await;
        assert_eq!(progress.status, Status::Stuck);
        let reason = progress.reason.unwrap();
        assert!(reason.contains("may have had its effect"), "{reason}");
        let view = world.runner().show(&call(), id).await.unwrap();
        assert_eq!((view.step.as_str(), view.attempts, view.in_doubt), ("pay", 4, true));
    }
}

#[tokio::test]
async fn a_step_that_certainly_did_nothing_is_given_up_as_the_definition_says() {
    for world in worlds() {
        world.outside.will(&[Says(Said::Yes), Away, Says(Said::Later), Away, Away]);
        let (id, progress) = world.buy(&world.runner()).await;
        assert_eq!(progress.status, Status::Compensated);
        assert_eq!(world.effects(id).await, UNDONE);
    }
}

#[tokio::test]
async fn a_call_that_can_never_be_accepted_is_stuck_at_once() {
    for world in worlds() {
        world.outside.will(&[Confused]);
        let (_id, progress) = world.buy(&world.runner()).await;
        assert_eq!(progress.status, Status::Stuck);
        assert_eq!(world.outside.calls.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn effects_that_are_forbidden_roll_the_step_back() {
    for world in worlds() {
        let runner = world.runner();
        let id = world.begin(&runner).await;
        world.outside.forbidden.lock().unwrap().insert(id, "the till is closed");
        let progress = runner.drive(id, long()).await.unwrap();
        assert_eq!(progress.status, Status::Stuck);
        assert!(progress.reason.as_ref().unwrap().contains("the till is closed"), "{progress:?}");
        assert!(world.effects(id).await.is_empty());
        world.outside.forbidden.lock().unwrap().clear();
        runner.retry(&call(), id).await.unwrap();
        assert_eq!(runner.drive(id, long()).await.unwrap().status, Status::Done);
        assert_eq!(world.effects(id).await, ALL);
    }
}

#[tokio::test]
async fn a_saga_exists_only_if_its_command_commits() {
    for world in worlds() {
        let (runner, id) = (world.runner(), SagaId::fresh());
        let start = runner.clone();
        let call = call();
        let refused = world.store.write::<(), _>(&call, move |tx| {
            start.start_in::<Purchase>(tx, id, &Stage::Take)?;
            Err(Abort::Refused("no"))
        });
        let refused = refused.await;
        assert_eq!(refused.unwrap_err(), Fault::Refused("no"));
        let driven = runner.drive(id, long()).await;
        assert_eq!(driven.unwrap_err(), Fault::Refused(Missing));
    }
}

#[tokio::test]
async fn a_caller_waits_until_its_deadline_and_the_saga_goes_on() {
    for world in worlds() {
        let limits = Limits { step_timeout: Duration::from_millis(100), ..limits() };
        let runner = world.runner_with(limits);
        world.outside.will(&[Hangs]);
        let id = world.begin(&runner).await;
        let soon = Deadline::within(Duration::from_millis(20));
        assert_eq!(runner.drive(id, soon).await.unwrap().status, Status::Running);
        // Nobody asks any more, and still it ends.
        eventually(async || {
            let view = runner.show(&call(), id).await.unwrap();
            if view.status == Status::Done { Ok(()) } else { Err(format!("{view:?}")) }
        })
        .await;
        assert_eq!(world.effects(id).await, ALL);
    }
}

#[tokio::test]
async fn waits_follow_the_clock() {
    for world in worlds() {
        let minute = Duration::from_secs(60);
        let limits = Limits { wait_min: minute, wait_max: minute, ..limits() };
        let runner = world.runner_with(limits);
        runner.start(world.ownership.subscribe());
        world.outside.will(&[Away, Away]);
        let (id, progress) = world.buy(&runner).await;
        assert_eq!(progress.status, Status::Running, "the caller need not wait for what is far");
        for attempt in 1..=2 {
            let view = runner.show(&call(), id).await.unwrap();
            assert_eq!((view.attempts, view.status), (attempt, Status::Running));
            let wait = view.next_try_at.unwrap().since(world.clock.now());
            assert!((minute / 2..=minute).contains(&wait), "{wait:?}");
            world.clock.advance(wait - Duration::from_micros(1));
            // Another one goes through meanwhile, so the runner has looked; this one has not moved.
            let calls = world.outside.calls.lock().unwrap().len();
            let early =
                runner.drive(id, Deadline::within(Duration::from_millis(30))).await.unwrap();
            assert_eq!(early.status, Status::Running);
            assert_eq!(world.outside.calls.lock().unwrap().len(), calls);
            world.clock.advance(Duration::from_micros(1));
            moved(&world, &runner, id, attempt).await;
        }
        let done = runner.drive(id, long()).await.unwrap();
        assert_eq!(done.status, Status::Done);
        runner.stop(long()).await;
    }
}

async fn moved(world: &World, runner: &saga::Runner, id: SagaId, attempt: u32) {
    eventually(async || {
        let view = runner.show(&call(), id).await.unwrap();
        let calls = world.outside.calls.lock().unwrap().len();
        let over = view.status == Status::Done || view.attempts > attempt;
        if over { Ok(()) } else { Err(format!("{view:?} after {calls} calls")) }
    })
    .await;
}

#[tokio::test]
async fn one_bad_saga_holds_up_no_other() {
    for world in worlds() {
        let limits = Limits { concurrency: 2, ..limits() };
        let runner = world.runner_with(limits);
        world.outside.will(&[Hangs]);
        let bad = world.begin(&runner).await;
        drop(tokio::spawn({
            let runner = runner.clone();
            async move { runner.drive(bad, long()).await }
        }));
        world.outside.hanging.notified().await;
        for _ in 0..20 {
            let (_id, progress) = world.buy(&runner).await;
            assert_eq!(progress.status, Status::Done);
        }
        // And in the background, where the bad one takes a place, too.
        let mut others = Vec::new();
        for _ in 0..20 {
            others.push(world.begin(&runner).await);
        }
        world.clock.advance(limits_lease());
        runner.start(world.ownership.subscribe());
        for id in others {
            eventually(async || {
                let view = runner.show(&call(), id).await.unwrap();
                if view.status == Status::Done { Ok(()) } else { Err(format!("{view:?}")) }
            })
            .await;
        }
        runner.stop(Deadline::within(Duration::from_millis(10))).await;
    }
}

fn limits_lease() -> Duration {
    limits().lease
}

async fn write(world: &World, id: SagaId, column: &str, value: &str) {
    let sql = format!("UPDATE saga SET {column} = '{value}' WHERE id = '{id}'");
    let call = call();
    let written =
        world.store.write::<_, Never>(&call, move |tx| Ok(tx.connection().batch_execute(&sql)?));
    written.await.unwrap();
}

#[tokio::test]
async fn what_this_process_cannot_read_is_stuck_with_the_reason() {
    for world in worlds() {
        let cases = [
            ("kind", "test.gone", "knows no sagas of kind `test.gone`"),
            ("state", "\"dance\"", "cannot be read"),
            ("state", "{", "cannot be read"),
            ("version", "1", "\"take\" of version 1"),
            ("version", "3", "is newer than this process"),
            ("step", "ta ke", "its step"),
        ];
        for (column, value, reason) in cases {
            let runner = world.runner();
            let id = world.begin(&runner).await;
            write(&world, id, column, value).await;
            let Progress { status, reason: found, .. } = runner.drive(id, long()).await.unwrap();
            assert_eq!(status, Status::Stuck, "{column} {value}");
            assert!(found.as_ref().unwrap().contains(reason), "{column} {value}: {found:?}");
        }
        assert!(world.outside.calls.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn an_older_state_is_read_where_the_definition_knows_how() {
    for world in worlds() {
        let runner = world.runner();
        let id = world.begin(&runner).await;
        write(&world, id, "version", "1").await;
        write(&world, id, "state", "\"grab\"").await;
        assert_eq!(runner.drive(id, long()).await.unwrap().status, Status::Done);
        assert_eq!(runner.show(&call(), id).await.unwrap().version, 2);
    }
}

#[tokio::test]
async fn the_background_runs_only_while_its_module_is_here() {
    for world in worlds() {
        let elsewhere = Ownership::Elsewhere { epoch: 2, owner: "other".to_owned() };
        world.ownership.send_replace(elsewhere);
        let runner = world.runner();
        runner.start(world.ownership.subscribe());
        let id = world.begin(&runner).await;
        world.clock.advance(limits().lease);
        tokio::time::sleep(limits().poll * 3).await;
        assert_eq!(runner.show(&call(), id).await.unwrap().status, Status::Running);
        world.ownership.send_replace(Ownership::Here { epoch: 3 });
        eventually(async || {
            let view = runner.show(&call(), id).await.unwrap();
            if view.status == Status::Done { Ok(()) } else { Err(format!("{view:?}")) }
        })
        .await;
        runner.stop(long()).await;
    }
}
