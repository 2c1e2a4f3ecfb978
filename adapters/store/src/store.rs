//! The door to one module's data.

use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use contract::{Answer, Call, Command, Never};
use diesel::{ConnectionError, QueryResult};
use kernel_api::{Clock, Timestamp};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::watch;

use crate::{
    Abort, Connection, FeedPage, Limits, Tx, fault, fence, group, idempotency,
    idempotency::Slot,
    inspect, outbox,
    postgres::Worker,
    queue::Queue,
    server::Server,
    shared::Shared,
    sqlite,
    task::{Kind, submit},
    tx::Stop,
};

/// Where a module's data is.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A file of its own.
    Sqlite {
        /// The file; `-wal` and `-shm` files stand beside it while it is open.
        path: PathBuf,
    },
    /// A schema and a role of its own on a PostgreSQL server.
    Postgres {
        /// The URL with the module's role, as libpq reads it: `sslmode`, `sslrootcert` and the rest pass through.
        url: String,
    },
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { path } => write!(f, "{}", path.display()),
            // The URL holds a password.
            Self::Postgres { .. } => f.write_str("postgres://…"),
        }
    }
}

/// A database that cannot be opened: one line that says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The SQLite file.
    #[error("{}: {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The PostgreSQL server.
    #[error("PostgreSQL: {0}")]
    Server(String),
    /// The tables are not there.
    #[error("the tables of {0} are missing: run `banyan migrate`")]
    NotMigrated(String),
    /// The catalog ties the data to something outside the module.
    #[error("the data of {module} is not its own: {findings}")]
    NotAlone {
        /// The module.
        module: String,
        /// What was found.
        findings: String,
    },
    /// A thread cannot be started.
    #[error("cannot start a database thread: {0}")]
    Thread(String),
}

impl OpenError {
    pub(crate) fn server(error: &ConnectionError) -> Self {
        Self::Server(fault::connection(error))
    }
}

/// The door to one module's data. Clones share it; the last one closes it, after what waits in the queues has run.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    location: Location,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.writes.close();
        self.shared.reads.close();
        let threads = self.threads.get_mut().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            // The last clone may live in a closure that a thread of ours runs: that one cannot wait for itself.
            if thread.thread().id() != thread::current().id() {
                drop(thread.join());
            }
        }
    }
}

