//! What an operator may ask of a running shop beyond its modules' contracts: feeds, dead letters, the graph, the log.

mod everywhere;
mod local;
mod remote;

use anyhow::Result;
use async_trait::async_trait;
use contract::EdgeCount;
use events::ResumeAt;
use serde::{Deserialize, Serialize};

pub use everywhere::{Everywhere, others};
pub use local::LocalOperations;
pub use remote::{BackUp, RemoteOperations};

/// A subscription of one module to another's feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionState {
    /// The module that listens.
    pub module: String,
    /// The subscription's name in it.
    pub subscription: String,
    /// The module that tells.
    pub source: String,
    /// The last position whose events had their effect or were parked.
    pub position: u64,
    /// The newest position of the feed.
    pub head: u64,
    /// Events that are tried again by themselves, or wait behind one of their key.
    pub parked: u64,
    /// Of these, how many wait behind one of their key.
    #[serde(default)]
    pub waiting: u64,
    /// Events that wait for an operator.
    pub dead: u64,
    /// Why it stands still, if it does.
    pub alarm: Option<String>,
}

impl SubscriptionState {
    /// Is all that is left undone left to an operator? A cursor beyond the head is about to raise its alarm.
    pub fn is_settled(&self) -> bool {
        self.alarm.is_some() || (self.position == self.head && self.parked == self.waiting)
    }
}

/// Where a stopped subscription is to go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resumption {
    /// The module that listens.
    pub module: String,
    /// The subscription's name in it.
    pub subscription: String,
    /// Where it goes on.
    pub at: ResumeAt,
    /// Why there, for the log.
    pub reason: String,
}

/// An event that a subscription could not apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The module that listens.
    pub module: String,
    /// The subscription.
    pub subscription: String,
    /// The event's position in the feed.
    pub position: u64,
    /// The event's name.
    pub kind: String,
    /// The aggregate; later events of it wait.
    pub subject: String,
    /// How often it was tried.
    pub attempts: u64,
    /// What the last try said.
    pub error: String,
    /// The whole event, where one letter is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<serde_json::Value>,
}

/// Which dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterKey {
    /// The module that listens.
    pub module: String,
    /// The subscription.
    pub subscription: String,
    /// The event's position in the feed.
    pub position: u64,
}

/// What to do with a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LetterOrder {
    /// Apply it again, and what waits behind it.
    Replay,
    /// Give it up; what waits behind it goes on.
    Discard,
}

/// How much a server logs, there and back: a level, or levels per target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogLevel {
    /// `debug`, or `info,store=debug`.
    pub level: String,
}

/// A call that real traffic made, counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallCount {
    /// Who called: a module, `http`, `rpc`.
    pub from: String,
    /// Whom.
    pub to: String,
    /// Which method.
    pub method: String,
    /// How often since the process started.
    pub calls: u64,
    /// How often that ended without an answer.
    pub faults: u64,
}

impl From<EdgeCount> for CallCount {
    fn from(count: EdgeCount) -> Self {
        Self {
            from: count.from,
            to: count.to,
            method: count.method.to_owned(),
            calls: count.calls,
            faults: count.not_executed + count.unknown,
        }
    }
}

/// Where an operator's wishes go: this process's own shop, or the running server's internal port.
#[async_trait]
pub trait Operations: Send + Sync {
    /// How far every subscription is.
    async fn subscriptions(&self) -> Result<Vec<SubscriptionState>>;

    /// Lets a stopped subscription go on; after which position.
    async fn resume(&self, wish: &Resumption) -> Result<u64>;

    /// The dead letters of all subscriptions, without their events.
    async fn dead_letters(&self) -> Result<Vec<DeadLetter>>;

    /// One dead letter, whole.
    async fn dead_letter(&self, key: &LetterKey) -> Result<DeadLetter>;

    /// Does something with a dead letter.
    async fn order_letter(&self, key: &LetterKey, order: LetterOrder) -> Result<()>;

    /// What real calls have drawn since the process started.
    async fn calls(&self) -> Result<Vec<CallCount>>;

    /// Copies the module's data (all modules' where none is named) into a new directory; names the files.
    async fn back_up(
        &self,
        directory: &std::path::Path,
        module: Option<&str>,
    ) -> Result<Vec<String>>;
}
