//! The switch: the moment in which the module changes its owner, and nothing is lost or doubled.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{
    Links, Point, capture,
    error::{MoveError, SwitchError},
    follow::TURN,
    keys,
    names::MoveId,
    shape::{LEASE, Table},
    side::{Begin, Change, Key, Side, number, one},
    state::{self, COPIED, CURSOR, LEADS, REDO, SEALED},
};
use crate::{
    Standing,
    provision::{identifier, literal},
};

/// Batches in front of the lock: each takes less than the one before, or the follower is slower than the writers.
const ROUNDS_MAX: u32 = 20;
/// A numbered column goes on so far behind the highest number that was copied: what may come until the switch.
const SEQUENCE_MARGIN: u64 = 100_000;
/// On SQLite nobody queues behind a waiting switch, so it may wait longer than on PostgreSQL.
const SQLITE_PATIENCE: u32 = 5;

/// What a switch should do, and when it should rather not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// The deployment that owns the module then.
    pub to: String,
    /// Changes that may still wait when the lock is asked for.
    pub lag_max: u64,
    /// How long the lock may be waited for. On PostgreSQL every writer queues behind that wait.
    pub lock_wait: Duration,
    /// How long the lock may be held before the point of no return.
    pub hold_max: Duration,
    /// Sessions on PostgreSQL that keep the lock from the switch with a transaction older than this are ended: a frozen
    /// process holds its transaction for ever. `None`: the switch gives up instead.
    pub end_older_than: Option<Duration>,
}

impl Switch {
    /// To this owner, with bounds that keep a pause under 150 ms.
    pub fn to(owner: &str) -> Self {
        Self {
            to: owner.to_owned(),
            lag_max: 100,
            lock_wait: Duration::from_millis(40),
            hold_max: Duration::from_millis(80),
            end_older_than: None,
        }
    }
}

/// How a switch went: the row as it is now, and where the time went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switched {
    /// What both fence rows say.
    pub standing: Standing,
    /// Changes that were applied under the lock.
    pub rows: u64,
    /// Waiting for the lock, while writers may have queued.
    pub waited: Duration,
    /// From the lock to the target being what the source is.
    pub caught_up: Duration,
    /// The commits of both rows.
    pub committed: Duration,
}

impl Switched {
    /// How long nobody could write at most.
    pub fn pause(&self) -> Duration {
        self.waited + self.caught_up + self.committed
    }
}

/// What `at` is told inside.
pub(super) type At<'a> = &'a dyn Fn(Point) -> Result<(), MoveError>;

impl Links {
    pub fn switch(
        &mut self,
        id: &MoveId,
        wish: &Switch,
        at: At<'_>,
    ) -> Result<Switched, SwitchError> {
        self.check_prepared(id)?;
        if wish.to.is_empty() || wish.to.starts_with(super::names::NOBODY) {
            return Err(MoveError::Unfit(format!("`{}` is no deployment's name", wish.to)).into());
        }
        if !state::leads(&mut *self.source, id)? && standing(&mut *self.source)?.owner == wish.to {
            return self.again(id, at);
        }
        self.check_direction(id)?;
        self.check_copied(id)?;
        self.get_ready(id)?;
        let mut leased = self.leased()?;
        self.near(id, wish, &mut leased)?;
        self.long_transactions(wish)?;
        let since = Instant::now();
        let before = self.lock(id, wish)?;
        let waited = since.elapsed();
        let locked = Instant::now();
        let rows = match self.catch_up(id, leased, at) {
            Ok(_rows) if locked.elapsed() > wish.hold_max => {
                self.give_up();
                return Err(SwitchError::NotNow(format!(
                    "the last changes took {} ms under the lock",
                    locked.elapsed().as_millis()
                )));
            }
            Ok(rows) => rows,
            Err(error) => {
                self.give_up();
                return Err(passing(error));
            }
        };
        let caught_up = locked.elapsed();
        let committing = Instant::now();
        let standing = self.commit(id, wish, &before, at)?;
        let committed = committing.elapsed();
        self.after_flip(id)?;
        Ok(Switched { standing, rows, waited, caught_up, committed })
    }

