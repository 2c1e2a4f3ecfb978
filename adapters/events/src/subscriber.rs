//! One subscription's turns: read where it stands, read what follows, give it its effect.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use contract::{Call, Caller, Deadline, Fault, Never, NotExecuted};
use kernel_api::Timestamp;
use tokio::time::Instant;

use crate::{
    Feed, FeedRead, Gap, Handler, Limits, Reader, Start, SubscriberConfig,
    attempt::Undelivered,
    delivery::Delivery,
    feed::follows,
    store::{self, CursorRow},
};

/// Keys that are tried again before the feed is read on: what is new must not wait behind what is old for long.
const KEYS_PER_LOOK: u32 = 32;

/// What a subscription has done in this process; never goes down.
#[derive(Debug, Default)]
pub struct Counters {
    /// Events that had their effect or were parked.
    pub events: AtomicU64,
    /// Events parked, by their own fault or behind one of their key.
    pub parked: AtomicU64,
    /// Events given up: dead letters made.
    pub dead: AtomicU64,
    /// Parked events that had their effect at a later try, or failed once more.
    pub retried: AtomicU64,
    /// Transactions that committed.
    pub batches: AtomicU64,
    /// Alarms raised.
    pub alarms: AtomicU64,
}

/// What came of a turn.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// So many events were dealt with.
    Moved(usize),
    /// Nothing new.
    Idle,
    /// Another process has the lease until this moment.
    Leased(Timestamp),
    /// The cursor must be read again.
    Superseded,
    /// An alarm stands, or there is no room to park: an operator must act.
    Stopped,
    /// The feed or the store is away.
    Away(NotExecuted),
}

/// The state of a worker. Everything in it can be lost at any time.
pub(crate) struct Subscriber {
    pub delivery: Delivery,
    pub feed: Arc<dyn Feed>,
    pub counters: Arc<Counters>,
    start: Start,
    /// Where the cursor stands, as long as nobody else can have moved it.
    known: Option<u64>,
    /// When to look for tries that are due.
    look_at: Instant,
    /// Is anything parked or dead, as far as is known?
    parked: bool,
}

impl Subscriber {
    pub fn new(
        config: SubscriberConfig,
        store: ::store::Store,
        feed: Arc<dyn Feed>,
        handler: Arc<dyn Handler>,
    ) -> Self {
        let owner = kernel_api::Id::<Self>::fresh().to_string();
        let delivery = Delivery {
            subscription: config.name.into(),
            owner: owner.into(),
            store,
            handler,
            limits: config.limits,
        };
        let counters = Arc::default();
        let look_at = Instant::now();
        Self { delivery, feed, counters, start: config.start, known: None, look_at, parked: true }
    }

    fn limits(&self) -> &Limits {
        &self.delivery.limits
    }

    /// Forgets what is known: after this worker was not alone for a while.
    pub fn forget(&mut self) {
        self.known = None;
        self.look_at = Instant::now();
        self.parked = true;
    }

    /// How long a read of the feed may wait before something else is to be done.
    pub fn patience(&self) -> Duration {
        if self.parked {
            self.look_at.saturating_duration_since(Instant::now())
        } else {
            crate::WAIT_MAX
        }
    }

    /// Tries again what is due, if it is time to look.
    pub async fn look(&mut self) -> Result<(), Undelivered> {
        if Instant::now() < self.look_at {
            return Ok(());
        }
        let pause = self.retry_due().await?;
        self.look_at = Instant::now() + pause;
        Ok(())
    }

    /// Tries again what is due by the store's clock; how long until it is worth looking again.
    pub async fn retry_due(&mut self) -> Result<Duration, Undelivered> {
        let name = Arc::clone(&self.delivery.subscription);
        let now = self.delivery.store.clock().now();
        let answer = self
            .delivery
            .store
            .read::<_, Never>(&self.delivery.call(), move |c| {
                if !store::any_parked(c, &name)? {
                    return Ok((false, Vec::new(), None));
                }
                Ok((true, store::due(c, &name, now, KEYS_PER_LOOK)?, store::next_due(c, &name)?))
            })
            .await;
        let (parked, due, next) = answer.map_err(undelivered)?;
        self.parked = parked;
        let mut tried = false;
        for key in &due {
            let done = self.delivery.retry(key).await?;
            tried |= done.events > 0;
            self.counters.retried.fetch_add(count(done.events), Ordering::Relaxed);
            self.note_dead(done.dead, key);
        }
        if tried {
            return Ok(Duration::ZERO);
        }
        let poll = self.limits().poll;
        Ok(next.map_or(poll, |next| next.since(now).min(poll)))
    }

    /// Reads the feed once and gives what came its effect. Waits for news at most `wait`.
    pub async fn turn(&mut self, wait: Duration) -> Turn {
        let at = match self.known {
            Some(at) => at,
            None => match self.locate().await {
                Ok(at) => at,
                Err(turn) => return turn,
            },
        };
        self.known = Some(at);
        let name = format!("{}/{}", self.delivery.store.module(), self.delivery.subscription);
        let reader = Some(Reader { name, done: at });
        let ask = FeedRead { after: at, limit: self.limits().batch, wait, reader, hops: 0 };
        let page = match self.feed.read(ask).await {
            Ok(page) => page,
            Err(away) => return Turn::Away(away),
        };
        if let Err(gap) = follows(&page, at) {
            return self.alarm(at, gap).await;
        }
        if page.events.is_empty() {
            return Turn::Idle;
        }
        self.deliver(at, Arc::new(page.events)).await
    }

