//! Driving one saga: take it, try its step, record what came of it, and so on until it is over or has to wait.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::Duration,
};

use ::store::{Abort, Store};
use contract::{Answer, Call, Caller, Deadline, Fault, Never, NotExecuted, Reason};
use kernel_api::Timestamp;
use tokio::sync::{Notify, watch};

use crate::{
    AnyDefinition, ApplyError, Counters, Limits, SagaId, Status,
    driver::{Drive, Effects, Unreadable, Written},
    store::{self, STARTED, SagaRow},
};

/// A wait up to this long is sat out with the lease kept: giving the saga to the background and taking it again costs two
/// writes and a look.
const SAT_OUT_MAX: Duration = Duration::from_millis(250);

/// One read or write of the saga table.
const CALL: Duration = Duration::from_secs(5);

/// The first and the longest wait while a step cannot be recorded because the store is away.
const AWAY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// What the clones of a runner share.
pub(crate) struct Core {
    pub store: Store,
    pub limits: Limits,
    /// This runner, among all that could have a lease.
    pub owner: String,
    pub definitions: HashMap<&'static str, Arc<dyn Drive>>,
    pub counters: Counters,
    /// Rung when a saga was put down to wait.
    pub put_down: Notify,
    driving: Mutex<Driving>,
}

#[derive(Default)]
struct Driving {
    /// What this process drives now, each by one task.
    tasks: HashMap<SagaId, watch::Receiver<Seen>>,
    /// Sagas whose task was dropped in the middle: a try of theirs may have had its effect.
    dropped: HashSet<SagaId>,
}

/// What is known of a saga that is being driven.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub last: Last,
    /// Has its task ended?
    pub ended: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Last {
    Nothing,
    Row(Box<SagaRow>),
    Missing,
    Away(NotExecuted),
}

/// Why a step was not recorded.
enum Unrecorded {
    Superseded,
    Forbidden(String),
}

/// Takes the saga off the list of those that are driven, however the task ends.
struct Driven {
    core: Arc<Core>,
    id: SagaId,
    seen: watch::Sender<Seen>,
    whole: bool,
}

impl Driven {
    /// The task has come to its own end.
    fn finish(mut self) {
        self.whole = true;
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        let mut driving = self.core.driving();
        driving.tasks.remove(&self.id);
        if !self.whole {
            driving.dropped.insert(self.id);
        }
        drop(driving);
        self.seen.send_modify(|seen| seen.ended = true);
    }
}

impl Core {
    pub fn new(store: Store, limits: Limits, definitions: Vec<AnyDefinition>) -> Self {
        let definitions = definitions.into_iter().map(|any| (any.0.kind(), any.0)).collect();
        Self {
            store,
            limits,
            owner: SagaId::fresh().to_string(),
            definitions,
            counters: Counters::default(),
            put_down: Notify::new(),
            driving: Mutex::default(),
        }
    }

    fn driving(&self) -> MutexGuard<'_, Driving> {
        // Insertions and removals cannot be half done.
        self.driving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many sagas this process drives now.
    pub fn busy(&self) -> usize {
        self.driving().tasks.len()
    }

    /// A call in the module's own name.
    pub fn call(&self) -> Call {
        Call::new(Caller::module(self.store.module()), Deadline::within(CALL))
    }

    /// Drives a saga in a task of its own, so that it does not end with whoever asked for it; joins the task that
    /// drives it already, if there is one.
    pub fn enter(self: &Arc<Self>, id: SagaId) -> watch::Receiver<Seen> {
        let mut driving = self.driving();
        if let Some(seen) = driving.tasks.get(&id) {
            return seen.clone();
        }
        let (sender, seen) = watch::channel(Seen { last: Last::Nothing, ended: false });
        driving.tasks.insert(id, seen.clone());
        drop(driving);
        let driven = Driven { core: Arc::clone(self), id, seen: sender, whole: false };
        tokio::spawn(async move {
            driven.core.run(id, &driven.seen).await;
            driven.finish();
        });
        seen
    }

    async fn run(&self, id: SagaId, seen: &watch::Sender<Seen>) {
        let show = |last| seen.send_modify(|seen| seen.last = last);
        let row = match self.load(id).await {
            Ok(Some(row)) => row,
            Ok(None) => return show(Last::Missing),
            Err(away) => return show(Last::Away(away)),
        };
        show(Last::Row(Box::new(row.clone())));
        let Some(mut row) = self.take(id, row).await else { return };
        loop {
            let Some((next, wait)) = self.step(row).await else { return };
            show(Last::Row(Box::new(next.clone())));
            if next.lease_owner.is_empty() {
                return;
            }
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            row = next;
        }
    }

