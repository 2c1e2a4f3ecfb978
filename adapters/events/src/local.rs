//! The feed of a module in this process, and the sequencer that PostgreSQL needs for it.

use std::{sync::Arc, time::Duration};

use ::store::{FeedPage, Store};
use async_trait::async_trait;
use contract::{Call, Caller, Deadline, Fault, Never, NotExecuted, Ownership, Reason};
use tokio::{sync::watch, time::Instant};

use crate::{EVENTS_PER_PAGE_MAX, Feed, FeedRead, Readers, WAIT_MAX};

/// One statement or two by key.
const CALL: Duration = Duration::from_secs(10);

/// How often to look for what another process has told: its commits wake nobody here. Short enough that nobody notices,
/// long enough that an idle shop costs the server a handful of index look-ups a second.
const LOOK: Duration = Duration::from_millis(100);

/// Events that get their positions in one transaction: it holds the lease, and every row of it is written again.
const SEQUENCED_AT_ONCE: u32 = 2000;

/// The feed of a module whose store is in this process. News wakes its readers; nothing is polled except, on
/// PostgreSQL, what other processes of the module tell.
pub struct LocalFeed {
    store: Store,
    readers: Arc<Readers>,
}

impl LocalFeed {
    /// Reads the outbox of this store. Its readers are remembered by `readers`, for retention.
    pub fn new(store: Store, readers: Arc<Readers>) -> Self {
        Self { store, readers }
    }
}

impl LocalFeed {
    /// Does the fence row name another owner than this process takes itself for?
    async fn has_left(&self) -> Result<bool, NotExecuted> {
        let row = self.store.standing(&call(&self.store)).await.map_err(silent)?;
        Ok(row.epoch != self.store.epoch())
    }
}

#[async_trait]
impl Feed for LocalFeed {
    fn source(&self) -> &str {
        self.store.module()
    }

    async fn read(&self, ask: FeedRead) -> Result<FeedPage, NotExecuted> {
        if let Some(reader) = &ask.reader {
            self.readers.see(reader, self.store.clock().now());
        }
        if ask.limit == 0 && self.store.needs_sequencer() {
            // Who asks where the feed ends means all that has been told. A process that may not write says what it sees.
            let given = self.store.sequence(&call(&self.store), SEQUENCED_AT_ONCE).await;
            tracing::trace!(module = self.store.module(), ?given, "before the head");
        }
        let until = Instant::now() + ask.wait.min(WAIT_MAX);
        let limit = ask.limit.min(EVENTS_PER_PAGE_MAX);
        let mut news = self.store.committed();
        loop {
            // Seen before the read, so that what is told during it wakes the wait.
            news.mark_unchanged();
            let page =
                self.store.feed(&call(&self.store), ask.after, limit).await.map_err(silent)?;
            if (limit == 0 || page.head < ask.after) && self.has_left().await? {
                // What another deployment has told since is not here, and a reader that has read it is no gap.
                let detail = format!("{} is at another deployment now", self.store.module());
                return Err(NotExecuted::new(Reason::Moved, detail));
            }
            let now = Instant::now();
            // A head behind the cursor is a gap, not a reason to wait.
            if !page.events.is_empty() || page.head < ask.after || now >= until {
                return Ok(page);
            }
            let look = if self.store.needs_sequencer() { until.min(now + LOOK) } else { until };
            match tokio::time::timeout_at(look, news.changed()).await {
                Ok(Ok(())) | Err(_) => {}
                Ok(Err(_closed)) => return Ok(page),
            }
        }
    }
}

/// Gives positions to committed events for as long as the module is here. Ends at once where no sequencer is needed.
///
/// Every process of the module may run one: the store lets one at a time work (it locks the sequencer's row). Each
/// is woken by its own process's commits, so an event has its position a moment after its commit; what a killed
/// process left is found by looking.
pub async fn sequence(store: Store, mut ownership: watch::Receiver<Ownership>) {
    if !store.needs_sequencer() {
        return;
    }
    let mut news = store.emitted();
    loop {
        if ownership.wait_for(Ownership::is_here).await.is_err() {
            return;
        }
        news.mark_unchanged();
        let pause = match store.sequence(&call(&store), SEQUENCED_AT_ONCE).await {
            Ok(given) if given >= u64::from(SEQUENCED_AT_ONCE) => continue,
            Ok(_) => LOOK,
            Err(fault) => {
                tracing::debug!(module = store.module(), %fault, "no positions given");
                // Woken or not, the database gets a moment.
                tokio::time::sleep(LOOK).await;
                LOOK
            }
        };
        if let Ok(Err(_closed)) = tokio::time::timeout(pause, news.changed()).await {
            return;
        }
    }
}

fn call(store: &Store) -> Call {
    Call::new(Caller::module(store.module()), Deadline::within(CALL))
}

fn silent(fault: Fault<Never>) -> NotExecuted {
    match fault {
        Fault::Refused(never) => match never {},
        Fault::NotExecuted(why) => why,
        // A read has no effect, so it did not happen.
        Fault::Unknown(why) => NotExecuted::new(Reason::Unavailable, why.detail),
    }
}
