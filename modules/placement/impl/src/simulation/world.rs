//! The world of a schedule: time, processes, placement's own store, and what happens next.

use std::{cmp::Reverse, collections::BinaryHeap, rc::Rc};

use placement_api::{Housed, Name, Plan, Wish};

use super::{
    Bug, Violation,
    chance::Chance,
    clients::{Call, Client},
    coordinating::Agent,
    database::{CLIENTS, Database, Owner},
    moving::Task,
};
use crate::domain::{State, learnt};

/// Processes of the monolith; the rest are the child's. Placement lives in the monolith.
pub(super) const MONOLITHS: usize = 2;

/// All processes.
const PROCESSES: usize = 3;

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    Client(usize, u32),
    Call(usize),
    /// A worker looks for carves.
    Look(usize),
    /// A coordinator does what it decided; the number tells an old decision.
    Agent(usize, u32),
    /// A coordinator's patience ends.
    Impatient(usize, u32),
    Task(usize),
    Announce(usize),
    Restart(usize),
    Begin,
    Operator,
    Trouble,
    DatabaseUp(usize),
    Room(usize),
    /// From here on nothing goes wrong any more.
    Calm,
    /// Whatever still waits for somebody gets its wish.
    Push,
}

/// How bad it is, of 1000.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults {
    /// Messages that are lost.
    pub loss: u32,
    /// Writes of the journal that fail, and as many whose answer is lost.
    pub journal: u32,
    /// Actions that are given up before their end.
    pub impatience: u32,
    /// Effects after which the process dies or falls asleep.
    pub between: u32,
}

/// What a process believes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seat {
    pub epoch: u64,
    pub owner: usize,
    pub held_until: i64,
    pub held_by: u32,
}

#[derive(Debug)]
pub(super) struct Process {
    pub side: usize,
    pub is_alive: bool,
    pub frozen_until: i64,
    /// How far its clock is off.
    pub skew: i64,
    pub seat: Seat,
    /// The epoch under which its store writes; zero for a standby.
    pub adopted: u64,
    pub agent: Option<Agent>,
    /// Rises with each decision of a coordinator here.
    pub decisions: u32,
}

/// A carve in placement's store.
#[derive(Debug)]
pub(super) struct Carve {
    pub from: usize,
    pub to: usize,
    pub plan: Rc<Plan>,
    pub state: State,
    pub term: u64,
    pub lease_until: i64,
}

/// Everything.
pub(super) struct World {
    pub now: i64,
    pub chance: Chance,
    pub bug: Option<Bug>,
    pub faults: Faults,
    pub calm: bool,
    pub databases: [Database; 2],
    pub processes: Vec<Process>,
    pub clients: [Client; CLIENTS],
    pub calls: Vec<Option<Call>>,
    pub tasks: Vec<Option<Task>>,
    /// How many tasks there were.
    pub started: u64,
    /// Placement's row: epoch and owner.
    pub place: (u64, usize),
    pub carves: Vec<Carve>,
    pub violation: Option<Violation>,
    /// What happened, where somebody wants to read it.
    pub story: Option<Vec<String>>,
    queue: BinaryHeap<Reverse<(i64, u64, Event)>>,
    events: u64,
}

impl World {
    pub fn new(seed: u64, bug: Option<Bug>, told: bool) -> Self {
        let mut chance = Chance::new(seed);
        let rough = chance.below(3);
        let faults = match rough {
            0 => Faults::default(),
            1 => Faults { loss: 20, journal: 20, impatience: 20, between: 10 },
            _ => Faults { loss: 150, journal: 80, impatience: 120, between: 20 },
        };
        let seat = Seat { epoch: 1, owner: 0, held_until: 0, held_by: 0 };
        let processes = (0..PROCESSES)
            .map(|number| {
                let side = usize::from(number >= MONOLITHS);
                let skew = if rough == 0 { 0 } else { chance.between(-8_000_000, 8_000_000) };
                let adopted = u64::from(side == 0);
                Process {
                    side,
                    is_alive: true,
                    frozen_until: 0,
                    skew,
                    seat,
                    adopted,
                    agent: None,
                    decisions: 0,
                }
            })
            .collect();
        let idle = if chance.is(500) { 2_000_000 } else { 10_000_000 };
        let mut world = Self {
            now: 0,
            chance,
            bug,
            faults,
            calm: false,
            databases: [Database::new(0, idle), Database::new(1, idle)],
            processes,
            clients: [Client::default(); CLIENTS],
            calls: Vec::with_capacity(16),
            tasks: Vec::with_capacity(8),
            started: 0,
            place: (1, 0),
            carves: Vec::new(),
            violation: None,
            story: told.then(Vec::new),
            queue: BinaryHeap::with_capacity(64),
            events: 0,
        };
        world.wind_up(rough > 0);
        world
    }

    fn wind_up(&mut self, troubled: bool) {
        for client in 0..CLIENTS {
            let first = self.chance.between(0, 300_000);
            self.after(first, Event::Client(client, 0));
        }
        for process in 0..PROCESSES {
            let first = self.chance.between(0, 1_000_000);
            self.after(first, Event::Announce(process));
            if self.processes[process].side == 0 {
                self.after(first / 2, Event::Look(process));
            }
        }
        let begins = self.chance.between(0, 400_000);
        self.after(begins, Event::Begin);
        let asks = self.chance.between(100_000, 6_000_000);
        self.after(asks, Event::Operator);
        if troubled {
            let first = self.chance.between(0, 2_000_000);
            self.after(first, Event::Trouble);
        }
        let calm = self.chance.between(2_000_000, 12_000_000);
        self.after(calm, Event::Calm);
    }

