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
    /// The step that it waits for, or that was its last.
    pub step: String,
    /// Tries of this step that led nowhere.
    pub attempts: u32,
    /// May one of them have had its effect?
    pub in_doubt: bool,
    /// Why the last try led nowhere, why it is stuck, or how an operator settled it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it is tried again, while it is running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_try_at: Option<Timestamp>,
    /// Since when.
    pub created_at: Timestamp,
    /// When it last moved.
    pub updated_at: Timestamp,
    /// All that its further steps need.
    pub state: serde_json::Value,
}

/// Where a saga stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SagaStatus {
    /// Under way, or waiting for its next try.
    Running,
    /// Came to the end that was wanted.
    Done,
    /// All that it had done is undone.
    Compensated,
    /// Cannot go on by itself: an operator must look.
    Stuck,
    /// An operator has settled it by hand.
    Closed,
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

/// Which saga.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SagaWish {
    /// The saga.
    pub saga: Id<Saga>,
}

/// A stuck saga is to be given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AbandonSaga {
    /// The saga.
    pub saga: Id<Saga>,
    /// How.
    pub how: Abandonment,
}

/// How a stuck saga is given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum Abandonment {
    /// Undo what it has done.
    Compensate,
    /// Nothing more: the operator has settled it by hand, in every module that it had touched.
    Close {
        /// What was done, for whoever looks later.
        note: String,
    },
}

/// Why an order about a saga is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum SagaError {
    /// There is no such saga.
    #[error("there is no such saga")]
    NotFound,
    /// Only a stuck saga is retried or given up: any other comes to an end by itself.
    #[error("the saga is not stuck")]
    NotStuck,
    /// There is no way back from where it stands: retry it, or settle it by hand and close it.
    #[error("it cannot be undone: {reason}")]
    NoWayBack {
        /// Why.
        reason: String,
    },
    /// The page's cursor is none of ours.
    #[error("the page's cursor is none of ours")]
    BadCursor,
}
