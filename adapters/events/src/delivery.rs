//! The two transactions of a subscription: a batch of its feed, and the parked events of one key.

use std::{collections::HashSet, sync::Arc};

use ::store::{Abort, Store, Tx};
use contract::{Call, Caller, Deadline, Envelope};
use diesel::QueryResult;
use kernel_api::Timestamp;

use crate::{
    ApplyError, Handler, Limits,
    attempt::{Attempt, Halt, Next, Progress, Undelivered},
    store::{self, BEHIND, Claim, DEAD, PARKED, ParkedRow},
};

/// Gives events their effect in the subscriber's store.
#[derive(Clone)]
pub(crate) struct Delivery {
    pub subscription: Arc<str>,
    /// This worker, among all that could have the lease.
    pub owner: Arc<str>,
    pub store: Store,
    pub handler: Arc<dyn Handler>,
    pub limits: Limits,
}

/// What became of a stretch of events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Delivered {
    /// How many have been dealt with, by their effect or by being parked.
    pub events: usize,
    /// Of these, how many were parked.
    pub parked: u64,
    /// And how many were given up.
    pub dead: u64,
}

/// What a transaction needs to know besides its events.
struct Step {
    attempt: Attempt,
    progress: Arc<Progress>,
}

impl Delivery {
    /// A call in the module's own name.
    pub fn call(&self) -> Call {
        Call::new(Caller::module(self.store.module()), Deadline::within(self.limits.call))
    }

    /// Gives the events of `batch` from place `start` on their effect and moves the cursor from `from` past them, in
    /// one transaction: perhaps not all of them, but at least one.
    pub async fn batch(
        &self,
        from: u64,
        batch: &Arc<Vec<Envelope>>,
        start: usize,
    ) -> Result<Delivered, Undelivered> {
        let mut attempt = Attempt::all(start..batch.len());
        loop {
            let progress = Arc::new(Progress::new());
            let step = Step { attempt: attempt.clone(), progress: Arc::clone(&progress) };
            let (this, events) = (self.clone(), Arc::clone(batch));
            let answer = self
                .store
                .write(&self.call(), move |tx| this.apply_batch(tx, from, &events, &step))
                .await;
            match attempt.after(answer, &progress) {
                Next::Done(delivered) => return Ok(delivered),
                Next::Again(next) => attempt = next,
                Next::Give(why) => return Err(why),
            }
        }
    }

    /// Tries the parked events of one key again, in order, as many as go in one transaction.
    pub async fn retry(&self, key: &str) -> Result<Delivered, Undelivered> {
        let drain = usize::try_from(self.limits.drain).unwrap_or(usize::MAX);
        let mut attempt = Attempt::all(0..drain);
        loop {
            let progress = Arc::new(Progress::new());
            let step = Step { attempt: attempt.clone(), progress: Arc::clone(&progress) };
            let (this, key) = (self.clone(), key.to_owned());
            let answer =
                self.store.write(&self.call(), move |tx| this.apply_key(tx, &key, &step)).await;
            match attempt.after(answer, &progress) {
                Next::Done(delivered) => return Ok(delivered),
                Next::Again(next) => attempt = next,
                Next::Give(why) => return Err(why),
            }
        }
    }

    fn claim(&self, now: Timestamp) -> Claim {
        Claim {
            subscription: self.subscription.to_string(),
            owner: self.owner.to_string(),
            now,
            lapsed: self.lapsed(now),
            until: now.plus(self.limits.lease),
        }
    }

    /// Others' leases that end by this moment bind nobody: all, where nobody else can have the store open.
    pub fn lapsed(&self, now: Timestamp) -> Timestamp {
        if self.store.is_alone() { Timestamp::from_micros(i64::MAX) } else { now }
    }

    fn apply_batch(
        &self,
        tx: &mut Tx<'_>,
        from: u64,
        batch: &[Envelope],
        step: &Step,
    ) -> Result<Delivered, Abort<Halt>> {
        step.progress.leave();
        let Attempt { range, poison } = &step.attempt;
        let events = batch.get(range.clone()).unwrap_or_default();
        let to = events.last().map_or(from, |event| event.position);
        let now = tx.now();
        if !store::advance(tx.connection(), &self.claim(now), from, to)? {
            return Err(Abort::Refused(Halt::Superseded));
        }
        let mut blocked = self.blocked(tx, events)?;
        let mut room = None;
        let mut done = Delivered { events: events.len(), ..Delivered::default() };
        for (index, event) in range.clone().zip(events) {
            let poison = poison.as_ref().filter(|_| index + 1 == range.end);
            let behind = blocked.contains(&event.subject);
            if !behind && poison.is_none() {
                self.apply(tx, index, event, &step.progress)?;
                continue;
            }
            self.take_room(tx, &mut room)?;
            let row = waiting(&self.subscription, event, now).map_err(diesel_json)?;
            let row = match poison {
                Some(error) if !behind => failed(row, error, now, &self.limits),
                _ => row,
            };
            done.parked += 1;
            done.dead += u64::from(row.state == DEAD);
            store::park(tx.connection(), &row)?;
            blocked.insert(event.subject.clone());
        }
        Ok(done)
    }

