//! Where subscriptions stand, for operators, metrics and the check that everything told has arrived.

use std::time::Duration;

use ::store::{Abort, Store};
use contract::{Answer, Call, Fault, Never, NotExecuted};
use kernel_api::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    FeedRead, Subscription,
    store::{self, CursorRow, DEAD, PARKED},
};

/// How often a wait for arrival looks.
const LOOK: Duration = Duration::from_millis(10);

/// Where a subscription stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// Its name.
    pub subscription: String,
    /// The module that it hears; known where the subscription runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Events up to this position have had their effect, are parked, or are dead.
    pub cursor: u64,
    /// The highest position of the feed, when it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<u64>,
    /// Events that are tried again by themselves, or wait behind one of their key.
    pub parked: u64,
    /// Dead letters.
    pub dead: u64,
    /// Why it has stopped, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<String>,
    /// Until when some process has it in hand.
    pub leased_until: Timestamp,
}

/// What has not arrived yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSettled {
    /// Events up to `head` are still to come, or parked.
    #[error("{}: {} of {head} events read, {} parked{}", .status.subscription, .status.cursor, .status.parked, alarm(.status))]
    Behind {
        /// Where it stands.
        status: Status,
        /// The position up to which all should have arrived.
        head: u64,
    },
    /// The feed or the store does not answer.
    #[error(transparent)]
    Away(#[from] NotExecuted),
}

fn alarm(status: &Status) -> String {
    status.alarm.as_ref().map(|alarm| format!("; stopped: {alarm}")).unwrap_or_default()
}

/// Where all subscriptions of a module stand, without asking their feeds.
pub async fn status(store: &Store, call: &Call) -> Answer<Vec<Status>, Never> {
    let found = store.read(call, |c| {
        let mut all = Vec::new();
        for (name, row) in store::cursors(c)? {
            all.push(describe(c, name, row)?);
        }
        Ok(all)
    });
    found.await
}

/// An operator's word on where a subscription goes on: after position `at`. Takes its alarm back. Everything between its
/// old position and this one is skipped, or has its effect a second time when `at` is lower. False when there is no
/// such subscription.
pub async fn resume(
    store: &Store,
    call: &Call,
    subscription: &str,
    at: u64,
) -> Answer<bool, Never> {
    let name = subscription.to_owned();
    let done = store.write(call, move |tx| {
        let now = tx.now();
        Ok(store::resume(tx.connection(), &name, at, now)? == 1)
    });
    let done = done.await?;
    tracing::warn!(subscription, at, done, "an operator set where a subscription goes on");
    Ok(done)
}

fn describe(
    connection: &mut ::store::Connection,
    name: String,
    row: CursorRow,
) -> Result<Status, Abort<Never>> {
    Ok(Status {
        source: None,
        cursor: store::position(row.position),
        head: None,
        parked: store::count(connection, &name, PARKED)?,
        dead: store::count(connection, &name, DEAD)?,
        alarm: row.alarm,
        leased_until: Timestamp::from_micros(row.lease_until_at),
        subscription: name,
    })
}

impl Subscription {
    /// Where it stands now, and how far its feed goes.
    pub async fn status(&self, call: &Call) -> Result<Status, NotExecuted> {
        let name = self.name.clone();
        let found = self.store.read::<_, Never>(call, move |c| {
            let row = store::find_cursor(c, &name)?.unwrap_or(CursorRow {
                position: 0,
                lease_owner: String::new(),
                lease_until_at: 0,
                alarm: None,
            });
            describe(c, name.clone(), row)
        });
        let status = found.await.map_err(away)?;
        let head = self.feed.read(FeedRead::head()).await?.head;
        Ok(Status { head: Some(head), source: Some(self.feed.source().to_owned()), ..status })
    }

    /// Waits until every event that the feed shows now has had its effect or is a dead letter, at most until the
    /// call's deadline.
    pub async fn settled(&self, call: &Call) -> Result<Status, NotSettled> {
        let head = self.feed.read(FeedRead::head()).await?.head;
        loop {
            let status = self.status(call).await?;
            if status.cursor >= head && status.parked == 0 && status.alarm.is_none() {
                return Ok(status);
            }
            if call.deadline.remaining() <= LOOK {
                return Err(NotSettled::Behind { status, head });
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn away(fault: Fault<Never>) -> NotExecuted {
    match fault {
        Fault::Refused(never) => match never {},
        Fault::NotExecuted(why) => why,
        Fault::Unknown(why) => crate::feed::away(why.detail),
    }
}