    async fn deliver(&mut self, mut at: u64, events: Arc<Vec<contract::Envelope>>) -> Turn {
        let mut done = 0;
        while done < events.len() {
            // Unknown until the answer is there: this future may be dropped while the transaction commits.
            self.known = None;
            let delivered = match self.delivery.batch(at, &events, done).await {
                Ok(delivered) => delivered,
                Err(Undelivered::Superseded | Undelivered::Unclear) => return Turn::Superseded,
                Err(Undelivered::Away(away)) => return Turn::Away(away),
                Err(Undelivered::Full) => {
                    tracing::error!(
                        subscription = %self.delivery.subscription,
                        "stands still: as much is parked as may be; replay or discard dead letters"
                    );
                    return Turn::Stopped;
                }
            };
            done += delivered.events;
            at += count(delivered.events);
            self.known = Some(at);
            self.counters.events.fetch_add(count(delivered.events), Ordering::Relaxed);
            self.counters.batches.fetch_add(1, Ordering::Relaxed);
            if delivered.parked > 0 {
                self.parked = true;
                self.look_at = Instant::now();
                self.counters.parked.fetch_add(delivered.parked, Ordering::Relaxed);
                let last = events.get(done - 1);
                let key = last.map_or("", |event| event.subject.as_str());
                tracing::warn!(
                    subscription = %self.delivery.subscription,
                    parked = delivered.parked,
                    up_to = at,
                    key,
                    "events were parked"
                );
                self.note_dead(delivered.dead, key);
            }
        }
        Turn::Moved(done)
    }

    fn note_dead(&self, dead: u64, key: &str) {
        if dead > 0 {
            self.counters.dead.fetch_add(dead, Ordering::Relaxed);
            tracing::error!(
                subscription = %self.delivery.subscription,
                key,
                "an event is dead: later events of its key wait until an operator replays or discards it"
            );
        }
    }

    /// Where to go on, or why not to.
    async fn locate(&mut self) -> Result<u64, Turn> {
        let row = match self.find_cursor().await? {
            Some(row) => row,
            None => self.begin().await?,
        };
        let now = self.delivery.store.clock().now();
        let leased = Timestamp::from_micros(row.lease_until_at);
        if row.alarm.is_some() {
            Err(Turn::Stopped)
        } else if *row.lease_owner != *self.delivery.owner && leased > self.delivery.lapsed(now) {
            Err(Turn::Leased(leased))
        } else {
            Ok(store::position(row.position))
        }
    }

    async fn find_cursor(&self) -> Result<Option<CursorRow>, Turn> {
        let name = Arc::clone(&self.delivery.subscription);
        let call = self.delivery.call();
        let found =
            self.delivery.store.read::<_, Never>(&call, move |c| Ok(store::find_cursor(c, &name)?));
        found.await.map_err(stopped)
    }

    /// The first start of all: writes the cursor where the subscription begins.
    async fn begin(&self) -> Result<CursorRow, Turn> {
        let at = match self.start {
            Start::Beginning => 0,
            Start::Now => self.feed.read(FeedRead::head()).await.map_err(Turn::Away)?.head,
        };
        let name = Arc::clone(&self.delivery.subscription);
        let call = self.delivery.call();
        let written = self.delivery.store.write::<_, Never>(&call, move |tx| {
            let now = tx.now();
            Ok(store::start_cursor(tx.connection(), &name, at, now)?)
        });
        written.await.map_err(stopped)?;
        self.find_cursor().await?.ok_or(Turn::Superseded)
    }

    /// Stops this subscription until an operator says where it goes on. Never skips.
    async fn alarm(&mut self, at: u64, gap: Gap) -> Turn {
        self.known = None;
        let name = Arc::clone(&self.delivery.subscription);
        let module = self.delivery.store.module();
        let text =
            format!("{gap}; say where it goes on with `banyan feeds resume {module} {name}`");
        let alarm = text.clone();
        let call = self.delivery.call();
        let raised = self.delivery.store.write::<_, Never>(&call, move |tx| {
            Ok(store::raise(tx.connection(), &name, at, &alarm)?)
        });
        match raised.await {
            Ok(0) => Turn::Superseded,
            Ok(_) => {
                self.counters.alarms.fetch_add(1, Ordering::Relaxed);
                tracing::error!(
                    subscription = %self.delivery.subscription,
                    source = self.feed.source(),
                    "stopped: {text}"
                );
                Turn::Stopped
            }
            Err(fault) => stopped(fault),
        }
    }

    /// Gives the lease back.
    pub async fn release(&self) {
        let (name, owner) =
            (Arc::clone(&self.delivery.subscription), Arc::clone(&self.delivery.owner));
        let call = Call::new(
            Caller::module(self.delivery.store.module()),
            Deadline::within(Duration::from_secs(1)),
        );
        let released = self.delivery.store.write::<_, Never>(&call, move |tx| {
            Ok(store::release(tx.connection(), &name, &owner)?)
        });
        if let Err(fault) = released.await {
            tracing::debug!(%fault, "the lease was not given back; it ends by itself");
        }
    }
}

fn count(events: usize) -> u64 {
    u64::try_from(events).unwrap_or(u64::MAX)
}

fn undelivered(fault: Fault<Never>) -> Undelivered {
    match fault {
        Fault::Refused(never) => match never {},
        Fault::NotExecuted(away) => Undelivered::Away(away),
        Fault::Unknown(_) => Undelivered::Unclear,
    }
}

fn stopped(fault: Fault<Never>) -> Turn {
    match fault {
        Fault::Refused(never) => match never {},
        Fault::NotExecuted(away) => Turn::Away(away),
        Fault::Unknown(_) => Turn::Superseded,
    }
}
