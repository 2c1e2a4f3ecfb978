//! The runner: starts sagas, drives them for those who wait, and picks up what is due.

use std::{
    collections::HashSet,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use ::store::{Store, Tx};
use contract::{Answer, Call, Deadline, Fault, Never, Ownership};
use diesel::{QueryResult, result::Error};
use futures_util::FutureExt;
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use crate::{
    AnyDefinition, Definition, Limits, Progress, SagaId,
    drive::{Core, Last},
    driver,
    store::{self, SagaRow},
    view::Saga,
};

/// How often a caller looks at a saga that somebody else drives.
const LOOK: Duration = Duration::from_millis(25);

/// What a runner has done; never goes down.
#[derive(Debug, Default)]
pub struct Counters {
    /// Sagas started here.
    pub started: AtomicU64,
    /// Tries of steps.
    pub steps: AtomicU64,
    /// Tries that led nowhere.
    pub retries: AtomicU64,
    /// Sagas that came to the end that was wanted.
    pub done: AtomicU64,
    /// Sagas that were undone.
    pub compensated: AtomicU64,
    /// Sagas that got stuck.
    pub stuck: AtomicU64,
    /// Sagas taken over from a runner that had died.
    pub taken_over: AtomicU64,
}

/// Drives the sagas of one module. Clones share it.
#[derive(Clone)]
pub struct Runner {
    pub(crate) core: Arc<Core>,
    background: Arc<Background>,
}

struct Background {
    stop: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Runner {
    /// A runner for these kinds of sagas, whose table is in `store`. It drives what it is asked to;
    /// [`start`](Self::start) makes it pick up the rest.
    pub fn new(store: Store, limits: Limits, definitions: Vec<AnyDefinition>) -> Self {
        let core = Arc::new(Core::new(store, limits, definitions));
        let background = Background { stop: watch::Sender::new(false), task: Mutex::default() };
        Self { core, background: Arc::new(background) }
    }

    /// What it has done in this process.
    pub fn counters(&self) -> &Counters {
        &self.core.counters
    }

    /// Begins a saga within the transaction of the command that asks for it: it exists if and only if that commits.
    /// [`drive`](Self::drive) it after the commit; if nobody does, the background runner picks it up when the
    /// lease is over, or at its next start where the store is [alone](Store::alone).
    pub fn start_in<D: Definition>(
        &self,
        tx: &mut Tx<'_>,
        id: SagaId,
        state: &D::State,
    ) -> QueryResult<()> {
        let now = tx.now();
        let lease = (now, now.plus(self.core.limits.lease));
        let row = driver::begin::<D>(id, state, &self.core.owner, lease)
            .map_err(|error| Error::SerializationError(Box::new(error)))?;
        store::insert(tx.connection(), &row)?;
        Ok(())
    }

    /// Drives a saga at once and waits for it, at most until the deadline. Then it goes on by itself: the task is not
    /// the caller's, so it ends neither with the deadline nor when the caller goes away. May be called again, by
    /// anyone, at any time: a saga is only ever driven once at a time, and one that is over is only looked at.
    pub async fn drive(&self, id: SagaId, deadline: Deadline) -> Answer<Progress, Missing> {
        loop {
            let mut seen = self.core.enter(id);
            let ended = seen.wait_for(|seen| seen.ended);
            let in_time = tokio::time::timeout_at(deadline.instant().into(), ended).await.is_ok();
            let last = seen.borrow().last.clone();
            match last {
                Last::Row(row) if !in_time || self.is_far(&row, deadline) => {
                    return Ok(Progress::from(&*row));
                }
                Last::Missing => return Err(Fault::Refused(Missing)),
                Last::Away(why) if !why.reason.is_passing() => return Err(why.into()),
                Last::Row(_) | Last::Nothing | Last::Away(_) if deadline.remaining() > LOOK => {
                    tokio::time::sleep(LOOK).await;
                }
                Last::Row(row) => return Ok(Progress::from(&*row)),
                Last::Away(why) => return Err(why.into()),
                // Not even looked at yet: all that is known is that it goes on by itself.
                Last::Nothing => return Ok(Progress::unseen()),
            }
        }
    }

    /// Is there nothing to wait for before the deadline?
    fn is_far(&self, row: &SagaRow, deadline: Deadline) -> bool {
        let now = self.core.store.clock().now();
        let soon = now.plus(deadline.remaining()).micros();
        crate::Status::is_over(row.status()) || row.next_try_at > soon
    }

    /// Picks up, in the background, what is due and nobody drives, for as long as the module is here.
    pub fn start(&self, ownership: watch::Receiver<Ownership>) {
        let task =
            tokio::spawn(run(Arc::clone(&self.core), ownership, self.background.stop.subscribe()));
        let mut running = self.background.task.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = running.replace(task) {
            before.abort();
        }
    }

    /// Ends the background, and waits until nothing is driven any more, at most until the deadline. What is then
    /// still under way goes on wherever the table is looked at next.
    pub async fn stop(&self, deadline: Deadline) {
        self.background.stop.send_replace(true);
        let task = self.background.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            drop(tokio::time::timeout_at(deadline.instant().into(), task).await);
        }
        while self.core.busy() > 0 && !deadline.passed() {
            tokio::time::sleep(LOOK.min(deadline.remaining())).await;
        }
    }

    /// How many sagas are running, and how many are stuck.
    pub async fn open(&self, call: &Call) -> Answer<(u64, u64), Never> {
        let (running, stuck) = self.core.store.read(call, |c| Ok(store::open(c)?)).await?;
        let count = |count: i64| u64::try_from(count).unwrap_or(0);
        Ok((count(running), count(stuck)))
    }
}

/// There is no such saga.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such saga")]
pub struct Missing;

async fn run(
    core: Arc<Core>,
    mut ownership: watch::Receiver<Ownership>,
    mut stop: watch::Receiver<bool>,
) {
    let mut stopped = std::pin::pin!(async move { drop(stop.wait_for(|stop| *stop).await) });
    loop {
        tokio::select! {
            biased;
            () = &mut stopped => return,
            () = until(&mut ownership, true) => {}
        }
        tokio::select! {
            biased;
            () = &mut stopped => return,
            () = until(&mut ownership, false) => {}
            panic = AssertUnwindSafe(pick_up(&core)).catch_unwind() => {
                drop(panic);
                tracing::error!(module = core.store.module(), "the saga runner panicked; starts again");
                tokio::time::sleep(core.limits.poll).await;
            }
        }
    }
}

/// Waits until the module is here, or is not. A watch whose sender is gone keeps its last word.
async fn until(ownership: &mut watch::Receiver<Ownership>, here: bool) {
    if ownership.wait_for(|owner| owner.is_here() == here).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Drives what is due, a bounded number at once; never ends by itself. Dropping it leaves the sagas to their own tasks.
async fn pick_up(core: &Arc<Core>) {
    let mut tasks = JoinSet::new();
    let mut under_way: HashSet<SagaId> = HashSet::new();
    loop {
        let pause = match look(core).await {
            Ok((due, pause)) => {
                for id in due {
                    if tasks.len() < core.limits.concurrency && under_way.insert(id) {
                        let mut seen = core.enter(id);
                        tasks.spawn(async move {
                            drop(seen.wait_for(|seen| seen.ended).await);
                            id
                        });
                    }
                }
                pause
            }
            Err(fault) => {
                tracing::debug!(module = core.store.module(), %fault, "not looked for sagas");
                core.limits.poll
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = core.put_down.notified() => {}
            Some(Ok(id)) = tasks.join_next() => { under_way.remove(&id); }
        }
    }
}

/// What is due, and how long until it is worth looking again.
async fn look(core: &Core) -> Answer<(Vec<SagaId>, Duration), Never> {
    let now = core.store.clock().now();
    let limit = core.limits.concurrency;
    let call = core.call();
    let alone = core.store.is_alone().then(|| core.owner.clone());
    let found = core.store.read(&call, move |c| {
        Ok((store::due(c, now, alone.as_deref(), limit)?, store::next_due(c, now)?))
    });
    let (due, next) = found.await?;
    let poll = core.limits.poll;
    // At least a moment: a clock of microseconds must not make this loop spin.
    let pause = next.map_or(poll, |next| next.since(now).min(poll).max(Duration::from_millis(1)));
    Ok((due.iter().filter_map(|id| id.parse::<kernel_api::Id<Saga>>().ok()).collect(), pause))
}
