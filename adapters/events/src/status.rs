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
    /// Of these, how many wait behind one of their key. When that is all of them, each waits behind a dead one.
    #[serde(default)]
    pub waiting: u64,
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

/// Where a stopped subscription goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResumeAt {
    /// With the oldest event that the feed still has.
    Start,
    /// With what is told from now on.
    Head,
    /// With the event after this position.
    Position(u64),
}

/// Why a subscription was left as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum ResumeError {
    /// It goes on by itself: setting it elsewhere would skip events or give them their effect again.
    #[error("it has not stopped: it stands at {position} and goes on by itself")]
    NotStopped {
        /// Where it stands.
        position: u64,
    },
    /// The feed cannot be read on from there, so it would stop again at once.
    #[error("the feed goes on from {first} to {last} only")]
    Outside {
        /// The lowest position after which the feed goes on.
        first: u64,
        /// The feed's head.
        last: u64,
    },
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
        waiting: store::count_waiting(connection, &name)?,
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

    /// An operator's word on where this subscription goes on when it has stopped: takes its alarm back and says after
    /// which position. What is between the old position and a higher one is skipped; what is after a lower one comes
    /// (again), so letters from there are forgotten. Done twice, the second is refused.
    pub async fn resume(&self, call: &Call, at: ResumeAt) -> Answer<u64, ResumeError> {
        let page = self.feed.read(FeedRead::head()).await.map_err(Fault::NotExecuted)?;
        let (first, last) = (page.oldest.saturating_sub(1), page.head);
        let at = match at {
            ResumeAt::Start => first,
            ResumeAt::Head => last,
            ResumeAt::Position(at) => at,
        };
        if !(first..=last).contains(&at) {
            return Err(Fault::Refused(ResumeError::Outside { first, last }));
        }
        let name = self.name.clone();
        let resumed = self.store.write(call, move |tx| {
            let now = tx.now();
            store::lock(tx.connection(), &name, now)?;
            let row = store::find_cursor(tx.connection(), &name)?;
            let position = row.as_ref().map_or(0, |row| store::position(row.position));
            // One whose worker has not looked yet has no alarm, but will have.
            let goes_on =
                row.is_none_or(|row| row.alarm.is_none()) && (first..=last).contains(&position);
            if goes_on {
                return Err(Abort::Refused(ResumeError::NotStopped { position }));
            }
            store::start_cursor(tx.connection(), &name, at, now)?;
            store::resume(tx.connection(), &name, at, now)?;
            store::remove_after(tx.connection(), &name, at)?;
            Ok(position)
        });
        let from = resumed.await?;
        tracing::warn!(subscription = self.name, from, at, "an operator said where it goes on");
        Ok(at)
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