impl Store {
    /// Opens the data of `module` and takes the epoch that its fence row shows. The tables must be there
    /// ([`migrate`](crate::migrate)). Blocks; call it at start-up.
    pub fn open(
        module: &str,
        location: &Location,
        limits: Limits,
        clock: Clock,
    ) -> Result<Self, OpenError> {
        let writes = Arc::new(Queue::new(limits.queue_jobs_max));
        let reads = match location {
            Location::Sqlite { .. } => Arc::new(Queue::new(limits.queue_jobs_max)),
            Location::Postgres { .. } => Arc::clone(&writes),
        };
        let shared = Arc::new(Shared {
            module: module.to_owned(),
            writes,
            reads,
            limits,
            clock,
            epoch: AtomicU64::new(0),
            fed: watch::Sender::new(0),
            told: watch::Sender::new(0),
            sequenced: matches!(location, Location::Postgres { .. }),
        });
        let threads = match location {
            Location::Sqlite { path } => open_sqlite(&shared, path)?,
            Location::Postgres { url } => open_postgres(&shared, url)?,
        };
        let inner = Inner { shared, location: location.clone(), threads: Mutex::new(threads) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The module whose data this is.
    pub fn module(&self) -> &str {
        &self.inner.shared.module
    }

    /// Where the data is.
    pub fn location(&self) -> &Location {
        &self.inner.location
    }

    /// The clock that transactions take their time from.
    pub fn clock(&self) -> &Clock {
        &self.inner.shared.clock
    }

    /// Is it on PostgreSQL?
    pub fn is_postgres(&self) -> bool {
        matches!(self.inner.location, Location::Postgres { .. })
    }

    /// How many jobs wait for a thread, for metrics: reads, writes. On PostgreSQL both stand in one queue.
    pub fn waiting(&self) -> (usize, usize) {
        (self.inner.shared.reads.waiting(), self.inner.shared.writes.waiting())
    }

    /// The epoch under which this process writes.
    pub fn epoch(&self) -> u64 {
        self.inner.shared.epoch.load(Ordering::Relaxed)
    }

    /// Runs queries that change nothing. Each statement sees the data as committed when it starts; use
    /// [`snapshot`](Self::snapshot) where several must see the same moment. Not fenced: what a process that lost the
    /// module reads is stale.
    pub async fn read<T, R>(
        &self,
        call: &Call,
        mut f: impl FnMut(&mut Connection) -> Result<T, Abort<R>> + Send + 'static,
    ) -> Answer<T, R>
    where
        T: Send + 'static,
        R: Send + 'static,
    {
        let shared = &self.inner.shared;
        submit(&shared.reads, call, Kind::Read, move |tx| f(tx.connection()).map_err(Stop::from))
            .await
    }

    /// Runs queries that change nothing and all see the same moment.
    pub async fn snapshot<T, R>(
        &self,
        call: &Call,
        mut f: impl FnMut(&mut Connection) -> Result<T, Abort<R>> + Send + 'static,
    ) -> Answer<T, R>
    where
        T: Send + 'static,
        R: Send + 'static,
    {
        let shared = &self.inner.shared;
        submit(&shared.reads, call, Kind::Snapshot, move |tx| {
            f(tx.connection()).map_err(Stop::from)
        })
        .await
    }

    /// The write door: runs `f` in a transaction that first makes sure that this process still owns the module, and
    /// answers after the commit. `f` may run more than once, so it only queries.
    ///
    /// [`Abort::Refused`] rolls back what this closure wrote, nothing else. READ COMMITTED on PostgreSQL: guard updates
    /// by their condition (`… where on_hand - reserved >= n`), not by an earlier read.
    pub async fn write<T, R>(
        &self,
        call: &Call,
        mut f: impl FnMut(&mut Tx<'_>) -> Result<T, Abort<R>> + Send + 'static,
    ) -> Answer<T, R>
    where
        T: Send + 'static,
        R: Send + 'static,
    {
        let shared = &self.inner.shared;
        submit(&shared.writes, call, Kind::Write, move |tx| f(tx).map_err(Stop::from)).await
    }

    /// [`write`](Self::write), and the answer is kept under (caller, operation, key) in the same transaction. The same
    /// key again gives the kept answer without a run; with another request it gives `NotExecuted(KeyReused)`. A
    /// refusal is not kept: asking again looks at the facts again.
    pub async fn command<Q, T, R>(
        &self,
        command: &Command,
        operation: &'static str,
        request: &Q,
        mut f: impl FnMut(&mut Tx<'_>) -> Result<T, Abort<R>> + Send + 'static,
    ) -> Answer<T, R>
    where
        Q: Serialize,
        T: Serialize + DeserializeOwned + Send + 'static,
        R: Send + 'static,
    {
        let slot = Slot::new(command, operation, request)?;
        let shared = &self.inner.shared;
        submit(&shared.writes, &command.call, Kind::Write, move |tx| {
            if let Some(kept) = slot.find(tx.connection())? {
                return Ok(kept);
            }
            let answer = match f(tx) {
                Err(Abort::Refused(refusal)) => {
                    return Err(slot.refused(tx.connection(), refusal)?);
                }
                ended => ended?,
            };
            slot.keep(tx, &answer)?;
            Ok(answer)
        })
        .await
    }

    /// The write door in one statement: `f` runs one INSERT, UPDATE or DELETE whose condition contains
    /// [`fence_holds`](crate::fence_holds) with the epoch that it is given. On PostgreSQL that statement is committed
    /// by itself, in one round trip where [`write`](Self::write) needs three; no event can be told and no answer kept.
    ///
    /// `f` gives `None` when the statement touched no row. Then, and only then, the fence row is looked at: the answer
    /// is `NotExecuted(Moved)` when this process lost the module, and `Ok(None)` when the statement's own guard held
    /// it back. A connection lost on the way is `Unknown`.
    pub async fn write_one<T, R>(
        &self,
        call: &Call,
        mut f: impl FnMut(&mut Connection, u64) -> QueryResult<Option<T>> + Send + 'static,
    ) -> Answer<Option<T>, R>
    where
        T: Send + 'static,
        R: Send + 'static,
    {
        let shared = Arc::clone(&self.inner.shared);
        submit(&self.inner.shared.writes, call, Kind::Single, move |tx| {
            let epoch = tx.epoch();
            let done = f(tx.connection(), epoch)?;
            if done.is_none() {
                shared.fenced(fence::epoch(tx.connection())?).map_err(Stop::NotExecuted)?;
            }
            Ok(done)
        })
        .await
    }

    /// Raises the epoch from this process's own to the next one: what it does is take the module away from every other
    /// process, itself included, until each says with [`adopt`](Self::adopt) that it writes under the new epoch.
    /// `None` when another epoch was in the row already.
    pub async fn raise_epoch(&self, call: &Call) -> Answer<Option<u64>, Never> {
        let from = self.epoch();
        let to = from + 1;
        self.write(call, move |tx| {
            let signed = |epoch: u64| i64::try_from(epoch).unwrap_or(i64::MAX);
            let raised = fence::raise(tx.connection(), signed(from), signed(to))?;
            Ok(raised.then_some(to))
        })
        .await
    }

    /// This process writes under `epoch` from now on. It is not a right that one takes: the fence row decides.
    pub fn adopt(&self, epoch: u64) {
        self.inner.shared.epoch.store(epoch, Ordering::Relaxed);
    }

    /// Changes whenever the feed may have grown by a commit of this process. Other processes' commits do not show
    /// here: whoever waits for them also looks from time to time.
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.inner.shared.fed.subscribe()
    }

    /// Changes whenever a commit of this process left events that may wait for [`sequence`](Self::sequence).
    pub fn emitted(&self) -> watch::Receiver<u64> {
        self.inner.shared.told.subscribe()
    }

    /// Do events need [`sequence`](Self::sequence) before the feed shows them? Only on PostgreSQL.
    pub fn needs_sequencer(&self) -> bool {
        self.inner.shared.sequenced
    }

    /// Gives positions to at most `limit` events whose transactions have committed; how many it gave. One process at a
    /// time does it (a lease row), and any may.
    pub async fn sequence(&self, call: &Call, limit: u32) -> Answer<u64, Never> {
        if !self.needs_sequencer() {
            return Ok(0);
        }
        let given =
            self.write(call, move |tx| Ok(outbox::sequence(tx.connection(), limit)?)).await?;
        if given > 0 {
            self.inner.shared.fed.send_modify(|count| *count += 1);
        }
        Ok(given)
    }

    /// The events after a position, at most `limit` and at most
    /// [`FEED_PAGE_MAX`](crate::limits::FEED_PAGE_MAX).
    pub async fn feed(&self, call: &Call, after: u64, limit: u32) -> Answer<FeedPage, Never> {
        let source = self.inner.shared.module.clone();
        self.read(call, move |c| Ok(outbox::read(c, &source, after, limit)?)).await
    }

    /// The newest and the oldest position of the feed, zero where nothing was ever told.
    pub async fn feed_bounds(&self, call: &Call) -> Answer<(u64, u64), Never> {
        self.read(call, |c| Ok(outbox::bounds(c)?)).await
    }

    /// Forgets events told before `before` whose position is at most `upto` (what every reader has read), at most
    /// `limit`, never the newest; how many.
    pub async fn prune_feed(
        &self,
        call: &Call,
        before: Timestamp,
        upto: u64,
        limit: u32,
    ) -> Answer<usize, Never> {
        self.write(call, move |tx| {
            Ok(outbox::prune(tx.connection(), before.micros(), upto, i64::from(limit))?)
        })
        .await
    }

    /// Forgets answers kept before `before`, at most `limit`; how many. Keep them for
    /// [`ANSWERS_KEPT`](crate::ANSWERS_KEPT) at least.
    pub async fn prune_answers(
        &self,
        call: &Call,
        before: Timestamp,
        limit: u32,
    ) -> Answer<usize, Never> {
        let places = self
            .read(call, move |c| Ok(idempotency::old(c, before.micros(), i64::from(limit))?))
            .await?;
        if places.is_empty() {
            return Ok(0);
        }
        self.write(call, move |tx| Ok(idempotency::forget(tx.connection(), &places)?)).await
    }
}

fn open_sqlite(
    shared: &Arc<Shared>,
    path: &std::path::Path,
) -> Result<Vec<JoinHandle<()>>, OpenError> {
    let writer = sqlite::open(path)?;
    let mut writer = Connection::Sqlite(writer);
    prepare(shared, &mut writer)?;
    let mut threads = Vec::new();
    for number in 0..shared.limits.readers {
        let reader = sqlite::open(path)?;
        let shared = Arc::clone(shared);
        threads.push(start(format!("{}-read-{number}", shared.module), move || {
            sqlite::read(&shared, reader);
        })?);
    }
    let shared = Arc::clone(shared);
    let path = path.to_owned();
    threads.push(start(format!("{}-write", shared.module), move || {
        group::write(&shared, &path, writer);
    })?);
    Ok(threads)
}

fn open_postgres(shared: &Arc<Shared>, url: &str) -> Result<Vec<JoinHandle<()>>, OpenError> {
    let server = Arc::new(Server::new(&shared.module, url, &shared.limits));
    // One connection now, so that a wrong URL or missing tables stop the start; the threads make theirs when they
    // have work.
    let first = server.connect(shared).map_err(|error| OpenError::Server(error.detail))?;
    prepare(shared, &mut Connection::Postgres(first))?;
    (0..shared.limits.connections)
        .map(|number| {
            let worker = Worker::new(Arc::clone(shared), Arc::clone(&server));
            start(format!("{}-pg-{number}", shared.module), move || worker.run())
        })
        .collect()
}

/// Takes the epoch from the fence row, and makes sure that the data is this module's alone.
fn prepare(shared: &Shared, connection: &mut Connection) -> Result<(), OpenError> {
    let epoch =
        fence::epoch(connection).map_err(|_none| OpenError::NotMigrated(shared.module.clone()))?;
    shared.epoch.store(u64::try_from(epoch).unwrap_or(0), Ordering::Relaxed);
    let findings =
        inspect::findings(connection).map_err(|error| OpenError::Server(error.to_string()))?;
    if findings.is_empty() {
        return Ok(());
    }
    Err(OpenError::NotAlone { module: shared.module.clone(), findings: findings.join("; ") })
}

fn start(name: String, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, OpenError> {
    thread::Builder::new()
        .name(name)
        .spawn(body)
        .map_err(|error| OpenError::Thread(error.to_string()))
}
