//! A module's own schema on PostgreSQL: threads that own one connection each and take jobs from one queue.
//!
//! Threads and not a pool (r2d2): it is the same shape as on SQLite, a job needs no check-out and no test of the
//! connection, and a thread that finds its connection dead makes a new one in its own loop. A closure is synchronous,
//! so it would hold a thread of a blocking pool for just as long.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use contract::{NotExecuted, Reason, Unknown};
use diesel::{
    Connection as _, PgConnection,
    connection::{
        AnsiTransactionManager, InstrumentationEvent, SimpleConnection, TransactionManager,
    },
    result::Error,
};

use crate::{
    Connection, OpenError, fault,
    fault::Trouble,
    queue::Taken,
    server::{Seat, Server},
    task::{End, Job, Kind, Ran},
    threads::Shared,
};

/// How often a closure runs when transactions collide: the chance that two meet again falls with every pause, and after
/// so many something else is wrong.
const RUNS_MAX: u32 = 6;
/// The pause before the second run; it doubles.
const PAUSE: Duration = Duration::from_millis(2);

/// How long a thread that got no connection leaves the work to those that have one.
const PAUSE_WITHOUT_CONNECTION: Duration = Duration::from_millis(100);

/// One thread's side of the server.
pub(crate) struct Worker {
    shared: Arc<Shared>,
    server: Arc<Server>,
    connection: Option<Seated>,
    /// Set when a statement fails, so that a closure that went on after an error is found out: PostgreSQL answers its
    /// COMMIT with a silent ROLLBACK.
    slipped: Arc<AtomicBool>,
}

/// A connection, counted for as long as it is held.
struct Seated {
    connection: Connection,
    _seat: Seat,
}

/// How one try of a job went.
enum Tried {
    End(End),
    /// Certain to have had no effect, and worth another run.
    Collided(Error),
    /// The connection was dead before anything was done on it.
    Stale(Error),
}

impl Worker {
    pub fn new(shared: Arc<Shared>, server: Arc<Server>) -> Self {
        Self { shared, server, connection: None, slipped: Arc::new(AtomicBool::new(false)) }
    }

