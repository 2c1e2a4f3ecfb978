//! Where a carve stands, what it does next, and how that may end.

use kernel_api::Timestamp;
use placement_api::{Leg, Outcome, Percent, Step, Wish};
use serde::{Deserialize, Serialize};

/// Where a carve stands: all that decides what it does next. It is written down before it is acted on, except for what
/// happens inside the pause, which the fence rows tell as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct State {
    /// Which way it goes.
    pub leg: Leg,
    /// Where it is.
    pub step: Step,
    /// Which of the step's actions is next.
    pub part: u8,
    /// The epoch of the side that is the source on this leg; the switch makes it one more.
    pub epoch: u64,
    /// It goes no further.
    pub paused: bool,
    /// What was asked of it and is not done yet: reverse, complete or cancel.
    pub wish: Option<Wish>,
    /// How often something was asked of it: whoever writes a state knows by it whether it missed a wish.
    pub steered: u32,
    /// Failures of the action in a row.
    pub tries: u8,
    /// Tries of the switch on this leg.
    pub switch_tries: u32,
    /// How many of the plan's percentages of reads are in force or were.
    pub reads: u8,
    /// How it ends, from when that is decided.
    pub outcome: Option<Outcome>,
    /// When the step began.
    pub since: Timestamp,
    /// Nothing is done before.
    pub not_before: Timestamp,
}

impl State {
    /// A carve that was wished just now.
    pub fn begun(epoch: u64, now: Timestamp) -> Self {
        Self {
            leg: Leg::There,
            step: Step::Plan,
            part: 0,
            epoch,
            paused: false,
            wish: None,
            steered: 0,
            tries: 0,
            switch_tries: 0,
            reads: 0,
            outcome: None,
            since: now,
            not_before: now,
        }
    }

    /// Which leg's source is followed and compared now, and its epoch: while it is observed, the new owner.
    pub fn followed(&self) -> (Leg, u64) {
        match (self.leg, self.step) {
            (Leg::There, Step::Observe) => (Leg::Back, self.epoch + 1),
            (leg, _) => (leg, self.epoch),
        }
    }

    /// Is it over?
    pub fn is_over(&self) -> bool {
        self.step == Step::Ended
    }

    /// Does its next action belong to the pause, or to what follows without a look at the journal? Then the state is not
    /// written first: whoever finds the one before asks the rows. One that has failed is.
    pub fn is_hot(&self) -> bool {
        let hot = matches!(self.step, Step::Fence | Step::Unhold | Step::Flip | Step::Record);
        hot && self.tries == 0
    }
}

/// What is done next. Each may be done again by whoever comes after, from the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    /// Nothing, until then or until somebody wants something.
    Wait(Timestamp),
    /// Nothing any more.
    Rest,
    /// Find out where both sides' data is.
    Locate,
    /// Look for what stands in the way.
    Inspect,
    /// Make and seal the target's tables.
    Prepare,
    /// Make a process of the target ready.
    MakeReady,
    /// Have the source write down what changes.
    Capture,
    /// Copy rows for a while.
    Copy,
    /// Follow what changed at the source of this leg; while observing, at the owner.
    Follow,
    /// Compare both sides.
    Compare,
    /// Lead this part of the reads to the target.
    MoveReads(Percent),
    /// Park writes in the proxy and close every gate.
    Hold,
    /// Fence the source, follow to the end, give it up, open the target; from then on the target writes down what changes.
    Fence,
    /// Read both fence rows.
    Ask,
    /// Open every gate and the proxy; nothing has changed.
    Unhold,
    /// Open the target.
    Flip,
    /// Tell placement, and write down that it is told.
    Record,
    /// Tell every process, open every gate, lead the proxy to the owner.
    Settle,
    /// Check the module's invariants.
    Audit,
    /// Take the capture away, in the lock that a switch needs: after it none can come about.
    Withdraw,
    /// Lead all reads back to the source.
    ReadsBack,
    /// Remove all that the carve made in both databases.
    Clean,
    /// End the process that no longer has the module.
    StopHost,
}

/// How an action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Seen {
    /// All of it is done.
    Done,
    /// Some of it is done; there is more.
    NotYet,
    /// Something that passes was in the way; nothing was done.
    NotNow,
    /// Something that does not pass stands in the way, or both sides differ.
    Blocked,
    /// It failed, and what it would have decided is not decided.
    Failed,
    /// It gave no answer in time, and may still go on.
    TimedOut,
    /// The rows are not as they should be, or an answer was lost: a switch may have come about.
    Unknown,
    /// The source's row is as it was.
    SourceHas,
    /// The source is given up, the target is not open.
    NobodyHas,
    /// The target is open.
    TargetHas,
}
