//! Statements behind `cached` and `prepared!` are prepared once, whatever kind they are.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use contract::Never;
use diesel::{
    connection::{Connection as _, InstrumentationEvent},
    prelude::*,
    sql_types::BigInt,
};
use store::{cached, on, prepared, testing};

use crate::shop::{MIGRATIONS, call, receive, stock};

#[tokio::test]
async fn each_kind_of_statement_is_prepared_once() {
    for (store, _keep) in testing::both(&MIGRATIONS, "shop") {
        let kept = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&kept);
        let ask = call();
        let run = store.write::<_, Never>(&ask, move |tx| {
            on!(tx.connection(), |c| {
                let count = Arc::clone(&count);
                c.set_instrumentation(move |event: InstrumentationEvent<'_>| {
                    // The store's own statement around the closure is not counted.
                    if let InstrumentationEvent::CacheQuery { sql, .. } = event
                        && !sql.starts_with("RELEASE")
                    {
                        count.fetch_add(1, Ordering::SeqCst);
                    }
                });
            });
            for n in 0..10 {
                receive(tx, &n.to_string(), n)?;
                on!(tx.connection(), |c| {
                    let all = stock::table.filter(stock::on_hand.ge(n));
                    let set = stock::on_hand.eq(stock::on_hand + n);
                    cached(diesel::update(all).set(set)).execute(c)?;
                    let back: Vec<(String, i64)> = cached(
                        diesel::update(all)
                            .set(stock::reserved.eq(n))
                            .returning((stock::sku, stock::reserved)),
                    )
                    .get_results(c)?;
                    assert!(back.iter().all(|(_sku, reserved)| *reserved == n));
                    let upsert = cached(
                        diesel::insert_into(stock::table)
                            .values((
                                stock::sku.eq("u"),
                                stock::on_hand.eq(n),
                                stock::reserved.eq(0),
                            ))
                            .on_conflict(stock::sku)
                            .do_update()
                            .set(stock::on_hand.eq(n)),
                    );
                    upsert.execute(c)?;
                    let text = "DELETE FROM stock WHERE on_hand > 1000";
                    cached(diesel::sql_query(text)).execute(c)?;
                });
            }
            let found: i64 = on!(tx.connection(), |c| stock::table
                .find("u")
                .select(stock::on_hand)
                .get_result(c))?;
            assert_eq!(found, 9);
            Ok(())
        });
        run.await.unwrap();
        // Insert, two updates, upsert, text, and the SELECT at the end.
        assert_eq!(kept.load(Ordering::SeqCst), 6);
    }
}

#[tokio::test]
async fn values_arrive_in_their_order() {
    #[derive(diesel::QueryableByName)]
    struct Difference {
        #[diesel(sql_type = BigInt)]
        d: i64,
    }
    for (store, _keep) in testing::both(&MIGRATIONS, "shop") {
        let ask = call();
        let answer = store.read::<_, Never>(&ask, |c| {
            let difference: Difference = match c {
                store::Connection::Sqlite(c) => cached(
                    diesel::sql_query("SELECT ? - ? AS d")
                        .bind::<BigInt, _>(7)
                        .bind::<BigInt, _>(2),
                )
                .get_result(c)?,
                store::Connection::Postgres(c) => cached(
                    diesel::sql_query("SELECT $1 - $2 AS d")
                        .bind::<BigInt, _>(7)
                        .bind::<BigInt, _>(2),
                )
                .get_result(c)?,
            };
            Ok(difference.d)
        });
        assert_eq!(answer.await.unwrap(), 5);
    }
}

#[tokio::test]
async fn a_place_keeps_its_statement() {
    for (store, _keep) in testing::both(&MIGRATIONS, "shop") {
        let kept = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&kept);
        let ask = call();
        let run = store.write::<_, Never>(&ask, move |tx| {
            on!(tx.connection(), |c| {
                let count = Arc::clone(&count);
                c.set_instrumentation(move |event: InstrumentationEvent<'_>| {
                    if let InstrumentationEvent::CacheQuery { sql, .. } = event
                        && sql.contains("stock")
                    {
                        count.fetch_add(1, Ordering::SeqCst);
                    }
                });
            });
            let mut seen = Vec::new();
            for n in 1..10 {
                on!(tx.connection(), |c| {
                    prepared!(
                        diesel::insert_into(stock::table)
                            .values((
                                stock::sku.eq("p"),
                                stock::on_hand.eq(n),
                                stock::reserved.eq(0)
                            ))
                            .on_conflict(stock::sku)
                            .do_update()
                            .set(stock::on_hand.eq(n))
                    )
                    .execute(c)?;
                    let one = stock::table.find("p");
                    // Twice the same query in two places: each place has its own.
                    prepared!(diesel::update(one).set(stock::reserved.eq(n))).execute(c)?;
                    let back: (i64, i64) = prepared!(
                        diesel::update(one)
                            .set(stock::reserved.eq(stock::reserved + 1))
                            .returning((stock::on_hand, stock::reserved))
                    )
                    .get_result(c)?;
                    seen.push(back);
                });
            }
            Ok(seen)
        });
        let seen = run.await.unwrap();
        assert_eq!(seen, (1..10).map(|n| (n, n + 1)).collect::<Vec<_>>());
        assert_eq!(kept.load(Ordering::SeqCst), 3);
    }
}

/// Only where debug assertions are on: a release build would run the text of the first time.
#[cfg(debug_assertions)]
#[tokio::test]
async fn a_text_that_varies_is_found_out() {
    let (store, _keep) = testing::sqlite(&MIGRATIONS);
    let ask = call();
    let run = store.write::<_, Never>(&ask, |tx| {
        for text in ["DELETE FROM stock WHERE on_hand = ?", "DELETE FROM stock WHERE reserved = ?"]
        {
            on!(tx.connection(), |c| prepared!(diesel::sql_query(text).bind::<BigInt, _>(1))
                .execute(c))?;
        }
        Ok(())
    });
    assert!(matches!(run.await, Err(contract::Fault::NotExecuted(_))));
}
