//! The worker of a subscription: turns for as long as this deployment owns the module.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ::store::Store;
use contract::Ownership;
use futures_util::FutureExt;
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    Counters, Feed, Handler, Limits,
    attempt::Undelivered,
    subscriber::{Subscriber, Turn},
};

/// The shortest and the longest wait while a feed or a store is away: what comes back is noticed within the latter.
const AWAY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// What a subscription is called and where it begins.
#[derive(Debug, Clone)]
pub struct SubscriberConfig {
    /// The name, unique in the module and never changed: the cursor is kept under it.
    pub name: String,
    /// Where its very first start begins.
    pub start: Start,
    /// Its bounds.
    pub limits: Limits,
}

/// Where a new subscription begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the first event ever told. When that is no longer in the feed, an alarm.
    Beginning,
    /// With what is told from now on.
    Now,
}

impl SubscriberConfig {
    /// From the beginning, with the default bounds.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), start: Start::Beginning, limits: Limits::default() }
    }
}

/// A subscription whose worker runs. Dropping it does not stop the worker: [`Subscription::stop`] does.
pub struct Subscription {
    pub(crate) name: String,
    pub(crate) store: Store,
    pub(crate) feed: Arc<dyn Feed>,
    counters: Arc<Counters>,
    stop: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// Starts a worker that gives the feed's events their effect through `handler`, each exactly once and in order per
/// key, for as long as `ownership` says that the module of `store` is here.
pub fn subscribe(
    config: SubscriberConfig,
    store: Store,
    feed: Arc<dyn Feed>,
    handler: Arc<dyn Handler>,
    ownership: watch::Receiver<Ownership>,
) -> Subscription {
    let name = config.name.clone();
    let subscriber = Subscriber::new(config, store.clone(), Arc::clone(&feed), handler);
    let counters = Arc::clone(&subscriber.counters);
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(run(subscriber, ownership, stopped));
    Subscription { name, store, feed, counters, stop, task: Mutex::new(Some(task)) }
}

impl Subscription {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The module whose events it hears.
    pub fn source(&self) -> &str {
        self.feed.source()
    }

    /// What it has done in this process.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Ends the worker and waits until it has ended and given its lease back.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(task) = task else { return };
        if let Err(error) = task.await {
            tracing::error!(%error, subscription = self.name, "the worker ended badly");
        }
    }
}

async fn run(
    mut subscriber: Subscriber,
    mut ownership: watch::Receiver<Ownership>,
    mut stop: watch::Receiver<bool>,
) {
    let mut stopped = std::pin::pin!(async move { drop(stop.wait_for(|stop| *stop).await) });
    loop {
        tokio::select! {
            biased;
            () = &mut stopped => return,
            () = until(&mut ownership, true) => {}
        }
        subscriber.forget();
        tokio::select! {
            biased;
            () = &mut stopped => return subscriber.release().await,
            // The module is elsewhere: what was under way is refused by the fence, and no try is counted.
            () = until(&mut ownership, false) => {}
            panic = AssertUnwindSafe(work(&mut subscriber)).catch_unwind() => {
                // What it knew is read again; a worker that is gone for good would be silence.
                drop(panic);
                tracing::error!(subscription = %subscriber.delivery.subscription, "panicked; starts again");
                tokio::time::sleep(AWAY.1).await;
            }
        }
    }
}

/// Waits until the module is here, or is not. A watch whose sender is gone keeps its last word.
async fn until(ownership: &mut watch::Receiver<Ownership>, here: bool) {
    if ownership.wait_for(|owner| owner.is_here() == here).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Turn after turn; never ends by itself.
async fn work(subscriber: &mut Subscriber) {
    let mut away = AWAY.0;
    loop {
        let turn = match subscriber.look().await {
            Ok(()) => subscriber.turn(subscriber.patience()).await,
            Err(Undelivered::Superseded | Undelivered::Unclear) => Turn::Superseded,
            Err(Undelivered::Full) => Turn::Stopped,
            Err(Undelivered::Away(why)) => Turn::Away(why),
        };
        let poll = subscriber.delivery.limits.poll;
        let pause = match turn {
            Turn::Moved(_) | Turn::Idle => {
                away = AWAY.0;
                continue;
            }
            Turn::Superseded => {
                subscriber.forget();
                AWAY.0.min(poll)
            }
            Turn::Leased(until) => {
                // Past the end of the lease at once, but without spinning on a clock that stands still.
                let left = until.since(subscriber.delivery.store.clock().now());
                left.min(poll).max(Duration::from_millis(1))
            }
            Turn::Stopped => {
                subscriber.forget();
                poll
            }
            Turn::Away(why) => {
                tracing::debug!(subscription = %subscriber.delivery.subscription, %why, "away");
                away = (away * 2).min(AWAY.1);
                why.retry_after.unwrap_or(away).min(AWAY.1)
            }
        };
        tokio::time::sleep(pause).await;
    }
}
