//! One carve in this process's hands: what it knows of it, and the doing of one action within its bound.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use contract::Never;
use kernel_api::Id;
use placement_api::{Address, Carve, Leg, Percent, Placed, Plan, Process, Step, Wish};

use crate::{
    desk::Desk,
    domain::{
        Action, At, Event, Seen, State,
        limits::{LOOK_EVERY, RENEW_EVERY},
    },
    movement::{Move, Movement, Trouble},
    store::{self, CarveRow, Line},
};

/// How long a carve may take to be read.
const READ_TIME: Duration = Duration::from_secs(5);

/// One carve in this process's hands.
pub(super) struct Hands {
    pub desk: Arc<Desk>,
    /// As last read; its facts are ours and newer.
    pub row: CarveRow,
    /// The rows by which the target's data is known to have been given up before.
    pub given_up: Vec<At>,
    /// Steps that began and are not in the journal yet.
    pub lines: Vec<Line>,
    /// The gates that were closed, while they are.
    pub closed: Option<Closed>,
    /// The hands of the move, kept with their connections under one lease.
    pub movement: Option<Arc<dyn Movement>>,
    /// Which part of the reads the proxy leads ahead by our word, and where.
    pub led: Option<(Percent, Address)>,
    last: Option<(Leg, Step)>,
}

/// The gates of a module, which began to close for a switch.
pub(super) struct Closed {
    /// When.
    pub at: Instant,
    /// Whose they are, and where the module will be: so that nobody has to read it again while everybody waits. Taken when
    /// they open; whoever needs it once more reads it anew.
    pub known: Option<(Vec<Process>, Placed)>,
}

impl Hands {
    /// The carve as the journal has it.
    pub async fn of(desk: Arc<Desk>, id: Id<Carve>) -> Result<Self, String> {
        let row = desk
            .store
            .read(&desk.call(READ_TIME), move |c| Ok(store::carve(c, id)?))
            .await
            .map_err(|fault: contract::Fault<Never>| fault.to_string())?
            .ok_or_else(|| "it is not in the journal".to_owned())?;
        let (lines, given_up) = (Vec::new(), Vec::new());
        let (closed, movement, led, last) = Default::default();
        Ok(Self { desk, row, given_up, lines, closed, movement, led, last })
    }

    /// How it is gone about.
    pub fn plan(&self) -> &Plan {
        &self.row.plan
    }

    /// Takes note of a step that began.
    pub fn notice(&mut self, state: Option<State>) {
        let Some(state) = state else { return };
        if self.last.replace((state.leg, state.step)) == Some((state.leg, state.step)) {
            return;
        }
        let says = self.row.facts.says.clone();
        self.lines.push(self.line(&state, says));
        tracing::info!(
            carve = %self.row.id, module = %self.row.module, leg = ?state.leg,
            step = state.step.as_str(), epoch = state.epoch, "a carve's step begins"
        );
    }

    pub fn line(&self, state: &State, says: String) -> Line {
        Line { leg: state.leg, step: state.step, says, at: self.desk.store.clock().now() }
    }

    /// The hands of the move, once both places are known.
    pub fn movement(&mut self) -> Result<Arc<dyn Movement>, Trouble> {
        if let Some(movement) = &self.movement {
            return Ok(Arc::clone(movement));
        }
        let (Some(from), Some(to)) = (&self.row.source_data, &self.row.target_data) else {
            return Err(Trouble::Failed("where the data is was not found out yet".into()));
        };
        let movement = self.desk.movements.of(&Move {
            carve: self.row.id,
            module: self.row.module.clone(),
            from: from.clone(),
            to: to.clone(),
            given_up: self.given_up.clone(),
        })?;
        self.movement = Some(Arc::clone(&movement));
        Ok(movement)
    }

