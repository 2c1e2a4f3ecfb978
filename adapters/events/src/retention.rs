//! Forgetting what nobody needs any more: read events and old answers.

use std::{sync::Arc, time::Duration};

use ::store::{ANSWERS_KEPT, Store};
use contract::{Answer, Call, Caller, Deadline, Never, Ownership};
use kernel_api::Timestamp;
use tokio::sync::watch;

use crate::{Readers, store};

/// Rows deleted in one transaction: a few milliseconds of the module's writer.
const ROWS_AT_ONCE: u32 = 1000;

/// How long things are kept.
#[derive(Debug, Clone)]
pub struct Retention {
    /// Events are kept at least so long, read or not.
    pub events: Duration,
    /// A reader that was not heard of for so long no longer keeps events from being forgotten. When it comes back and
    /// its events are gone, it stops with an alarm.
    pub reader: Duration,
    /// Kept answers of commands; at least [`ANSWERS_KEPT`], which outlives the longest saga.
    pub answers: Duration,
    /// How often to forget.
    pub every: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        let day = Duration::from_secs(24 * 3600);
        Self {
            events: day * 7,
            reader: day * 30,
            answers: ANSWERS_KEPT,
            every: Duration::from_secs(600),
        }
    }
}

/// What one round forgot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Events.
    pub events: u64,
    /// Answers of commands.
    pub answers: u64,
}

/// Forgets from time to time, for as long as the module is here.
pub async fn retain(
    store: Store,
    readers: Arc<Readers>,
    retention: Retention,
    mut ownership: watch::Receiver<Ownership>,
) {
    loop {
        tokio::time::sleep(retention.every).await;
        if ownership.wait_for(Ownership::is_here).await.is_err() {
            return;
        }
        match forget(&store, &readers, &retention).await {
            Ok(done) if done == Forgotten::default() => {}
            Ok(done) => tracing::info!(
                module = store.module(),
                events = done.events,
                answers = done.answers,
                "forgot old rows"
            ),
            Err(fault) => tracing::warn!(module = store.module(), %fault, "nothing was forgotten"),
        }
    }
}

/// One round: writes down how far the readers are, then forgets what is older than its time. An event goes only when
/// every reader that was heard of within [`Retention::reader`] has given it its effect; how far they are is known
/// because each read of the feed says so. A reader that has never read is not known: what it will miss is an alarm,
/// not silence.
pub async fn forget(
    store: &Store,
    readers: &Readers,
    retention: &Retention,
) -> Answer<Forgotten, Never> {
    let now = store.clock().now();
    note(store, readers).await?;
    let since = now.minus(retention.reader);
    let upto = slowest(store, since).await?;
    let mut done = Forgotten::default();
    loop {
        let before = now.minus(retention.events);
        let gone = store.prune_feed(&call(store), before, upto, ROWS_AT_ONCE).await?;
        done.events += u64::try_from(gone).unwrap_or(u64::MAX);
        if gone == 0 {
            break;
        }
    }
    loop {
        let before = now.minus(retention.answers.max(ANSWERS_KEPT));
        let gone = store.prune_answers(&call(store), before, ROWS_AT_ONCE).await?;
        done.answers += u64::try_from(gone).unwrap_or(u64::MAX);
        if gone == 0 {
            return Ok(done);
        }
    }
}

async fn note(store: &Store, readers: &Readers) -> Answer<(), Never> {
    let heard = readers.take();
    if heard.is_empty() {
        return Ok(());
    }
    let call = call(store);
    let written = store.write(&call, move |tx| {
        for (name, (done, seen)) in &heard {
            store::see(tx.connection(), name, *done, *seen)?;
        }
        Ok(())
    });
    written.await
}

/// The position that every reader heard of since then has passed.
async fn slowest(store: &Store, since: Timestamp) -> Answer<u64, Never> {
    let readers = store.read(&call(store), |c| Ok(store::readers(c)?)).await?;
    let mut upto = u64::MAX;
    for (name, position, seen) in readers {
        if seen >= since.micros() {
            upto = upto.min(store::position(position));
        } else {
            tracing::warn!(module = store.module(), reader = name, "no longer waited for");
        }
    }
    Ok(upto)
}

fn call(store: &Store) -> Call {
    Call::new(Caller::module(store.module()), Deadline::within(Duration::from_secs(30)))
}
