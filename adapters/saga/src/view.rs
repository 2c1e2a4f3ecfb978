//! What is shown of a saga.

use std::{fmt, str::FromStr};

use diesel::result::Error;
use kernel_api::{Id, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::store::SagaRow;

/// Names the ids of sagas; never constructed.
pub enum Saga {}

/// The id of a saga. Often the id of what it brings about, cast.
pub type SagaId = Id<Saga>;

/// How far a saga is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Under way, or waiting for its next try.
    Running,
    /// Came to the end that was wanted.
    Done,
    /// All that it had done is undone.
    Compensated,
    /// Cannot go on by itself.
    Stuck,
    /// An operator has settled it by hand.
    Closed,
}

/// The text is no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not running, done, compensated, stuck or closed")]
pub struct StatusError(String);

impl Status {
    /// Will nothing more happen by itself?
    pub fn is_over(self) -> bool {
        self != Self::Running
    }

    /// The word in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Compensated => "compensated",
            Self::Stuck => "stuck",
            Self::Closed => "closed",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Status {
    type Err = StatusError;
    fn from_str(text: &str) -> Result<Self, StatusError> {
        [Self::Running, Self::Done, Self::Compensated, Self::Stuck, Self::Closed]
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| StatusError(text.to_owned()))
    }
}

/// Where driving a saga has led.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// How far it is. `Running`: it goes on by itself, whoever still listens.
    pub status: Status,
    /// Why the last try led nowhere, or why it is stuck.
    pub reason: Option<String>,
    state: String,
}

impl Progress {
    /// Of a saga that was not looked at in time.
    pub(crate) fn unseen() -> Self {
        Self { status: Status::Running, reason: None, state: String::new() }
    }

    /// The state, when it is known and is the state of this kind of saga.
    pub fn state<S: DeserializeOwned>(&self) -> Option<S> {
        serde_json::from_str(&self.state).ok()
    }
}

impl From<&SagaRow> for Progress {
    fn from(row: &SagaRow) -> Self {
        let reason = row.last_error.clone();
        Self { status: row.status(), reason, state: row.state.clone() }
    }
}

/// A saga as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SagaView {
    /// Its id.
    pub id: SagaId,
    /// The kind, `ordering.checkout`.
    pub kind: String,
    /// The version of the definition that wrote the state.
    pub version: u32,
    /// How far it is.
    pub status: Status,
    /// The step that it waits for, or that was its last.
    pub step: String,
    /// Tries of this step that led nowhere.
    pub attempts: u32,
    /// May one of them have had its effect?
    pub in_doubt: bool,
    /// When it is tried again, while it is running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_try_at: Option<Timestamp>,
    /// Why the last try led nowhere, why it is stuck, or how an operator settled it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
    /// The definition's own state.
    pub state: serde_json::Value,
}

/// Which sagas are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SagaFilter {
    /// Only these.
    #[serde(default)]
    pub status: Option<Status>,
    /// Only this kind.
    #[serde(default)]
    pub kind: Option<String>,
}

impl SagaView {
    pub(crate) fn of(row: SagaRow) -> Result<Self, Error> {
        let bad =
            |error: Box<dyn std::error::Error + Send + Sync>| Error::DeserializationError(error);
        let status = row.status();
        Ok(Self {
            id: row.id.parse().map_err(|error| bad(Box::new(error)))?,
            version: u32::try_from(row.version).unwrap_or(0),
            status,
            attempts: row.attempts(),
            in_doubt: row.in_doubt,
            next_try_at: (status == Status::Running)
                .then_some(Timestamp::from_micros(row.next_try_at)),
            reason: row.last_error,
            created_at: Timestamp::from_micros(row.created_at),
            updated_at: Timestamp::from_micros(row.updated_at),
            // A state that is no JSON is shown as the text that it is: an operator must be able to see it.
            state: serde_json::from_str(&row.state).unwrap_or(serde_json::Value::String(row.state)),
            kind: row.kind,
            step: row.step,
        })
    }
}
