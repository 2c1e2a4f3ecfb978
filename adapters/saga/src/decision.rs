//! The pure heart of the runner: what a try of a step leads to.

use contract::Reason;

use crate::{Acted, Definition, Limits, Transition};

/// What is known of a step when a try of it ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    /// Tries that led nowhere, without the one that has just ended.
    pub attempts: u32,
    /// May an earlier try have had its effect?
    pub in_doubt: bool,
}

/// Where the saga goes, and what is remembered of its step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision<S> {
    pub transition: Transition<S>,
    /// Tries of the step that the saga is at now.
    pub attempts: u32,
    pub in_doubt: bool,
}

/// Decides what a try leads to. Total: every state with every outcome, the unknown one included.
///
/// Invariant: the number of tries only grows while the step stays the same and is bounded by `attempts_max`; a step
/// of which any try may have had its effect is left only by a certain answer or as stuck.
pub(crate) fn decide<D: Definition>(
    state: &D::State,
    acted: Acted<D::Outcome>,
    standing: Standing,
    limits: &Limits,
) -> Decision<D::State> {
    let attempts = standing.attempts.saturating_add(1);
    let used_up = attempts >= limits.attempts_max;
    let stay = |transition, in_doubt| Decision { transition, attempts, in_doubt };
    match acted {
        Acted::Known(outcome) => match D::next(state, &outcome) {
            Transition::Again { reason } if used_up => {
                certain(exhausted::<D>(state, &reason), attempts)
            }
            transition => certain(transition, attempts),
        },
        Acted::NotExecuted(why) => {
            let reason = why.to_string();
            if !worth_another_try(why.reason) {
                stay(Transition::Stuck { reason }, standing.in_doubt)
            } else if !used_up {
                stay(Transition::Again { reason }, standing.in_doubt)
            } else if standing.in_doubt {
                let reason = format!("an earlier try may have had its effect; {reason}");
                stay(Transition::Stuck { reason }, true)
            } else {
                certain(exhausted::<D>(state, &reason), attempts)
            }
        }
        Acted::Unknown(why) => {
            let reason = why.to_string();
            let transition =
                if used_up { Transition::Stuck { reason } } else { Transition::Again { reason } };
            stay(transition, true)
        }
    }
}

/// The definition's own last word, which cannot be "once more".
fn exhausted<D: Definition>(state: &D::State, reason: &str) -> Transition<D::State> {
    match D::exhausted(state, reason) {
        Transition::Again { reason } => Transition::Stuck { reason },
        last @ (Transition::Go(_)
        | Transition::Done(_)
        | Transition::Compensated(_)
        | Transition::Stuck { .. }) => last,
    }
}

/// After a certain answer there is no doubt, and a new step starts its own count.
fn certain<S>(transition: Transition<S>, attempts: u32) -> Decision<S> {
    let attempts = match transition {
        Transition::Go(_) | Transition::Done(_) | Transition::Compensated(_) => 0,
        Transition::Again { .. } | Transition::Stuck { .. } => attempts,
    };
    Decision { transition, attempts, in_doubt: false }
}

/// A call that can never be accepted as it stands is for an operator at once; anything else may heal by itself.
fn worth_another_try(reason: Reason) -> bool {
    match reason {
        Reason::KeyReused | Reason::Malformed => false,
        Reason::DeadlinePassed
        | Reason::Overloaded
        | Reason::Unavailable
        | Reason::BreakerOpen
        | Reason::GateClosed
        | Reason::Moved
        | Reason::Incompatible
        | Reason::Forbidden
        | Reason::Failed => true,
    }
}

#[cfg(test)]
mod tests;
