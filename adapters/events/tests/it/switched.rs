//! A feed that moves while it is heard.

use std::{future::pending, sync::Arc, time::Duration};

use async_trait::async_trait;
use contract::{Doubt, NotExecuted, Reason, Secret};
use events::{Feed, FeedPage, FeedRead, FeedSwitch};
use tokio::sync::Notify;

use crate::{
    http::{process, reader},
    world::{eventually, limits, worlds},
};

const SECRET: [u8; 32] = [7; 32];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_that_goes_to_and_fro_is_heard_once_and_in_order() {
    for world in worlds() {
        let (server, base) = process(&Secret::new(SECRET)).await;
        server.insert(world.feed());
        let far: Arc<dyn Feed> = Arc::new(reader(&world, &base, &Secret::new(SECRET)));
        let feed = FeedSwitch::new(world.feed().source(), world.feed(), Doubt::default());
        let subscription = world.subscribe_to(Arc::clone(&feed) as _, limits());
        for value in 1..=60 {
            world.tell(&["a", "b"], value).await;
            feed.swap(if value % 2 == 0 { world.feed() } else { Arc::clone(&far) });
        }
        world.hears(&[("a", (60, 60)), ("b", (60, 60))]).await;
        assert_eq!(world.letters().await.len(), 0);
        subscription.stop().await;
    }
}

/// A feed that never has news, and says when it is asked.
#[derive(Default)]
struct Silent(Notify);

#[async_trait]
impl Feed for Silent {
    fn source(&self) -> &str {
        "teller"
    }
    async fn read(&self, _ask: FeedRead) -> Result<FeedPage, NotExecuted> {
        self.0.notify_one();
        pending().await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_news_at_the_old_place_gets_them_from_the_new_one() {
    let world = worlds().remove(0);
    world.tell(&["a"], 1).await;
    let silent = Arc::new(Silent::default());
    let feed = FeedSwitch::new("teller", Arc::clone(&silent) as _, Doubt::default());
    let waiting = tokio::spawn({
        let feed = Arc::clone(&feed);
        async move {
            let wait = Duration::from_secs(20);
            feed.read(FeedRead { wait, ..FeedRead::after(0) }).await.unwrap().head
        }
    });
    silent.0.notified().await;
    feed.swap(world.feed());
    assert_eq!(waiting.await.unwrap(), 1);
}

/// The feed of a process that no longer has the module.
struct Left;

#[async_trait]
impl Feed for Left {
    fn source(&self) -> &str {
        "teller"
    }
    async fn read(&self, _ask: FeedRead) -> Result<FeedPage, NotExecuted> {
        Err(NotExecuted::new(Reason::Moved, "it has left"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_that_has_left_raises_doubt_and_is_followed() {
    let world = worlds().remove(0);
    world.tell(&["a"], 1).await;
    let doubt = Doubt::default();
    let feed = FeedSwitch::new("teller", Arc::new(Left), doubt.clone());
    let waiting = tokio::spawn({
        let feed = Arc::clone(&feed);
        async move { feed.read(FeedRead::after(0)).await }
    });
    doubt.raised().await;
    feed.swap(world.feed());
    assert_eq!(waiting.await.unwrap().unwrap().head, 1);
    feed.swap(Arc::new(Left));
    let told = feed.read(FeedRead::after(0)).await.unwrap_err();
    assert_eq!(told.reason, Reason::Moved, "nobody says where it went");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_without_the_feed_passes_the_question_on_once() {
    let world = worlds().remove(0);
    let secret = Secret::new(SECRET);
    let (owner, owner_base) = process(&secret).await;
    let (other, other_base) = process(&secret).await;
    owner.insert(world.feed());
    let to_owner = Arc::new(reader(&world, &owner_base, &secret));
    other.insert(FeedSwitch::new(world.feed().source(), to_owner, Doubt::default()));
    let subscription = world.subscribe_to(Arc::new(reader(&world, &other_base, &secret)), limits());
    world.tell(&["a"], 1).await;
    world.hears(&[("a", (1, 1))]).await;
    // The owner knows the reader by its own name, not by that of who passed its question on.
    eventually(async || {
        let known = format!("{:?}", world.readers);
        known
            .contains(&format!("\"{}/ears\": (1,", world.hearer.module()))
            .then_some(())
            .ok_or(known)
    })
    .await;
    subscription.stop().await;

    let (one, one_base) = process(&secret).await;
    let to_other = Arc::new(reader(&world, &other_base, &secret));
    one.insert(FeedSwitch::new(world.feed().source(), to_other, Doubt::default()));
    let to_one = Arc::new(reader(&world, &one_base, &secret));
    other.insert(FeedSwitch::new(world.feed().source(), to_one, Doubt::default()));
    let told = reader(&world, &one_base, &secret).read(FeedRead::after(0)).await.unwrap_err();
    assert_eq!(told.reason, Reason::Moved, "each takes the other for the owner");
}
