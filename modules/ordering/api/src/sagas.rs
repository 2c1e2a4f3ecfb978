//! Sagas as an operator sees them.

use kernel_api::{Id, PageRequest, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A piece of work in several steps: a checkout, or the settlement of a return.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Saga {
    /// The id: the checkout's or the return's UUID.
    pub id: Id<Saga>,
    /// `ordering.checkout` or `ordering.settlement`.
    pub kind: String,
    /// Where it stands.
    pub status: SagaStatus,
    /// The step it is at, as JSON.
    pub state: String,
    /// How often the step was tried.
    pub attempts: i64,
    /// What the last try said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Since when.
    pub started_at: Timestamp,
    /// When it last moved.
    pub updated_at: Timestamp,
}

/// Where a saga stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SagaStatus {
    /// Under way.
    Running,
    /// It waits for an operator.
    Stuck,
    /// It has come to its end.
    Done,
}

/// Which sagas, in the order of their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SagasWish {
    /// Only those that stand so.
    #[serde(default)]
    pub status: Option<SagaStatus>,
    /// The page.
    #[serde(default)]
    pub page: PageRequest,
}

/// What an operator orders about a saga.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SagaOrder {
    /// The saga.
    pub saga: Id<Saga>,
    /// Why: kept with the saga.
    pub reason: String,
}

/// Why an order about a saga is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum SagaError {
    /// There is no such saga.
    #[error("there is no such saga")]
    NotFound,
    /// The saga is not stuck.
    #[error("the saga is not stuck")]
    NotStuck,
    /// The page's cursor is none of ours.
    #[error("the page's cursor is none of ours")]
    BadCursor,
}
