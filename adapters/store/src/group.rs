//! The writer of a SQLite file: callers' transactions share one commit.

use std::{
    collections::VecDeque,
    path::Path,
    time::{Duration, Instant},
};

use contract::{NotExecuted, Unknown};
use diesel::{
    QueryResult,
    connection::{AnsiTransactionManager, TransactionManager},
    result::Error,
};

use crate::{
    Connection,
    fault::{self, Trouble},
    fence,
    sqlite::{self, statement},
    task::{End, Job, Ran},
    threads::Shared,
};

/// After a group in which somebody's effect had to be undone, so many go on with a savepoint per caller.
const CAREFUL_GROUPS: u32 = 32;
/// The longest wait for callers who were in the group before: less than anyone notices, on the slowest disk.
const PATIENCE_MAX: Duration = Duration::from_millis(1);
/// How many of them the writer, once asleep, is woken for: fewer cost a system call each, and while more are waited for
/// it idles.
const WOKEN_FOR: usize = 16;

/// The writer thread: takes what waits, runs it as one transaction, answers after its commit.
pub(crate) fn write(shared: &Shared, path: &Path, connection: Connection) {
    let mut writer = Writer {
        shared,
        path,
        connection,
        careful: 0,
        group_before: 1,
        commit_before: Duration::ZERO,
    };
    while let Some(first) = shared.writes.take() {
        writer.group(first);
    }
}

/// Invariant: between groups no transaction is open.
struct Writer<'a> {
    shared: &'a Shared,
    path: &'a Path,
    connection: Connection,
    /// Groups to go with a savepoint per caller. Savepoints cost a fifth of a small transaction and are needed only
    /// where somebody's effect has to be undone. So at first a group goes without; when that shows, the whole
    /// transaction is rolled back and its closures, which may run again, run again with savepoints.
    careful: u32,
    /// How many shared the commit before this one.
    group_before: usize,
    /// How long that commit took.
    commit_before: Duration,
}

/// Jobs that have run in the open transaction. Their answers wait for the commit, refusals too: a refusal may rest on
/// what others in the group wrote.
type Held = Vec<(Box<dyn Job>, End)>;

/// How one job left the open transaction.
enum Left {
    /// With its effect, or cleanly without.
    Whole,
    /// With something of it that must not stay, and no savepoint to go back to.
    Spoilt,
}

