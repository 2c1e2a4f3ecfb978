//! A feed that does not go on where a cursor stands is an alarm, never silence.

use std::{sync::Arc, time::Duration};

use events::{Feed, FeedRead, Retention, forget};

use crate::world::{NAME, call, shortly, worlds};

fn short() -> Retention {
    Retention { events: Duration::from_secs(60), ..Retention::default() }
}

#[tokio::test]
async fn events_that_were_forgotten_before_they_were_read_stop_the_subscription() {
    for world in worlds() {
        for value in 1..=5 {
            world.tell(&["a"], value).await;
        }
        world.clock.advance(Duration::from_secs(61));
        world.tell(&["a"], 6).await;
        // Nobody has ever read, so nobody is waited for.
        let gone = forget(&world.teller, &world.readers, &short()).await.unwrap();
        assert_eq!(gone.events, 5);
        let subscription = world.subscribe();
        let status = world.stands("an alarm", |status| status.alarm.is_some()).await;
        assert_eq!(status.alarm.as_deref(), Some("events 1 to 5 are no longer in the feed"));
        assert_eq!((status.cursor, world.heard().await.len()), (0, 0));
        assert!(subscription.settled(&shortly()).await.is_err());

        // The operator decides to go on with what is left.
        assert!(events::resume(&world.hearer, &call(), NAME, 5).await.unwrap());
        world.hears(&[("a", (6, 1))]).await;
        assert_eq!(subscription.settled(&call()).await.unwrap().alarm, None);
        assert!(!events::resume(&world.hearer, &call(), "nobody", 5).await.unwrap());
        subscription.stop().await;
    }
}

#[tokio::test]
async fn a_feed_that_ends_before_the_cursor_stops_the_subscription() {
    let mut worlds = worlds();
    worlds.truncate(1);
    for world in worlds {
        world.tell(&["a"], 1).await;
        world.tell(&["a"], 2).await;
        let subscription = world.subscribe();
        world.hears(&[("a", (2, 2))]).await;
        subscription.stop().await;
        // As after the teller's database was restored from a backup.
        let restored = crate::world::worlds().remove(0);
        restored.tell(&["a"], 1).await;
        let feed: Arc<dyn Feed> = restored.feed();
        let subscription = world.subscribe_to(feed, crate::world::limits());
        let status = world.stands("an alarm", |status| status.alarm.is_some()).await;
        assert_eq!(status.alarm.as_deref(), Some("the cursor stands at 2, but the feed ends at 1"));
        subscription.stop().await;
    }
}

#[tokio::test]
async fn what_a_reader_still_needs_is_not_forgotten() {
    for world in worlds() {
        for value in 1..=3 {
            world.tell(&["a"], value).await;
        }
        let subscription = world.subscribe();
        world.hears(&[("a", (3, 3))]).await;
        // Its next read says that it is done with all three.
        world.tell(&["b"], 1).await;
        world.hears(&[("a", (3, 3)), ("b", (1, 1))]).await;
        subscription.stop().await;
        for value in 4..=9 {
            world.tell(&["a"], value).await;
        }
        world.clock.advance(Duration::from_secs(61));
        forget(&world.teller, &world.readers, &short()).await.unwrap();
        let oldest = world.teller.feed_bounds(&call()).await.unwrap().1;
        assert!((4..=5).contains(&oldest), "what it has read is gone, the rest is not: {oldest}");

        let subscription = world.subscribe();
        world.hears(&[("a", (9, 9)), ("b", (1, 1))]).await;
        subscription.stop().await;
        // After a month of silence nobody waits for it any more.
        world.clock.advance(Duration::from_secs(31 * 24 * 3600));
        world.tell(&["a"], 10).await;
        world.tell(&["a"], 11).await;
        world.clock.advance(Duration::from_secs(61));
        forget(&world.teller, &world.readers, &short()).await.unwrap();
        let page = world.feed().read(FeedRead::after(10)).await.unwrap();
        assert_eq!((page.oldest, page.head), (12, 12), "all but the newest");
    }
}
