//! Trouble that is no event's fault costs no try.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use async_trait::async_trait;
use contract::{NotExecuted, Reason};
use events::{Feed, FeedPage, FeedRead, Gap, follows};

use crate::world::{limits, worlds};

/// A feed that is away now and then, and gives pages twice.
struct Shaky {
    feed: Arc<dyn Feed>,
    reads: AtomicU32,
}

#[async_trait]
impl Feed for Shaky {
    fn source(&self) -> &str {
        self.feed.source()
    }

    async fn read(&self, ask: FeedRead) -> Result<FeedPage, NotExecuted> {
        match self.reads.fetch_add(1, Ordering::Relaxed) % 3 {
            0 => Err(NotExecuted::new(Reason::Unavailable, "shaken")),
            _ => self.feed.read(FeedRead { limit: 3, ..ask }).await,
        }
    }
}

#[tokio::test]
async fn a_feed_that_is_away_is_read_on_when_it_is_back() {
    for world in worlds() {
        for value in 1..=20 {
            world.tell(&["a"], value).await;
        }
        let shaky = Arc::new(Shaky { feed: world.feed(), reads: AtomicU32::new(0) });
        let subscription = world.subscribe_to(shaky, limits());
        world.hears(&[("a", (20, 20))]).await;
        assert_eq!(world.letters().await.len(), 0);
        subscription.stop().await;
    }
}

/// A feed with a hole in it: a bug somewhere, and the last thing to pass over.
struct Holed(Arc<dyn Feed>);

#[async_trait]
impl Feed for Holed {
    fn source(&self) -> &str {
        self.0.source()
    }

    async fn read(&self, ask: FeedRead) -> Result<FeedPage, NotExecuted> {
        let mut page = self.0.read(ask).await?;
        page.events.retain(|event| event.position != 2);
        Ok(page)
    }
}

#[tokio::test]
async fn a_hole_in_a_page_stops_the_subscription_before_it() {
    for world in worlds() {
        for value in 1..=3 {
            world.tell(&["a"], value).await;
        }
        let holed: Arc<dyn Feed> = Arc::new(Holed(world.feed()));
        let page = holed.read(FeedRead::after(0)).await.unwrap();
        assert_eq!(follows(&page, 0), Err(Gap::Hole { expected: 2, found: 3 }));
        let subscription = world.subscribe_to(holed, limits());
        let status = world.stands("an alarm", |status| status.alarm.is_some()).await;
        assert_eq!((status.cursor, world.heard().await.len()), (0, 0));
        subscription.stop().await;
    }
}
