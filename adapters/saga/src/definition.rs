//! What a saga is made of: states, the calls that each state waits for, and a total function between them.

use std::borrow::Cow;

use async_trait::async_trait;
use contract::{Answer, Call, Command, Fault, IdempotencyKey, NotExecuted, Unknown};
use serde::{Serialize, de::DeserializeOwned};
use store::Tx;

use crate::SagaId;

/// A kind of saga.
///
/// `next` and `step` are pure: the same state and outcome give the same transition in every process, so that a step
/// that was cut off can be done again. `act` may be called any number of times for one step, always with the same
/// key; `apply` takes effect exactly once for each transition, in the transaction that records it.
#[async_trait]
pub trait Definition: Send + Sync + 'static {
    /// The stable name of the kind, `ordering.checkout`; never a Rust type name.
    const KIND: &'static str;
    /// Rises when the state's shape or the meaning of a step changes.
    const VERSION: u32;
    /// Where a saga stands and all that its further steps need; kept as JSON.
    type State: Serialize + DeserializeOwned + Clone + Send + Sync + 'static;
    /// What a step can come to. Only certain answers: what is not known never gets here (see [`Acted`]).
    type Outcome: Send + Sync + 'static;

    /// The name of the step that this state waits for: visible ASCII, at most 100 characters. It is part of the
    /// idempotency key, so two states that must act twice have two names.
    fn step(state: &Self::State) -> Cow<'static, str>;

    /// The total transition function.
    fn next(state: &Self::State, outcome: &Self::Outcome) -> Transition<Self::State>;

    /// What to do when the tries of a step are used up and it is **certain** that none of them had an effect: a
    /// place to turn to compensation. Never asked while a try may have had its effect. Unless overridden: stuck.
    fn exhausted(_state: &Self::State, reason: &str) -> Transition<Self::State> {
        Transition::Stuck { reason: reason.to_owned() }
    }

    /// The state from which an operator's order to undo this saga goes on; `None` where it is too late or too early.
    fn compensation(_state: &Self::State) -> Option<Self::State> {
        None
    }

    /// Reads the state that an older version wrote. Unless overridden such a saga is stuck, with that reason.
    fn upgrade(version: u32, _state: serde_json::Value) -> Result<Self::State, String> {
        Err(format!("{} {version} cannot be read by version {}", Self::KIND, Self::VERSION))
    }

    /// Makes the step's call. It runs outside any transaction and may be cut off anywhere.
    async fn act(&self, turn: &Turn, state: &Self::State) -> Acted<Self::Outcome>;

    /// Writes what the transition makes true into the module's own tables and emits its events, in the transaction
    /// that records the step. It is not called for [`Transition::Again`], where nothing becomes true. Like every
    /// closure of the store it does nothing but queries and may run again.
    fn apply(
        &self,
        tx: &mut Tx<'_>,
        saga: SagaId,
        from: &Self::State,
        transition: &Transition<Self::State>,
    ) -> Result<(), ApplyError>;
}

/// Where a saga goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transition<S> {
    /// On to this state's step.
    Go(S),
    /// Nothing came of it yet: the same step again, after a wait.
    Again {
        /// Why.
        reason: String,
    },
    /// The end that was wanted.
    Done(S),
    /// The end in which all is undone.
    Compensated(S),
    /// It cannot go on by itself: an operator must look.
    Stuck {
        /// What the operator reads.
        reason: String,
    },
}

/// What a call of a step came to, as the framework must see it: only `Known` reaches [`Definition::next`], so that no
/// definition can take an unknown outcome for a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acted<O> {
    /// A certain answer: a success or the module's own refusal.
    Known(O),
    /// Certain that this try had no effect; another try will be made.
    NotExecuted(NotExecuted),
    /// It may have had its effect: the same call will be made again with the same key, for as long as it takes to
    /// learn the answer.
    Unknown(Unknown),
}

impl<O> Acted<O> {
    /// What a contract call came to; `known` names the certain answers.
    pub fn of<T, R>(answer: Answer<T, R>, known: impl FnOnce(Result<T, R>) -> O) -> Self {
        match answer {
            Ok(answer) => Self::Known(known(Ok(answer))),
            Err(Fault::Refused(refusal)) => Self::Known(known(Err(refusal))),
            Err(Fault::NotExecuted(reason)) => Self::NotExecuted(reason),
            Err(Fault::Unknown(reason)) => Self::Unknown(reason),
        }
    }
}

/// One try of one step.
#[derive(Debug, Clone)]
pub struct Turn {
    /// The saga.
    pub saga: SagaId,
    /// Tries of this step before this one.
    pub attempts: u32,
    /// The call to make, in the module's own name, with the step's deadline.
    pub call: Call,
    /// `<saga>:<step>`: the same for every try of this step.
    pub key: IdempotencyKey,
}

impl Turn {
    /// The step's command. A step makes at most one, since it has one key.
    pub fn command(&self) -> Command {
        self.call.command(self.key.clone())
    }
}

/// Why the effects of a step could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The module's own rows forbid the transition. The step is tried again, then stuck with this reason.
    #[error("{0}")]
    Forbidden(String),
    /// The database; it decides by itself whether another try is worth it.
    #[error(transparent)]
    Database(#[from] diesel::result::Error),
}
