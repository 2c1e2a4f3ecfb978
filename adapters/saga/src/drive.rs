//! Driving one saga: take it, try its step, record what came of it, and so on until it is over or has to wait.

mod record;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::Duration,
};

use ::store::Store;
use contract::{Answer, Call, Caller, Deadline, Fault, Never, NotExecuted, Reason};
use tokio::sync::{Notify, watch};

use crate::{
    AnyDefinition, Counters, Limits, SagaId,
    driver::Drive,
    store::{self, STARTED, SagaRow},
};

/// One read or write of the saga table.
const CALL: Duration = Duration::from_secs(5);

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
        // Where nobody else can have the table open, who had the lease has ended.
        let leased = row.lease_until_at > now.micros() && !self.store.is_alone();
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
}
