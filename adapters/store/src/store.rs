//! The door to one module's data.

mod feed;

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use contract::{Answer, Call, Command, Never};
use diesel::{QueryResult, result::Error};
use kernel_api::Clock;
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::watch;

use crate::{
    Abort, Connection, Limits, Location, OpenError, Standing, Tx,
    fault::{self, Trouble},
    fence, group,
    idempotency::Slot,
    inspect,
    postgres::Worker,
    queue::Queue,
    server::Server,
    sqlite,
    task::{Kind, submit},
    threads::Shared,
    tx::Stop,
};

/// The door to one module's data. Clones share it; the last one closes it, after what waits in the queues has run.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
    alone: bool,
}

struct Inner {
    shared: Arc<Shared>,
    location: Location,
    threads: Mutex<Threads>,
}

/// The threads of a store, each with a connection of its own.
#[derive(Default)]
struct Threads {
    /// Those that only read: on SQLite.
    readers: Vec<JoinHandle<()>>,
    /// Those that write.
    writers: Vec<JoinHandle<()>>,
    /// Where they connect to: on PostgreSQL.
    server: Option<Arc<Server>>,
}

impl Inner {
    /// Lets what waits in the queues run, then ends the threads, whose connections close with them. SQLite folds its
    /// journal into the file when the last connection closes; of two that close at once, each finds the other open and
    /// neither does. So the writer's closes alone.
    fn close(&self) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        self.shared.reads.close();
        join(threads.readers.drain(..));
        self.shared.writes.close();
        join(threads.writers.drain(..));
    }
}

