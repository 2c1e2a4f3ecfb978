//! The write door: what commits, what rolls back, what the caller hears.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use contract::{Call, Caller, Fault, Never, Reason};
use diesel::{prelude::*, sql_types::Text};
use kernel_api::Clock;
use store::{Abort, Limits, Location, Store, cached, fence_holds, on, testing};

use crate::shop::{MIGRATIONS, Refusal, call, command, receive, reservation, reserve, stock};

pub async fn stocked(store: &Store, sku: &'static str, quantity: i64) {
    store.write::<_, Never>(&call(), move |tx| Ok(receive(tx, sku, quantity)?)).await.unwrap();
}

/// What is reserved of `sku`: by the stock's own number, and by counting the reservations.
pub async fn reserved(store: &Store, sku: &'static str) -> (i64, i64) {
    store
        .snapshot::<_, Never>(&call(), move |c| {
            let reserved =
                on!(&mut *c, |c| stock::table.find(sku).select(stock::reserved).get_result(c))?;
            let rows = on!(c, |c| reservation::table
                .filter(reservation::sku.eq(sku))
                .count()
                .get_result(c))?;
            Ok((reserved, rows))
        })
        .await
        .unwrap()
}

pub fn reason<T: std::fmt::Debug, R: std::fmt::Debug>(answer: Result<T, Fault<R>>) -> Reason {
    match answer {
        Err(Fault::NotExecuted(not)) => not.reason,
        other => panic!("not NotExecuted: {other:?}"),
    }
}

#[tokio::test]
async fn sixty_four_callers_for_one_unit_leave_one_with_it() {
    for (store, _keep) in testing::both(&MIGRATIONS, "shop") {
        stocked(&store, "lamp", 1).await;
        let callers: Vec<_> = (0..64)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.write(&call(), |tx| reserve(tx, "lamp", 1)).await })
            })
            .collect();
        let mut won = 0;
        for caller in callers {
            match caller.await.unwrap() {
                Ok(_) => won += 1,
                Err(fault) => assert_eq!(fault, Fault::Refused(Refusal::OutOfStock)),
            }
        }
        assert_eq!(won, 1);
        assert_eq!(reserved(&store, "lamp").await, (1, 1));
    }
}

#[tokio::test]
async fn the_same_key_has_one_effect_and_one_answer() {
    for (store, _keep) in testing::both(&MIGRATIONS, "shop") {
        stocked(&store, "lamp", 10).await;
        let ask = |quantity: i64| {
            let store = store.clone();
            async move {
                store
                    .command(&command("k1"), "reserve", &("lamp", quantity), move |tx| {
                        reserve(tx, "lamp", quantity)
                    })
                    .await
            }
        };
        let first = ask(2).await.unwrap();
        let again = ask(2).await.unwrap();
        assert_eq!(first, again);
        assert_eq!(reserved(&store, "lamp").await, (2, 1));
        assert_eq!(reason(ask(3).await), Reason::KeyReused);
        // Another caller's key of the same name is another key.
        let other = Call::new(Caller::module("other"), call().deadline);
        let theirs = store
            .command(&other.command("k1".parse().unwrap()), "reserve", &("lamp", 2), |tx| {
                reserve(tx, "lamp", 2)
            })
            .await
            .unwrap();
        assert_ne!(theirs, first);
    }
}

#[tokio::test]
async fn one_key_asked_sixty_four_times_at_once_has_one_effect() {
    for (store, _keep) in testing::both(&MIGRATIONS, "shop") {
        stocked(&store, "lamp", 100).await;
        let callers: Vec<_> = (0..64)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    store.command(&command("k"), "reserve", &1, |tx| reserve(tx, "lamp", 1)).await
                })
            })
            .collect();
        let mut answers = Vec::new();
        for caller in callers {
            answers.push(caller.await.unwrap().unwrap());
        }
        answers.dedup();
        assert_eq!(answers.len(), 1);
        assert_eq!(reserved(&store, "lamp").await, (1, 1));
    }
}

#[tokio::test]
async fn a_refused_command_is_asked_anew() {
    for (store, _keep) in testing::both(&MIGRATIONS, "shop") {
        stocked(&store, "lamp", 0).await;
        let ask =
            async || store.command(&command("k"), "reserve", &1, |tx| reserve(tx, "lamp", 1)).await;
        assert_eq!(ask().await, Err(Fault::Refused(Refusal::OutOfStock)));
        store
            .write::<_, Never>(&call(), |tx| {
                let more = diesel::update(stock::table).set(stock::on_hand.eq(1));
                Ok(on!(tx.connection(), |c| more.execute(c))?)
            })
            .await
            .unwrap();
        ask().await.unwrap();
    }
}

