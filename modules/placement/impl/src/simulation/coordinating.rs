//! The coordinators: the production `Drive` with hands that reach into the simulated world.

use std::rc::Rc;

use kernel_api::Timestamp;
use placement_api::{Leg, Plan};

use super::{
    database::Who,
    moving::{Scene, Stepped, Task},
    world::{Event, MONOLITHS, World},
};
use crate::domain::{
    Action, Do, Drive, Event as Told, Seen, State, after,
    limits::{HOLD_TTL, LEASE, LOOK_EVERY},
    merged,
};

/// A carve in a process's hands.
#[derive(Debug)]
pub(super) struct Agent {
    drive: Drive,
    carve: usize,
    term: u64,
    plan: Rc<Plan>,
    doing: Do,
    /// The task whose end it waits for.
    waits_for: Option<usize>,
}

fn micros(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_micros()).expect("a short time")
}

impl World {
    fn clock(&self, process: usize) -> Timestamp {
        // So that no skew makes it negative.
        Timestamp::from_micros(100_000_000 + self.now + self.processes[process].skew)
    }

    /// A worker looks for a carve that nobody works at.
    pub fn look(&mut self, process: usize) {
        self.after(micros(LOOK_EVERY), Event::Look(process));
        let looker = &self.processes[process];
        if !looker.is_alive || looker.frozen_until > self.now || looker.agent.is_some() {
            return;
        }
        let Some(carve) = self.open_carve() else { return };
        if self.carves[carve].lease_until > self.clock(process).micros() {
            return;
        }
        let plan = Rc::clone(&self.carves[carve].plan);
        let agent =
            Agent { drive: Drive::new(), carve, term: 0, plan, doing: Do::Leave, waits_for: None };
        self.processes[process].agent = Some(agent);
        self.decide(process, Told::Found);
    }

    /// The coordinator is told what happened, and decides.
    fn decide(&mut self, process: usize, told: Told) {
        let now = self.clock(process);
        let chosen = &mut self.processes[process];
        let Some(agent) = &mut chosen.agent else { return };
        agent.doing = agent.drive.on(told, &agent.plan, now);
        agent.waits_for = None;
        chosen.decisions += 1;
        let (doing, decision) = (agent.doing, chosen.decisions);
        if !matches!(doing, Do::Sleep(_)) {
            self.tell(|_| format!("coordinator {process}: {told:?} -> {doing:?}"));
        }
        let wait = match doing {
            Do::Sleep(until) => (until.micros() - now.micros()).max(0),
            _ => self.chance.between(10, 500),
        };
        self.after(wait, Event::Agent(process, decision));
    }

    /// Does the process live and not sleep? If it sleeps, the event comes when it wakes.
    fn is_awake(&mut self, process: usize, event: Event) -> bool {
        let asked = &self.processes[process];
        let (alive, frozen) = (asked.is_alive, asked.frozen_until - self.now);
        if alive && frozen > 0 {
            self.after(frozen, event);
        }
        alive && frozen <= 0
    }

    /// The coordinator does what it decided.
    pub fn agent(&mut self, process: usize, decision: u32) {
        if self.processes[process].decisions != decision
            || !self.is_awake(process, Event::Agent(process, decision))
        {
            return;
        }
        let Some(agent) = &self.processes[process].agent else { return };
        match agent.doing {
            Do::Take => self.take(process),
            Do::Write => self.write(process, false),
            Do::Record => self.write(process, true),
            Do::Perform(action) => self.perform(process, action),
            Do::Sleep(_) => self.decide(process, Told::Slept),
            Do::Leave => self.processes[process].agent = None,
        }
    }

    fn take(&mut self, process: usize) {
        let now = self.clock(process);
        let until = now.plus(LEASE).micros();
        let Some(agent) = &mut self.processes[process].agent else { return };
        let carve = &mut self.carves[agent.carve];
        let told = if carve.lease_until > now.micros() || carve.state.is_over() {
            Told::NotOurs
        } else {
            carve.term += 1;
            carve.lease_until = until;
            agent.term = carve.term;
            Told::Taken(carve.state)
        };
        self.decide(process, told);
    }

    /// One transaction of placement's store. It may fail, or its answer may be lost.
    fn write(&mut self, process: usize, record: bool) {
        let now = self.clock(process);
        if self.chance.is(self.faults.journal) {
            return self.decide(process, Told::NotWritten);
        }
        let Some(agent) = &self.processes[process].agent else { return };
        let (number, term, plan) = (agent.carve, agent.term, Rc::clone(&agent.plan));
        let Some(state) = agent.drive.state() else { return };
        let carve = &mut self.carves[number];
        if carve.term != term || carve.state.is_over() {
            return self.decide(process, Told::NotOurs);
        }
        let mut written = merged(state, &carve.state, now);
        if record {
            let at = (written.epoch + 1, taker(carve.from, carve.to, written.leg));
            if at.0 > self.place.0 {
                self.place = at;
            }
            written = after(written, Action::Record, Seen::Done, &plan, now);
        }
        carve.state = written;
        carve.lease_until = if written.is_over() { now.micros() } else { now.plus(LEASE).micros() };
        if self.chance.is(self.faults.journal) {
            return self.decide(process, Told::NotWritten);
        }
        self.decide(process, Told::Written(written));
    }

