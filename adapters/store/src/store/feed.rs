//! The feed of a store, and what is forgotten in time.

use contract::{Answer, Call, Never};
use kernel_api::Timestamp;
use tokio::sync::watch;

use super::Store;
use crate::{FeedPage, idempotency, outbox};

impl Store {
    /// Changes whenever the feed may have grown by a commit of this process. Other processes' commits do not show
    /// here: whoever waits for them also looks from time to time.
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.inner.shared.fed.subscribe()
    }

    /// Changes whenever a commit of this process left events that may wait for [`sequence`](Self::sequence).
    pub fn emitted(&self) -> watch::Receiver<u64> {
        self.inner.shared.told.subscribe()
    }

    /// Do events need [`sequence`](Self::sequence) before the feed shows them? Only on PostgreSQL.
    pub fn needs_sequencer(&self) -> bool {
        self.inner.shared.sequenced
    }

    /// Gives positions to at most `limit` events whose transactions have committed; how many it gave. One process at a
    /// time does it (a lease row), and any may.
    pub async fn sequence(&self, call: &Call, limit: u32) -> Answer<u64, Never> {
        if !self.needs_sequencer() {
            return Ok(0);
        }
        let given =
            self.write(call, move |tx| Ok(outbox::sequence(tx.connection(), limit)?)).await?;
        if given > 0 {
            self.inner.shared.fed.send_modify(|count| *count += 1);
        }
        Ok(given)
    }

    /// The events after a position, at most `limit` and at most
    /// [`FEED_PAGE_MAX`](crate::limits::FEED_PAGE_MAX).
    pub async fn feed(&self, call: &Call, after: u64, limit: u32) -> Answer<FeedPage, Never> {
        let source = self.inner.shared.module.clone();
        self.read(call, move |c| Ok(outbox::read(c, &source, after, limit)?)).await
    }

    /// The newest and the oldest position of the feed, zero where nothing was ever told.
    pub async fn feed_bounds(&self, call: &Call) -> Answer<(u64, u64), Never> {
        self.read(call, |c| Ok(outbox::bounds(c)?)).await
    }

    /// Forgets events told before `before` whose position is at most `upto` (what every reader has read), at most
    /// `limit`, never the newest; how many.
    pub async fn prune_feed(
        &self,
        call: &Call,
        before: Timestamp,
        upto: u64,
        limit: u32,
    ) -> Answer<usize, Never> {
        self.write(call, move |tx| {
            Ok(outbox::prune(tx.connection(), before.micros(), upto, i64::from(limit))?)
        })
        .await
    }

    /// Forgets answers kept before `before`, at most `limit`; how many. Keep them for
    /// [`ANSWERS_KEPT`](crate::ANSWERS_KEPT) at least.
    pub async fn prune_answers(
        &self,
        call: &Call,
        before: Timestamp,
        limit: u32,
    ) -> Answer<usize, Never> {
        let places = self
            .read(call, move |c| Ok(idempotency::old(c, before.micros(), i64::from(limit))?))
            .await?;
        if places.is_empty() {
            return Ok(0);
        }
        self.write(call, move |tx| Ok(idempotency::forget(tx.connection(), &places)?)).await
    }
}
