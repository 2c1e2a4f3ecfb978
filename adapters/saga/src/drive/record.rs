//! Trying a step and recording what came of it, once.

use std::{
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use ::store::Abort;
use contract::{Answer, Fault, Reason};
use kernel_api::Timestamp;

use super::Core;
use crate::{
    ApplyError, Status,
    driver::{Effects, Unreadable, Written},
    store::{self, SagaRow},
};

/// A wait up to this long is sat out with the lease kept: giving the saga to the background and taking it again costs two
/// writes and a look.
const SAT_OUT_MAX: Duration = Duration::from_millis(250);

/// The first and the longest wait while a step cannot be recorded because the store is away.
const AWAY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// Why a step was not recorded.
enum Unrecorded {
    Superseded,
    Forbidden(String),
}

impl Core {
    /// Tries the step and records what came of it. Nothing when the saga is no longer this runner's.
    pub(super) async fn step(&self, row: SagaRow) -> Option<(SagaRow, Duration)> {
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
