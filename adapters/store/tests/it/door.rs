//! The write door: what commits, what rolls back, what the caller hears.

use contract::{Fault, Never, Reason};
use diesel::prelude::*;
use store::{Store, on, testing};

use crate::shop::{MIGRATIONS, Refusal, call, command, receive, reservation, reserve, stock};

async fn reserved(store: &Store, sku: &'static str) -> (i64, i64) {
    store
        .read::<_, Never>(&call(), move |c| {
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

#[tokio::test]
async fn sixty_four_callers_for_one_unit_leave_one_with_it() {
    for (store, _keep) in testing::both(&MIGRATIONS, "shop") {
        store.write::<_, Never>(&call(), |tx| Ok(receive(tx, "lamp", 1)?)).await.unwrap();
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
        store.write::<_, Never>(&call(), |tx| Ok(receive(tx, "lamp", 10)?)).await.unwrap();
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
        let Err(Fault::NotExecuted(reused)) = ask(3).await else { panic!("a reused key") };
        assert_eq!(reused.reason, Reason::KeyReused);
    }
}