    /// The keys of these events that have something parked.
    fn blocked(&self, tx: &mut Tx<'_>, events: &[Envelope]) -> QueryResult<HashSet<String>> {
        if !store::any_parked(tx.connection(), &self.subscription)? {
            return Ok(HashSet::new());
        }
        let mut keys: Vec<&str> = events.iter().map(|event| event.subject.as_str()).collect();
        keys.sort_unstable();
        keys.dedup();
        store::blocked(tx.connection(), &self.subscription, &keys)
    }

    /// Refuses the stretch when it would park more than there is room for.
    fn take_room(&self, tx: &mut Tx<'_>, room: &mut Option<u64>) -> Result<(), Abort<Halt>> {
        let free = match *room {
            Some(free) => free,
            None => {
                let taken = store::count(tx.connection(), &self.subscription, PARKED)?
                    + store::count(tx.connection(), &self.subscription, DEAD)?;
                self.limits.parked_max.saturating_sub(taken)
            }
        };
        *room = Some(free.checked_sub(1).ok_or(Abort::Refused(Halt::Full))?);
        Ok(())
    }

    fn apply(
        &self,
        tx: &mut Tx<'_>,
        index: usize,
        event: &Envelope,
        progress: &Progress,
    ) -> Result<(), Abort<Halt>> {
        progress.enter(index);
        match self.handler.apply(tx, event) {
            Ok(()) => {
                progress.leave();
                Ok(())
            }
            Err(ApplyError::Poisoned(error)) => {
                Err(Abort::Refused(Halt::Poisoned { index, error }))
            }
            Err(ApplyError::Database(error)) => {
                progress.fail(error.to_string());
                Err(Abort::Failed(error))
            }
        }
    }

    fn apply_key(&self, tx: &mut Tx<'_>, key: &str, step: &Step) -> Result<Delivered, Abort<Halt>> {
        step.progress.leave();
        let Attempt { range, poison } = &step.attempt;
        let now = tx.now();
        if !store::claim(tx.connection(), &self.claim(now))? {
            return Err(Abort::Refused(Halt::Superseded));
        }
        let rows = store::of_key(tx.connection(), &self.subscription, key, self.limits.drain)?;
        let mut done = Delivered::default();
        // An operator may have discarded the first one, or taken its tries away, in the meantime.
        let due = |row: &ParkedRow| row.state == PARKED && row.next_try_at <= now.micros();
        if !rows.first().is_some_and(due) {
            return Ok(done);
        }
        for (index, row) in range.clone().zip(rows) {
            done.events += 1;
            if let Some(error) = poison.as_ref().filter(|_| index + 1 == range.end) {
                let row = failed(row, error, now, &self.limits);
                done.dead += u64::from(row.state == DEAD);
                store::reschedule(tx.connection(), &row)?;
                return Ok(done);
            }
            match serde_json::from_str(&row.event) {
                Ok(event) => self.apply(tx, index, &event, &step.progress)?,
                Err(error) => {
                    let error = format!("the parked row cannot be read: {error}");
                    return Err(Abort::Refused(Halt::Poisoned { index, error }));
                }
            }
            store::remove(tx.connection(), &self.subscription, row.position)?;
        }
        next_in_line(tx, &self.subscription, key)?;
        Ok(done)
    }
}

/// Makes the first of the events that are left of a key due, unless it is dead.
pub(crate) fn next_in_line(tx: &mut Tx<'_>, subscription: &str, key: &str) -> QueryResult<()> {
    let now = tx.now().micros();
    let first = store::of_key(tx.connection(), subscription, key, 1)?.into_iter().next();
    if let Some(row) = first.filter(|row| row.next_try_at == BEHIND) {
        store::reschedule(tx.connection(), &ParkedRow { next_try_at: now, ..row })?;
    }
    Ok(())
}

/// The row of an event that waits behind another of its key.
fn waiting(
    subscription: &str,
    event: &Envelope,
    now: Timestamp,
) -> Result<ParkedRow, serde_json::Error> {
    Ok(ParkedRow {
        subscription: subscription.to_owned(),
        position: store::column(event.position),
        subject: event.subject.clone(),
        event: serde_json::to_string(event)?,
        attempts: 0,
        next_try_at: BEHIND,
        last_error: String::new(),
        state: PARKED.to_owned(),
        parked_at: now.micros(),
    })
}

/// The row after one more try that failed.
fn failed(row: ParkedRow, error: &str, now: Timestamp, limits: &Limits) -> ParkedRow {
    let attempts = u32::try_from(row.attempts).unwrap_or(0).saturating_add(1);
    let wait = limits.wait(attempts, store::position(row.position));
    let dead = attempts >= limits.attempts_max;
    ParkedRow {
        attempts: i32::try_from(attempts).unwrap_or(i32::MAX),
        next_try_at: if dead { BEHIND } else { now.plus(wait).micros() },
        last_error: error.to_owned(),
        state: if dead { DEAD } else { PARKED }.to_owned(),
        ..row
    }
}

fn diesel_json(error: serde_json::Error) -> diesel::result::Error {
    diesel::result::Error::SerializationError(Box::new(error))
}
