//! The machine checked by exhaustion: every state that it can get into together with the two fence rows, the captures,
//! the journal, placement's row, a coordinator that may die or be late at any point, and an operator who may want anything.
//!
//! The transitions are the code's own. Safety is looked at in each state; that each reaches an end is looked at backwards
//! from the ends. Tries are told apart only as none, some and the most; time as enough.
#![allow(clippy::print_stderr, reason = "how many states there are is worth knowing")]

use std::collections::{HashMap, VecDeque};

use kernel_api::Timestamp;
use placement_api::{Leg, Outcome, Percent, Plan, Wish};

use crate::domain::{
    Action, Seen, State, after,
    limits::{SWITCH_TRIES_MAX, TRIES_MAX},
    merged, next, restarted, stands, steered,
};

/// The epoch at which it begins.
const FIRST: u64 = 1;

/// What a database's fence row says, and whether changes are captured there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Side {
    epoch: u64,
    owner: &'static str,
    captured: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct World {
    from: Side,
    to: Side,
    /// Placement's row.
    place: (u64, &'static str),
    journal: State,
    /// A coordinator at work, with what it has not written yet.
    mind: Option<State>,
    /// A switch whose coordinator gave up on it, or died asleep: it may still come about.
    late: Option<(Leg, u64)>,
}

const FROM: &str = "from";
const TO: &str = "to";
const SEALED: &str = "carve:";

fn now() -> Timestamp {
    Timestamp::from_micros(0)
}

fn owner(leg: Leg) -> &'static str {
    match leg {
        Leg::There => TO,
        Leg::Back => FROM,
    }
}

impl World {
    fn begun() -> Self {
        let from = Side { epoch: FIRST, owner: FROM, captured: false };
        let to = Side { epoch: FIRST, owner: SEALED, captured: false };
        let journal = settled(State::begun(FIRST, now()));
        Self { from, to, place: (FIRST, FROM), journal, mind: None, late: None }
    }

    fn source(&self, leg: Leg) -> (Side, Side) {
        match leg {
            Leg::There => (self.from, self.to),
            Leg::Back => (self.to, self.from),
        }
    }

    fn with(self, leg: Leg, source: Side, target: Side) -> Self {
        match leg {
            Leg::There => Self { from: source, to: target, ..self },
            Leg::Back => Self { from: target, to: source, ..self },
        }
    }

    /// Does a switch from this epoch come about, if it is tried now?
    fn switchable(&self, leg: Leg, epoch: u64) -> bool {
        let (source, target) = self.source(leg);
        let giver = if leg == Leg::There { FROM } else { TO };
        let follows = match leg {
            Leg::There => target.owner == SEALED,
            Leg::Back => target.owner == TO && target.epoch == epoch,
        };
        source.captured && (source.epoch, source.owner) == (epoch, giver) && follows
    }

    fn given_up(self, leg: Leg, epoch: u64) -> Self {
        let (_, target) = self.source(leg);
        self.with(leg, Side { epoch: epoch + 1, owner: owner(leg), captured: false }, target)
    }

    fn opened(self, leg: Leg, epoch: u64) -> Self {
        let (source, _) = self.source(leg);
        self.with(leg, source, Side { epoch: epoch + 1, owner: owner(leg), captured: true })
    }