#[tokio::test]
async fn answers_are_forgotten_when_they_are_old() {
    let clock = kernel_api::Clock::manual(kernel_api::Timestamp::from_micros(1_000_000));
    for (store, _keep) in testing::both_at(&MIGRATIONS, "shop", &clock) {
        stocked(&store, "lamp", 10).await;
        let ask = |key: &'static str| {
            let store = store.clone();
            async move { store.command(&command(key), "reserve", &1, |tx| reserve(tx, "lamp", 1)).await }
        };
        let old = ask("old").await.unwrap();
        clock.advance(Duration::from_secs(60));
        let young = ask("young").await.unwrap();
        assert_eq!(store.prune_answers(&call(), clock.now(), 100).await.unwrap(), 1);
        assert_eq!(ask("young").await.unwrap(), young);
        assert_ne!(ask("old").await.unwrap(), old);
    }
}

/// Refusals, panics and failures among good writers: each takes only its own effect with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_wrong_for_one_caller_leaves_the_others_alone() {
    for (store, _keep) in testing::both(&MIGRATIONS, "shop") {
        stocked(&store, "lamp", 1000).await;
        let callers: Vec<_> = (0..64)
            .map(|n| {
                let store = store.clone();
                tokio::spawn(async move {
                    store
                        .write(&call(), move |tx| {
                            let id = reserve(tx, "lamp", 1)?;
                            match n % 4 {
                                0 => Err(Abort::Refused(Refusal::OutOfStock)),
                                1 => panic!("a defect"),
                                2 => {
                                    let again = reservation::id.eq(id);
                                    let row = (again, reservation::sku.eq("lamp"));
                                    on!(tx.connection(), |c| cached(
                                        diesel::insert_into(reservation::table).values(row)
                                    )
                                    .execute(c))?;
                                    Ok(())
                                }
                                _ => Ok(()),
                            }
                        })
                        .await
                })
            })
            .collect();
        for (n, caller) in callers.into_iter().enumerate() {
            let answer = caller.await.unwrap();
            match n % 4 {
                0 => assert_eq!(answer, Err(Fault::Refused(Refusal::OutOfStock))),
                1 | 2 => assert_eq!(reason(answer), Reason::Failed),
                _ => answer.unwrap(),
            }
        }
        assert_eq!(reserved(&store, "lamp").await, (16, 16));
    }
}

/// PostgreSQL answers COMMIT with a silent ROLLBACK after a statement that failed.
#[tokio::test]
async fn a_closure_that_goes_on_after_an_error_is_not_told_that_it_committed() {
    let Some((store, _keep)) = testing::postgres(&MIGRATIONS, "shop") else { return };
    let answer = store
        .write::<_, Never>(&call(), |tx| {
            receive(tx, "lamp", 1)?;
            drop(receive(tx, "lamp", 1));
            Ok(())
        })
        .await;
    assert_eq!(reason(answer), Reason::Failed);
    stocked(&store, "lamp", 5).await;
    // One that catches its error in a savepoint of its own has every right to go on.
    store
        .write::<_, Never>(&call(), |tx| {
            let twice = on!(tx.connection(), |c| c.transaction(|c| {
                diesel::insert_into(stock::table)
                    .values((stock::sku.eq("lamp"), stock::on_hand.eq(1), stock::reserved.eq(0)))
                    .execute(c)
            }));
            assert!(twice.is_err());
            Ok(receive(tx, "chair", 5)?)
        })
        .await
        .unwrap();
    assert_eq!(reserved(&store, "chair").await, (0, 0));
}

#[tokio::test]
async fn a_process_that_lost_the_module_cannot_write() {
    for (store, _keep) in testing::both(&MIGRATIONS, "shop") {
        stocked(&store, "lamp", 10).await;
        assert_eq!(store.epoch(), 1);
        assert_eq!(store.raise_epoch(&call()).await.unwrap(), Some(2));
        let write = async || store.write(&call(), |tx| reserve(tx, "lamp", 1)).await;
        assert_eq!(reason(write().await), Reason::Moved);
        let one = async || {
            store
                .write_one::<_, Never>(&call(), |c, epoch| {
                    let guarded =
                        stock::table.filter(stock::sku.eq("lamp")).filter(fence_holds(epoch));
                    let taken = on!(c, |c| cached(
                        diesel::update(guarded).set(stock::reserved.eq(stock::reserved + 1))
                    )
                    .execute(c))?;
                    Ok((taken > 0).then_some(()))
                })
                .await
        };
        assert_eq!(reason(one().await), Reason::Moved);
        assert_eq!(reserved(&store, "lamp").await, (0, 0));
        store.adopt(2);
        write().await.unwrap();
        assert_eq!(one().await.unwrap(), Some(()));
        assert_eq!(reserved(&store, "lamp").await, (2, 1));
    }
}

