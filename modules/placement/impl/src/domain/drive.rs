//! The coordinator without its hands: which of lease, journal and action comes next. It is told what happened and says
//! what to do; the worker and the simulation do it.

use kernel_api::Timestamp;
use placement_api::Plan;

use super::{
    limits::LOOK_EVERY,
    machine::{after, next, restarted},
    state::{Action, Seen, State},
};

/// What the coordinator wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Do {
    /// Take the carve's lease, and read its state.
    Take,
    /// Write [`Drive::state`], under the lease, merged with what was asked meanwhile.
    Write,
    /// In one transaction: tell placement that the target owns the module since the next epoch, and write what
    /// [`Drive::state`] becomes when that is done.
    Record,
    /// Do this.
    Perform(Action),
    /// Wait until then; less is no harm.
    Sleep(Timestamp),
    /// Leave the carve: it is over, or another's.
    Leave,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A worker came by a carve that is not over.
    Found,
    /// The lease is ours; this is the state in the journal.
    Taken(State),
    /// It is written, and this is what it became by what was asked meanwhile.
    Written(State),
    /// The lease is another's.
    NotOurs,
    /// It was not written, or it is not known.
    NotWritten,
    /// The action ended so.
    Performed(Seen),
    /// It is later.
    Slept,
}

/// One carve in a coordinator's hands.
#[derive(Debug, Default)]
pub(crate) struct Drive {
    state: Option<State>,
    doing: Option<Do>,
}

impl Drive {
    /// A carve that was found.
    pub fn new() -> Self {
        Self::default()
    }

    /// The state to write, or in force.
    pub fn state(&self) -> Option<State> {
        self.state
    }

    /// What to do after `event`.
    pub fn on(&mut self, event: Event, plan: &Plan, now: Timestamp) -> Do {
        let next = self.decided(event, plan, now);
        self.doing = Some(next);
        next
    }

    fn decided(&mut self, event: Event, plan: &Plan, now: Timestamp) -> Do {
        match (event, self.state) {
            (Event::NotOurs, _) => Do::Leave,
            (Event::Found, _) | (_, None) if !matches!(event, Event::Taken(_)) => Do::Take,
            (Event::Taken(state), _) => {
                self.state = Some(restarted(state, now));
                if state.is_over() { Do::Leave } else { Do::Write }
            }
            (Event::Written(state), _) => {
                self.state = Some(state);
                act(state, plan, now)
            }
            (Event::Performed(seen), Some(state)) => self.performed(state, seen, plan, now),
            (Event::NotWritten, Some(state)) => self.not_written(state, plan, now),
            // What was asked meanwhile is in the journal.
            (Event::Slept | Event::Found, _) | (Event::Performed(_) | Event::NotWritten, None) => {
                Do::Write
            }
        }
    }

    fn performed(&mut self, state: State, seen: Seen, plan: &Plan, now: Timestamp) -> Do {
        let Some(Do::Perform(action)) = self.doing else { return Do::Write };
        let state = after(state, action, seen, plan, now);
        self.state = Some(state);
        if state.is_hot() { act(state, plan, now) } else { Do::Write }
    }

    /// The journal is away. What was to be written stays to be written; telling placement is tried again by the
    /// machine's own rule.
    fn not_written(&mut self, state: State, plan: &Plan, now: Timestamp) -> Do {
        if self.doing != Some(Do::Record) {
            return Do::Sleep(now.plus(LOOK_EVERY));
        }
        let state = after(state, Action::Record, Seen::Failed, plan, now);
        self.state = Some(state);
        Do::Sleep(state.not_before)
    }
}

fn act(state: State, plan: &Plan, now: Timestamp) -> Do {
    match next(&state, plan, now) {
        Action::Rest => Do::Leave,
        Action::Wait(until) => Do::Sleep(until.min(now.plus(LOOK_EVERY))),
        Action::Record => Do::Record,
        action => Do::Perform(action),
    }
}
