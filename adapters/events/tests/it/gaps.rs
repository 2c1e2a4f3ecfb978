//! A feed that does not go on where a cursor stands is an alarm, never silence.

use std::{sync::Arc, time::Duration};

use contract::Fault;
use events::{Feed, FeedRead, ResumeAt, ResumeError, Retention, forget};

use crate::world::{Poison, call, shortly, worlds};

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
        let alarm = format!(
            "events 1 to 5 are no longer in the feed; say where it goes on with `banyan feeds resume {} ears`",
            world.hearer.module()
        );
        assert_eq!(status.alarm, Some(alarm));
        assert_eq!((status.cursor, world.heard().await.len()), (0, 0));
        assert!(subscription.settled(&shortly()).await.is_err());

        // The operator decides to go on with what is left.
        for at in [4, 7].map(ResumeAt::Position) {
            let outside = ResumeError::Outside { first: 5, last: 6 };
            assert_eq!(subscription.resume(&call(), at).await, Err(Fault::Refused(outside)));
        }
        assert_eq!(subscription.resume(&call(), ResumeAt::Start).await, Ok(5));
        world.hears(&[("a", (6, 1))]).await;
        assert_eq!(subscription.settled(&call()).await.unwrap().alarm, None);
        let again = subscription.resume(&call(), ResumeAt::Head).await;
        assert_eq!(again, Err(Fault::Refused(ResumeError::NotStopped { position: 6 })));
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
        world.poison("b", 1, Poison::Refuse);
        world.tell(&["b"], 1).await;
        world.stands("parked", |status| status.parked == 1).await;
        subscription.stop().await;
        // As after the teller's database was restored from a backup.
        let restored = crate::world::worlds().remove(0);
        restored.tell(&["a"], 1).await;
        let feed: Arc<dyn Feed> = restored.feed();
        let subscription = world.subscribe_to(feed, crate::world::limits());
        let status = world.stands("an alarm", |status| status.alarm.is_some()).await;
        let alarm = status.alarm.unwrap();
        assert!(alarm.starts_with("the cursor stands at 3, but the feed ends at 1"), "{alarm}");

        // What was parked from the lost part of the feed is forgotten; what is told there now takes its place.
        assert_eq!(status.parked, 1);
        assert_eq!(subscription.resume(&call(), ResumeAt::Head).await, Ok(1));
        restored.tell(&["b"], 5).await;
        restored.tell(&["b"], 6).await;
        world.hears(&[("a", (2, 2)), ("b", (6, 2))]).await;
        assert_eq!(subscription.settled(&call()).await.unwrap().cursor, 3);
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