#[tokio::test]
async fn a_statement_that_touches_no_row_is_told_from_a_lost_module() {
    for (store, _keep) in testing::both(&MIGRATIONS, "shop") {
        let answer = store
            .write_one::<(), Never>(&call(), |c, epoch| {
                let nothing = stock::table.filter(stock::sku.eq("none")).filter(fence_holds(epoch));
                let gone = on!(c, |c| cached(diesel::delete(nothing)).execute(c))?;
                Ok((gone > 0).then_some(()))
            })
            .await;
        assert_eq!(answer, Ok(None));
    }
}

/// A write that waited behind the change of owner must see the new epoch, not the one of before its wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_waited_for_the_fence_sees_the_new_epoch() {
    let Some((store, _keep)) = testing::postgres(&MIGRATIONS, "shop") else { return };
    stocked(&store, "lamp", 10).await;
    let Location::Postgres { url } = store.location() else { panic!("on PostgreSQL") };
    let mut mover = PgConnection::establish(url).unwrap();
    let run = |c: &mut PgConnection, sql: &str| diesel::sql_query(sql).execute(c).unwrap();
    run(&mut mover, "BEGIN");
    run(&mut mover, "LOCK TABLE fence IN ACCESS EXCLUSIVE MODE");
    let writers: Vec<_> = (0..3)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.write(&call(), |tx| reserve(tx, "lamp", 1)).await })
        })
        .collect();
    #[derive(diesel::QueryableByName)]
    struct Count {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        count: i64,
    }
    let waiting =
        "SELECT count(*) AS count FROM pg_locks WHERE NOT granted AND relation = 'fence'::regclass";
    while diesel::sql_query(waiting).get_result::<Count>(&mut mover).unwrap().count < 3 {
        tokio::task::yield_now().await;
    }
    run(&mut mover, "UPDATE fence SET epoch = 2");
    run(&mut mover, "COMMIT");
    for writer in writers {
        assert_eq!(reason(writer.await.unwrap()), Reason::Moved);
    }
    assert_eq!(reserved(&store, "lamp").await, (0, 0));
}

/// Two transactions that lock the same rows in opposite order: the server kills one, and its closure runs again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_that_collide_run_again() {
    let Some((store, _keep)) = testing::postgres(&MIGRATIONS, "shop") else { return };
    stocked(&store, "a", 0).await;
    stocked(&store, "b", 0).await;
    let runs = Arc::new(AtomicU32::new(0));
    let meet = Arc::new(std::sync::Barrier::new(2));
    let go = |first: &'static str, second: &'static str| {
        let (store, runs, meet) = (store.clone(), Arc::clone(&runs), Arc::clone(&meet));
        tokio::spawn(async move {
            let mut met = false;
            store
                .write::<_, Never>(&call(), move |tx| {
                    runs.fetch_add(1, Ordering::SeqCst);
                    for sku in [first, second] {
                        on!(tx.connection(), |c| diesel::sql_query(
                            "UPDATE stock SET on_hand = on_hand + 1 WHERE sku = $1"
                        )
                        .bind::<Text, _>(sku)
                        .execute(c))?;
                        if !met {
                            meet.wait();
                            met = true;
                        }
                    }
                    Ok(())
                })
                .await
        })
    };
    let (one, two) = (go("a", "b"), go("b", "a"));
    one.await.unwrap().unwrap();
    two.await.unwrap().unwrap();
    // One was killed and ran again; on a busy machine they may even have met twice.
    assert!(runs.load(Ordering::SeqCst) > 2);
}

#[tokio::test]
async fn a_read_cannot_write_past_the_fence() {
    let (store, _keep) = testing::sqlite(&MIGRATIONS);
    stocked(&store, "lamp", 1).await;
    let answer = store
        .read::<_, Never>(&call(), |c| {
            let taken = diesel::update(stock::table).set(stock::reserved.eq(1));
            Ok(on!(c, |c| taken.execute(c))?)
        })
        .await;
    assert_eq!(reason(answer), Reason::Unavailable);
    assert_eq!(reserved(&store, "lamp").await, (0, 0));
}

#[tokio::test]
async fn a_file_whose_door_is_closed_stands_alone_without_its_journal() {
    let (store, keep) = testing::sqlite(&MIGRATIONS);
    let Location::Sqlite { path } = store.location().clone() else { unreachable!() };
    stocked(&store, "lamp", 200).await;
    drop(store);
    for _ in 0..200 {
        let store = Store::open(
            "shop",
            &Location::Sqlite { path: path.clone() },
            Limits::default(),
            Clock::system(),
        );
        let store = store.unwrap();
        store.write(&call(), |tx| reserve(tx, "lamp", 1)).await.unwrap();
        let held_by_somebody = store.clone();
        store.close();
        let mut journal = path.clone().into_os_string();
        journal.push("-wal");
        assert!(!std::path::Path::new(&journal).exists());
        drop(held_by_somebody);
    }
    drop(keep);
}
