//! What goes wrong, who asks for what, and what happens when something does.

use std::rc::Rc;

use kernel_api::Timestamp;
use placement_api::{Percent, Plan, Wish};

use super::world::{Carve, Event, Faults, World};
use crate::domain::State;

/// The most carves of a schedule.
const CARVES_MAX: usize = 3;

impl World {
    /// Something happens.
    pub fn happen(&mut self, event: Event) {
        match event {
            Event::Client(client, number) => self.client(client, number),
            Event::Call(slot) => self.call(slot),
            Event::Look(process) => self.look(process),
            Event::Agent(process, decision) => self.agent(process, decision),
            Event::Impatient(process, decision) => self.impatient(process, decision),
            Event::Task(slot) => self.step(slot),
            Event::Announce(process) => self.announce(process),
            Event::Restart(process) => self.restart(process),
            Event::Begin => self.begin(),
            Event::Operator => self.operator(),
            Event::Trouble => self.trouble(),
            Event::DatabaseUp(side) => self.databases[side].is_up = true,
            Event::Room(side) => self.databases[side].is_full = false,
            Event::Calm => self.calm_down(),
            Event::Push => self.push(),
        }
    }

    /// Somebody begins to move the module to where it is not.
    fn begin(&mut self) {
        if self.calm || self.carves.len() >= CARVES_MAX {
            return;
        }
        let again = self.chance.between(300_000, 3_000_000);
        self.after(again, Event::Begin);
        if self.open_carve().is_some() {
            return;
        }
        // What an old coordinator left after the end would stand in the way.
        self.doctor();
        let (epoch, from) = self.place;
        let reads = if self.chance.is(300) { Percent::new(50) } else { None };
        let observed = self.chance.below(4);
        let plan = Plan {
            observe_s: (observed > 0).then(|| u32::try_from(observed - 1).expect("small")),
            reads: reads.into_iter().collect(),
            reads_each_s: 1,
            copy_rows_per_s: None,
        };
        let state = State::begun(epoch, Timestamp::from_micros(0));
        self.tell(|_| format!("a carve from {from} at epoch {epoch}: {plan:?}"));
        let (plan, to) = (Rc::new(plan), 1 - from);
        self.carves.push(Carve { from, to, plan, state, term: 0, lease_until: 0 });
    }

    fn operator(&mut self) {
        if self.calm {
            return;
        }
        let again = self.chance.between(200_000, 5_000_000);
        self.after(again, Event::Operator);
        let wish = match self.chance.below(6) {
            0 => Wish::Pause,
            1 | 2 => Wish::Resume,
            3 => Wish::Reverse,
            4 => Wish::Complete,
            _ => Wish::Cancel,
        };
        self.wish(wish);
    }

    fn trouble(&mut self) {
        if self.calm {
            return;
        }
        let again = self.chance.between(20_000, 2_500_000);
        self.after(again, Event::Trouble);
        let process = self.chance.below(self.processes.len());
        let side = self.chance.below(2);
        match self.chance.below(8) {
            0..=2 if self.processes[process].is_alive => self.crash(process),
            3 | 4 => self.freeze(process),
            5 if self.databases[side].is_up => {
                self.tell(|_| format!("database {side} goes away"));
                self.databases[side].go_down();
                let back = self.chance.between(10_000, 3_000_000);
                self.after(back, Event::DatabaseUp(side));
            }
            6 => {
                self.tell(|_| format!("database {side} is full"));
                self.databases[side].is_full = true;
                let back = self.chance.between(10_000, 3_000_000);
                self.after(back, Event::Room(side));
            }
            7 => self.processes[process].skew = self.chance.between(-8_000_000, 8_000_000),
            _ => {}
        }
    }

    /// Nothing goes wrong any more, what sleeps wakes up, and somebody sees to what waits.
    fn calm_down(&mut self) {
        self.tell(|_| "from here on all is well".to_owned());
        self.calm = true;
        self.faults = Faults::default();
        self.after(500_000, Event::Push);
    }

    /// What is paused is resumed, and what would be observed for ever is ended, one way or the other.
    fn push(&mut self) {
        if self.open_carve().is_none() {
            return;
        }
        self.after(2_000_000, Event::Push);
        self.wish(Wish::Resume);
        let wish = if self.chance.is(500) { Wish::Complete } else { Wish::Reverse };
        if self.chance.is(300) {
            self.wish(wish);
        }
    }
}
