//! The machine's rules, as tables.

use kernel_api::Timestamp;
use placement_api::{Leg, Outcome, Percent, Plan, SteerError, Step, Wish};

use super::{Seen, State, after, ahead, machine::next, merged, rows::stands, steered};
use crate::domain::limits::{PAUSE_MAX, STEP_AGAIN, TRIES_MAX};

fn now() -> Timestamp {
    Timestamp::from_micros(1_000_000_000)
}

fn at(leg: Leg, step: Step) -> State {
    State { leg, step, ..State::begun(5, now()) }
}

/// Where a wish leads: the step and leg after the coordinator has met it, or why it is refused.
fn wished(state: State, wish: Wish) -> Result<(Leg, Step), SteerError> {
    let met = merged(state, &steered(state, wish)?, now());
    Ok((met.leg, met.step))
}

#[test]
fn a_wish_is_met_at_its_moment_and_refused_out_of_it() {
    use Leg::{Back, There};
    for (state, wish, met) in [
        (at(There, Step::Plan), Wish::Cancel, Ok((There, Step::Cancel))),
        (at(There, Step::Copy), Wish::Cancel, Ok((There, Step::Cancel))),
        (at(There, Step::Approach), Wish::Cancel, Ok((There, Step::Cancel))),
        // The switch under way ends first.
        (at(There, Step::Hold), Wish::Cancel, Ok((There, Step::Hold))),
        (at(There, Step::Ask), Wish::Cancel, Ok((There, Step::Ask))),
        (at(There, Step::Flip), Wish::Cancel, Err(SteerError::TooLate)),
        (at(There, Step::Observe), Wish::Cancel, Err(SteerError::TooLate)),
        (at(There, Step::Copy), Wish::Reverse, Err(SteerError::TooEarly)),
        (at(There, Step::Ask), Wish::Complete, Err(SteerError::TooEarly)),
        (at(There, Step::Record), Wish::Reverse, Ok((There, Step::Record))),
        (at(There, Step::Observe), Wish::Reverse, Ok((Back, Step::CatchUp))),
        (at(There, Step::Observe), Wish::Complete, Ok((There, Step::Observe))),
        (at(There, Step::Complete), Wish::Reverse, Err(SteerError::TooLate)),
        (at(There, Step::Complete), Wish::Complete, Ok((There, Step::Complete))),
        (at(There, Step::Cancel), Wish::Cancel, Ok((There, Step::Cancel))),
        // Who goes back may stay, until the switch back is tried.
        (at(Back, Step::Verify), Wish::Cancel, Ok((There, Step::Observe))),
        (
            State { switch_tries: 1, ..at(Back, Step::Approach) },
            Wish::Cancel,
            Err(SteerError::TooLate),
        ),
        (at(Back, Step::Verify), Wish::Reverse, Ok((Back, Step::Verify))),
        (at(Back, Step::Verify), Wish::Complete, Err(SteerError::TooLate)),
        (at(There, Step::Ended), Wish::Pause, Err(SteerError::Ended)),
    ] {
        assert_eq!(wished(state, wish), met, "{wish:?} at {state:?}");
    }
}

#[test]
fn a_share_of_reads_is_led_until_the_next_one_is_or_all_of_it_switches() {
    let percent = |percent| Percent::new(percent).unwrap();
    let plan = Plan { reads: vec![percent(10), percent(50)], ..Plan::default() };
    use Leg::{Back, There};
    for (leg, step, reads, part, led) in [
        (There, Step::Verify, 0, 0, None),
        (There, Step::SwitchReads, 0, 0, None),
        (There, Step::SwitchReads, 0, 1, Some(10)),
        (There, Step::SwitchReads, 1, 0, Some(10)),
        (There, Step::SwitchReads, 1, 1, Some(50)),
        (There, Step::SwitchReads, 2, 0, Some(50)),
        (There, Step::Approach, 2, 0, Some(50)),
        // The proxy could not lead the second.
        (There, Step::Approach, 1, 0, Some(10)),
        (There, Step::Approach, 0, 0, None),
        (There, Step::Observe, 2, 1, None),
        (There, Step::Cancel, 2, 0, None),
        (Back, Step::Approach, 2, 0, None),
        (Back, Step::SwitchReads, 2, 1, None),
    ] {
        let state = State { reads, part, ..at(leg, step) };
        assert_eq!(ahead(&state, &plan).map(Percent::get), led, "{state:?}");
    }
}

#[test]
fn a_wish_that_comes_during_a_switch_is_met_after_it() {
    let plan = Plan::default();
    let noted = steered(at(Leg::There, Step::Hold), Wish::Cancel).unwrap();
    // The coordinator is further than the journal: it has switched.
    let released = merged(at(Leg::There, Step::Release), &noted, now());
    assert_eq!((released.step, released.wish), (Step::Release, None));
    // Or it has not.
    let unheld = merged(at(Leg::There, Step::Unhold), &noted, now());
    let action = next(&unheld, &plan, now());
    let given_up = after(unheld, action, Seen::Done, &plan, now());
    assert_eq!((given_up.step, given_up.outcome), (Step::Cancel, Some(Outcome::Cancelled)));
}

#[test]
fn what_fails_for_long_ends_where_it_began_and_what_waits_does_not() {
    let plan = Plan::default();
    let fail = |mut state: State, seen| {
        for _ in 0..=TRIES_MAX {
            let later = state.not_before;
            let action = next(&state, &plan, later);
            state = after(state, action, seen, &plan, later);
        }
        state.step
    };
    assert_eq!(fail(at(Leg::There, Step::Copy), Seen::Failed), Step::Cancel);
    assert_eq!(fail(at(Leg::There, Step::Capture), Seen::NotNow), Step::Capture);
    // There is nothing to give up for who goes back, or has switched.
    assert_eq!(fail(at(Leg::Back, Step::CatchUp), Seen::Failed), Step::CatchUp);
    assert_eq!(fail(at(Leg::There, Step::Release), Seen::Failed), Step::Release);
    assert_eq!(fail(at(Leg::There, Step::Record), Seen::Failed), Step::Record);
    assert_eq!(fail(at(Leg::There, Step::Ask), Seen::Failed), Step::Ask);
}

#[test]
fn the_rows_say_which_side_it_is_on() {
    for (source, target, seen) in [
        (Some((5, "monolith")), Some((1, "carve:7")), Seen::SourceHas),
        (Some((5, "")), None, Seen::SourceHas),
        (Some((6, "child")), Some((1, "carve:7")), Seen::NobodyHas),
        (Some((6, "child")), None, Seen::NobodyHas),
        (Some((6, "child")), Some((6, "child")), Seen::TargetHas),
        // The source is given up first, so that the target is open says all.
        (None, Some((6, "child")), Seen::TargetHas),
        (None, Some((1, "carve:7")), Seen::Failed),
        (None, None, Seen::Failed),
        (Some((9, "other")), Some((1, "carve:7")), Seen::Blocked),
        (Some((5, "child")), Some((1, "carve:7")), Seen::Blocked),
    ] {
        assert_eq!(stands(source, target, 5, "child"), seen, "{source:?} {target:?}");
    }
}

#[test]
fn waits_grow_and_stay_within_their_bound() {
    let waits: Vec<_> = (0..40).map(|failures| STEP_AGAIN.after(failures)).collect();
    assert!(waits.is_sorted());
    assert_eq!(waits[39].as_secs(), 5);
    assert!(PAUSE_MAX.as_millis() <= 150);
}