    /// The same switch, asked for again after its point of no return.
    fn again(&mut self, id: &MoveId, at: At<'_>) -> Result<Switched, SwitchError> {
        let since = Instant::now();
        let standing = self.flip(id, at).map_err(SwitchError::Doubtful)?;
        Ok(Switched {
            standing,
            rows: 0,
            waited: Duration::ZERO,
            caught_up: Duration::ZERO,
            committed: since.elapsed(),
        })
    }

    fn give_up(&mut self) {
        self.source.roll_back();
        self.target.roll_back();
    }

    /// What need not be done under the lock: the way back, and the numbers that the target gives.
    fn get_ready(&mut self, id: &MoveId) -> Result<(), MoveError> {
        if !capture::is_installed(&mut *self.target, id, &self.there)? {
            capture::install(&mut *self.target, id, &self.there)?;
        }
        move_sequences(&mut *self.target, &self.there)?;
        give_positions(&mut *self.source, true)
    }

    /// The rows that a lease stands in. Found by a scan in front of the lock; those that get one later are in the log.
    fn leased(&mut self) -> Result<BTreeSet<Change>, MoveError> {
        let mut found = BTreeSet::new();
        for table in self.tables.iter().filter(|table| table.has_lease()) {
            let sql = format!(
                "SELECT {} FROM {} WHERE {LEASE} <> 0",
                Table::list(table.keys(), ""),
                table.quoted()
            );
            for row in self.source.ask(&sql)? {
                found.insert((table.name.clone(), key_of(&row)));
            }
        }
        Ok(found)
    }

    /// Follows until few changes are left.
    fn near(
        &mut self,
        id: &MoveId,
        wish: &Switch,
        leased: &mut BTreeSet<Change>,
    ) -> Result<(), SwitchError> {
        let has_lease = lease_tables(&self.tables);
        for _round in 0..ROUNDS_MAX {
            self.begin_batch(id)?;
            self.apply(id, &mut |table, key| {
                if has_lease.contains(table) {
                    leased.insert((table.to_owned(), key.clone()));
                }
            })?;
            self.target.commit()?;
            self.source.commit()?;
            if self.lag(id)? <= wish.lag_max {
                self.trim(id)?;
                return Ok(());
            }
        }
        let lag = self.lag(id)?;
        Err(SwitchError::NotNow(format!(
            "{lag} changes wait: the writers are faster than the follower"
        )))
    }

    /// A transaction that is open for longer than the lock may be waited for will not end in that time either: then
    /// nobody is made to queue behind the wait.
    fn long_transactions(&mut self, wish: &Switch) -> Result<(), SwitchError> {
        if !self.source.is_postgres() {
            return Ok(());
        }
        let old = wish.end_older_than.unwrap_or(wish.lock_wait).max(wish.lock_wait);
        let rows = self.source.ask(&format!(
            "SELECT a.pid::text, (extract(epoch FROM clock_timestamp() - a.xact_start) * 1000)::bigint::text \
             FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid \
             WHERE l.locktype = 'relation' AND l.relation = 'fence'::regclass AND l.granted \
               AND a.pid <> pg_backend_pid() AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
               AND clock_timestamp() - a.xact_start > interval '{} milliseconds'",
            old.as_millis()
        ))?;
        let Some(first) = rows.first() else { return Ok(()) };
        let pid = first.first().cloned().flatten().unwrap_or_default();
        let ms = first.get(1).cloned().flatten().unwrap_or_default();
        if wish.end_older_than.is_none() {
            return Err(SwitchError::NotNow(format!(
                "session {pid} has had a transaction open for {ms} ms"
            )));
        }
        for row in &rows {
            let pid = row.first().cloned().flatten().unwrap_or_default();
            tracing::warn!(pid, "ending a session that keeps a module from being switched");
            self.source.run(&format!("SELECT pg_terminate_backend({})", literal_number(&pid)))?;
        }
        Ok(())
    }

    fn lock(&mut self, id: &MoveId, wish: &Switch) -> Result<Standing, SwitchError> {
        let wait = if self.source.is_postgres() {
            wish.lock_wait
        } else {
            wish.lock_wait * SQLITE_PATIENCE
        };
        let locked = self
            .target
            .begin(Begin::Apply(wish.lock_wait), id)
            .and_then(|()| self.source.begin(Begin::Fence(wait), id))
            .and_then(|()| self.check_direction(id))
            .and_then(|()| standing(&mut *self.source));
        locked.map_err(|error| {
            self.give_up();
            passing(error)
        })
    }