    /// What may have happened, and been seen, when an action was done.
    fn acted(self, state: &State, action: Action) -> Vec<(Self, Seen)> {
        let (leg, epoch) = (state.leg, state.epoch);
        let same = |seen: &[Seen]| seen.iter().map(|seen| (self, *seen)).collect::<Vec<_>>();
        let failing = [Seen::NotYet, Seen::NotNow, Seen::Failed, Seen::TimedOut];
        let (source, target) = self.source(leg);
        match action {
            Action::Wait(_) | Action::Rest | Action::Record => Vec::new(),
            Action::Fence => self.fenced(leg, epoch),
            Action::Ask => {
                let seen = stands(
                    Some((source.epoch, source.owner)),
                    Some((target.epoch, target.owner)),
                    epoch,
                    owner(leg),
                );
                [same(&[seen]), same(&[Seen::Failed, Seen::TimedOut])].concat()
            }
            Action::Flip => {
                let mut seen = same(&failing);
                if (source.epoch, source.owner) == (epoch + 1, owner(leg)) {
                    let opened = self.opened(leg, epoch);
                    seen.extend([(opened, Seen::Done), (opened, Seen::TimedOut)]);
                }
                seen
            }
            Action::Capture => {
                let captured = self.with(leg, Side { captured: true, ..source }, target);
                [same(&failing), same(&[Seen::Blocked]), vec![(captured, Seen::Done)]].concat()
            }
            Action::Follow => {
                let (leg, epoch) = state.followed();
                let (source, _) = self.source(leg);
                let giver = if leg == Leg::There { FROM } else { TO };
                let there = (source.epoch, source.owner) == (epoch, giver);
                let best = if there { Seen::Done } else { Seen::Unknown };
                [same(&failing), same(&[best])].concat()
            }
            Action::Withdraw => {
                let mut seen = same(&failing);
                if source.epoch == epoch {
                    let gone = self.with(leg, Side { captured: false, ..source }, target);
                    seen.extend([(gone, Seen::Done), (gone, Seen::TimedOut)]);
                } else {
                    seen.push((self, Seen::Unknown));
                }
                seen
            }
            Action::Clean => {
                let off = |side| Side { captured: false, ..side };
                let gone = Self { from: off(self.from), to: off(self.to), ..self };
                vec![(gone, Seen::Done), (self, Seen::Failed), (gone, Seen::TimedOut)]
            }
            Action::Locate
            | Action::Inspect
            | Action::Prepare
            | Action::MakeReady
            | Action::Copy
            | Action::Compare
            | Action::MoveReads(_)
            | Action::Hold
            | Action::Unhold
            | Action::Settle
            | Action::Audit
            | Action::ReadsBack
            | Action::StopHost => [same(&failing), same(&[Seen::Done, Seen::Blocked])].concat(),
        }
    }

    fn fenced(self, leg: Leg, epoch: u64) -> Vec<(Self, Seen)> {
        let late = Self { late: Some((leg, epoch)), ..self };
        let mut seen = vec![
            (self, Seen::NotNow),
            (self, Seen::Failed),
            (self, Seen::TimedOut),
            (self, Seen::Unknown),
            (late, Seen::TimedOut),
        ];
        if self.switchable(leg, epoch) {
            let up = self.given_up(leg, epoch);
            let done = up.opened(leg, epoch);
            let lost = [Seen::TimedOut, Seen::Unknown];
            seen.extend(lost.map(|lost| (up, lost)));
            seen.extend(lost.map(|lost| (done, lost)));
            seen.push((done, Seen::Done));
        }
        seen
    }

    /// Everything that may happen next.
    fn successors(self, plan: &Plan) -> Vec<Self> {
        let mut all = Vec::new();
        if let Some((leg, epoch)) = self.late {
            all.push(Self { late: None, ..self });
            if self.switchable(leg, epoch) {
                let up = Self { late: None, ..self.given_up(leg, epoch) };
                all.extend([up, up.opened(leg, epoch)]);
            }
        }
        for wish in [Wish::Pause, Wish::Resume, Wish::Reverse, Wish::Complete, Wish::Cancel] {
            if let Ok(journal) = steered(self.journal, wish) {
                // That something was asked is known; how often does not matter.
                let journal = State { steered: 1, ..journal };
                all.extend(spread(journal).map(|journal| Self { journal, ..self }));
            }
        }
        match self.mind {
            None if self.journal.is_over() => {}
            None => {
                let state = State { steered: 0, ..self.journal };
                let journal = State { steered: 0, ..self.journal };
                all.extend(Self { journal, ..self }.written(restarted(state, now())));
            }
            Some(state) => {
                // It dies, awake or asleep.
                all.push(Self { mind: None, ..self });
                all.extend(self.thought(state, plan));
            }
        }
        all
    }

    fn thought(self, state: State, plan: &Plan) -> Vec<Self> {
        let action = next(&state, plan, now());
        if action == Action::Record {
            let mut all = self.recorded(state, plan);
            let failed = after(state, action, Seen::Failed, plan, now());
            all.extend(spread(failed).flat_map(|failed| self.written(failed)));
            return all;
        }
        let acted = self.acted(&state, action).into_iter();
        let mut all: Vec<Self> = acted
            .flat_map(|(world, seen)| {
                let state = after(state, action, seen, plan, now());
                spread(state).flat_map(move |state| {
                    if state.is_hot() {
                        vec![Self { mind: Some(state), ..world }]
                    } else {
                        world.written(state)
                    }
                })
            })
            .collect();
        if action == Action::Fence {
            // It falls asleep inside, and is taken for dead.
            let late = Some((state.leg, state.epoch));
            all.push(Self { mind: None, late, ..self });
        }
        if matches!(action, Action::Wait(_)) {
            all.extend(self.written(state));
        }
        all
    }

