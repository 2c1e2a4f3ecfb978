//! A caller's closure on its way through a queue: taken once, run perhaps several times, answered once.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use contract::{Answer, Call, Deadline, Fault, NotExecuted, Reason, TraceContext, Unknown};
use diesel::result::Error;
use tokio::sync::oneshot;

use crate::{
    Tx,
    queue::{Queue, Rejected},
    tx::Stop,
};

/// What a job needs from the thread that takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Statements that change nothing, each with its own view of the data.
    Read,
    /// Statements that change nothing and all see the same moment.
    Snapshot,
    /// A transaction behind the fence.
    Write,
    /// One statement that carries the fence's predicate itself.
    Single,
}

/// How one run of a closure ended. The answer itself stays with the job until it is known to stand.
pub(crate) enum Ran {
    /// Keep its effect.
    Done,
    /// Undo its effect; its answer is known.
    Refused,
    /// Undo its effect: the database failed.
    Failed(Error),
    /// Undo its effect: the closure panicked with this message.
    Panicked(String),
}

/// Whether what the closure answered stands.
#[derive(Clone)]
pub(crate) enum End {
    Stands,
    NotExecuted(NotExecuted),
    Unknown(Unknown),
}

/// A closure whose types are hidden.
pub(crate) trait Job: Send {
    fn kind(&self) -> Kind;
    fn trace(&self) -> TraceContext;
    /// Takes the job for good. `false` when its caller no longer waits: then it is dropped without a run.
    fn begin(&self) -> bool;
    fn run(&mut self, tx: &mut Tx<'_>) -> Ran;
    fn end(self: Box<Self>, end: End);
}

/// The life of a job: who may still decide that it does not run.
const WAITING: u8 = 0;
const BEGUN: u8 = 1;
const GIVEN_UP: u8 = 2;

struct Task<T, R, F> {
    kind: Kind,
    trace: TraceContext,
    closure: F,
    answer: Option<Result<T, Fault<R>>>,
    reply: oneshot::Sender<Answer<T, R>>,
    stage: Arc<AtomicU8>,
}

impl<T, R, F> Job for Task<T, R, F>
where
    T: Send,
    R: Send,
    F: FnMut(&mut Tx<'_>) -> Result<T, Stop<R>> + Send,
{
    fn kind(&self) -> Kind {
        self.kind
    }

    fn trace(&self) -> TraceContext {
        self.trace
    }

    fn begin(&self) -> bool {
        self.stage.compare_exchange(WAITING, BEGUN, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> Ran {
        self.answer = None;
        // What the closure captured is not looked at again after a panic, so nothing half changed is seen.
        match catch_unwind(AssertUnwindSafe(|| (self.closure)(tx))) {
            Ok(Ok(answer)) => {
                self.answer = Some(Ok(answer));
                Ran::Done
            }
            Ok(Err(Stop::Refused(refusal))) => {
                self.answer = Some(Err(Fault::Refused(refusal)));
                Ran::Refused
            }
            Ok(Err(Stop::NotExecuted(reason))) => {
                self.answer = Some(Err(Fault::NotExecuted(reason)));
                Ran::Refused
            }
            Ok(Err(Stop::Failed(error))) => Ran::Failed(error),
            Err(panic) => Ran::Panicked(message(&*panic)),
        }
    }

    fn end(self: Box<Self>, end: End) {
        let answer = match end {
            End::Stands => self.answer.unwrap_or_else(|| {
                Err(Fault::not_executed(Reason::Failed, "the closure gave no answer"))
            }),
            End::NotExecuted(reason) => Err(Fault::NotExecuted(reason)),
            End::Unknown(reason) => Err(Fault::Unknown(reason)),
        };
        // A caller that went away does not need its answer.
        drop(self.reply.send(answer));
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

/// Tells the threads, when a caller goes away, that its job need not run.
struct Waiting(Arc<AtomicU8>);

impl Waiting {
    /// Gives the job up; `false` when a thread has begun it.
    fn give_up(&self) -> bool {
        let stage = &self.0;
        stage.compare_exchange(WAITING, GIVEN_UP, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// Puts the closure into the queue and waits for its answer, at most until the call's deadline.
pub(crate) async fn submit<T, R, F>(
    queue: &Queue<Box<dyn Job>>,
    call: &Call,
    kind: Kind,
    closure: F,
) -> Answer<T, R>
where
    T: Send + 'static,
    R: Send + 'static,
    F: FnMut(&mut Tx<'_>) -> Result<T, Stop<R>> + Send + 'static,
{
    if call.deadline.passed() {
        return Err(NotExecuted::new(Reason::DeadlinePassed, "before it was queued").into());
    }
    let (reply, answer) = oneshot::channel();
    let waiting = Waiting(Arc::new(AtomicU8::new(WAITING)));
    let stage = Arc::clone(&waiting.0);
    let task = Task { kind, trace: call.trace, closure, answer: None, reply, stage };
    match queue.put(Box::new(task)) {
        Ok(()) => wait(answer, call.deadline, kind, &waiting).await,
        Err(Rejected::Full) => {
            Err(NotExecuted::new(Reason::Overloaded, "the queue in front of the database is full")
                .after(crate::limits::RETRY_WHEN_FULL)
                .into())
        }
        Err(Rejected::Closed) => {
            Err(NotExecuted::new(Reason::Unavailable, "the store is closed").into())
        }
    }
}

async fn wait<T, R>(
    answer: oneshot::Receiver<Answer<T, R>>,
    deadline: Deadline,
    kind: Kind,
    waiting: &Waiting,
) -> Answer<T, R> {
    let effect = matches!(kind, Kind::Write | Kind::Single);
    match tokio::time::timeout_at(deadline.instant().into(), answer).await {
        Ok(Ok(answer)) => answer,
        // The thread is gone with the job: only a defect of this crate does that.
        Ok(Err(_gone)) if effect => {
            Err(Fault::unknown("the database thread ended without an answer"))
        }
        Ok(Err(_gone)) => {
            Err(Fault::not_executed(Reason::Failed, "the database thread ended without an answer"))
        }
        Err(_late) if !waiting.give_up() && effect => {
            Err(Fault::unknown("the deadline passed while the write was under way"))
        }
        Err(_late) => Err(Fault::not_executed(
            Reason::DeadlinePassed,
            "the deadline passed in the queue in front of the database",
        )),
    }
}