    /// Under the lock: nobody writes, so what is applied now is all there is.
    fn catch_up(
        &mut self,
        id: &MoveId,
        mut leased: BTreeSet<Change>,
        at: At<'_>,
    ) -> Result<u64, MoveError> {
        at(Point::Locked)?;
        give_positions(&mut *self.source, false)?;
        self.zero(&leased)?;
        let has_lease = lease_tables(&self.tables);
        let before = state::cursor(&mut *self.target, id)?;
        let mut all = BTreeSet::new();
        let mut rows = 0;
        loop {
            leased.clear();
            let applied = self.apply(id, &mut |table, key| {
                all.insert((table.to_owned(), key.clone()));
                if has_lease.contains(table) {
                    leased.insert((table.to_owned(), key.clone()));
                }
            })?;
            rows += applied;
            if applied == 0 {
                break;
            }
            self.zero(&leased)?;
        }
        // Should the source roll back now, the target has what never was: the next batch does these rows again, and
        // reads the log from where it was, because the numbers of what is rolled back are given again.
        let redo: Vec<(String, String)> = all
            .into_iter()
            .map(|(table, key)| (table, String::from_utf8_lossy(&key).into_owned()))
            .collect();
        let redo = serde_json::to_string(&redo).unwrap_or_default();
        state::put(&mut *self.target, id, REDO, &redo)?;
        let end = state::cursor(&mut *self.target, id)?;
        state::put(&mut *self.target, id, SEALED, &end.to_string())?;
        state::put(&mut *self.target, id, CURSOR, &before.to_string())?;
        self.target.commit()?;
        at(Point::CaughtUp)?;
        Ok(rows)
    }

    /// Ends the leases: whoever held one belongs to the old owner.
    fn zero(&mut self, leased: &BTreeSet<Change>) -> Result<(), MoveError> {
        for (name, key) in leased {
            let Some(table) = self.tables.iter().find(|table| table.name == *name) else {
                continue;
            };
            let at = super::lines::fields(key).zip(table.keys()).map(|(field, column)| {
                let value = match field {
                    super::lines::Field::Null => "NULL".to_owned(),
                    super::lines::Field::Raw(raw) => {
                        literal(&String::from_utf8_lossy(&super::lines::text_of(raw)))
                    }
                };
                format!("{} = {value}", identifier(&column.name))
            });
            let at = at.collect::<Vec<_>>().join(" AND ");
            self.source.run(&format!(
                "UPDATE {} SET {LEASE} = 0 WHERE {at} AND {LEASE} <> 0",
                table.quoted()
            ))?;
        }
        Ok(())
    }

    /// The source's row, which is the point of no return, and then the target's.
    fn commit(
        &mut self,
        id: &MoveId,
        wish: &Switch,
        before: &Standing,
        at: At<'_>,
    ) -> Result<Standing, SwitchError> {
        let epoch = before.epoch + 1;
        let sealed = seal(&mut *self.source, epoch, &wish.to)
            .and_then(|()| state::put(&mut *self.source, id, LEADS, "0"))
            .and_then(|()| state::put(&mut *self.source, id, COPIED, "1"))
            .and_then(|()| at(Point::Sealing));
        if let Err(error) = sealed {
            self.give_up();
            return Err(passing(error));
        }
        self.source.commit().map_err(SwitchError::Doubtful)?;
        at(Point::SourceCommitted).map_err(SwitchError::Doubtful)?;
        self.flip(id, at).map_err(SwitchError::Doubtful)
    }

    /// Opens the target to the owner that the source's row names. Does nothing where that is done.
    pub fn flip(&mut self, id: &MoveId, at: At<'_>) -> Result<Standing, MoveError> {
        self.check_prepared(id)?;
        if state::leads(&mut *self.source, id)? {
            return Err(MoveError::OutOfOrder(
                "the source leads: there is nothing to bring to its end".to_owned(),
            ));
        }
        let row = standing(&mut *self.source)?;
        self.target.begin(Begin::Apply(TURN), id)?;
        if state::leads(&mut *self.target, id)? {
            self.target.roll_back();
            return Ok(row);
        }
        if let Some(end) = state::get(&mut *self.target, id, SEALED)? {
            state::put(&mut *self.target, id, CURSOR, &end)?;
            state::forget(&mut *self.target, id, SEALED)?;
        }
        if self.lag(id)? > 0 {
            return Err(MoveError::Diverged("the source was written to after its end".to_owned()));
        }
        seal(&mut *self.target, row.epoch, &row.owner)?;
        state::put(&mut *self.target, id, LEADS, "1")?;
        state::forget(&mut *self.target, id, REDO)?;
        keys::tighten(&mut *self.target, id)?;
        self.target.commit()?;
        at(Point::Flipped)?;
        Ok(row)
    }

