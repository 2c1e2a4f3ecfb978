//! The fence: who is late is refused, who is frozen cannot commit, and who keeps the lock makes the switch give up.

use std::time::{Duration, Instant};

use contract::{Fault, Never, Reason};
use diesel::RunQueryDsl;
use store::{
    fence_holds,
    mover::{Switch, SwitchError},
    on,
};

use super::{
    load::fill,
    pair::{
        CHILD, Kind, MONOLITH, Pair, assert_equal, connect, count, open_as, run, switch, texts,
        unhurried,
    },
};
use crate::shop::{Reserved, call};

/// What the door does first, and then a write.
const FROZEN: &str = "BEGIN; SELECT 1 / count(*) FROM fence WHERE epoch = 1; \
                      UPDATE stock SET on_hand = 0 WHERE sku = 'sku1'";

#[test]
fn a_transaction_that_does_not_end_makes_the_switch_give_up_and_nothing_has_changed() {
    for pair in Pair::all() {
        fill(&pair.source, 0);
        let mover = pair.copied();
        mover.follow().unwrap();
        let mut open = connect(&pair.source);
        open.batch_execute(if open.is_postgres() { FROZEN } else { "BEGIN IMMEDIATE" }).unwrap();
        let since = Instant::now();
        for _try in 0..3 {
            let given_up = mover.switch(&Switch::to(CHILD)).unwrap_err();
            assert!(matches!(given_up, SwitchError::NotNow(_)), "{given_up}");
        }
        assert!(since.elapsed() < Duration::from_secs(30), "each has its bound");
        let (source, target) = mover.standing().unwrap();
        assert_eq!((source.epoch, source.owner.as_str()), (1, ""));
        assert_eq!(target.owner, "carve:m1");
        // Nobody is kept waiting.
        if open.is_postgres() {
            run(&pair.source, "UPDATE stock SET on_hand = 5 WHERE sku = 'sku5'");
        }
        open.batch_execute("COMMIT").unwrap();
        switch(&mover, CHILD);
        assert_equal(&mover.back().verify().unwrap());
    }
}

#[test]
fn a_frozen_writer_cannot_commit_after_the_switch() {
    for target in [Kind::Sqlite, Kind::Postgres] {
        let Some(pair) = Pair::new(Kind::Postgres, target) else { return };
        fill(&pair.source, 0);
        let mover = pair.copied();
        let mut frozen = connect(&pair.source);
        frozen.batch_execute(FROZEN).unwrap();
        let wish = Switch { end_older_than: Some(Duration::from_millis(50)), ..unhurried(CHILD) };
        let deadline = Instant::now() + Duration::from_secs(60);
        while let Err(error) = mover.switch(&wish) {
            assert!(matches!(error, SwitchError::NotNow(_)), "{error}");
            assert!(Instant::now() < deadline);
        }
        assert!(frozen.batch_execute("COMMIT").is_err());
        assert_eq!(count(&pair.target, "stock WHERE on_hand = 0"), 0);
        assert_eq!(count(&pair.source, "stock WHERE on_hand = 0"), 0);
        assert_equal(&mover.back().verify().unwrap());
    }
}

#[tokio::test]
async fn whoever_is_late_is_refused_by_the_database() {
    for pair in Pair::all() {
        fill(&pair.source, 0);
        let late = open_as(&pair.source, MONOLITH);
        let early = {
            pair.mover().prepare().unwrap();
            open_as(&pair.target, CHILD)
        };
        let mover = pair.copied();
        switch(&mover, CHILD);
        let sql = "UPDATE stock SET on_hand = 0 WHERE sku = 'sku1'";
        for store in [&late, &early] {
            let answer = store
                .write::<_, Never>(&call(), move |tx| {
                    Ok(on!(tx.connection(), |c| diesel::sql_query(sql).execute(c))?)
                })
                .await;
            let Err(Fault::NotExecuted(why)) = answer else { panic!("{answer:?}") };
            assert_eq!(why.reason, Reason::Moved);
            let answer = store
                .write_one::<(), Never>(&call(), |c, epoch| {
                    use crate::shop::stock;
                    use diesel::prelude::*;
                    let one = stock::table.filter(stock::sku.eq("sku1")).filter(fence_holds(epoch));
                    let rows =
                        on!(c, |c| diesel::update(one).set(stock::on_hand.eq(0)).execute(c))?;
                    Ok((rows > 0).then_some(()))
                })
                .await;
            let Err(Fault::NotExecuted(why)) = answer else { panic!("{answer:?}") };
            assert_eq!(why.reason, Reason::Moved);
        }
        assert_eq!(early.settle(&call()).await.unwrap().owner, CHILD);
        assert!(!early.is_standby());
        late.settle(&call()).await.unwrap();
        assert!(late.is_standby());
        assert_eq!(count(&pair.target, "stock WHERE on_hand = 0"), 0);
    }
}

#[tokio::test]
async fn events_have_their_positions_and_leases_are_over_at_the_switch() {
    for pair in Pair::all() {
        fill(&pair.source, 0);
        let store = open_as(&pair.source, MONOLITH);
        let tell = async |store: &store::Store, from: u32, to: u32| {
            for n in from..to {
                let event = Reserved { id: n.to_string(), sku: "lamp".to_owned() };
                store.write::<_, Never>(&call(), move |tx| Ok(tx.emit(&event)?)).await.unwrap();
            }
        };
        tell(&store, 0, 5).await;
        let mover = pair.copied();
        tell(&store, 5, 8).await;
        run(
            &pair.source,
            "UPDATE cursor SET lease_until_at = 9000000000000000 WHERE subscription <> 'c2'",
        );
        switch(&mover, CHILD);
        for side in [&pair.source, &pair.target] {
            assert_eq!(count(side, "cursor WHERE lease_until_at <> 0"), 0);
            let told = texts(
                side,
                "SELECT CAST(position AS TEXT) || data AS text FROM outbox ORDER BY position",
            );
            assert_eq!(told.len(), 8);
            assert!(told[6].starts_with("7{\"id\":\"6\""), "{told:?}");
        }
        // The feed goes on where it was.
        let child = open_as(&pair.target, CHILD);
        tell(&child, 8, 9).await;
        child.sequence(&call(), 100).await.unwrap();
        let page = child.feed(&call(), 7, 10).await.unwrap();
        assert_eq!(page.head, 9);
        assert_eq!(page.events.iter().map(|event| event.position).collect::<Vec<_>>(), [8, 9]);
        assert_equal(&mover.back().verify().unwrap());
    }
}