    async fn load(&self, id: SagaId) -> Result<Option<SagaRow>, NotExecuted> {
        let found =
            self.store.read::<_, Never>(&self.call(), move |c| Ok(store::find(c, id)?)).await;
        found.map_err(|fault| match fault {
            Fault::Refused(never) => match never {},
            Fault::NotExecuted(away) => away,
            Fault::Unknown(away) => NotExecuted::new(Reason::Unavailable, away.detail),
        })
    }

    /// Makes the saga this runner's own. Nothing when it is over, waits, or is another's.
    async fn take(&self, id: SagaId, row: SagaRow) -> Option<SagaRow> {
        let now = self.store.clock().now();
        let ours = row.lease_owner == self.owner;
        let leased = row.lease_until_at > now.micros();
        if row.status().is_over() || row.next_try_at > now.micros() || (leased && !ours) {
            return None;
        }
        let dropped = self.driving().dropped.remove(&id);
        if ours && row.revision == STARTED && !dropped {
            // Started by this process a moment ago and not touched since: nothing to write.
            return Some(row);
        }
        let orphaned = !row.lease_owner.is_empty();
        let from = row.revision;
        let taken = SagaRow {
            revision: from + 1,
            // Whoever had it may have been asking when it died.
            in_doubt: row.in_doubt || orphaned,
            lease_owner: self.owner.clone(),
            lease_until_at: now.plus(self.limits.lease).micros(),
            updated_at: now.micros(),
            ..row
        };
        let write = taken.clone();
        let done: Answer<bool, Never> = self
            .store
            .write(&self.call(), move |tx| Ok(store::record(tx.connection(), from, &write)?))
            .await;
        match done {
            Ok(true) => {
                self.counters.taken_over.fetch_add(u64::from(orphaned), Ordering::Relaxed);
                Some(taken)
            }
            Ok(false) => None,
            Err(fault) => {
                tracing::debug!(saga = %id, %fault, "not taken");
                None
            }
        }
    }

    /// Tries the step and records what came of it. Nothing when the saga is no longer this runner's.
    async fn step(&self, row: SagaRow) -> Option<(SagaRow, Duration)> {
        let tried = if row.revision >= i64::from(self.limits.revisions_max) {
            Err(Unreadable::Broken(format!("it was written {} times and goes on", row.revision)))
        } else if let Some(definition) = self.definitions.get(row.kind.as_str()) {
            self.counters.steps.fetch_add(1, Ordering::Relaxed);
            definition.step(self.store.module(), &row, &self.limits).await
        } else {
            Err(Unreadable::Broken(format!("this process knows no sagas of kind `{}`", row.kind)))
        };
        let written = match tried {
            Ok(written) => written,
            Err(Unreadable::Broken(reason)) => stays(&row, Status::Stuck, row.in_doubt, reason),
            Err(Unreadable::Newer(reason)) => {
                stays(&row, self.once_more(&row), row.in_doubt, reason)
            }
        };
        let recorded = self.record(row, written).await?;
        self.note(&recorded.0);
        Some(recorded)
    }

    /// Running, as long as a step has tries left.
    fn once_more(&self, row: &SagaRow) -> Status {
        let used_up = row.attempts() + 1 >= self.limits.attempts_max;
        if used_up { Status::Stuck } else { Status::Running }
    }

