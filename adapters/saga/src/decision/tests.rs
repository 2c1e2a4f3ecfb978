//! What a try leads to: cases, and random sequences of outcomes.

use std::borrow::Cow;

use async_trait::async_trait;
use contract::{NotExecuted, Unknown};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use store::Tx;

use super::*;
use crate::{ApplyError, SagaId, Turn};

/// Takes a thing, pays for it; gives it back when it cannot pay.
struct Purchase;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Stage {
    Take,
    Pay,
    GiveBack,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Yes,
    No,
    Later,
}

#[async_trait]
impl Definition for Purchase {
    const KIND: &'static str = "test.purchase";
    const VERSION: u32 = 1;
    type State = Stage;
    type Outcome = Said;

    fn step(state: &Stage) -> Cow<'static, str> {
        Cow::Borrowed(match state {
            Stage::Take => "take",
            Stage::Pay => "pay",
            Stage::GiveBack => "give-back",
        })
    }

    fn next(state: &Stage, outcome: &Said) -> Transition<Stage> {
        match (state, outcome) {
            (_, Said::Later) => Transition::Again { reason: "later".into() },
            (Stage::Take, Said::Yes) => Transition::Go(Stage::Pay),
            (Stage::Take, Said::No) => Transition::Compensated(Stage::Take),
            (Stage::Pay, Said::Yes) => Transition::Done(Stage::Pay),
            (Stage::Pay, Said::No) => Transition::Go(Stage::GiveBack),
            (Stage::GiveBack, Said::Yes) => Transition::Compensated(Stage::GiveBack),
            (Stage::GiveBack, Said::No) => Transition::Stuck { reason: "not taken back".into() },
        }
    }

    fn exhausted(state: &Stage, reason: &str) -> Transition<Stage> {
        match state {
            Stage::Take => Transition::Compensated(Stage::Take),
            Stage::Pay => Transition::Go(Stage::GiveBack),
            Stage::GiveBack => Transition::Again { reason: reason.to_owned() },
        }
    }

    async fn act(&self, _turn: &Turn, _state: &Stage) -> Acted<Said> {
        Acted::Known(Said::Yes)
    }

    fn apply(
        &self,
        _tx: &mut Tx<'_>,
        _saga: SagaId,
        _from: &Stage,
        _transition: &Transition<Stage>,
    ) -> Result<(), ApplyError> {
        Ok(())
    }
}

fn three_tries() -> Limits {
    Limits { attempts_max: 3, ..Limits::default() }
}

fn away() -> Acted<Said> {
    Acted::NotExecuted(NotExecuted::new(Reason::Unavailable, "away"))
}

fn lost() -> Acted<Said> {
    Acted::Unknown(Unknown { detail: "lost".into() })
}

fn check(state: Stage, standing: (u32, bool), acted: Acted<Said>) -> Decision<Stage> {
    let standing = Standing { attempts: standing.0, in_doubt: standing.1 };
    decide::<Purchase>(&state, acted, standing, &three_tries())
}

fn goes_to(stage: Stage) -> Decision<Stage> {
    Decision { transition: Transition::Go(stage), attempts: 0, in_doubt: false }
}

#[test]
fn a_certain_answer_starts_the_next_step_without_doubt() {
    assert_eq!(check(Stage::Take, (2, true), Acted::Known(Said::Yes)), goes_to(Stage::Pay));
}

#[test]
fn an_unknown_outcome_is_tried_again_and_never_taken_for_a_failure() {
    let first = check(Stage::Pay, (0, false), lost());
    assert!(matches!(first.transition, Transition::Again { .. }));
    assert_eq!((first.attempts, first.in_doubt), (1, true));
    let last = check(Stage::Pay, (2, true), lost());
    assert!(matches!(last.transition, Transition::Stuck { .. }), "{last:?}");
}

#[test]
fn tries_without_effect_end_where_the_definition_says() {
    let second = check(Stage::Pay, (1, false), away());
    assert!(matches!(second.transition, Transition::Again { .. }));
    assert_eq!(check(Stage::Pay, (2, false), away()), goes_to(Stage::GiveBack));
}

#[test]
fn one_doubtful_try_keeps_the_others_from_giving_up() {
    let last = check(Stage::Pay, (2, true), away());
    assert!(matches!(last.transition, Transition::Stuck { .. }), "{last:?}");
    assert!(last.in_doubt);
}

#[test]
fn giving_up_cannot_mean_once_more() {
    let last = check(Stage::GiveBack, (2, false), away());
    assert!(matches!(last.transition, Transition::Stuck { .. }), "{last:?}");
}

#[test]
fn a_call_that_can_never_be_accepted_is_stuck_at_once() {
    for reason in [Reason::KeyReused, Reason::Malformed] {
        let refused = Acted::NotExecuted(NotExecuted::new(reason, "no"));
        let first = check(Stage::Take, (0, false), refused);
        assert!(matches!(first.transition, Transition::Stuck { .. }), "{first:?}");
    }
}

fn any_outcome() -> impl Strategy<Value = Acted<Said>> {
    prop_oneof![
        Just(Acted::Known(Said::Yes)),
        Just(Acted::Known(Said::No)),
        Just(Acted::Known(Said::Later)),
        Just(away()),
        Just(lost()),
    ]
}

proptest! {
    #[test]
    fn any_outcomes_end_within_the_bound(outcomes in prop::collection::vec(any_outcome(), 12)) {
        let limits = three_tries();
        let (mut stage, mut attempts, mut in_doubt) = (Stage::Take, 0, false);
        let mut doubted = false;
        for acted in &outcomes {
            let certain = matches!(acted, Acted::Known(_));
            doubted |= matches!(acted, Acted::Unknown(_));
            let decision =
                decide::<Purchase>(&stage, acted.clone(), Standing { attempts, in_doubt }, &limits);
            let left = !matches!(decision.transition, Transition::Again { .. } | Transition::Stuck { .. });
            prop_assert!(certain || !doubted || !left, "left a doubtful step: {outcomes:?}");
            match decision.transition {
                Transition::Go(next) => {
                    prop_assert_eq!((decision.attempts, decision.in_doubt), (0, false));
                    stage = next;
                    doubted = false;
                }
                Transition::Again { .. } => prop_assert!(decision.attempts > attempts),
                Transition::Done(_) | Transition::Compensated(_) | Transition::Stuck { .. } => return Ok(()),
            }
            if certain {
                doubted = false;
            }
            (attempts, in_doubt) = (decision.attempts, decision.in_doubt);
        }
        // Three steps of at most three tries each.
        prop_assert!(false, "still running after {} outcomes", outcomes.len());
    }
}