    /// Something happens later.
    pub fn after(&mut self, wait: i64, event: Event) {
        self.events += 1;
        self.queue.push(Reverse((self.now + wait.max(0), self.events, event)));
    }

    /// The next that happens, and how many have.
    pub fn next(&mut self) -> Option<(Event, u64)> {
        let Reverse((at, _, event)) = self.queue.pop()?;
        self.now = at;
        Some((event, self.events))
    }

    /// Tells what happens.
    pub fn tell(&mut self, what: impl FnOnce(&Self) -> String) {
        if self.story.is_some() {
            let line = format!("{:>9} {}", self.now, what(self));
            self.story.iter_mut().for_each(|story| story.push(line.clone()));
        }
    }

    pub fn violate(&mut self, violation: Violation) {
        self.violation.get_or_insert(violation);
    }

    /// Never two owners.
    pub fn look_at_owners(&mut self) {
        if self.databases.iter().filter(|database| database.is_owner()).count() > 1 {
            self.violate(Violation::TwoOwners);
        }
    }

    pub fn of_side(&self, side: usize) -> impl Iterator<Item = usize> + '_ {
        let alive =
            move |process: &&(usize, &Process)| process.1.side == side && process.1.is_alive;
        let numbered = self.processes.iter().enumerate();
        numbered.filter(move |process| alive(&process)).map(|(number, _)| number)
    }

    /// The process asks placement who owns the module.
    pub fn heal(&mut self, process: usize) {
        let (epoch, owner) = self.place;
        self.settle(process, epoch, owner);
    }

    /// The process is told who owns the module.
    pub fn settle(&mut self, process: usize, epoch: u64, owner: usize) {
        let Process { side, seat, adopted, .. } = &mut self.processes[process];
        if epoch < seat.epoch {
            return;
        }
        if epoch > seat.epoch {
            (seat.epoch, seat.owner, seat.held_until) = (epoch, owner, 0);
        }
        // Its own row says whether it may write.
        let database = &self.databases[*side];
        *adopted = if owner == *side && database.is_up && database.is_owner() {
            database.epoch
        } else {
            0
        };
    }

    /// A process tells of itself, and placement learns from it.
    pub fn announce(&mut self, process: usize) {
        self.after(1_000_000, Event::Announce(process));
        let Process { is_alive, frozen_until, side, .. } = self.processes[process];
        if !is_alive || frozen_until > self.now || self.chance.is(self.faults.loss) {
            return;
        }
        let database = &self.databases[side];
        if database.is_up {
            let name = Owner::Side(side).name();
            let deployment: Name = name.parse().expect("a name");
            let module = deployment.clone();
            let owner = database.owner.name().to_owned();
            let told = Housed { module, epoch: database.epoch, owner };
            let known = (self.place.0, Owner::Side(self.place.1).name().to_owned());
            if let Some((epoch, _)) = learnt(Some(&known), &deployment, &told) {
                self.place = (epoch, side);
                self.tell(|_| format!("placement learns from {name}: epoch {epoch}"));
            }
        }
        self.heal(process);
    }

    /// A process dies; it starts again later.
    pub fn crash(&mut self, process: usize) {
        self.tell(|_| format!("process {process} dies"));
        self.drop_calls(process);
        for slot in 0..self.tasks.len() {
            let dies = |task: &&mut Task| task.process == process;
            if let Some(task) = self.tasks[slot].as_mut().filter(dies) {
                let number = task.who.task;
                self.databases.iter_mut().for_each(|database| database.release(number));
                self.tasks[slot] = None;
            }
        }
        let dead = &mut self.processes[process];
        (dead.is_alive, dead.agent, dead.adopted) = (false, None, 0);
        let back = self.chance.between(50_000, 4_000_000);
        self.after(back, Event::Restart(process));
    }

    /// A process sleeps: it does nothing, and does not know.
    pub fn freeze(&mut self, process: usize) {
        // Some sleep through a lease, and through other coordinators' whole carves.
        let long = if self.chance.is(500) { 300_000 } else { 15_000_000 };
        let until = self.now + self.chance.between(1_000, long);
        self.tell(|_| format!("process {process} sleeps until {until}"));
        let slept = &mut self.processes[process].frozen_until;
        *slept = (*slept).max(until);
    }

    /// A process starts: it opens its data as what the row says, and asks placement.
    pub fn restart(&mut self, process: usize) {
        let back = &mut self.processes[process];
        (back.is_alive, back.frozen_until) = (true, 0);
        back.seat = Seat { epoch: 0, owner: 0, held_until: 0, held_by: 0 };
        self.tell(|_| format!("process {process} starts"));
        self.heal(process);
    }

    /// The carve that is not over.
    pub fn open_carve(&self) -> Option<usize> {
        self.carves.iter().position(|carve| !carve.state.is_over())
    }

    /// Somebody wants something of the carve under way.
    pub fn wish(&mut self, wish: Wish) {
        let Some(carve) = self.open_carve() else { return };
        let steered = crate::domain::steered(self.carves[carve].state, wish);
        self.tell(|_| {
            format!(
                "somebody wants {wish:?}: {}",
                if steered.is_ok() { "noted" } else { "refused" }
            )
        });
        if let Ok(state) = steered {
            self.carves[carve].state = state;
        }
    }
}