    fn perform(&mut self, process: usize, action: Action) {
        let Some(agent) = &self.processes[process].agent else { return };
        let number = agent.carve;
        let Some(state) = agent.drive.state() else { return };
        let Some(slot) = self.tasks.iter().position(Option::is_none).or_else(|| {
            self.tasks.push(None);
            Some(self.tasks.len() - 1)
        }) else {
            return;
        };
        self.started += 1;
        let who = Who { carve: number_of(number), task: self.started };
        self.tasks[slot] = Some(self.task(process, action, who, &state));
        if let Some(agent) = &mut self.processes[process].agent {
            agent.waits_for = Some(slot);
        }
        let decision = self.processes[process].decisions;
        if self.chance.is(self.faults.impatience) {
            let patience = self.chance.between(20, 20_000);
            self.after(patience, Event::Impatient(process, decision));
        }
        let first = self.chance.between(10, 400);
        self.after(first, Event::Task(slot));
    }

    fn task(&self, process: usize, action: Action, who: Who, state: &State) -> Task {
        let carve = &self.carves[usize::try_from(who.carve).expect("few carves") - 1];
        let (leg, epoch) = match action {
            Action::Follow | Action::Compare => state.followed(),
            _ => (state.leg, state.epoch),
        };
        let sides = match leg {
            Leg::There => (carve.from, carve.to),
            Leg::Back => (carve.to, carve.from),
        };
        Task::new(process, action, who, (leg, epoch), sides)
    }

    /// The coordinator has no answer in time; what it asked for may still happen.
    pub fn impatient(&mut self, process: usize, decision: u32) {
        if self.processes[process].decisions == decision
            && self.is_awake(process, Event::Impatient(process, decision))
            && self.processes[process].agent.is_some()
        {
            self.decide(process, Told::Performed(Seen::TimedOut));
        }
    }

    /// The next effect of an action.
    pub fn step(&mut self, slot: usize) {
        let Some(process) = self.tasks[slot].as_ref().map(|task| task.process) else { return };
        if !self.is_awake(process, Event::Task(slot)) {
            return;
        }
        let Some(mut task) = self.tasks[slot].take() else { return };
        let stepped = match task.action {
            Action::Hold | Action::Unhold | Action::Settle => self.seats(&mut task),
            Action::MakeReady => {
                let there = self.of_side(task.target).next().is_some();
                Stepped::End(if there { Seen::Done } else { Seen::Failed })
            }
            Action::MoveReads(_) | Action::ReadsBack | Action::StopHost
                if self.chance.is(self.faults.loss) =>
            {
                Stepped::End(Seen::Failed)
            }
            _ => task.step(&mut Scene {
                databases: &mut self.databases,
                chance: &mut self.chance,
                now: self.now,
                bug: self.bug,
            }),
        };
        self.look_at_owners();
        match stepped {
            Stepped::Next(wait) => {
                self.tasks[slot] = Some(task);
                self.after(wait, Event::Task(slot));
                if self.chance.is(self.faults.between) {
                    if self.chance.is(300) { self.crash(process) } else { self.freeze(process) }
                }
            }
            Stepped::End(seen) => {
                self.tell(|_| format!("task {slot} of {process}: {:?} {seen:?}", task.action));
                let asked = self.processes[process].agent.as_ref();
                if asked.is_some_and(|agent| agent.waits_for == Some(slot)) {
                    self.decide(process, Told::Performed(seen));
                }
            }
        }
    }

    /// One process after the other is told to close or open its gate; the owner's own first where it is told who owns.
    fn seats(&mut self, task: &mut Task) -> Stepped {
        let count = self.processes.len();
        let asked = usize::from(task.at);
        if asked >= count {
            return Stepped::End(self.seated(task));
        }
        let first = if task.target == 0 { 0 } else { MONOLITHS };
        let process = (first + asked) % count;
        task.at += 1;
        let told = &self.processes[process];
        let hears = told.is_alive && told.frozen_until <= self.now;
        if hears && !self.chance.is(self.faults.loss) {
            self.seat(process, task);
        }
        let slow = self.chance.is(self.faults.loss / 4);
        Stepped::Next(self.chance.between(10, if slow { 60_000 } else { 800 }))
    }

    fn seat(&mut self, process: usize, task: &mut Task) {
        let ttl = micros(HOLD_TTL);
        let carve = task.who.carve;
        let seat = &mut self.processes[process].seat;
        match task.action {
            Action::Hold => (seat.held_until, seat.held_by) = (self.now + ttl, carve),
            Action::Unhold if seat.held_by == carve => seat.held_until = 0,
            Action::Settle => {
                if seat.epoch <= task.epoch + 1 {
                    seat.held_until = 0;
                }
                self.settle(process, task.epoch + 1, task.target);
                if self.processes[process].side == task.target {
                    // An owner's process knows.
                    task.until = 1;
                }
            }
            _ => {}
        }
    }

    fn seated(&mut self, task: &Task) -> Seen {
        match task.action {
            // The budget of the pause would be passed.
            Action::Hold if self.chance.is(self.faults.loss) => Seen::NotNow,
            Action::Settle if task.until == 0 => Seen::Failed,
            _ => Seen::Done,
        }
    }
}

/// Who gets the module on a leg.
fn taker(from: usize, to: usize, leg: Leg) -> usize {
    match leg {
        Leg::There => to,
        Leg::Back => from,
    }
}

/// Carves are numbered from one.
fn number_of(index: usize) -> u32 {
    u32::try_from(index + 1).expect("few carves")
}
