//! The feed: nothing skipped, positions dense, also when a transaction commits late.

use std::time::Duration;

use contract::Never;
use diesel::{Connection as _, PgConnection, RunQueryDsl, connection::SimpleConnection};
use kernel_api::{Clock, Timestamp};
use store::{Location, Store, testing};

use crate::shop::{MIGRATIONS, Reserved, call};

async fn tell(store: &Store, id: &'static str) {
    store
        .write::<_, Never>(&call(), move |tx| {
            Ok(tx.emit(&Reserved { id: id.to_owned(), sku: "lamp".to_owned() })?)
        })
        .await
        .unwrap();
}

async fn sequence(store: &Store) -> u64 {
    store.sequence(&call(), 1000).await.unwrap()
}

async fn ids_after(store: &Store, after: u64) -> Vec<(u64, String)> {
    let page = store.feed(&call(), after, 100).await.unwrap();
    page.events
        .iter()
        .map(|event| (event.position, event.read::<Reserved>().unwrap().unwrap().id))
        .collect()
}

fn numbered(ids: &[&str]) -> Vec<(u64, String)> {
    (1..).zip(ids.iter().map(|id| (*id).to_owned())).collect()
}

#[tokio::test]
async fn what_is_told_is_in_the_feed_in_order() {
    for (store, _keep) in testing::both(&MIGRATIONS, "shop") {
        let mut committed = store.committed();
        for id in ["a", "b", "c"] {
            tell(&store, id).await;
            sequence(&store).await;
        }
        assert!(committed.has_changed().unwrap(), "the feed woke its readers");
        committed.mark_unchanged();
        assert_eq!(ids_after(&store, 0).await, numbered(&["a", "b", "c"]));
        assert_eq!(ids_after(&store, 2).await, [(3, "c".to_owned())]);
        let page = store.feed(&call(), 3, 100).await.unwrap();
        assert_eq!((page.events.len(), page.head, page.oldest), (0, 3, 1));
        assert_eq!(store.feed_bounds(&call()).await.unwrap(), (3, 1));
        let event = &store.feed(&call(), 0, 1).await.unwrap().events[0];
        assert_eq!((event.source.as_str(), event.kind.as_str()), (store.module(), "shop.reserved"));
        assert_eq!((event.subject.as_str(), event.dataversion), ("lamp", 1));
    }
}

#[tokio::test]
async fn a_refused_transaction_tells_nothing_and_leaves_no_gap() {
    for (store, _keep) in testing::both(&MIGRATIONS, "shop") {
        tell(&store, "a").await;
        let refused = store
            .write::<(), _>(&call(), |tx| {
                tx.emit(&Reserved { id: "never".to_owned(), sku: "lamp".to_owned() })?;
                Err(store::Abort::Refused("no"))
            })
            .await;
        assert!(refused.is_err());
        tell(&store, "b").await;
        sequence(&store).await;
        assert_eq!(ids_after(&store, 0).await, numbered(&["a", "b"]));
    }
}

/// The trap: A takes the lower id and commits after B. A reader that went by ids would pass A by.
#[tokio::test]
async fn a_transaction_that_commits_late_is_not_skipped() {
    let Some((store, _keep)) = testing::postgres(&MIGRATIONS, "shop") else { return };
    let Location::Postgres { url } = store.location() else { panic!("on PostgreSQL") };
    let mut late = PgConnection::establish(url).unwrap();
    late.batch_execute("BEGIN").unwrap();
    diesel::sql_query(
        "INSERT INTO outbox (event_id, kind, version, subject, data, occurred_at) \
         VALUES ('e', 'shop.reserved', 1, 'lamp', '{\"id\":\"late\",\"sku\":\"lamp\"}', 0)",
    )
    .execute(&mut late)
    .unwrap();

    tell(&store, "early").await;
    assert_eq!(sequence(&store).await, 1, "the open transaction holds nobody up");
    assert_eq!(ids_after(&store, 0).await, numbered(&["early"]));

    late.batch_execute("COMMIT").unwrap();
    assert_eq!(sequence(&store).await, 1);
    assert_eq!(ids_after(&store, 1).await, [(2, "late".to_owned())], "the reader goes on from 1");
    assert_eq!(ids_after(&store, 0).await, numbered(&["early", "late"]));
}

/// Many writers, several sequencers at once, one reader that follows: every event once, no position missing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_and_sequencers_leave_no_gap() {
    let Some((store, _keep)) = testing::postgres(&MIGRATIONS, "shop") else { return };
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..25 {
                    tell(&store, "x").await;
                    store.sequence(&call(), 7).await.unwrap();
                }
            })
        })
        .collect();
    let mut seen = 0;
    while seen < 200 {
        for (position, _id) in ids_after(&store, seen).await {
            seen += 1;
            assert_eq!(position, seen);
        }
        if writers.iter().all(tokio::task::JoinHandle::is_finished) {
            sequence(&store).await;
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(store.feed_bounds(&call()).await.unwrap(), (200, 1));
}

#[tokio::test]
async fn the_newest_event_survives_pruning_so_positions_are_never_given_twice() {
    let start = Timestamp::from_micros(1_000_000_000);
    let clock = Clock::manual(start);
    for (store, _keep) in testing::both_at(&MIGRATIONS, "shop", &clock) {
        for id in ["a", "b", "c"] {
            tell(&store, id).await;
            sequence(&store).await;
            clock.advance(Duration::from_secs(60));
        }
        // Nothing is old enough, or nobody has read it.
        assert_eq!(store.prune_feed(&call(), start, 99, 100).await.unwrap(), 0);
        let far = clock.now().plus(Duration::from_secs(1));
        assert_eq!(store.prune_feed(&call(), far, 1, 100).await.unwrap(), 1);
        assert_eq!(store.feed_bounds(&call()).await.unwrap(), (3, 2));
        assert_eq!(store.prune_feed(&call(), far, 99, 100).await.unwrap(), 1);
        assert_eq!(store.feed_bounds(&call()).await.unwrap(), (3, 3));
        tell(&store, "d").await;
        sequence(&store).await;
        let page = store.feed(&call(), 0, 10).await.unwrap();
        assert_eq!(page.events.iter().map(|e| e.position).collect::<Vec<_>>(), [3, 4]);
    }
}
