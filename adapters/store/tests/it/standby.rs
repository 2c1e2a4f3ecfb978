//! Who may write: the deployment that the fence row names, under its epoch.

use contract::{Answer, Fault, Reason};
use kernel_api::Clock;
use store::{Limits, Location, Standing, Store, cached, on, schema::fence, standing, testing};

use diesel::prelude::*;

use crate::shop::{MIGRATIONS, Refusal, call, receive};

fn open(location: &Location, deployment: &str) -> Store {
    let limits = Limits { connections: 2, ..Limits::default() };
    Store::open_as("shop", location, limits, Clock::system(), deployment).unwrap()
}

async fn write(store: &Store, sku: &'static str) -> Answer<(), Refusal> {
    store.write(&call(), move |tx| Ok(receive(tx, sku, 1)?)).await
}

fn moved<T: std::fmt::Debug>(answer: Answer<T, Refusal>) -> String {
    match answer {
        Err(Fault::NotExecuted(reason)) if reason.reason == Reason::Moved => reason.detail,
        other => panic!("not moved: {other:?}"),
    }
}

/// Gives the row another owner under the next epoch, as a carve does.
async fn give(store: &Store, to: &'static str) -> u64 {
    let epoch = i64::try_from(store.standing(&call()).await.unwrap().epoch).unwrap() + 1;
    store
        .write::<_, Refusal>(&call(), move |tx| {
            let row = diesel::update(fence::table.find(1));
            let row = row.set((fence::epoch.eq(epoch), fence::owner.eq(to)));
            on!(tx.connection(), |c| cached(row).execute(c))?;
            Ok(())
        })
        .await
        .unwrap();
    u64::try_from(epoch).unwrap()
}

#[tokio::test]
async fn a_module_never_carved_belongs_to_whoever_opens_it() {
    for (first, _keep) in testing::both(&MIGRATIONS, "shop") {
        let store = open(first.location(), "monolith");
        assert_eq!(store.epoch(), 1);
        assert!(!store.is_standby());
        write(&store, "lamp").await.unwrap();
        let row = Standing { epoch: 1, owner: String::new() };
        assert_eq!(store.standing(&call()).await.unwrap(), row);
        assert_eq!(standing(first.location()).unwrap(), row);
    }
}

#[tokio::test]
async fn only_the_deployment_that_the_row_names_writes() {
    for (first, _keep) in testing::both(&MIGRATIONS, "shop") {
        let monolith = open(first.location(), "monolith");
        assert_eq!(give(&monolith, "child").await, 2);
        assert!(moved(write(&monolith, "a").await).contains("at epoch 2 of child"));
        let child = open(first.location(), "child");
        write(&child, "b").await.unwrap();
        let late = open(first.location(), "monolith");
        assert!(late.is_standby());
        assert!(moved(write(&late, "c").await).contains("stands by"));
        // An epoch that it got from a wrong place does not help: the row does not name it.
        late.adopt(2);
        moved(write(&late, "c").await);
        // And back.
        assert_eq!(give(&child, "monolith").await, 3);
        moved(write(&child, "d").await);
        for store in [&monolith, &late] {
            assert_eq!(store.settle(&call()).await.unwrap().epoch, 3);
            assert_eq!(store.epoch(), 3);
        }
        assert_eq!(child.settle(&call()).await.unwrap().owner, "monolith");
        assert!(child.is_standby());
        write(&monolith, "e").await.unwrap();
        write(&late, "f").await.unwrap();
        monolith.renounce();
        moved(write(&monolith, "g").await);
    }
}

#[tokio::test]
async fn a_name_with_a_quote_is_a_name() {
    for (first, _keep) in testing::both(&MIGRATIONS, "shop") {
        let store = open(first.location(), "it's ours");
        give(&store, "it's ours").await;
        store.settle(&call()).await.unwrap();
        write(&store, "lamp").await.unwrap();
    }
}

#[test]
fn a_look_at_the_row_makes_no_file() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("none.db");
    let error = standing(&Location::Sqlite { path: path.clone() }).unwrap_err();
    assert!(error.to_string().contains("no such database"), "{error}");
    assert!(!path.exists());
}
