//! What the threads of one store share.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use contract::{NotExecuted, Reason, TraceContext};
use diesel::result::Error;
use kernel_api::Clock;
use tokio::sync::watch;

use crate::{
    Connection, Limits, Standing, Tx, fault, fence::STANDBY, provision::literal, queue::Queue,
    task::Job,
};

/// Shared by the callers and the threads of one module's store.
pub(crate) struct Shared {
    pub module: String,
    pub limits: Limits,
    pub clock: Clock,
    pub writes: Arc<Queue<Box<dyn Job>>>,
    /// On PostgreSQL the same queue: there any thread does either.
    pub reads: Arc<Queue<Box<dyn Job>>>,
    /// The epoch under which this process writes, [`STANDBY`](crate::fence::STANDBY) where it may not. Relaxed is
    /// enough: the fence row in the database decides.
    pub epoch: AtomicU64,
    /// The deployment that this process belongs to, where it said so: then the row has to name it too.
    pub deployment: Option<String>,
    /// Counts the commits after which the feed may be longer.
    pub fed: watch::Sender<u64>,
    /// Counts the commits after which rows wait for a position.
    pub told: watch::Sender<u64>,
    /// Does a commit that emitted need the sequencer before the feed shows it?
    pub sequenced: bool,
}

impl Shared {
    /// A view of the connection for one run of a closure.
    pub fn tx<'a>(&self, connection: &'a mut Connection, trace: TraceContext) -> Tx<'a> {
        Tx {
            connection,
            epoch: self.epoch.load(Ordering::Relaxed),
            now: self.clock.now(),
            trace,
            emitted: false,
        }
    }

    /// What begins a write transaction on PostgreSQL: an error by division when the epoch is another.
    pub fn begin_sql(&self) -> String {
        let epoch = self.epoch.load(Ordering::Relaxed);
        let owner = self.deployment.as_deref().map_or_else(String::new, |deployment| {
            format!(" AND owner IN ('', {})", literal(deployment))
        });
        format!("BEGIN; SELECT 1 / count(*) FROM fence WHERE epoch = {epoch}{owner}")
    }

    /// Does the fence row let this process write?
    pub fn fenced(&self, row: &Standing) -> Result<(), NotExecuted> {
        let ours = self.epoch.load(Ordering::Relaxed);
        if row.epoch == ours && self.named_by(row) {
            return Ok(());
        }
        let Standing { epoch, owner } = row;
        let of = if owner.is_empty() { String::new() } else { format!(" of {owner}") };
        let here = match ours {
            STANDBY => "this process stands by".to_owned(),
            ours => format!("this process at {ours}"),
        };
        Err(NotExecuted::new(
            Reason::Moved,
            format!("{} is at epoch {epoch}{of}, {here}", self.module),
        ))
    }

    /// Does the row name this process's deployment, or nobody?
    pub fn named_by(&self, row: &Standing) -> bool {
        row.owner.is_empty() || self.deployment.as_ref().is_none_or(|ours| *ours == row.owner)
    }

    /// Takes the place that the row gives: its epoch for the deployment that it names, a standby for another.
    pub fn stand(&self, row: &Standing) {
        let epoch = if self.named_by(row) { row.epoch } else { STANDBY };
        self.epoch.store(epoch, Ordering::Relaxed);
    }

    /// What the caller hears of a database error; the log hears the rest, once, here.
    pub fn failed(&self, error: &Error) -> NotExecuted {
        let answer = fault::not_executed(error);
        tracing::error!(module = %self.module, error = format!("{error:#}"), "the store failed: {}", answer.detail);
        answer
    }

    /// What the caller hears of a panic in its closure.
    pub fn panicked(&self, message: &str) -> NotExecuted {
        tracing::error!(module = %self.module, panic = message, "a transaction panicked and was rolled back");
        NotExecuted::new(Reason::Failed, "a defect in the module, see its log; rolled back")
    }

    /// Wakes whoever waits for what a commit brought.
    pub fn committed(&self, emitted: bool) {
        if emitted {
            self.told.send_modify(|count| *count += 1);
            if !self.sequenced {
                self.fed.send_modify(|count| *count += 1);
            }
        }
    }
}