    /// Records a step: one transaction, tried until it is clear whether it stands or until the lease is over.
    async fn record(&self, row: SagaRow, mut written: Written) -> Option<(SagaRow, Duration)> {
        let mut away = AWAY.0;
        let until = Timestamp::from_micros(row.lease_until_at);
        let mut effects = Arc::new(Mutex::new(written.effects.take()));
        loop {
            let (next, wait) = self.following(&row, &written);
            match self.write(&row, &next, &effects).await {
                Ok(()) => return Some((next, wait)),
                Err(Fault::Refused(Unrecorded::Superseded)) => return None,
                Err(Fault::Refused(Unrecorded::Forbidden(reason))) => {
                    written = self.without_effects(&row, &written, reason);
                    effects = Arc::default();
                    continue;
                }
                Err(Fault::NotExecuted(why)) if why.reason == Reason::Failed => {
                    if effects.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
                        tracing::error!(saga = row.id, %why, "the step cannot be recorded");
                        return None;
                    }
                    written = self.without_effects(&row, &written, why.detail);
                    effects = Arc::default();
                    continue;
                }
                Err(Fault::NotExecuted(why)) if why.reason == Reason::Moved => return None,
                Err(Fault::NotExecuted(why)) => {
                    tracing::debug!(saga = row.id, %why, "not recorded yet");
                }
                Err(Fault::Unknown(why)) => {
                    tracing::debug!(saga = row.id, %why, "recorded or not?");
                    let id = row.id.parse().ok()?;
                    if let Ok(Some(found)) = self.load(id).await
                        && found.revision != row.revision
                    {
                        let ours = found.revision == next.revision
                            && found.lease_owner == next.lease_owner;
                        return ours.then_some((found, wait));
                    }
                }
            }
            if self.store.clock().now() > until {
                // Another one will take it over and ask again.
                return None;
            }
            tokio::time::sleep(away).await;
            away = (away * 2).min(AWAY.1);
        }
    }

    async fn write(
        &self,
        row: &SagaRow,
        next: &SagaRow,
        effects: &Arc<Mutex<Option<Effects>>>,
    ) -> Answer<(), Unrecorded> {
        let (from, next, effects) = (row.revision, next.clone(), Arc::clone(effects));
        let call = self.call();
        let written = self.store.write(&call, move |tx| {
            // First, so that of two only one goes on to the effects.
            if !store::record(tx.connection(), from, &next)? {
                return Err(Abort::Refused(Unrecorded::Superseded));
            }
            let mut effects = effects.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(effects) = effects.as_mut() else { return Ok(()) };
            effects(tx).map_err(|error| match error {
                ApplyError::Forbidden(reason) => Abort::Refused(Unrecorded::Forbidden(reason)),
                ApplyError::Database(error) => Abort::Failed(error),
            })
        });
        written.await
    }

    /// The row after this step, and the wait until its next try if this task is to sit it out.
    fn following(&self, row: &SagaRow, written: &Written) -> (SagaRow, Duration) {
        let now = self.store.clock().now();
        let again = written.status == Status::Running && written.reason.is_some();
        let wait = match row.id.parse() {
            Ok(id) if again => self.limits.wait(id, written.attempts),
            _ => Duration::ZERO,
        };
        let keep = written.status == Status::Running && wait <= SAT_OUT_MAX;
        let until = now.plus(self.limits.lease).micros();
        let next = SagaRow {
            id: row.id.clone(),
            kind: row.kind.clone(),
            version: i64::from(written.version),
            state: written.state.clone(),
            step: written.step.clone(),
            status: written.status.as_str().to_owned(),
            revision: row.revision + 1,
            attempts: i64::from(written.attempts),
            in_doubt: written.in_doubt,
            next_try_at: now.plus(wait).micros(),
            lease_owner: if keep { self.owner.clone() } else { String::new() },
            lease_until_at: if keep { until } else { 0 },
            last_error: written.reason.clone(),
            created_at: row.created_at,
            updated_at: now.micros(),
        };
        (next, wait)
    }

    /// What is recorded when a step's effects cannot be written. The answer was certain, but it is not kept, so the step
    /// counts as one that may have had its effect.
    fn without_effects(&self, row: &SagaRow, written: &Written, reason: String) -> Written {
        let status =
            if written.status == Status::Stuck { Status::Stuck } else { self.once_more(row) };
        let first = written.reason.as_ref().map(|first| format!("{first}; ")).unwrap_or_default();
        let reason = format!("{first}the step's effects cannot be written: {reason}");
        tracing::warn!(saga = row.id, reason, "the step was rolled back");
        stays(row, status, true, reason)
    }

    fn note(&self, row: &SagaRow) {
        let count = match row.status() {
            Status::Running => {
                if row.attempts > 0 {
                    self.counters.retries.fetch_add(1, Ordering::Relaxed);
                }
                if row.lease_owner.is_empty() {
                    self.put_down.notify_one();
                }
                return;
            }
            Status::Done => &self.counters.done,
            Status::Compensated => &self.counters.compensated,
            Status::Stuck => {
                let reason = row.last_error.as_deref().unwrap_or_default();
                tracing::error!(saga = row.id, kind = row.kind, step = row.step, reason, "stuck");
                &self.counters.stuck
            }
            Status::Closed => return,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// The same state again: a try that led nowhere.
fn stays(row: &SagaRow, status: Status, in_doubt: bool, reason: String) -> Written {
    Written {
        status,
        version: u32::try_from(row.version).unwrap_or(u32::MAX),
        state: row.state.clone(),
        step: row.step.clone(),
        attempts: row.attempts().saturating_add(1),
        in_doubt,
        reason: Some(reason),
        effects: None,
    }
}
