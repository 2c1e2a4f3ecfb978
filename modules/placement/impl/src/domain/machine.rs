//! The machine: what a carve does next, and where it stands after that, for every state and every way to end.
//!
//! Total and pure. Simulation, model and coordinator run these functions and no others.

use std::time::Duration;

use kernel_api::Timestamp;
use placement_api::{Leg, Outcome, Percent, Plan, SteerError, Step, Wish};

use super::{
    limits::{
        Backoff, COURTESY_TRIES_MAX, FOLLOW_EVERY, LOOK_EVERY, OBSERVE_EVERY, STEP_AGAIN,
        SWITCH_AGAIN, SWITCH_TRIES_MAX, TRIES_MAX, URGENT_AGAIN,
    },
    state::{Action, Seen, State},
};

/// What a carve does next.
pub(crate) fn next(state: &State, plan: &Plan, now: Timestamp) -> Action {
    if state.step == Step::Ended {
        return Action::Rest;
    }
    if now < state.not_before {
        return Action::Wait(state.not_before);
    }
    let pausing = Action::Wait(now.plus(LOOK_EVERY));
    let going = |action| if state.paused { pausing } else { action };
    let following = |action| if state.paused { Action::Follow } else { action };
    match (state.step, state.part) {
        (Step::Plan, _) => going(Action::Locate),
        (Step::Preflight, _) => going(Action::Inspect),
        (Step::Prepare, _) => going(Action::Prepare),
        (Step::Host, _) => going(Action::MakeReady),
        (Step::Capture, _) => going(Action::Capture),
        (Step::Copy, _) => going(Action::Copy),
        (Step::Verify, _) => following(Action::Compare),
        (Step::SwitchReads, 0) => match plan.reads.get(usize::from(state.reads)) {
            Some(percent) => following(Action::MoveReads(*percent)),
            None => Action::Follow,
        },
        (Step::CatchUp | Step::SwitchReads | Step::Approach, _) => Action::Follow,
        (Step::Hold, _) => Action::Hold,
        (Step::Fence, _) => Action::Fence,
        (Step::Ask, _) => Action::Ask,
        (Step::Unhold, _) => Action::Unhold,
        (Step::Flip, _) => Action::Flip,
        (Step::Record, _) => Action::Record,
        (Step::Release, _) => Action::Settle,
        (Step::Observe, 0) => Action::Audit,
        (Step::Observe, 1) => Action::Follow,
        (Step::Observe, _) => following(Action::Compare),
        (Step::Complete | Step::Cancel, part) => cleaning(state.step, part),
        (Step::Ended, _) => Action::Rest,
    }
}

fn cleaning(step: Step, part: u8) -> Action {
    match (step, part) {
        (Step::Cancel, 0) => Action::Withdraw,
        (Step::Cancel, 1) => Action::ReadsBack,
        (_, 0 | 2) => Action::StopHost,
        (_, _) => Action::Clean,
    }
}

/// The share of the reads that is led ahead while this is so; none where none is.
pub(crate) fn ahead(state: &State, plan: &Plan) -> Option<Percent> {
    if (state.leg, state.step) == (Leg::There, Step::SwitchReads) && state.part > 0 {
        return plan.reads.get(usize::from(state.reads)).copied();
    }
    // The last one stays in force until the next one is, or all of it switches.
    let stays = matches!(state.step, Step::SwitchReads | Step::Approach);
    let last = usize::from(state.reads).checked_sub(1).filter(|_| stays)?;
    plan.reads.get(last).copied().filter(|_| state.leg == Leg::There)
}

/// Where a carve stands after an action ended.
pub(crate) fn after(
    state: State,
    action: Action,
    seen: Seen,
    plan: &Plan,
    now: Timestamp,
) -> State {
    let moved = Turn { state, plan, now }.taken(action, seen);
    heeded(moved, now)
}

/// Where a carve stands for a coordinator that found it in the journal: what another did there is not known.
pub(crate) fn restarted(state: State, now: Timestamp) -> State {
    // The times were written by another clock.
    let state = State { not_before: now, ..state };
    match state.step {
        Step::Hold | Step::Fence | Step::Ask | Step::Unhold => to(state, Step::Ask, now),
        Step::Plan
        | Step::Preflight
        | Step::Prepare
        | Step::Host
        | Step::Capture
        | Step::Copy
        | Step::CatchUp
        | Step::Verify
        | Step::SwitchReads
        | Step::Approach
        | Step::Flip
        | Step::Record
        | Step::Release
        | Step::Observe
        | Step::Complete
        | Step::Cancel
        | Step::Ended => state,
    }
}