    /// Runs until the queue is closed and empty.
    pub fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let mut roused = 0;
        while let Some(taken) = shared.writes.take_since(roused) {
            let mut job = match taken {
                Taken::Job(job) => job,
                Taken::Roused(times) => {
                    roused = times;
                    // Whoever has a job for it hears why it did not connect.
                    drop(self.connect());
                    continue;
                }
            };
            if let Err(away) = self.connect() {
                self.without_connection(job, away);
            } else if job.begin() {
                let end = self.job(&mut *job);
                job.end(end);
            }
        }
    }

    /// A server with no room for one more connection is not away: then the threads that have one do the work.
    fn without_connection(&self, job: Box<dyn Job>, away: NotExecuted) {
        if self.server.seats_taken() {
            self.shared.writes.put_back(job);
            thread::sleep(PAUSE_WITHOUT_CONNECTION);
        } else if job.begin() {
            job.end(End::NotExecuted(away));
        }
    }

    fn job(&mut self, job: &mut dyn Job) -> End {
        let mut stale = false;
        let mut pause = PAUSE;
        let mut runs = 0;
        loop {
            if let Err(away) = self.connect() {
                return End::NotExecuted(away);
            }
            let tried = match job.kind() {
                Kind::Write => self.write(job),
                Kind::Read => self.read(job),
                Kind::Snapshot => self.snapshot(job),
                Kind::Single => self.single(job),
            };
            match tried {
                Tried::End(end) => return end,
                Tried::Stale(error) => {
                    self.connection = None;
                    // The first dead connection only shows that the server was restarted; a second one is news.
                    if stale {
                        return End::NotExecuted(self.shared.failed(&error));
                    }
                    stale = true;
                }
                Tried::Collided(error) => {
                    runs += 1;
                    if runs >= RUNS_MAX {
                        return End::NotExecuted(self.shared.failed(&error));
                    }
                    thread::sleep(pause);
                    pause *= 2;
                }
            }
        }
    }

    fn connect(&mut self) -> Result<(), NotExecuted> {
        if self.connection.is_none() {
            let mut connection = self.server.connect(&self.shared)?;
            let slipped = Arc::clone(&self.slipped);
            connection.set_instrumentation(move |event: InstrumentationEvent<'_>| {
                if let InstrumentationEvent::FinishQuery { error: Some(_), .. } = event {
                    slipped.store(true, Ordering::Relaxed);
                }
            });
            self.connection = Some(Seated {
                connection: Connection::Postgres(connection),
                _seat: Seat::take(&self.server),
            });
        }
        Ok(())
    }

    fn raw(&mut self) -> Option<&mut PgConnection> {
        match self.connection.as_mut().map(|seated| &mut seated.connection) {
            Some(Connection::Postgres(c)) => Some(c),
            Some(Connection::Sqlite(_)) | None => None,
        }
    }

    /// Does the connection still answer? It is dropped when it does not.
    fn alive(&mut self) -> bool {
        let alive = self.raw().is_some_and(|c| c.batch_execute("SELECT 1").is_ok());
        if !alive {
            self.connection = None;
        }
        alive
    }

    /// Ends the transaction without effect; a connection that cannot even do that is dropped. Was it still there?
    fn roll_back(&mut self) -> bool {
        let done =
            self.raw().is_some_and(|c| AnsiTransactionManager::rollback_transaction(c).is_ok());
        if !done {
            self.connection = None;
        }
        done
    }

    /// Runs the closure on the connection as it is; did it emit?
    fn closure(&mut self, job: &mut dyn Job) -> (Ran, bool) {
        let Some(Seated { connection, .. }) = &mut self.connection else {
            return (Ran::Failed(Error::BrokenTransactionManager), false);
        };
        let mut tx = self.shared.tx(connection, job.trace());
        let ran = job.run(&mut tx);
        (ran, tx.emitted)
    }

    fn write(&mut self, job: &mut dyn Job) -> Tried {
        if let Err(tried) = self.begin() {
            return tried;
        }
        self.slipped.store(false, Ordering::Relaxed);
        let (ran, emitted) = self.closure(job);
        match ran {
            Ran::Done => self.commit(emitted),
            Ran::Refused => {
                self.roll_back();
                Tried::End(End::Stands)
            }
            Ran::Failed(error) => {
                let alive = self.roll_back();
                self.undone(error, alive)
            }
            Ran::Panicked(message) => {
                self.roll_back();
                Tried::End(End::NotExecuted(self.shared.panicked(&message)))
            }
        }
    }

    /// Begins and checks the fence in one round trip.
    ///
    /// A plain SELECT in the simple protocol, and nothing cleverer: it takes the table's lock first and its snapshot
    /// after, so that one that waited for a change of owner sees the new epoch, and the lock lasts to the end of the
    /// transaction, so that a change of owner waits for this one. EXECUTE of a prepared statement would take its
    /// snapshot before it waits and read the old epoch.
    fn begin(&mut self) -> Result<(), Tried> {
        let sql = self.shared.begin_sql();
        let Some(c) = self.raw() else { return Err(Tried::Stale(Error::BrokenTransactionManager)) };
        let Err(error) = AnsiTransactionManager::begin_transaction_sql(c, &sql) else {
            return Ok(());
        };
        // Division by zero when the epoch is another; its text may be translated, so the row itself is asked.
        let rolled_back = c.batch_execute("ROLLBACK").is_ok();
        if !rolled_back {
            return Err(Tried::Stale(error));
        }
        let Some(Seated { connection, .. }) = &mut self.connection else {
            return Err(Tried::Stale(error));
        };
        Err(match crate::fence::row(connection) {
            Ok(row) => match self.shared.fenced(&row) {
                Err(moved) => Tried::End(End::NotExecuted(moved)),
                Ok(()) => self.undone(error, true),
            },
            Err(later) => Tried::Stale(later),
        })
    }

    fn commit(&mut self, emitted: bool) -> Tried {
        let slipped = self.slipped.load(Ordering::Relaxed);
        let Some(c) = self.raw() else {
            return Tried::End(lost("the connection was lost before COMMIT", false));
        };
        if slipped && let Err(error) = c.batch_execute("SELECT 1") {
            let alive = self.roll_back();
            return self.undone(error, alive);
        }
        let Err(error) = AnsiTransactionManager::commit_transaction(c) else {
            self.shared.committed(emitted);
            return Tried::End(End::Stands);
        };
        let certain = fault::trouble(&error) != Trouble::Lost
            && !matches!(error, Error::RollbackErrorOnCommit { .. })
            && self.alive();
        if certain {
            return self.undone(error, true);
        }
        self.connection = None;
        tracing::warn!(module = %self.shared.module, error = format!("{error:#}"), "the connection was lost during COMMIT");
        Tried::End(lost("the connection was lost during COMMIT", true))
    }

    /// What follows from an error that certainly left no effect.
    fn undone(&mut self, error: Error, alive: bool) -> Tried {
        if !alive || fault::trouble(&error) == Trouble::Lost {
            self.connection = None;
            tracing::warn!(module = %self.shared.module, error = format!("{error:#}"), "the connection was lost in a transaction");
            return Tried::End(lost("the connection to the database was lost", false));
        }
        if fault::trouble(&error) == Trouble::Collision {
            return Tried::Collided(error);
        }
        Tried::End(End::NotExecuted(self.shared.failed(&error)))
    }

    fn read(&mut self, job: &mut dyn Job) -> Tried {
        match self.closure(job).0 {
            Ran::Done | Ran::Refused => Tried::End(End::Stands),
            Ran::Failed(error) if self.alive() => self.undone(error, true),
            Ran::Failed(error) => Tried::Stale(error),
            Ran::Panicked(message) => {
                // It may have been inside a transaction of its own.
                self.connection = None;
                Tried::End(End::NotExecuted(self.shared.panicked(&message)))
            }
        }
    }

    fn snapshot(&mut self, job: &mut dyn Job) -> Tried {
        let Some(c) = self.raw() else { return Tried::Stale(Error::BrokenTransactionManager) };
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        if let Err(error) = AnsiTransactionManager::begin_transaction_sql(c, begin) {
            return Tried::Stale(error);
        }
        let (ran, _) = self.closure(job);
        let alive = self.roll_back();
        match ran {
            Ran::Done | Ran::Refused => Tried::End(End::Stands),
            Ran::Failed(error) if alive => self.undone(error, true),
            Ran::Failed(error) => Tried::Stale(error),
            Ran::Panicked(message) => Tried::End(End::NotExecuted(self.shared.panicked(&message))),
        }
    }

    /// One statement with the fence's predicate inside, committed by itself.
    fn single(&mut self, job: &mut dyn Job) -> Tried {
        match self.closure(job).0 {
            Ran::Done | Ran::Refused => Tried::End(End::Stands),
            // The server said no: a statement that fails leaves nothing behind.
            Ran::Failed(error) if self.alive() => self.undone(error, true),
            Ran::Failed(_) => {
                Tried::End(lost("the connection was lost during the statement", true))
            }
            Ran::Panicked(message) => {
                self.connection = None;
                self.shared.panicked(&message);
                Tried::End(lost("the closure panicked around its statement", true))
            }
        }
    }
}

/// The end of a job whose connection is gone.
fn lost(detail: &str, perhaps_done: bool) -> End {
    if perhaps_done {
        End::Unknown(Unknown { detail: detail.to_owned() })
    } else {
        End::NotExecuted(
            NotExecuted::new(Reason::Unavailable, detail).after(crate::limits::RETRY_WHEN_AWAY),
        )
    }
}

/// Opens a connection for work that does not go through the queue: migrations, checks, provisioning.
pub(crate) fn establish(url: &str) -> Result<PgConnection, OpenError> {
    PgConnection::establish(url).map_err(|error| OpenError::server(&error))
}
