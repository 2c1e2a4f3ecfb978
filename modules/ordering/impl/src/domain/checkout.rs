//! The checkout saga as a table: reserve stock -> authorise payment -> commit stock -> place the order -> capture, and
//! backwards from wherever it fails.
//!
//! The order is placed in the transaction that records the stock's commit, and paid in the one that records the
//! capture: nobody sees an order without stock and authorised payment, and no money is taken before there is an order.

use kernel_api::{Currency, Id, Money};
use ordering_api::{Cart, CheckoutFailure};
use saga::Transition;
use serde::{Deserialize, Serialize};

/// Where a checkout stands. The lines stay in the cart, which nobody can change meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    pub cart: Id<Cart>,
    /// What is to be paid.
    pub total_minor: i64,
    pub currency: Currency,
    /// Are there products to reserve?
    pub goods: bool,
    /// Is there an order already?
    pub placed: bool,
    pub step: Step,
}

/// The call that a checkout waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub(crate) enum Step {
    Reserve {
        token: Option<String>,
    },
    Authorise {
        token: Option<String>,
    },
    Commit,
    /// Nothing to ask for: the order is placed.
    Place,
    Capture,
    /// Backwards from here on.
    Void {
        failure: CheckoutFailure,
    },
    /// Money was taken after all: an operator abandoned a capture in doubt, or captured a part himself.
    Refund {
        failure: CheckoutFailure,
    },
    Release {
        failure: CheckoutFailure,
    },
    /// The stock was sold already.
    PutBack {
        failure: CheckoutFailure,
    },
    Completed,
    Failed {
        failure: CheckoutFailure,
    },
}

/// What a step can come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was done.
    Done,
    /// The module's rule said no, and that is how the checkout fails.
    Refused(CheckoutFailure),
    /// There is nothing to undo, because it never was or is undone.
    NothingThere,
    /// It cannot be undone this way, because it went one step further.
    TooLate,
    /// A refusal that no right state of the shop leads to.
    Impossible(String),
}

impl State {
    /// A checkout at its beginning.
    pub fn begin(cart: Id<Cart>, total: Money, goods: bool, token: Option<String>) -> Self {
        let state = Self {
            cart,
            total_minor: total.minor,
            currency: total.currency,
            goods,
            placed: false,
            step: Step::Place,
        };
        if goods { state.at(Step::Reserve { token }) } else { state.pay(token) }
    }

    /// What is to be paid.
    pub fn total(&self) -> Money {
        Money::new(self.total_minor, self.currency)
    }

    fn at(&self, step: Step) -> Self {
        Self { step, ..self.clone() }
    }

    fn pay(&self, token: Option<String>) -> Self {
        if self.total_minor > 0 { self.at(Step::Authorise { token }) } else { self.take() }
    }

    fn take(&self) -> Self {
        self.at(if self.goods { Step::Commit } else { Step::Place })
    }

    /// Once the order is placed: what is left is to be paid, or all is done.
    fn placed(&self) -> Transition<Self> {
        let placed = Self { placed: true, ..self.clone() };
        if self.total_minor > 0 {
            Transition::Go(placed.at(Step::Capture))
        } else {
            Transition::Done(placed.at(Step::Completed))
        }
    }

    /// Backwards from where the payment may have to be undone.
    fn undo_payment(&self, failure: CheckoutFailure) -> Transition<Self> {
        if self.total_minor > 0 {
            Transition::Go(self.at(Step::Void { failure }))
        } else {
            self.undo_stock(failure)
        }
    }

    /// Backwards from where only the stock may have to be undone.
    fn undo_stock(&self, failure: CheckoutFailure) -> Transition<Self> {
        match (self.goods, self.placed) {
            (true, true) => Transition::Go(self.at(Step::PutBack { failure })),
            (true, false) => Transition::Go(self.at(Step::Release { failure })),
            (false, _) => self.failed(failure),
        }
    }

    fn failed(&self, failure: CheckoutFailure) -> Transition<Self> {
        Transition::Compensated(self.at(Step::Failed { failure }))
    }

    /// Backwards from wherever it stands, because an operator wants it; nothing when it is too late.
    pub fn abandon(&self) -> Option<Self> {
        let failure = CheckoutFailure::Abandoned;
        match &self.step {
            // Also where the step may have had its effect: releasing what is not there does nothing.
            Step::Reserve { .. } => Some(self.at(Step::Release { failure })),
            Step::Authorise { .. } | Step::Commit | Step::Capture => {
                let back = if self.total_minor > 0 {
                    Step::Void { failure }
                } else {
                    Step::Release { failure }
                };
                Some(self.at(back))
            }
            Step::Place
            | Step::Void { .. }
            | Step::Refund { .. }
            | Step::Release { .. }
            | Step::PutBack { .. }
            | Step::Completed
            | Step::Failed { .. } => None,
        }
    }

