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
    side::{Begin, Change, Key, Side, one},
    state::{self, COPIED, LEADS, REDO},
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
    /// The source's epoch, where it is known: with another one it is not certain what has happened.
    pub epoch: Option<u64>,
    /// Changes that may still wait when the lock is asked for.
    pub lag_max: u64,
    /// How long the lock may be waited for. On PostgreSQL every writer queues behind that wait.
    pub lock_wait: Duration,
    /// From the call to the point of no return at most; a switch that would take longer gives up.
    pub within: Duration,
    /// Sessions on PostgreSQL that keep the lock from the switch with a transaction older than this are ended: a frozen
    /// process holds its transaction for ever. `None`: the switch gives up instead.
    pub end_older_than: Option<Duration>,
}

impl Switch {
    /// To this owner, with bounds that keep a pause under 150 ms.
    pub fn to(owner: &str) -> Self {
        Self {
            to: owner.to_owned(),
            epoch: None,
            lag_max: 100,
            lock_wait: Duration::from_millis(40),
            within: Duration::from_millis(120),
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
    /// In front of the lock: what was left to make ready and to follow.
    pub neared: Duration,
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
    /// What a switch need not do while callers wait: makes ready and follows until little is left.
    pub fn approach(&mut self, id: &MoveId, wish: &Switch) -> Result<(), SwitchError> {
        self.near = None;
        self.check_direction(id)?;
        self.check_copied(id)?;
        self.get_ready(id)?;
        let mut leased = self.leased()?;
        self.near(id, wish, &mut leased)?;
        self.near = Some(leased);
        Ok(())
    }

    pub fn switch(
        &mut self,
        id: &MoveId,
        wish: &Switch,
        at: At<'_>,
    ) -> Result<Switched, SwitchError> {
        let since = Instant::now();
        self.check_prepared(id)?;
        if wish.to.is_empty() || wish.to.starts_with(super::names::NOBODY) {
            return Err(MoveError::Unfit(format!("`{}` is no deployment's name", wish.to)).into());
        }
        let row = standing(&mut *self.source)?;
        if wish.epoch.is_some_and(|epoch| epoch != row.epoch) {
            let why = format!("the row says `{}` at epoch {}", row.owner, row.epoch);
            return Err(SwitchError::Doubtful(MoveError::OutOfOrder(why)));
        }
        if row.owner == wish.to && !state::leads(&mut *self.source, id)? {
            return self.again(id, at);
        }
        if self.near.is_none() {
            self.approach(id, wish)?;
        }
        let mut leased = self.near.take().unwrap_or_default();
        self.near(id, wish, &mut leased)?;
        self.long_transactions(wish)?;
        let neared = since.elapsed();
        let before = self.lock(id, wish, since)?;
        let locked = since.elapsed();
        let rows = match self.catch_up(id, leased, at) {
            Ok(_rows) if since.elapsed() > wish.within => {
                self.give_up();
                let took = (since.elapsed() - locked).as_millis();
                let what = format!("the last changes took {took} ms under the lock");
                return Err(SwitchError::NotNow(what));
            }
            Ok(rows) => rows,
            Err(error) => {
                self.give_up();
                return Err(passing(error));
            }
        };
        let caught_up = since.elapsed();
        let count = rows.len() as u64;
        let standing = self.commit(id, wish, &before, rows, at)?;
        Ok(Switched {
            standing,
            rows: count,
            neared,
            waited: locked - neared,
            caught_up: caught_up - locked,
            committed: since.elapsed() - caught_up,
        })
    }

    /// The same switch, asked for again after its point of no return.
    fn again(&mut self, id: &MoveId, at: At<'_>) -> Result<Switched, SwitchError> {
        let since = Instant::now();
        let standing = self.flip(id, at).map_err(SwitchError::Doubtful)?;
        Ok(Switched {
            standing,
            rows: 0,
            neared: Duration::ZERO,
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

    /// Follows until few changes are left. Rows of leases that change meanwhile are among `leased`.
    fn near(
        &mut self,
        id: &MoveId,
        wish: &Switch,
        leased: &mut BTreeSet<Change>,
    ) -> Result<(), SwitchError> {
        if self.lag(id)? <= wish.lag_max {
            return Ok(());
        }
        let has_lease = lease_tables(&self.tables);
        for _round in 0..ROUNDS_MAX {
            self.begin_batch(id)?;
            self.apply(id, &[], &mut |table, key| {
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

    fn lock(
        &mut self,
        id: &MoveId,
        wish: &Switch,
        since: Instant,
    ) -> Result<Standing, SwitchError> {
        let left = wish.within.saturating_sub(since.elapsed());
        if left < wish.lock_wait {
            let took = since.elapsed().as_millis();
            return Err(SwitchError::NotNow(format!("{took} ms are gone before the lock")));
        }
        let wait = if self.source.is_postgres() {
            wish.lock_wait
        } else {
            left.min(wish.lock_wait * SQLITE_PATIENCE)
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

    /// Under the lock: nobody writes, so what is applied now is all there is. It stays uncommitted on the target, so that
    /// a switch that is given up leaves no trace there. Gives the rows' names too: with the source's row they are
    /// written down, so that whoever has to `flip` after a crash knows what the target lost with its transaction.
    fn catch_up(
        &mut self,
        id: &MoveId,
        leased: BTreeSet<Change>,
        at: At<'_>,
    ) -> Result<BTreeSet<Change>, MoveError> {
        at(Point::Locked)?;
        give_positions(&mut *self.source, false)?;
        self.zero(&leased)?;
        let has_lease = lease_tables(&self.tables);
        let mut all = BTreeSet::new();
        let mut ended = leased;
        loop {
            let mut leased = BTreeSet::new();
            self.apply(id, &[], &mut |table, key| {
                let change = (table.to_owned(), key.clone());
                if has_lease.contains(table) && !ended.contains(&change) {
                    leased.insert(change.clone());
                }
                all.insert(change);
            })?;
            if leased.is_empty() {
                at(Point::CaughtUp)?;
                return Ok(all);
            }
            // A lease that began since the scan.
            self.zero(&leased)?;
            ended.append(&mut leased);
        }
    }

    /// Ends the leases: whoever held one belongs to the old owner.
    fn zero(&mut self, leased: &BTreeSet<Change>) -> Result<(), MoveError> {
        let mut sql = String::new();
        for (name, key) in leased {
            if let Some(table) = self.tables.iter().find(|table| table.name == *name) {
                sql.push_str(&format!(
                    "UPDATE {} SET {LEASE} = 0 WHERE {} AND {LEASE} <> 0;",
                    table.quoted(),
                    at_key(table, key)
                ));
            }
        }
        if sql.is_empty() { Ok(()) } else { self.source.run(&sql) }
    }

    /// The source's row, which is the point of no return, and then the target's.
    fn commit(
        &mut self,
        id: &MoveId,
        wish: &Switch,
        before: &Standing,
        rows: BTreeSet<Change>,
        at: At<'_>,
    ) -> Result<Standing, SwitchError> {
        let row = Standing { epoch: before.epoch + 1, owner: wish.to.clone() };
        let redo: Vec<(String, String)> = rows
            .into_iter()
            .map(|(table, key)| (table, String::from_utf8_lossy(&key).into_owned()))
            .collect();
        let redo = serde_json::to_string(&redo).unwrap_or_default();
        let known = [(LEADS, "0"), (COPIED, "1"), (REDO, redo.as_str())];
        let sealed = self
            .source
            .run(&format!("{}; {}", seal(&row), state::puts(id, &known)))
            .and_then(|()| at(Point::Sealing));
        if let Err(error) = sealed {
            self.give_up();
            return Err(passing(error));
        }
        self.source.commit().map_err(SwitchError::Doubtful)?;
        at(Point::SourceCommitted).map_err(SwitchError::Doubtful)?;
        self.open(id, &row).map_err(SwitchError::Doubtful)?;
        at(Point::Flipped).map_err(SwitchError::Doubtful)?;
        Ok(row)
    }

    /// Opens the target to its owner, at the end of the transaction that has made it equal.
    fn open(&mut self, id: &MoveId, row: &Standing) -> Result<(), MoveError> {
        keys::tighten(&mut *self.target, id)?;
        self.target.run(&format!("{}; {}; COMMIT", seal(row), state::puts(id, &[(LEADS, "1")])))
    }

    /// Opens the target to the owner that the source's row names. Does nothing where that is done.
    pub fn flip(&mut self, id: &MoveId, at: At<'_>) -> Result<Standing, MoveError> {
        self.check_prepared(id)?;
        self.target.begin(Begin::Apply(TURN), id)?;
        self.source.begin(Begin::Snapshot, id)?;
        if state::leads(&mut *self.source, id)? {
            return Err(MoveError::OutOfOrder(
                "the source leads: there is nothing to bring to its end".to_owned(),
            ));
        }
        let row = standing(&mut *self.source)?;
        if state::leads(&mut *self.target, id)? {
            self.give_up();
            return Ok(row);
        }
        let redo = state::get(&mut *self.source, id, REDO)?.unwrap_or_default();
        let redo: Vec<(String, String)> = serde_json::from_str(&redo)
            .map_err(|error| MoveError::Unfit(format!("the list of rows to redo: {error}")))?;
        let redo: Vec<Change> =
            redo.into_iter().map(|(table, key)| (table, key.into_bytes())).collect();
        self.apply(id, &redo, &mut |_table, _key| {})?;
        self.open(id, &row)?;
        self.source.commit()?;
        at(Point::Flipped)?;
        Ok(row)
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

/// The row with this key, as a condition.
fn at_key(table: &Table, key: &Key) -> String {
    let fields = super::lines::fields(key).zip(table.keys()).map(|(field, column)| {
        let value = match field {
            super::lines::Field::Null => "NULL".to_owned(),
            super::lines::Field::Raw(raw) => {
                literal(&String::from_utf8_lossy(&super::lines::text_of(raw)))
            }
        };
        format!("{} = {value}", identifier(&column.name))
    });
    fields.collect::<Vec<_>>().join(" AND ")
}

/// The fence row.
pub(super) fn standing(side: &mut dyn Side) -> Result<Standing, MoveError> {
    let rows = side.ask("SELECT CAST(epoch AS TEXT), owner FROM fence WHERE id = 1")?;
    let mut row = rows.into_iter().next().unwrap_or_default().into_iter().flatten();
    let epoch = row.next().and_then(|epoch| epoch.parse().ok()).unwrap_or(0);
    Ok(Standing { epoch, owner: row.next().unwrap_or_default() })
}

/// What writes it.
pub(super) fn seal(row: &Standing) -> String {
    let Standing { epoch, owner } = row;
    format!("UPDATE fence SET epoch = {epoch}, owner = {} WHERE id = 1", literal(owner))
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