    /// What the pause does not wait for.
    fn after_flip(&mut self, id: &MoveId) -> Result<(), SwitchError> {
        // The switch is done; what fails here is done again by the next call.
        if let Err(error) = keys::validate(&mut *self.target, id) {
            tracing::warn!(%error, "foreign keys are not validated yet");
            self.target.roll_back();
        }
        Ok(())
    }
}

/// What passes is "not now".
fn passing(error: MoveError) -> SwitchError {
    match error {
        MoveError::Busy { .. } => SwitchError::NotNow(error.to_string()),
        other => SwitchError::Failed(other),
    }
}

fn lease_tables(tables: &[Table]) -> BTreeSet<String> {
    tables.iter().filter(|table| table.has_lease()).map(|table| table.name.clone()).collect()
}

/// The values of a key, as a line has them.
fn key_of(row: &[Option<String>]) -> Key {
    let mut key = Vec::new();
    for (at, value) in row.iter().enumerate() {
        if at > 0 {
            key.push(b'\t');
        }
        match value {
            Some(text) => super::lines::put_text(&mut key, text.as_bytes()),
            None => super::lines::put_null(&mut key),
        }
    }
    key
}

fn literal_number(text: &str) -> i64 {
    text.parse().unwrap_or(0)
}

/// The fence row.
pub(super) fn standing(side: &mut dyn Side) -> Result<Standing, MoveError> {
    let epoch = number(side, "SELECT epoch FROM fence WHERE id = 1")?;
    let owner = one(side, "SELECT owner FROM fence WHERE id = 1")?.unwrap_or_default();
    Ok(Standing { epoch: u64::try_from(epoch).unwrap_or(0), owner })
}

/// Writes it.
pub(super) fn seal(side: &mut dyn Side, epoch: u64, owner: &str) -> Result<(), MoveError> {
    side.run(&format!("UPDATE fence SET epoch = {epoch}, owner = {} WHERE id = 1", literal(owner)))
}

/// Gives the events that have none their positions, as the sequencer does.
fn give_positions(side: &mut dyn Side, alone: bool) -> Result<(), MoveError> {
    if !side.is_postgres() {
        return Ok(());
    }
    let (begin, end) = if alone {
        // As any writer does: the fence's lock, then the lease.
        (
            "BEGIN; SELECT epoch FROM fence; SELECT id FROM sequencer WHERE id = 1 FOR UPDATE;",
            "; COMMIT",
        )
    } else {
        ("", "")
    };
    side.run(&format!(
        "{begin} UPDATE outbox SET position = head.position + next.nth \
         FROM (SELECT insertion, row_number() OVER (ORDER BY insertion) AS nth \
               FROM outbox WHERE position IS NULL) AS next, \
              (SELECT coalesce(max(position), 0) AS position FROM outbox) AS head \
         WHERE outbox.insertion = next.insertion{end}"
    ))
}

/// Numbers that the database gives go on behind what is copied and what may still come.
fn move_sequences(side: &mut dyn Side, tables: &[Table]) -> Result<(), MoveError> {
    if !side.is_postgres() {
        return Ok(());
    }
    for table in tables {
        for column in &table.columns {
            let (name, quoted) = (table.quoted(), identifier(&column.name));
            let sequence = format!(
                "SELECT pg_get_serial_sequence({}, {})",
                literal(&name),
                literal(&column.name)
            );
            if column.kind != super::lines::Kind::Integer || one(side, &sequence)?.is_none() {
                continue;
            }
            side.run(&format!(
                "SELECT setval(({sequence}), coalesce((SELECT max({quoted}) FROM {name}), 0) + {SEQUENCE_MARGIN})"
            ))?;
        }
    }
    Ok(())
}