/// The state with what somebody wants noted in it, or why that cannot be.
pub(crate) fn steered(state: State, wish: Wish) -> Result<State, SteerError> {
    if state.is_over() {
        return Err(SteerError::Ended);
    }
    let wished = |wish| Ok(Some(wish));
    let pending: Result<Option<Wish>, SteerError> = match (wish, state.leg, state.step) {
        (Wish::Pause | Wish::Resume, _, _) => Ok(state.wish),
        (Wish::Cancel, _, Step::Cancel) | (Wish::Complete, _, Step::Complete) => Ok(None),
        (Wish::Cancel, Leg::There, step) if step <= Step::Unhold => wished(wish),
        (Wish::Cancel, Leg::Back, step) if step <= Step::Approach && state.switch_tries == 0 => {
            wished(wish)
        }
        (Wish::Cancel, _, _) => Err(SteerError::TooLate),
        (Wish::Reverse, Leg::Back, _) => Ok(None),
        (_, Leg::There, step) if step < Step::Flip => Err(SteerError::TooEarly),
        (_, Leg::There, Step::Flip | Step::Record | Step::Release | Step::Observe) => wished(wish),
        (_, _, _) => Err(SteerError::TooLate),
    };
    let paused = wish == Wish::Pause;
    Ok(State { wish: pending?, paused, steered: state.steered.wrapping_add(1), ..state })
}

/// The state to write, which does what the journal says was asked and the writer has not seen. Only the coordinator does
/// it: it may be further than the journal.
pub(crate) fn merged(mine: State, written: &State, now: Timestamp) -> State {
    if written.steered == mine.steered {
        return heeded(mine, now);
    }
    let State { wish, paused, steered, .. } = *written;
    // Somebody looked at it: what it waited for may be over.
    heeded(State { wish, paused, steered, not_before: now, ..mine }, now)
}

/// Does what was asked where this is the moment for it, and drops what came too late.
fn heeded(state: State, now: Timestamp) -> State {
    let Some(wish) = state.wish else { return state };
    let done = State { wish: None, ..state };
    match (wish, state.leg, state.step) {
        (Wish::Cancel, Leg::There, step) if step <= Step::Approach => {
            to(State { outcome: Some(Outcome::Cancelled), ..done }, Step::Cancel, now)
        }
        (Wish::Cancel, Leg::There, step) if step <= Step::Unhold => state,
        (Wish::Cancel, Leg::Back, step) if step <= Step::Approach && state.switch_tries == 0 => {
            stays(done, now)
        }
        (Wish::Reverse, Leg::There, Step::Observe) => {
            let back = State { leg: Leg::Back, epoch: state.epoch + 1, switch_tries: 0, ..done };
            to(back, Step::CatchUp, now)
        }
        // The invariants are looked at, both sides are compared once more, and then it completes.
        (Wish::Complete, Leg::There, Step::Observe) => {
            State { part: if state.part == 0 { 0 } else { 2 }, ..state }
        }
        (Wish::Reverse | Wish::Complete, Leg::There, Step::Flip | Step::Record | Step::Release) => {
            state
        }
        (Wish::Pause | Wish::Resume | Wish::Cancel | Wish::Reverse | Wish::Complete, _, _) => done,
    }
}

/// The way back is given up before its switch was tried: the module stays.
fn stays(state: State, now: Timestamp) -> State {
    let there = State { leg: Leg::There, epoch: state.epoch - 1, ..state };
    State { part: 1, ..to(there, Step::Observe, now) }
}

fn to(state: State, step: Step, now: Timestamp) -> State {
    State { step, part: 0, tries: 0, since: now, not_before: now, ..state }
}

/// One state on its way to the next.
struct Turn<'p> {
    state: State,
    plan: &'p Plan,
    now: Timestamp,
}

