//! The saga that follows an accepted return or cancellation: goods go back into stock, then the money goes back piece by
//! piece. Only forwards: what was accepted is owed, so there is nothing to compensate.

use std::borrow::Cow;

use kernel_api::Id;
use ordering_api::ReturnNote;
use saga::Transition;
use serde::{Deserialize, Serialize};

/// Where a settlement stands. Lines and amounts stay in the note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    pub note: Id<ReturnNote>,
    /// How many pieces of money there are.
    pub pieces: usize,
    pub step: Step,
}

/// The call that a settlement waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", content = "piece", rename_all = "snake_case")]
pub(crate) enum Step {
    PutBack,
    /// The piece of money with this number, from 0.
    Pay(usize),
    Settled,
}

/// What a step can come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was done.
    Done,
    /// It was refused: an operator must look.
    Refused(String),
}

impl State {
    /// A settlement at its beginning.
    pub fn begin(note: Id<ReturnNote>, goods: bool, pieces: usize) -> Self {
        let step = match (goods, pieces) {
            (true, _) => Step::PutBack,
            (false, 0) => Step::Settled,
            (false, _) => Step::Pay(0),
        };
        Self { note, pieces, step }
    }

    fn at(&self, step: Step) -> Self {
        Self { step, ..self.clone() }
    }

    fn pay(&self, piece: usize) -> Transition<Self> {
        if piece < self.pieces {
            Transition::Go(self.at(Step::Pay(piece)))
        } else {
            Transition::Done(self.at(Step::Settled))
        }
    }

    /// The name of the step.
    pub fn name(&self) -> Cow<'static, str> {
        match self.step {
            Step::PutBack => "put_back".into(),
            Step::Pay(piece) => format!("pay_{piece}").into(),
            Step::Settled => "settled".into(),
        }
    }
}

/// The transition table. Total: every step with every outcome.
pub(crate) fn next(state: &State, outcome: &Outcome) -> Transition<State> {
    match (state.step, outcome) {
        (_, Outcome::Refused(problem)) => {
            Transition::Stuck { reason: format!("{}: {problem}", state.name()) }
        }
        (Step::PutBack, Outcome::Done) => state.pay(0),
        (Step::Pay(piece), Outcome::Done) => state.pay(piece + 1),
        // A settlement without goods and money begins here and is done at once.
        (Step::Settled, Outcome::Done) => Transition::Done(state.clone()),
    }
}
