//! Seeded schedules of everything that can happen to carves: the production machine and coordinator logic over databases,
//! processes, placement's store and clients in memory, with crashes between any two effects, lost and late messages,
//! frozen processes, wrong clocks, full and absent databases, several coordinators and an operator who cannot decide.
//!
//! Every schedule follows from its seed. `BANYAN_SIMULATION_SEED=7 cargo nextest run -p placement-impl
//! simulation::schedules --no-capture` runs one and tells its story; `BANYAN_SIMULATION_SCHEDULES` is how many there are.
#![allow(clippy::print_stderr, reason = "a failing schedule tells its story")]

mod chance;
mod clients;
mod coordinating;
mod database;
mod moving;
mod troubles;
mod world;

use database::{CLIENTS, Owner, POSITIONS};
use world::World;

/// How many schedules run unless `BANYAN_SIMULATION_SCHEDULES` says otherwise.
const SCHEDULES: u64 = 100_000;

/// More than this happens in no schedule that ends.
const EVENTS_MAX: u64 = 60_000;

/// A defect that is put in on purpose, to see that it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    /// The target is opened before the source is given up.
    FlipFirst,
    /// What is left is followed before the fence is had, not inside.
    FollowBeforeLock,
    /// The source is given up with rows left to follow.
    NoFollow,
    /// Whoever follows looks at the source before it is its turn at the target.
    LateTurn,
    /// The target is opened as it is, though somebody has followed since the switch had applied all.
    OpenAsItIs,
    /// The capture does not wait for the writers under way.
    CaptureAtOnce,
}

impl Bug {
    const ALL: [Self; 6] = [
        Self::FlipFirst,
        Self::FollowBeforeLock,
        Self::NoFollow,
        Self::LateTurn,
        Self::OpenAsItIs,
        Self::CaptureAtOnce,
    ];
}

/// What must not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Violation {
    TwoOwners,
    NoOwner,
    /// Placement says something else than the rows.
    PlacementDiffers,
    /// An acknowledged effect is lost, is there twice, or out of order.
    EffectsDiffer(usize),
    /// What a switch changed at its source is lost.
    PositionsDiffer,
    /// A client never got its answer.
    NotServed,
    /// A carve never came to an end.
    NotEnded,
    /// What a carve made is still there.
    LeftOver(usize),
}

/// What a schedule came to.
struct Told {
    violation: Option<Violation>,
    events: u64,
    carves: usize,
    switches: u64,
    story: Vec<String>,
}

fn run(seed: u64, bug: Option<Bug>, told: bool) -> Told {
    let mut world = World::new(seed, bug, told);
    let mut events = 0;
    while world.violation.is_none() && !world.is_over() {
        let Some((event, happened)) = world.next() else { break };
        events = happened;
        if happened > EVENTS_MAX {
            let ended = world.open_carve().is_none();
            world.violate(if ended { Violation::NotServed } else { Violation::NotEnded });
        }
        world.happen(event);
    }
    if world.violation.is_none() {
        world.judge();
    }
    let switches = world.databases.iter().map(|database| database.epoch).max().unwrap_or(1) - 1;
    Told {
        violation: world.violation,
        events,
        carves: world.carves.len(),
        switches,
        story: world.story.unwrap_or_default(),
    }
}

impl World {
    /// Nothing is left to happen that matters.
    fn is_over(&self) -> bool {
        self.calm && self.clients_done() && self.open_carve().is_none() && self.tasks_done()
    }

    fn tasks_done(&self) -> bool {
        self.tasks.iter().all(Option::is_none) && self.calls.iter().all(Option::is_none)
    }

    /// Looks at the end of a schedule.
    fn judge(&mut self) {
        self.doctor();
        let owners: Vec<_> = self.databases.iter().filter(|one| one.is_owner()).collect();
        let [owner] = owners.as_slice() else {
            return self.violate(Violation::NoOwner);
        };
        let (epoch, side, rows) = (owner.epoch, owner.side, owner.rows);
        if self.place != (epoch, side) {
            return self.violate(Violation::PlacementDiffers);
        }
        // Each switch gave positions in its lock.
        if rows[POSITIONS] != epoch - 1 {
            return self.violate(Violation::PositionsDiffer);
        }
        for (client, list) in rows.iter().enumerate().take(CLIENTS) {
            if *list != Self::list_wanted() {
                return self.violate(Violation::EffectsDiffer(client));
            }
        }
        for side in 0..2 {
            let database = &self.databases[side];
            let sealed = matches!(database.owner, Owner::Sealed(_)) && database.rows != [0; _];
            if database.log.is_some() || database.books.is_some() || sealed {
                return self.violate(Violation::LeftOver(side));
            }
        }
    }

    /// `doctor --repair`: what ended carves left where they could not be reached, or an old coordinator made after the
    /// end. All of it must be gone then.
    pub fn doctor(&mut self) {
        for carve in 1..=u32::try_from(self.carves.len()).expect("few carves") {
            self.databases.iter_mut().for_each(|database| database.remove(carve));
        }
    }
}

/// A number from the environment.
fn given(variable: &str) -> Option<u64> {
    settings::variable(variable)?.parse().ok()
}

#[test]
fn schedules() {
    if let Some(seed) = given("BANYAN_SIMULATION_SEED") {
        let told = run(seed, None, true);
        told.story.iter().for_each(|line| eprintln!("{line}"));
        assert_eq!(told.violation, None, "seed {seed}");
        return;
    }
    let schedules = given("BANYAN_SIMULATION_SCHEDULES").unwrap_or(SCHEDULES);
    let (mut events, mut carves, mut switches) = (0, 0, 0);
    for seed in 0..schedules {
        let told = run(seed, None, false);
        if let Some(violation) = told.violation {
            let story = run(seed, None, true).story;
            story.iter().rev().take(60).rev().for_each(|line| eprintln!("{line}"));
            panic!(
                "{violation:?} in schedule {seed}: BANYAN_SIMULATION_SEED={seed} cargo nextest run \
                 -p placement-impl simulation::schedules --no-capture"
            );
        }
        events += told.events;
        carves += told.carves;
        switches += told.switches;
    }
    eprintln!("{schedules} schedules: {events} events, {carves} carves, {switches} switches");
    // A simulation in which nothing moves proves nothing.
    assert!(switches * 3 > schedules, "only {switches} switches in {schedules} schedules");
}

#[test]
fn a_schedule_can_be_had_again() {
    for seed in 0..50 {
        let (once, again) = (run(seed, None, true), run(seed, None, true));
        assert_eq!(once.story, again.story, "seed {seed}");
    }
}

/// The simulation is worth something only if it finds what it is there to find.
#[test]
fn every_defect_put_in_on_purpose_is_found() {
    const ENOUGH: u64 = 100_000;
    for bug in Bug::ALL {
        let found = (0..ENOUGH).find(|seed| run(*seed, Some(bug), false).violation.is_some());
        eprintln!("{bug:?}: schedule {found:?}");
        assert!(found.is_some(), "{bug:?} was not found in {ENOUGH} schedules");
    }
}
