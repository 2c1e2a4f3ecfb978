//! The checkout's and the settlement's tables, by exhaustion.

use std::collections::BTreeSet;

use kernel_api::{Currency, Id, Money};
use ordering_api::CheckoutFailure;
use saga::Transition;

use crate::domain::{
    checkout::{Outcome, State, Step, next},
    settlement,
};

fn failure() -> CheckoutFailure {
    CheckoutFailure::ReservationExpired
}

fn outcomes() -> [Outcome; 5] {
    [
        Outcome::Done,
        Outcome::Refused(failure()),
        Outcome::NothingThere,
        Outcome::TooLate,
        Outcome::Impossible("a bug".to_owned()),
    ]
}

fn begin(total: i64, goods: bool) -> State {
    let total = Money::new(total, Currency::GBP);
    State::begin(Id::fresh(), total, goods, Some("tok".to_owned()))
}

fn steps() -> Vec<Step> {
    let token = || Some("tok".to_owned());
    vec![
        Step::Reserve { token: token() },
        Step::Authorise { token: token() },
        Step::Commit,
        Step::Place,
        Step::Capture,
        Step::Void { failure: failure() },
        Step::Refund { failure: failure() },
        Step::Release { failure: failure() },
        Step::PutBack { failure: failure() },
        Step::Completed,
        Step::Failed { failure: failure() },
    ]
}

/// All states that a checkout can be in.
fn states() -> Vec<State> {
    let mut all = Vec::new();
    for (total_minor, goods) in [(0, false), (0, true), (100, false), (100, true)] {
        for placed in [false, true] {
            for step in steps() {
                all.push(State { placed, step, ..begin(total_minor, goods) });
            }
        }
    }
    all
}

fn names(mut state: State, mut outcome: impl FnMut(&State) -> Outcome) -> Vec<&'static str> {
    let mut names = vec![state.name()];
    for _ in 0..20 {
        match next(&state, &outcome(&state)) {
            Transition::Go(to) => state = to,
            Transition::Done(to) | Transition::Compensated(to) => {
                names.push(to.name());
                return names;
            }
            Transition::Stuck { .. } | Transition::Again { .. } => {
                names.push("stuck");
                return names;
            }
        }
        names.push(state.name());
    }
    panic!("it goes in circles: {names:?}");
}

#[test]
fn a_checkout_asks_only_for_what_it_needs() {
    let way = |total, goods| names(begin(total, goods), |_| Outcome::Done);
    assert_eq!(way(100, true), ["reserve", "authorise", "commit", "capture", "completed"]);
    assert_eq!(way(100, false), ["authorise", "place", "capture", "completed"]);
    assert_eq!(way(0, true), ["reserve", "commit", "completed"]);
    assert_eq!(way(0, false), ["place", "completed"]);
}

#[test]
fn a_checkout_goes_back_from_wherever_it_fails() {
    let way = |at: &str, back: Outcome| {
        let mut failed = false;
        names(begin(100, true), |state| {
            if !failed && state.name() == at {
                failed = true;
                return Outcome::Refused(failure());
            }
            if failed && state.name() == "void" { back.clone() } else { Outcome::Done }
        })
    };
    assert_eq!(way("reserve", Outcome::Done), ["reserve", "failed"]);
    assert_eq!(way("authorise", Outcome::Done), ["reserve", "authorise", "release", "failed"]);
    assert_eq!(
        way("commit", Outcome::Done),
        ["reserve", "authorise", "commit", "void", "release", "failed"]
    );
    assert_eq!(
        way("capture", Outcome::Done),
        ["reserve", "authorise", "commit", "capture", "void", "put_back", "failed"]
    );
    // It was captured after all.
    assert_eq!(
        way("capture", Outcome::TooLate),
        ["reserve", "authorise", "commit", "capture", "void", "refund", "put_back", "failed"]
    );
}

/// From every state with every outcome a checkout comes to an end, and on no way is money kept without an order.
#[test]
fn every_state_with_every_outcome_leads_to_an_end() {
    for state in states() {
        for outcome in outcomes() {
            let mut seen = BTreeSet::new();
            let mut open = vec![next(&state, &outcome)];
            while let Some(transition) = open.pop() {
                match transition {
                    Transition::Go(to) => {
                        assert!(!matches!(to.step, Step::Completed | Step::Failed { .. }));
                        if seen.insert(serde_json::to_string(&to).unwrap()) {
                            open.extend(outcomes().iter().map(|outcome| next(&to, outcome)));
                        }
                    }
                    Transition::Done(to) => {
                        assert_eq!(to.step, Step::Completed);
                        assert!(to.placed || state.placed || matches!(state.step, Step::Capture));
                    }
                    Transition::Compensated(to) => {
                        assert!(matches!(to.step, Step::Failed { .. }));
                    }
                    Transition::Stuck { reason } => assert!(!reason.is_empty()),
                    Transition::Again { .. } => panic!("nothing asks for a wait"),
                }
            }
            assert!(seen.len() < 20, "{state:?}");
        }
    }
}

#[test]
fn whatever_an_operator_abandons_is_undone() {
    for state in states() {
        let Some(back) = state.abandon() else { continue };
        for answer in [Outcome::Done, Outcome::NothingThere, Outcome::TooLate] {
            // What can be late is late once: then the other way back is taken.
            let mut first = true;
            let way = names(back.clone(), |_| {
                let now = if first { answer.clone() } else { Outcome::Done };
                first = false;
                now
            });
            assert_eq!(way.last(), Some(&"failed"), "{state:?}: {way:?}");
        }
    }
}

#[test]
fn used_up_tries_undo_what_was_done_or_wait_for_an_operator() {
    for state in states() {
        match state.exhausted("away") {
            Transition::Go(to) => {
                assert!(["void", "release", "put_back"].contains(&to.name()), "{to:?}");
            }
            Transition::Compensated(to) => assert_eq!(to.name(), "failed"),
            Transition::Stuck { reason } => assert_eq!(reason, "away"),
            other => panic!("{state:?}: {other:?}"),
        }
    }
}

#[test]
fn a_settlement_puts_back_and_pays_piece_by_piece() {
    use settlement::{Outcome as Paid, State as Settling, Step as At};
    let way = |goods, pieces| {
        let mut state = Settling::begin(Id::fresh(), goods, pieces);
        let mut names = vec![state.name().into_owned()];
        loop {
            match settlement::next(&state, &Paid::Done) {
                Transition::Go(to) => state = to,
                Transition::Done(to) => {
                    assert_eq!(to.step, At::Settled);
                    return names;
                }
                other => panic!("{other:?}"),
            }
            names.push(state.name().into_owned());
        }
    };
    assert_eq!(way(true, 2), ["put_back", "pay_0", "pay_1"]);
    assert_eq!(way(true, 0), ["put_back"]);
    assert_eq!(way(false, 1), ["pay_0"]);
    assert_eq!(way(false, 0), ["settled"]);
    for step in [At::PutBack, At::Pay(0), At::Pay(5), At::Settled] {
        let state = Settling { note: Id::fresh(), pieces: 1, step };
        let refused = settlement::next(&state, &Paid::Refused("no".to_owned()));
        assert!(matches!(refused, Transition::Stuck { .. }));
    }
}
