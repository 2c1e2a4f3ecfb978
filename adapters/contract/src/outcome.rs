//! How a call can end: an answer, a refusal, certainly nothing, or not known.

use std::{fmt, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What every contract method gives back.
pub type Answer<T, R> = Result<T, Fault<R>>;

/// Why there is no answer. The three call for three different things of the caller, so nobody may turn one into another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Fault<R> {
    /// The module's own rule said no. Nothing was done; asking again gives the same until the facts change.
    #[error("refused")]
    Refused(R),
    /// Certain to have had no effect: it may be tried again, by anyone, with any key.
    #[error(transparent)]
    NotExecuted(NotExecuted),
    /// It may have had its effect or not. The only way on is to ask again with the same key.
    #[error(transparent)]
    Unknown(Unknown),
}

/// A call that certainly had no effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("not executed ({reason}): {detail}")]
pub struct NotExecuted {
    /// What stood in the way.
    pub reason: Reason,
    /// For people; never for decisions.
    pub detail: String,
    /// How long it is worth waiting before the next try, where that is known.
    #[serde(
        rename = "retry_after_ms",
        default,
        skip_serializing_if = "Option::is_none",
        with = "milliseconds"
    )]
    pub retry_after: Option<Duration>,
}

/// A call whose effect is not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("outcome unknown: {detail}")]
pub struct Unknown {
    /// For people; never for decisions.
    pub detail: String,
}

/// Why a call was not executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The deadline passed before anything was done.
    DeadlinePassed,
    /// A queue or a bulkhead is full.
    Overloaded,
    /// The database or the process behind the call is away.
    Unavailable,
    /// The circuit breaker is open.
    BreakerOpen,
    /// The gate is closed for the moment of a switch.
    GateClosed,
    /// Another deployment owns the module now.
    Moved,
    /// The two processes speak incompatible versions of the contract.
    Incompatible,
    /// The idempotency key was used before with another request.
    KeyReused,
    /// The credential does not allow this call.
    Forbidden,
    /// The request cannot be read as the method's argument, or there is no such method.
    Malformed,
    /// A bug or a broken store: rolled back, logged where it happened.
    Failed,
}

impl Reason {
    /// Is the same call worth another try soon?
    pub fn is_passing(self) -> bool {
        match self {
            Self::Overloaded
            | Self::Unavailable
            | Self::BreakerOpen
            | Self::GateClosed
            | Self::Moved => true,
            Self::DeadlinePassed
            | Self::Incompatible
            | Self::KeyReused
            | Self::Forbidden
            | Self::Malformed
            | Self::Failed => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DeadlinePassed => "deadline passed",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
            Self::BreakerOpen => "breaker open",
            Self::GateClosed => "gate closed",
            Self::Moved => "moved",
            Self::Incompatible => "incompatible",
            Self::KeyReused => "key reused",
            Self::Forbidden => "forbidden",
            Self::Malformed => "malformed",
            Self::Failed => "failed",
        })
    }
}

/// The refusal of a method that has none.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error,
)]
pub enum Never {}

impl NotExecuted {
    /// Not executed for this reason.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), retry_after: None }
    }

    /// The same, worth another try after `wait`.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }
}

impl<R> Fault<R> {
    /// Not executed for this reason.
    pub fn not_executed(reason: Reason, detail: impl Into<String>) -> Self {
        Self::NotExecuted(NotExecuted::new(reason, detail))
    }

    /// The effect is not known.
    pub fn unknown(detail: impl Into<String>) -> Self {
        Self::Unknown(Unknown { detail: detail.into() })
    }

    /// The same fault with the refusal translated.
    pub fn map<S>(self, refusal: impl FnOnce(R) -> S) -> Fault<S> {
        match self {
            Self::Refused(reason) => Fault::Refused(refusal(reason)),
            Self::NotExecuted(reason) => Fault::NotExecuted(reason),
            Self::Unknown(reason) => Fault::Unknown(reason),
        }
    }
}

impl<R> From<NotExecuted> for Fault<R> {
    fn from(reason: NotExecuted) -> Self {
        Self::NotExecuted(reason)
    }
}

mod milliseconds {
    //! A duration as a whole number of milliseconds, which any language can read.

    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        wait: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_millis))
    }
}