impl Turn<'_> {
    fn taken(self, action: Action, seen: Seen) -> State {
        match action {
            Action::Wait(_) | Action::Rest => self.state,
            Action::Locate => self.made(seen, Step::Preflight),
            Action::Inspect => self.made(seen, Step::Prepare),
            Action::Prepare => self.made(seen, Step::Host),
            Action::MakeReady => self.made(seen, Step::Capture),
            Action::Capture => self.made(seen, Step::Copy),
            Action::Copy => self.made(seen, Step::CatchUp),
            Action::Follow => self.followed(seen),
            Action::Compare => self.compared(seen),
            Action::MoveReads(_) => match seen {
                Seen::Done => State { part: 1, ..self.to(Step::SwitchReads) },
                Seen::Blocked => self.to(Step::Approach),
                _ => self.courtesy(|turn| turn.to(Step::Approach)),
            },
            Action::Hold => match seen {
                Seen::Done => self.to(Step::Fence),
                _ => self.to(Step::Unhold),
            },
            Action::Fence => match seen {
                Seen::Done => self.switched(Step::Record),
                Seen::NotNow | Seen::Failed | Seen::Blocked => self.to(Step::Unhold),
                Seen::NotYet | Seen::TimedOut | Seen::Unknown => self.to(Step::Ask),
                Seen::SourceHas | Seen::NobodyHas | Seen::TargetHas => self.asked(seen),
            },
            Action::Ask => self.asked(seen),
            Action::Unhold => self.unheld(),
            Action::Flip => match seen {
                Seen::Done => self.to(Step::Record),
                // The rows say whether it is still to be done.
                _ => {
                    let failed = self.again(URGENT_AGAIN);
                    State { step: Step::Ask, ..failed }
                }
            },
            Action::Record => match seen {
                Seen::Done => self.to(Step::Release),
                _ => self.again(URGENT_AGAIN),
            },
            Action::Settle => self.settled(seen),
            Action::Audit => match seen {
                Seen::Done | Seen::Blocked => State { part: 1, ..self.to(Step::Observe) },
                _ => self.courtesy(|turn| State { part: 1, ..turn.to(Step::Observe) }),
            },
            Action::Withdraw => match seen {
                Seen::Done => self.part_done(),
                // It switched before: it rolls forward.
                Seen::Unknown => self.to(Step::Ask),
                _ => self.again(STEP_AGAIN),
            },
            Action::ReadsBack | Action::Clean | Action::StopHost => self.cleaned(action, seen),
        }
    }

    fn to(&self, step: Step) -> State {
        to(self.state, step, self.now)
    }

    /// The same again, later.
    fn again(&self, backoff: Backoff) -> State {
        let tries = self.state.tries.saturating_add(1);
        State { tries, not_before: self.now.plus(backoff.after(u32::from(tries))), ..self.state }
    }

    /// The same again, soon; nothing is wrong.
    fn later(&self, wait: Duration) -> State {
        State { tries: 0, not_before: self.now.plus(wait), ..self.state }
    }

    /// It ends where it began: something stands in the way.
    fn refused(&self) -> State {
        to(State { outcome: Some(Outcome::Refused), ..self.state }, Step::Cancel, self.now)
    }

    /// A step before the switch failed. Going back, or with the module there already, there is nothing to give up.
    fn failed(&self) -> State {
        let may_end = self.state.leg == Leg::There && self.state.step < Step::Flip;
        if may_end && self.state.tries >= TRIES_MAX {
            return self.refused();
        }
        let again = self.again(STEP_AGAIN);
        if self.may_have_switched() { State { step: Step::Ask, ..again } } else { again }
    }

    /// A switch was tried that may come about after its answer was waited for: the rows are asked whenever something is
    /// odd, for until they are nobody can write.
    fn may_have_switched(&self) -> bool {
        self.state.switch_tries > 0 && self.state.step <= Step::Approach
    }

    /// A step that something passing keeps from being done: it is waited for as long as it takes, and says so.
    fn not_now(&self) -> State {
        // No failure, but the waits grow.
        let tries = self.state.tries.min(TRIES_MAX - 1);
        Turn { state: State { tries, ..self.state }, ..*self }.again(STEP_AGAIN)
    }

    /// A step that only eases the way is not tried for ever.
    fn courtesy(&self, without: impl FnOnce(&Self) -> State) -> State {
        if self.state.tries >= COURTESY_TRIES_MAX { without(self) } else { self.again(STEP_AGAIN) }
    }

    /// A step that makes something.
    fn made(&self, seen: Seen, then: Step) -> State {
        match seen {
            Seen::Done => self.to(then),
            Seen::NotYet if self.state.step == Step::Copy => self.later(Duration::ZERO),
            Seen::NotYet | Seen::Failed | Seen::TimedOut => self.failed(),
            Seen::NotNow => self.not_now(),
            Seen::Blocked => self.refused(),
            Seen::Unknown | Seen::SourceHas | Seen::NobodyHas | Seen::TargetHas => self.odd(),
        }
    }

    /// The source's row is not what it should be.
    fn odd(&self) -> State {
        if self.may_have_switched() { self.to(Step::Ask) } else { self.failed() }
    }

    fn followed(&self, seen: Seen) -> State {
        match seen {
            Seen::Done => self.caught_up(),
            Seen::NotYet => self.later(Duration::ZERO),
            Seen::NotNow => self.not_now(),
            Seen::Failed | Seen::TimedOut | Seen::Blocked => self.failed(),
            Seen::Unknown | Seen::SourceHas | Seen::NobodyHas | Seen::TargetHas => self.odd(),
        }
    }

    /// Little is left to follow.
    fn caught_up(&self) -> State {
        let resting = self.later(match self.state.step {
            Step::Observe => OBSERVE_EVERY,
            _ => FOLLOW_EVERY,
        });
        if self.state.paused {
            return resting;
        }
        let lasted = self.now.since(self.state.since);
        match self.state.step {
            Step::CatchUp => self.to(Step::Verify),
            Step::SwitchReads => {
                let in_force = self.state.part > 0;
                if !in_force {
                    // There are no more percentages.
                    return self.to(Step::Approach);
                }
                if lasted < Duration::from_secs(self.plan.reads_each_s.into()) {
                    return resting;
                }
                let reads = self.state.reads.saturating_add(1);
                to(State { reads, ..self.state }, Step::SwitchReads, self.now)
            }
            Step::Approach => {
                let switch_tries = self.state.switch_tries.saturating_add(1);
                to(State { switch_tries, ..self.state }, Step::Hold, self.now)
            }
            Step::Observe => {
                let over = self
                    .plan
                    .observe_s
                    .is_some_and(|observe_s| lasted >= Duration::from_secs(observe_s.into()));
                if over { State { part: 2, ..resting } } else { resting }
            }
            Step::Plan
            | Step::Preflight
            | Step::Prepare
            | Step::Host
            | Step::Capture
            | Step::Copy
            | Step::Verify
            | Step::Hold
            | Step::Fence
            | Step::Ask
            | Step::Unhold
            | Step::Flip
            | Step::Record
            | Step::Release
            | Step::Complete
            | Step::Cancel
            | Step::Ended => resting,
        }
    }

    fn compared(&self, seen: Seen) -> State {
        let observing = self.state.step == Step::Observe;
        let wished = self.state.wish == Some(Wish::Complete);
        match seen {
            // Whoever wants it complete gets it, and the certificate says what was found.
            _ if observing && wished => {
                to(State { wish: None, ..self.state }, Step::Complete, self.now)
            }
            Seen::Done if observing => self.to(Step::Complete),
            // They differ: somebody must look before the old side is given up.
            Seen::Blocked if observing => {
                State { part: 1, paused: true, ..self.later(FOLLOW_EVERY) }
            }
            Seen::Done if self.state.leg == Leg::Back => self.to(Step::Approach),
            Seen::Done => self.to(Step::SwitchReads),
            Seen::Blocked if self.state.leg == Leg::Back => {
                State { paused: true, ..stays(self.state, self.now) }
            }
            Seen::Blocked => self.refused(),
            Seen::NotYet => self.later(Duration::ZERO),
            Seen::NotNow => self.not_now(),
            Seen::Failed | Seen::TimedOut => self.failed(),
            Seen::Unknown | Seen::SourceHas | Seen::NobodyHas | Seen::TargetHas => self.odd(),
        }
    }

    /// The source is given up: whatever was decided before, it goes on from here.
    fn switched(&self, step: Step) -> State {
        to(State { outcome: None, ..self.state }, step, self.now)
    }

    fn asked(&self, seen: Seen) -> State {
        match seen {
            // What failed before is still counted: it may be that nothing else than failing goes on.
            Seen::SourceHas => State { tries: self.state.tries, ..self.to(Step::Unhold) },
            Seen::NobodyHas => State { tries: self.state.tries, ..self.switched(Step::Flip) },
            Seen::TargetHas => self.switched(Step::Record),
            Seen::Done
            | Seen::NotYet
            | Seen::NotNow
            | Seen::Blocked
            | Seen::Failed
            | Seen::TimedOut
            | Seen::Unknown => State { step: Step::Ask, ..self.again(URGENT_AGAIN) },
        }
    }

    /// What could not be opened opens by itself.
    fn unheld(&self) -> State {
        if self.state.outcome.is_some() {
            return self.to(Step::Cancel);
        }
        let tries = self.state.switch_tries % SWITCH_TRIES_MAX;
        let wait = SWITCH_AGAIN.after(tries);
        let paused = self.state.paused || tries == 0;
        let not_before = self.now.plus(wait);
        State { paused, not_before, tries: self.state.tries, ..self.to(Step::Approach) }
    }

    fn settled(&self, seen: Seen) -> State {
        match (seen, self.state.leg) {
            (Seen::Done, Leg::There) => self.to(Step::Observe),
            (Seen::Done, Leg::Back) => to(
                State { outcome: Some(Outcome::Reversed), ..self.state },
                Step::Complete,
                self.now,
            ),
            (_, _) => self.again(URGENT_AGAIN),
        }
    }

    fn part_done(&self) -> State {
        State { part: self.state.part + 1, tries: 0, not_before: self.now, ..self.state }
    }

    fn cleaned(&self, action: Action, seen: Seen) -> State {
        let then = |turn: &Self| match action {
            Action::Clean => {
                let outcome = turn.state.outcome.unwrap_or(Outcome::Completed);
                to(State { outcome: Some(outcome), ..turn.state }, Step::Ended, turn.now)
            }
            _ => turn.part_done(),
        };
        if seen == Seen::Done { then(self) } else { self.courtesy(then) }
    }
}