fn join(threads: impl Iterator<Item = JoinHandle<()>>) {
    for thread in threads {
        // The last clone may live in a closure that a thread of ours runs: that one cannot wait for itself.
        if thread.thread().id() != thread::current().id() {
            drop(thread.join());
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

impl Store {
    /// Opens the data of `module` and takes the epoch that its fence row shows, whoever it names: for tests and tools;
    /// a deployment uses [`open_as`](Self::open_as). The tables must be there ([`migrate`](crate::migrate)). Blocks;
    /// call it at start-up.
    pub fn open(
        module: &str,
        location: &Location,
        limits: Limits,
        clock: Clock,
    ) -> Result<Self, OpenError> {
        Self::open_for(module, location, limits, clock, None)
    }

    /// The same for a process of `deployment`: as owner when the fence row names it or nobody, as a standby otherwise.
    /// A standby reads; each of its writes is `NotExecuted(Moved)`, until [`settle`](Self::settle) or
    /// [`adopt`](Self::adopt). Whatever epoch such a process is told to write under, the door also looks at the name.
    pub fn open_as(
        module: &str,
        location: &Location,
        limits: Limits,
        clock: Clock,
        deployment: &str,
    ) -> Result<Self, OpenError> {
        Self::open_for(module, location, limits, clock, Some(deployment.to_owned()))
    }

    fn open_for(
        module: &str,
        location: &Location,
        limits: Limits,
        clock: Clock,
        deployment: Option<String>,
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
            epoch: AtomicU64::new(fence::STANDBY),
            deployment,
            fed: watch::Sender::new(0),
            told: watch::Sender::new(0),
            sequenced: matches!(location, Location::Postgres { .. }),
        });
        let threads = match location {
            Location::Sqlite { path } => open_sqlite(&shared, location, path)?,
            Location::Postgres { url } => open_postgres(&shared, location, url)?,
        };
        let inner = Inner { shared, location: location.clone(), threads: Mutex::new(threads) };
        Ok(Self { inner: Arc::new(inner), alone: false })
    }

    /// The same door, for a process that holds a lock on the data which no other process gets past: whoever had the
    /// data open before has ended, so nobody else's lease in it needs to be waited for.
    #[must_use]
    pub fn alone(self) -> Self {
        Self { alone: true, ..self }
    }

    /// Is it certain that no other process has this data open?
    pub fn is_alone(&self) -> bool {
        self.alone
    }

    /// Closes the door for all clones, after what waits in the queues has run: at the end of a process, whoever still
    /// holds one. On SQLite the file then stands alone, without its journal. Blocks.
    pub fn close(&self) {
        self.inner.close();
    }

    /// Opens every connection that the store may have, where they are opened as they are needed; says whether all are
    /// open at the end of so long a time. For a process that is about to get the module with everybody waiting: a new
    /// connection takes PostgreSQL tens of milliseconds.
    pub async fn warm(&self, within: Duration) -> bool {
        let server = {
            let threads = self.inner.threads.lock().unwrap_or_else(PoisonError::into_inner);
            threads.server.clone()
        };
        let Some(server) = server else { return true };
        let Shared { writes, limits, .. } = &*self.inner.shared;
        writes.rouse();
        tokio::time::timeout(within, server.seated(limits.connections)).await.is_ok()
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

    /// The epoch under which this process writes; zero in a standby.
    pub fn epoch(&self) -> u64 {
        self.inner.shared.epoch.load(Ordering::Relaxed)
    }

    /// Does this process think that it may not write?
    pub fn is_standby(&self) -> bool {
        self.epoch() == fence::STANDBY
    }

    /// What the fence row says now.
    pub async fn standing(&self, call: &Call) -> Answer<Standing, Never> {
        self.read(call, |c| Ok(fence::row(c)?)).await
    }

    /// Looks at the fence row and takes the place that it gives: its epoch where it names this process's deployment (or
    /// nobody), a standby otherwise. Harmless at any time; what it answers may be stale the moment after, which the
    /// door finds out.
    pub async fn settle(&self, call: &Call) -> Answer<Standing, Never> {
        let row = self.standing(call).await?;
        self.inner.shared.stand(&row);
        Ok(row)
    }

    /// This process becomes a standby: writes that are not in a transaction yet are `NotExecuted(Moved)`. It takes
    /// nothing away from other processes; only the row does that.
    pub fn renounce(&self) {
        self.inner.shared.epoch.store(fence::STANDBY, Ordering::Relaxed);
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
                shared.fenced(&fence::row(tx.connection())?).map_err(Stop::NotExecuted)?;
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
}

fn open_sqlite(
    shared: &Arc<Shared>,
    location: &Location,
    path: &Path,
) -> Result<Threads, OpenError> {
    let writer = sqlite::open(path)?;
    let mut writer = Connection::Sqlite(writer);
    prepare(shared, location, &mut writer)?;
    let mut threads = Threads::default();
    for number in 0..shared.limits.readers {
        let reader = sqlite::open_reader(path)?;
        let shared = Arc::clone(shared);
        threads.readers.push(start(format!("{}-read-{number}", shared.module), move || {
            sqlite::read(&shared, reader);
        })?);
    }
    let shared = Arc::clone(shared);
    let path = path.to_owned();
    threads.writers.push(start(format!("{}-write", shared.module), move || {
        group::write(&shared, &path, writer);
    })?);
    Ok(threads)
}

fn open_postgres(
    shared: &Arc<Shared>,
    location: &Location,
    url: &str,
) -> Result<Threads, OpenError> {
    let server = Arc::new(Server::new(&shared.module, url, &shared.limits));
    // One connection now, so that a wrong URL or missing tables stop the start; the threads make theirs when they
    // have work.
    let first = server.connect(shared).map_err(|error| OpenError::Server(error.detail))?;
    prepare(shared, location, &mut Connection::Postgres(first))?;
    let writers = (0..shared.limits.connections).map(|number| {
        let worker = Worker::new(Arc::clone(shared), Arc::clone(&server));
        start(format!("{}-pg-{number}", shared.module), move || worker.run())
    });
    let writers = writers.collect::<Result<_, _>>()?;
    Ok(Threads { writers, server: Some(server), ..Threads::default() })
}

/// Takes the epoch from the fence row, and makes sure that the data is this module's alone.
fn prepare(
    shared: &Shared,
    location: &Location,
    connection: &mut Connection,
) -> Result<(), OpenError> {
    let row = fence::row(connection).map_err(|error| match fault::trouble(&error) {
        // No such table, or nothing in it.
        Trouble::Bug => OpenError::NotMigrated(shared.module.clone()),
        Trouble::Collision
        | Trouble::Lost
        | Trouble::Full
        | Trouble::ReadOnly
        | Trouble::Disk
        | Trouble::Corrupt
        | Trouble::Busy
        | Trouble::Slow => unreadable(location, &error),
    })?;
    shared.stand(&row);
    let findings = inspect::findings(connection).map_err(|error| unreadable(location, &error))?;
    if findings.is_empty() {
        return Ok(());
    }
    Err(OpenError::NotAlone { module: shared.module.clone(), findings: findings.join("; ") })
}

fn unreadable(location: &Location, error: &Error) -> OpenError {
    match location {
        Location::Sqlite { path } => {
            OpenError::File { path: path.clone(), what: sqlite::explain(error) }
        }
        Location::Postgres { .. } => OpenError::Server(fault::one_line(&error.to_string())),
    }
}

fn start(name: String, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, OpenError> {
    thread::Builder::new()
        .name(name)
        .spawn(body)
        .map_err(|error| OpenError::Thread(error.to_string()))
}