    /// The tries are used up, and it is certain that none had an effect.
    pub fn exhausted(&self, reason: &str) -> Transition<Self> {
        let failure = CheckoutFailure::Unavailable { detail: reason.to_owned() };
        match &self.step {
            Step::Reserve { .. } => self.failed(failure),
            Step::Authorise { .. } => self.undo_stock(failure),
            Step::Commit => self.undo_payment(failure),
            // The order is placed and its money set aside: an operator decides, nobody cancels it by himself.
            Step::Capture
            | Step::Place
            | Step::Void { .. }
            | Step::Refund { .. }
            | Step::Release { .. }
            | Step::PutBack { .. }
            | Step::Completed
            | Step::Failed { .. } => Transition::Stuck { reason: reason.to_owned() },
        }
    }

    /// The name of the step.
    pub fn name(&self) -> &'static str {
        match &self.step {
            Step::Reserve { .. } => "reserve",
            Step::Authorise { .. } => "authorise",
            Step::Commit => "commit",
            Step::Place => "place",
            Step::Capture => "capture",
            Step::Void { .. } => "void",
            Step::Refund { .. } => "refund",
            Step::Release { .. } => "release",
            Step::PutBack { .. } => "put_back",
            Step::Completed => "completed",
            Step::Failed { .. } => "failed",
        }
    }
}

/// The transition table. Total: every step with every outcome.
pub(crate) fn next(state: &State, outcome: &Outcome) -> Transition<State> {
    let stuck =
        |problem: &str| Transition::Stuck { reason: format!("{}: {problem}", state.name()) };
    if let Outcome::Impossible(problem) = outcome {
        return stuck(problem);
    }
    match &state.step {
        Step::Reserve { token } => match outcome {
            Outcome::Done => Transition::Go(state.pay(token.clone())),
            Outcome::Refused(failure) => state.failed(failure.clone()),
            Outcome::NothingThere | Outcome::TooLate | Outcome::Impossible(_) => {
                stuck("no answer of reserve")
            }
        },
        Step::Authorise { .. } => match outcome {
            Outcome::Done => Transition::Go(state.take()),
            Outcome::Refused(failure) => state.undo_stock(failure.clone()),
            Outcome::NothingThere | Outcome::TooLate | Outcome::Impossible(_) => {
                stuck("no answer of authorise")
            }
        },
        Step::Commit => match outcome {
            Outcome::Done => state.placed(),
            Outcome::Refused(failure) => state.undo_payment(failure.clone()),
            Outcome::NothingThere | Outcome::TooLate | Outcome::Impossible(_) => {
                stuck("no answer of commit")
            }
        },
        Step::Place => match outcome {
            Outcome::Done => state.placed(),
            Outcome::Refused(_)
            | Outcome::NothingThere
            | Outcome::TooLate
            | Outcome::Impossible(_) => stuck("placing asks nobody"),
        },
        Step::Capture => match outcome {
            Outcome::Done => Transition::Done(state.at(Step::Completed)),
            Outcome::Refused(failure) => state.undo_payment(failure.clone()),
            Outcome::NothingThere | Outcome::TooLate | Outcome::Impossible(_) => {
                stuck("no answer of capture")
            }
        },
        Step::Void { failure } => match outcome {
            Outcome::Done | Outcome::NothingThere => state.undo_stock(failure.clone()),
            Outcome::TooLate => Transition::Go(state.at(Step::Refund { failure: failure.clone() })),
            Outcome::Refused(_) | Outcome::Impossible(_) => stuck("the payment cannot be voided"),
        },
        Step::Refund { failure } => match outcome {
            Outcome::Done | Outcome::NothingThere => state.undo_stock(failure.clone()),
            Outcome::Refused(_) | Outcome::TooLate | Outcome::Impossible(_) => {
                stuck("the payment cannot be refunded")
            }
        },
        Step::Release { failure } => match outcome {
            Outcome::Done | Outcome::NothingThere => state.failed(failure.clone()),
            Outcome::TooLate => {
                Transition::Go(state.at(Step::PutBack { failure: failure.clone() }))
            }
            Outcome::Refused(_) | Outcome::Impossible(_) => stuck("the stock cannot be released"),
        },
        Step::PutBack { failure } => match outcome {
            Outcome::Done | Outcome::NothingThere => state.failed(failure.clone()),
            Outcome::Refused(_) | Outcome::TooLate | Outcome::Impossible(_) => {
                stuck("the stock cannot be put back")
            }
        },
        Step::Completed | Step::Failed { .. } => stuck("it has come to its end"),
    }
}