impl Writer<'_> {
    fn group(&mut self, first: Box<dyn Job>) {
        let mut next = first.begin().then_some(first);
        let mut held = Held::new();
        let mut emitted = false;
        // Jobs that run again after a group was spoilt.
        let mut again: VecDeque<Box<dyn Job>> = VecDeque::new();
        let mut patience = (self.commit_before / 2).min(PATIENCE_MAX);
        if next.is_none() {
            return;
        }
        if let Err(reason) = self.begin() {
            next.into_iter().for_each(|job| job.end(End::NotExecuted(reason.clone())));
            return;
        }
        while let Some(mut job) = next {
            match self.one(&mut *job, &mut emitted) {
                (end, Ok(Left::Whole)) => held.push((job, end)),
                (_end, Ok(Left::Spoilt)) => {
                    self.careful = CAREFUL_GROUPS;
                    self.roll_back();
                    emitted = false;
                    again = held.drain(..).map(|(job, _end)| job).chain([job]).collect();
                    if let Err(reason) = self.begin() {
                        for job in again {
                            job.end(End::NotExecuted(reason.clone()));
                        }
                        return;
                    }
                }
                (end, Err(error)) => {
                    held.push((job, end));
                    held.extend(again.into_iter().map(|job| (job, End::Stands)));
                    return self.lost(held, &error);
                }
            }
            next = again.pop_front().or_else(|| self.next(held.len(), &mut patience));
        }
        self.commit(held, emitted);
    }

    /// The next job of this group; `None` when it is time to commit.
    ///
    /// Callers who were answered a moment ago are often on their way back. As many as shared the last commit are
    /// waited for, at most half as long as that commit took: without it groups alternate between few and many, and
    /// every second sync is wasted.
    fn next(&self, held: usize, patience: &mut Duration) -> Option<Box<dyn Job>> {
        if held >= self.shared.limits.group_max {
            return None;
        }
        loop {
            let missing = self.group_before.saturating_sub(held);
            let job = match self.shared.writes.take_now() {
                Some(job) => Some(job),
                None if missing > 0 && !patience.is_zero() => {
                    let since = Instant::now();
                    let job = self.shared.writes.take_of(missing.min(WOKEN_FOR), *patience);
                    *patience = patience.saturating_sub(since.elapsed());
                    job
                }
                None => None,
            };
            match job {
                Some(job) if job.begin() => return Some(job),
                Some(_given_up) => {}
                None => return None,
            }
        }
    }

    /// Begins the transaction and checks the fence, once for all.
    fn begin(&mut self) -> Result<(), NotExecuted> {
        let Connection::Sqlite(c) = &mut self.connection else { return Ok(()) };
        AnsiTransactionManager::begin_transaction_sql(c, "BEGIN IMMEDIATE")
            .map_err(|error| self.shared.failed(&error))?;
        let verdict = match fence::row(&mut self.connection) {
            Ok(row) => self.shared.fenced(&row),
            Err(error) => Err(self.shared.failed(&error)),
        };
        if verdict.is_err() {
            self.roll_back();
        }
        verdict
    }

    /// Runs one caller's closure. `Err` when the whole group is lost.
    fn one(&mut self, job: &mut dyn Job, emitted: &mut bool) -> (End, QueryResult<Left>) {
        let careful = self.careful > 0;
        if careful && let Err(error) = statement(&mut self.connection, "SAVEPOINT one") {
            return (End::Stands, Err(error));
        }
        let mut tx = self.shared.tx(&mut self.connection, job.trace());
        let ran = job.run(&mut tx);
        let told = tx.emitted;
        let end = match ran {
            Ran::Done => {
                *emitted |= told;
                let kept =
                    if careful { statement(&mut self.connection, "RELEASE one") } else { Ok(()) };
                return (End::Stands, kept.map(|()| Left::Whole));
            }
            Ran::Refused | Ran::Failed(_) | Ran::Panicked(_) if !careful => {
                return (End::Stands, Ok(Left::Spoilt));
            }
            Ran::Refused => End::Stands,
            Ran::Failed(error) => End::NotExecuted(self.shared.failed(&error)),
            Ran::Panicked(message) => End::NotExecuted(self.shared.panicked(&message)),
        };
        let undone = statement(&mut self.connection, "ROLLBACK TO one")
            .and_then(|()| statement(&mut self.connection, "RELEASE one"));
        (end, undone.map(|()| Left::Whole))
    }

    fn commit(&mut self, held: Held, emitted: bool) {
        let Connection::Sqlite(c) = &mut self.connection else { return };
        let since = Instant::now();
        if let Err(error) = AnsiTransactionManager::commit_transaction(c) {
            return match fault::trouble(&error) {
                // The commit record may be in the journal although its sync failed; a restart would find it there.
                Trouble::Disk | Trouble::Corrupt => self.unknown(held, &error),
                Trouble::Collision
                | Trouble::Lost
                | Trouble::Full
                | Trouble::ReadOnly
                | Trouble::Busy
                | Trouble::Slow
                | Trouble::Bug => self.lost(held, &error),
            };
        }
        self.commit_before = since.elapsed();
        self.group_before = held.len();
        self.careful = self.careful.saturating_sub(1);
        self.shared.committed(emitted);
        for (job, end) in held {
            job.end(end);
        }
    }

    /// The group is lost: everyone in it is told so.
    fn lost(&mut self, held: Held, error: &Error) {
        let reason = self.shared.failed(error);
        self.roll_back();
        for (job, end) in held {
            // Who failed by itself keeps its own reason.
            let own = matches!(end, End::NotExecuted(_));
            job.end(if own { end } else { End::NotExecuted(reason.clone()) });
        }
    }

    /// Nobody can say whether the group is committed.
    fn unknown(&mut self, held: Held, error: &Error) {
        let reason = self.shared.failed(error);
        self.roll_back();
        // A new connection reads the journal anew and trusts nothing that this one holds in memory. When the disk
        // does not even give that, the old one goes on and says so at its next try.
        if let Ok(fresh) = sqlite::open(self.path) {
            self.connection = Connection::Sqlite(fresh);
        }
        for (job, _end) in held {
            let detail = format!("the commit failed on the way to the disk: {}", reason.detail);
            job.end(End::Unknown(Unknown { detail }));
        }
    }

    fn roll_back(&mut self) {
        let Connection::Sqlite(c) = &mut self.connection else { return };
        // SQLite may have rolled back by itself (full disk, I/O error): then there is nothing to do here.
        drop(AnsiTransactionManager::rollback_transaction(c));
    }
}