    /// Does one action within its bound, and keeps the lease meanwhile.
    pub async fn perform(&mut self, action: Action, state: &State) -> Event {
        let (desk, id, term) = (Arc::clone(&self.desk), self.row.id, self.row.term);
        let bound = bound(action);
        let seen = tokio::select! {
            ended = tokio::time::timeout(bound, self.act(action, state)) => match ended {
                Ok(Ok(seen)) => seen,
                Ok(Err(trouble)) => {
                    let (seen, why) = trouble.seen();
                    self.row.facts.says = format!("{}: {why}", words(action));
                    seen
                }
                Err(_elapsed) => {
                    let bound_s = bound.as_secs();
                    self.row.facts.says = format!("{}: no end in {bound_s} s", words(action));
                    Seen::TimedOut
                }
            },
            () = lost(Arc::clone(&desk), id, term) => return Event::NotOurs,
            // Whoever wants it back does not wait until the books are read.
            () = called_back(desk, id), if action == Action::Audit => Seen::NotYet,
        };
        if !matches!(seen, Seen::Done | Seen::NotYet) {
            tracing::info!(carve = %id, ?action, ?seen, says = self.row.facts.says, "not done");
        }
        Event::Performed(seen)
    }
}

/// Comes back when the lease is another's for certain.
async fn lost(desk: Arc<Desk>, id: Id<Carve>, term: u64) {
    loop {
        tokio::time::sleep(RENEW_EVERY).await;
        if super::journal::renew(&desk, id, term).await == Some(false) {
            return;
        }
    }
}

/// Comes back when somebody wants the module where it was.
async fn called_back(desk: Arc<Desk>, id: Id<Carve>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let call = desk.call(READ_TIME);
        let row = desk.store.read::<_, Never>(&call, move |c| Ok(store::carve(c, id)?));
        if let Ok(Some(row)) = row.await
            && row.state.wish == Some(Wish::Reverse)
        {
            return;
        }
    }
}

/// How long an action may take; after that it is taken to have an unknown end. Inside the pause these are far above
/// what it takes, and below what a closed gate waits for.
fn bound(action: Action) -> Duration {
    match action {
        Action::Hold | Action::Unhold => Duration::from_millis(500),
        Action::Fence | Action::Flip => Duration::from_secs(2),
        Action::Ask | Action::Settle => Duration::from_secs(3),
        Action::Wait(_) | Action::Rest | Action::Record => Duration::from_secs(5),
        Action::Locate | Action::MoveReads(_) | Action::ReadsBack => Duration::from_secs(10),
        // A process starts, or a lock is waited for behind a long transaction.
        Action::MakeReady | Action::StopHost | Action::Capture | Action::Withdraw => {
            Duration::from_secs(60)
        }
        // A batch of a slice, however slow the disk.
        Action::Copy | Action::Follow => Duration::from_secs(120),
        // These read or remove all of it.
        Action::Inspect | Action::Prepare | Action::Audit | Action::Clean => {
            Duration::from_secs(600)
        }
        Action::Compare => Duration::from_secs(3600),
    }
}

/// What it was about, for people.
fn words(action: Action) -> &'static str {
    match action {
        Action::Wait(_) | Action::Rest => "waits",
        Action::Locate => "cannot find out where the data is",
        Action::Inspect => "cannot move",
        Action::Prepare => "cannot make the target's tables",
        Action::MakeReady => "the target's process is not ready",
        Action::Capture => "cannot capture changes",
        Action::Copy => "cannot copy",
        Action::Follow => "cannot follow",
        Action::Compare => "not equal",
        Action::MoveReads(_) => "reads do not move",
        Action::Hold | Action::Fence => "gave up before the fence",
        Action::Ask => "cannot tell which side has it",
        Action::Unhold => "gates open by themselves",
        Action::Flip => "cannot open the target",
        Action::Record => "placement is not told",
        Action::Settle => "the owner's processes do not know yet",
        Action::Audit => "the invariants were not checked",
        Action::Withdraw => "cannot take the capture away",
        Action::ReadsBack => "reads were not led back",
        Action::Clean => "cannot remove what it made",
        Action::StopHost => "the process was not ended",
    }
}
