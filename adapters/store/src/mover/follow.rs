//! Following: what changed on the source is read as it is now and made so on the target.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    Links,
    error::MoveError,
    lines::{Lines, key},
    names::MoveId,
    side::{Begin, Change, Key, Wrote},
    state::{self, COPIED, CURSOR},
};

/// Changes that are held at once, so that memory does not grow with them.
const PIECE: usize = 4096;
/// How long a follower waits for its turn at the target: another mover's batch takes less.
pub(super) const TURN: Duration = Duration::from_secs(2);

/// How one goes through the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// Deletes what is gone, then makes equal what is there.
    Both,
    /// Deletes every row that changed.
    Deletes,
    /// Makes equal what is there.
    Upserts,
}

impl Links {
    /// The source leads and the target follows it; inside the transactions that rely on it.
    pub fn check_direction(&mut self, id: &MoveId) -> Result<(), MoveError> {
        let wrong = |what: &str| Err(MoveError::OutOfOrder(what.to_owned()));
        if !state::leads(&mut *self.source, id)? {
            return wrong("the source does not lead any more: the module has been switched");
        }
        if state::leads(&mut *self.target, id)? {
            return wrong("the target leads already");
        }
        Ok(())
    }

    /// Has the move been on both sides? Outside of a transaction, because what is not there cannot be asked.
    pub fn check_prepared(&mut self, id: &MoveId) -> Result<(), MoveError> {
        if !self.is_prepared {
            for side in [&mut self.source, &mut self.target] {
                if !state::is_there(&mut **side, id)? {
                    return Err(MoveError::OutOfOrder(format!(
                        "the {} is not prepared",
                        side.name()
                    )));
                }
            }
            self.is_prepared = true;
        }
        Ok(())
    }

    pub fn check_copied(&mut self, id: &MoveId) -> Result<(), MoveError> {
        if state::get(&mut *self.target, id, COPIED)?.is_some() {
            return Ok(());
        }
        Err(MoveError::OutOfOrder("the copy is not at its end".to_owned()))
    }

    /// Begins both transactions of a batch: first the target's turn, then the source's snapshot, so that no follower
    /// brings an older state after a newer one.
    pub fn begin_batch(&mut self, id: &MoveId) -> Result<(), MoveError> {
        self.check_prepared(id)?;
        self.target.begin(Begin::Apply(TURN), id)?;
        self.source.begin(Begin::Snapshot, id)?;
        self.check_direction(id)?;
        self.check_copied(id)
    }

    /// Makes the target what the source is in the open transactions; how many rows that took. `touched` hears of each.
    ///
    /// The target goes from one state that the source had to the next one, so what must be unique stays so; but on the
    /// way two rows that swap such a value meet. Then everything is taken back and done in two passes: with the changed
    /// rows gone first, what is left is part of the new state, whatever its constraints are.
    ///
    /// `more` are rows to make equal beside those in the log.
    pub fn apply(
        &mut self,
        id: &MoveId,
        more: &[Change],
        touched: &mut dyn FnMut(&str, &Key),
    ) -> Result<u64, MoveError> {
        let start = self.cursor(id)?;
        self.source.mark()?;
        self.target.mark()?;
        let mut cursor = start;
        let (mut rows, wrote) = self.pass(id, Pass::Both, &mut cursor, more, touched)?;
        if wrote == Wrote::Clash {
            self.target.back_to_mark()?;
            for pass in [Pass::Deletes, Pass::Upserts] {
                self.source.back_to_mark()?;
                cursor = start;
                let (again, wrote) = self.pass(id, pass, &mut cursor, more, touched)?;
                if wrote == Wrote::Clash {
                    return Err(MoveError::Diverged(
                        "a row that only the target has holds a value that must be unique"
                            .to_owned(),
                    ));
                }
                rows = again;
            }
        }
        if cursor != start {
            state::put(&mut *self.target, id, CURSOR, &cursor.to_string())?;
        }
        Ok(rows)
    }

    /// Where the source's log is read on; a log that gives its rows away needs none.
    fn cursor(&mut self, id: &MoveId) -> Result<i64, MoveError> {
        if self.source.is_postgres() { Ok(0) } else { state::cursor(&mut *self.target, id) }
    }

    fn pass(
        &mut self,
        id: &MoveId,
        pass: Pass,
        cursor: &mut i64,
        more: &[Change],
        touched: &mut dyn FnMut(&str, &Key),
    ) -> Result<(u64, Wrote), MoveError> {
        let mut rows = 0;
        let mut changes = more.to_vec();
        loop {
            let mut taken = self.source.take(id, &self.tables, cursor, PIECE)?;
            let is_last = taken.len() < PIECE;
            changes.append(&mut taken);
            let mut by_table: BTreeMap<String, BTreeSet<Key>> = BTreeMap::new();
            for (table, key) in changes.drain(..) {
                touched(&table, &key);
                by_table.entry(table).or_default().insert(key);
            }
            rows += by_table.values().map(|keys| keys.len() as u64).sum::<u64>();
            if self.piece(pass, &by_table)? == Wrote::Clash {
                return Ok((rows, Wrote::Clash));
            }
            if is_last {
                return Ok((rows, Wrote::All));
            }
        }
    }

    fn piece(
        &mut self,
        pass: Pass,
        by_table: &BTreeMap<String, BTreeSet<Key>>,
    ) -> Result<Wrote, MoveError> {
        let mut upserts = Vec::new();
        for (name, keys) in by_table {
            let at = self.tables.iter().position(|table| table.name == *name);
            let Some(table) = at.and_then(|at| self.tables.get(at)) else {
                return Err(MoveError::Unfit(format!("table {name} does not move")));
            };
            let mut lines = Lines::default();
            let wanted: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
            if pass == Pass::Deletes {
                self.target.delete(table, &wanted)?;
                continue;
            }
            self.source.read(table, &wanted, &mut lines)?;
            if pass == Pass::Both {
                let there: BTreeSet<&[u8]> =
                    lines.iter().map(|line| key(line, table.key)).collect();
                let gone: Vec<&[u8]> =
                    wanted.into_iter().filter(|key| !there.contains(key)).collect();
                if !gone.is_empty() {
                    self.target.delete(table, &gone)?;
                }
            }
            if !lines.is_empty() {
                upserts.push((table, lines));
            }
        }
        for (table, lines) in upserts {
            if self.target.upsert(table, &lines)? == Wrote::Clash {
                return Ok(Wrote::Clash);
            }
        }
        Ok(Wrote::All)
    }

    /// Changes that wait.
    pub fn lag(&mut self, id: &MoveId) -> Result<u64, MoveError> {
        let cursor = self.cursor(id)?;
        self.source.waiting(id, cursor)
    }

    /// Lets the source's log forget what is applied.
    pub fn trim(&mut self, id: &MoveId) -> Result<(), MoveError> {
        let cursor = self.cursor(id)?;
        match self.source.trim(id, cursor) {
            Err(MoveError::Busy { .. }) => Ok(()),
            other => other,
        }
    }
}
