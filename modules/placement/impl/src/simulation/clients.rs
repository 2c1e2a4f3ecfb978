//! Clients: each does one effect after the other, asks again with the same key until it has an answer, and keeps a
//! ledger of what it was told.

use super::{
    database::CLIENTS,
    world::{Event, World},
};

/// The effects of a client in a schedule: each has a number from 1, of four bits.
pub(super) const EFFECTS: u64 = 10;

/// How long a client waits for an answer before it asks again.
const PATIENCE: i64 = 1_500_000;

/// How often a call is handed on between processes.
const HOPS_MAX: u8 = 3;

/// A client.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Client {
    /// What it has an answer for: its ledger, since it does them in order.
    pub acknowledged: u64,
    /// Which of its calls it waits for.
    pub call: u32,
}

/// One call on its way, and its transaction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub client: usize,
    pub effect: u64,
    number: u32,
    pub process: usize,
    hops: u8,
    until: i64,
    /// The transaction that is open, and what it saw: the database's session and whether changes were captured.
    pub open: Option<(u32, bool)>,
}

/// What a step of a call leads to.
enum Went {
    Next(i64),
    Answered,
    Lost,
}

impl World {
    /// A client that has no answer asks, or asks again.
    pub fn client(&mut self, client: usize, number: u32) {
        let Client { acknowledged, call } = self.clients[client];
        if acknowledged == EFFECTS || number != call {
            return;
        }
        self.clients[client].call += 1;
        let number = call + 1;
        let process = self.chance.below(self.processes.len());
        let (effect, until) = (acknowledged + 1, self.now + PATIENCE);
        let call = Call { client, effect, number, process, hops: 0, until, open: None };
        let slot = self.calls.iter().position(Option::is_none).unwrap_or(self.calls.len());
        if slot == self.calls.len() {
            self.calls.push(None);
        }
        self.calls[slot] = Some(call);
        // Most arrive soon, some long after their client has asked again.
        let late = if self.chance.is(20) { 4_000_000 } else { 1_000 };
        let arrives = self.chance.between(10, late);
        self.after(arrives, Event::Call(slot));
        self.after(PATIENCE, Event::Client(client, number));
    }

    /// A call goes a step further.
    pub fn call(&mut self, slot: usize) {
        let Some(mut call) = self.calls[slot] else { return };
        let process = &self.processes[call.process];
        if !process.is_alive {
            self.calls[slot] = None;
            return;
        }
        if process.frozen_until > self.now {
            let wait = process.frozen_until - self.now;
            return self.after(wait, Event::Call(slot));
        }
        let went =
            if call.open.is_some() { self.commit(&mut call) } else { self.arrive(&mut call) };
        match went {
            Went::Next(wait) => {
                self.calls[slot] = Some(call);
                self.after(wait, Event::Call(slot));
            }
            Went::Lost => self.calls[slot] = None,
            Went::Answered => {
                self.calls[slot] = None;
                self.answered(&call);
            }
        }
    }

    fn answered(&mut self, call: &Call) {
        let lost = self.chance.is(self.faults.loss);
        let client = &mut self.clients[call.client];
        if lost || call.number != client.call || client.acknowledged + 1 != call.effect {
            return;
        }
        client.acknowledged = call.effect;
        client.call += 1;
        let number = client.call;
        let pause = if self.chance.is(700) { 50_000 } else { 1_500_000 };
        let pause = self.chance.between(100, pause);
        self.after(pause, Event::Client(call.client, number));
    }

    /// At a process: the gate, then here or there.
    fn arrive(&mut self, call: &mut Call) -> Went {
        if self.now > call.until {
            return Went::Lost;
        }
        let process = &self.processes[call.process];
        if process.seat.held_until > self.now {
            return Went::Next((process.seat.held_until - self.now).min(5_000));
        }
        if process.seat.owner != process.side {
            let owner = process.seat.owner;
            call.hops += 1;
            let there: Vec<usize> = self.of_side(owner).collect();
            if there.is_empty() || call.hops > HOPS_MAX || self.chance.is(self.faults.loss) {
                return Went::Lost;
            }
            call.process = there[self.chance.below(there.len())];
            return Went::Next(self.chance.between(50, 800));
        }
        let (side, adopted) = (process.side, process.adopted);
        let database = &mut self.databases[side];
        if !database.is_up || database.is_full {
            return Went::Lost;
        }
        // Nobody holds it, or the caller waits for whoever does.
        let Some(captured) = database.begin(self.now) else { return Went::Next(700) };
        if adopted == 0 || !database.is_owner_at(adopted) {
            database.writing -= 1;
            // It moved: the seat asks placement, and the same call is tried again.
            self.heal(call.process);
            return Went::Next(self.chance.between(500, 20_000));
        }
        call.open = Some((database.session, captured));
        let long = self.chance.is(10);
        Went::Next(self.chance.between(20, if long { 900_000 } else { 2_000 }))
    }

    fn commit(&mut self, call: &mut Call) -> Went {
        let Some((session, captured)) = call.open.take() else { return Went::Lost };
        let side = self.processes[call.process].side;
        let database = &mut self.databases[side];
        if database.session != session {
            return Went::Lost;
        }
        database.writing -= 1;
        database.command(call.client, call.effect, captured);
        Went::Answered
    }

    /// The calls of a process that dies end with it, and their transactions with them.
    pub fn drop_calls(&mut self, process: usize) {
        for slot in 0..self.calls.len() {
            let Some(call) = self.calls[slot].filter(|call| call.process == process) else {
                continue;
            };
            let database = &mut self.databases[self.processes[process].side];
            if call.open.is_some_and(|(session, _)| session == database.session) {
                database.writing -= 1;
            }
            self.calls[slot] = None;
        }
    }

    /// Everybody has an answer for everything.
    pub fn clients_done(&self) -> bool {
        self.clients.iter().all(|client| client.acknowledged == EFFECTS)
    }

    /// What a client's list must be when all is answered: every effect once, in order.
    pub fn list_wanted() -> u64 {
        (1..=EFFECTS).fold(0, |list, effect| list << 4 | effect)
    }
}

const _: () = assert!(CLIENTS <= 8 && EFFECTS <= 15);