    fn written(self, state: State) -> Vec<Self> {
        let journal = settled(State { steered: 0, ..merged(state, &self.journal, now()) });
        let mind = (!journal.is_over()).then_some(journal);
        vec![Self { journal, mind, ..self }]
    }

    fn recorded(self, state: State, plan: &Plan) -> Vec<Self> {
        let at = (state.epoch + 1, owner(state.leg));
        let place = if at.0 > self.place.0 { at } else { self.place };
        let state = merged(state, &self.journal, now());
        let state = after(state, Action::Record, Seen::Done, plan, now());
        Self { place, journal: State { steered: 0, ..state }, ..self }.written(state)
    }

    /// What must hold in each state.
    fn check(&self) {
        let owners = [(self.from, FROM), (self.to, TO)];
        let owning = owners.iter().filter(|(side, name)| side.owner == *name);
        let [owning, epoch] = [owning.count() as u64, self.from.epoch.max(self.to.epoch)];
        assert!(owning <= 1, "two owners: {self:?}");
        let open = owners.iter().any(|(side, name)| side.owner == *name && side.epoch == epoch);
        assert!(self.place.0 <= epoch, "placement is ahead of the rows: {self:?}");
        if self.place.0 == epoch {
            assert!(open, "placement names an owner who is not open: {self:?}");
        }
        if !self.journal.is_over() {
            return;
        }
        let (at, who) = match self.journal.outcome {
            Some(Outcome::Completed) => (FIRST + 1, TO),
            Some(Outcome::Reversed) => (FIRST + 2, FROM),
            Some(Outcome::Cancelled | Outcome::Refused) => (FIRST, FROM),
            None => panic!("an end without an outcome: {self:?}"),
        };
        assert!(open && epoch == at, "it ended on the wrong side: {self:?}");
        assert_eq!(self.place, (at, who), "{self:?}");
        if let Some((leg, epoch)) = self.late {
            assert!(
                !self.switchable(leg, epoch),
                "a switch may come about after the end: {self:?}"
            );
        }
    }
}

/// A state without what does not matter: times.
fn settled(state: State) -> State {
    State { since: now(), not_before: now(), ..state }
}

/// Tries are none, some, or the most there are: any number of them may have gone before.
fn spread(state: State) -> impl Iterator<Item = State> {
    let tries: &[u8] = if state.tries == 0 { &[0] } else { &[1, TRIES_MAX] };
    let switches: &[u32] = if state.switch_tries == 0 { &[0] } else { &[1, SWITCH_TRIES_MAX] };
    let state = settled(state);
    tries.iter().flat_map(move |tries| {
        switches.iter().map(move |switch_tries| State {
            tries: *tries,
            switch_tries: *switch_tries,
            ..state
        })
    })
}

/// Looks at every state there is.
fn explore(plan: &Plan) -> usize {
    let mut numbers = HashMap::new();
    let mut before: Vec<Vec<usize>> = vec![Vec::new()];
    let mut ends = Vec::new();
    let mut found = VecDeque::from([World::begun()]);
    numbers.insert(World::begun(), 0);
    while let Some(world) = found.pop_front() {
        let number = numbers[&world];
        world.check();
        if world.journal.is_over() {
            ends.push(number);
        }
        for then in world.successors(plan) {
            let fresh = numbers.len();
            let to = *numbers.entry(then).or_insert_with(|| {
                found.push_back(then);
                before.push(Vec::new());
                fresh
            });
            before[to].push(number);
        }
    }
    let mut reaches = vec![false; before.len()];
    while let Some(number) = ends.pop() {
        if !std::mem::replace(&mut reaches[number], true) {
            ends.extend(&before[number]);
        }
    }
    let lost = numbers.iter().find(|(_, number)| !reaches[**number]);
    assert!(lost.is_none(), "no end is reached from {:?}", lost.map(|(world, _)| world));
    reaches.len()
}

#[test]
fn whatever_happens_there_is_one_owner_and_an_end() {
    for observe_s in [None, Some(0)] {
        for reads in [Vec::new(), vec![Percent::new(50).unwrap()]] {
            let plan = Plan { observe_s, reads, reads_each_s: 0, copy_rows_per_s: None };
            let states = explore(&plan);
            eprintln!("{states} states with {plan:?}");
            assert!(states > 1000, "{states} states are too few to prove anything");
        }
    }
}
