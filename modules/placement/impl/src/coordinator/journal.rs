//! What the coordinator writes: its lease, its state, and who owns the module.

use std::time::Duration;

use contract::Never;
use diesel::QueryResult;
use kernel_api::Id;
use placement_api::{Carve, CarveEnded, Moved, Outcome};

use ::store::{Abort, Tx};

use super::hands::Hands;
use crate::{
    desk::Desk,
    domain::{Action, At, Event, Facts, Seen, State, after, limits::LEASE, merged},
    store::{self, CarveRow, Lease, Line},
};

/// How long a write may take; it is tried again.
const WRITE_TIME: Duration = Duration::from_secs(2);

/// How often a write is begun again because somebody wrote in between.
const REREADS_MAX: u32 = 5;

/// What came of a write.
enum Wrote {
    Row(Box<CarveRow>),
    NotOurs,
    /// Somebody wrote in between, each time.
    Contended,
}

/// What is to be written.
#[derive(Clone)]
struct Writing {
    id: Id<Carve>,
    term: u64,
    state: State,
    facts: Facts,
    lines: Vec<Line>,
    /// Tell placement as well.
    record: bool,
}

/// Renews the lease; none when that is not known.
pub(super) async fn renew(desk: &Desk, id: Id<Carve>, term: u64) -> Option<bool> {
    let renewed = desk
        .store
        .write::<_, Never>(&desk.call(WRITE_TIME), move |tx| {
            let until = tx.now().plus(LEASE);
            Ok(store::renew_lease(tx.connection(), id, term, until)?)
        })
        .await;
    renewed.ok()
}

impl Hands {
    /// Takes the lease and reads the state.
    pub async fn take(&mut self) -> Event {
        let (id, owner) = (self.row.id, self.desk.process.clone());
        let over = self.desk.leases_over();
        let taken = self
            .desk
            .store
            .write::<_, Never>(&self.desk.call(WRITE_TIME), move |tx| {
                let until = tx.now().plus(LEASE);
                let lease = Lease { owner: &owner, now: over.unwrap_or(tx.now()), until };
                if store::take_lease(tx.connection(), id, &lease)?.is_none() {
                    return Ok(None);
                }
                let Some(row) = store::carve(tx.connection(), id)? else { return Ok(None) };
                let given_up = match &row.target_data {
                    Some(at) => store::given_up(tx.connection(), &row.module, at)?,
                    None => Vec::new(),
                };
                Ok(Some((row, given_up)))
            })
            .await;
        match taken {
            Ok(Some((row, given_up))) => {
                (self.row, self.given_up) = (row, given_up);
                self.movement = None;
                if self.row.term > 1 {
                    self.row.facts.restarts = self.row.facts.restarts.saturating_add(1);
                }
                Event::Taken(self.row.state)
            }
            // Not known, then: the lease runs out by itself.
            Ok(None) | Err(_) => Event::NotOurs,
        }
    }

    /// Writes the state.
    pub async fn write(&mut self, state: State) -> Event {
        self.put(state, false).await
    }

    /// Tells placement that the taker owns the module, and writes what follows, in one transaction.
    pub async fn record(&mut self, state: State) -> Event {
        let began = std::time::Instant::now();
        let event = self.put(state, true).await;
        if let Some(switching) = &mut self.row.facts.switching {
            switching.pause.record_us = micros(began.elapsed());
        }
        event
    }

    async fn put(&mut self, state: State, record: bool) -> Event {
        let writing = Writing {
            id: self.row.id,
            term: self.row.term,
            state,
            facts: self.row.facts.clone(),
            lines: self.lines.clone(),
            record,
        };
        let call = self.desk.call(WRITE_TIME);
        let wrote = self.desk.store.write::<_, Never>(&call, move |tx| put(tx, &writing)).await;
        match wrote {
            Ok(Wrote::Row(row)) => {
                let state = row.state;
                self.row = *row;
                self.lines.clear();
                if record {
                    self.desk.wake.notify_waiters();
                }
                Event::Written(state)
            }
            Ok(Wrote::NotOurs) => Event::NotOurs,
            Ok(Wrote::Contended) => Event::NotWritten,
            Err(fault) => {
                tracing::warn!(carve = %self.row.id, %fault, "the journal was not written");
                Event::NotWritten
            }
        }
    }
}

pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn put(tx: &mut Tx<'_>, writing: &Writing) -> Result<Wrote, Abort<Never>> {
    for _ in 0..REREADS_MAX {
        let Some(row) = store::carve(tx.connection(), writing.id)? else {
            return Ok(Wrote::NotOurs);
        };
        if row.term != writing.term || row.state.is_over() {
            return Ok(Wrote::NotOurs);
        }
        if let Some(row) = put_over(tx, writing, row)? {
            return Ok(Wrote::Row(Box::new(row)));
        }
    }
    Ok(Wrote::Contended)
}

/// Writes over what was read; none when that is not there any more.
fn put_over(tx: &mut Tx<'_>, writing: &Writing, row: CarveRow) -> QueryResult<Option<CarveRow>> {
    let now = tx.now();
    let mut lines = writing.lines.clone();
    let mut state = merged(writing.state, &row.state, now);
    if writing.record {
        state = after(state, Action::Record, Seen::Done, &row.plan, now);
        let says = format!("{} owns it since epoch {}", row.taker(state.leg), state.epoch + 1);
        lines.push(Line { leg: state.leg, step: state.step, says, at: now });
    }
    if writing.record && !moved(tx, &row, &writing.state)? {
        return Ok(None);
    }
    let until = if state.is_over() { now } else { now.plus(LEASE) };
    store::renew_lease(tx.connection(), row.id, row.term, until)?;
    if state == row.state && writing.facts == row.facts && lines.is_empty() {
        return Ok(Some(row));
    }
    let ended_at = state.is_over().then_some(now);
    if !store::update_carve(tx.connection(), &row, &state, &writing.facts, ended_at)? {
        return Ok(None);
    }
    store::append(tx.connection(), row.id, &lines)?;
    if let (Some(_), Some(outcome)) = (ended_at, state.outcome) {
        ended(tx, &row, outcome)?;
    }
    let version = row.version + 1;
    Ok(Some(CarveRow { state, facts: writing.facts.clone(), version, ended_at, ..row }))
}

/// Placement follows the fence rows; `false` when somebody told it something in between.
fn moved(tx: &mut Tx<'_>, row: &CarveRow, state: &State) -> QueryResult<bool> {
    let owner = row.taker(state.leg);
    let at: At = (state.epoch + 1, owner.to_string());
    let told = match store::place(tx.connection(), &row.module)? {
        // The new owner was quicker to tell of itself.
        Some(known) if known.0 >= at.0 => return Ok(true),
        Some(known) => store::move_place(tx.connection(), &row.module, &known, &at)?,
        None => store::put_place(tx.connection(), &row.module, &at)?,
    };
    if told {
        tx.emit(&Moved { module: row.module.clone(), epoch: at.0, owner: owner.clone() })?;
    }
    Ok(told)
}

fn ended(tx: &mut Tx<'_>, row: &CarveRow, outcome: Outcome) -> QueryResult<()> {
    let owner = match outcome {
        Outcome::Completed => &row.target,
        Outcome::Reversed | Outcome::Cancelled | Outcome::Refused => &row.source,
    };
    let owner = owner.clone();
    tx.emit(&CarveEnded { carve: row.id, module: row.module.clone(), outcome, owner })
}
