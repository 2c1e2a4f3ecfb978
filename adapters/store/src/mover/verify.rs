//! Comparing the sides: checksums taken at one moment, so that a difference is divergence and never delay.
//!
//! Both sides are read inside a batch: the source in the follower's snapshot, the target after what that snapshot's log
//! says is applied. A checksum is a sum over rows, so the order in which the databases give them does not matter. Where
//! both order keys alike, a table is compared in stretches, each in a batch of its own, and no snapshot is held for
//! long; where they do not (a language's own order of text), the table is one stretch.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    Links,
    error::MoveError,
    lines::{key, shown},
    names::MoveId,
    shape::Table,
    side::{Key, Range, Side},
};

/// Rows of one stretch: a quarter of a second.
const STRETCH_ROWS: u64 = 100_000;
/// Sums per stretch: what differs is looked for only in the rows whose sum differs.
const BUCKETS: usize = 1024;
/// Rows that are looked at by name in one stretch, and named in a report.
const HELD_ROWS_MAX: usize = 10_000;
const NAMED_MAX: usize = 10;

/// How the sides compare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// Every table that moves, by name.
    pub tables: Vec<ComparedTable>,
}

impl Compared {
    /// Are the sides equal?
    pub fn is_equal(&self) -> bool {
        self.tables.iter().all(|table| table.is_equal)
    }

    /// Rows compared.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }
}

/// How one table compares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComparedTable {
    /// Its name.
    pub table: String,
    /// Its rows on the source.
    pub rows: u64,
    /// Does the target have the same rows?
    pub is_equal: bool,
    /// A sum over the SHA-256 of the source's rows, whatever their order.
    pub checksum: String,
    /// Some of the keys that differ: missing, extra or with other values.
    pub differing: Vec<String>,
}

/// What the rows of a stretch add up to.
struct Sums {
    rows: u64,
    total: u128,
    buckets: Vec<u128>,
}

impl Sums {
    fn new() -> Self {
        Self { rows: 0, total: 0, buckets: vec![0; BUCKETS] }
    }

    fn add(&mut self, table: &Table, line: &[u8]) {
        let sum = hash(line);
        self.rows += 1;
        self.total = self.total.wrapping_add(sum);
        if let Some(bucket) = self.buckets.get_mut(bucket(key(line, table.key))) {
            *bucket = bucket.wrapping_add(sum);
        }
    }
}

fn hash(bytes: &[u8]) -> u128 {
    let digest = Sha256::digest(bytes);
    digest.iter().take(16).fold(0, |sum, byte| (sum << 8) | u128::from(*byte))
}

/// FNV-1a: only spreads the keys.
fn bucket(key: &[u8]) -> usize {
    let hash = key
        .iter()
        .fold(0x811C_9DC5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    usize::try_from(hash).unwrap_or(0) % BUCKETS
}

impl Links {
    /// Compares one table, in as many batches as it has stretches.
    pub fn compare(
        &mut self,
        id: &MoveId,
        at: usize,
        at_applied: &dyn Fn() -> Result<(), MoveError>,
    ) -> Result<ComparedTable, MoveError> {
        let (Some(here), Some(there)) = (self.tables.get(at).cloned(), self.there.get(at).cloned())
        else {
            return Err(MoveError::Unfit("no such table".to_owned()));
        };
        let limit = (here.by_bytes && there.by_bytes).then_some(STRETCH_ROWS);
        let mut compared = ComparedTable {
            table: here.name.clone(),
            rows: 0,
            is_equal: true,
            checksum: String::new(),
            differing: Vec::new(),
        };
        let (mut total, mut after) = (0_u128, None);
        loop {
            self.begin_batch(id)?;
            self.apply(id, &[], &mut |_table, _key| {})?;
            let (sums, range) = self.stretch(&here, &there, after, limit, &mut compared)?;
            self.target.commit()?;
            at_applied()?;
            self.source.commit()?;
            compared.rows += sums.rows;
            total = total.wrapping_add(sums.total);
            after = range.upto;
            if after.is_none() {
                compared.checksum = format!("{total:032x}");
                return Ok(compared);
            }
        }
    }

    fn stretch(
        &mut self,
        here: &Table,
        there: &Table,
        after: Option<Key>,
        limit: Option<u64>,
        compared: &mut ComparedTable,
    ) -> Result<(Sums, Range), MoveError> {
        let mut range = Range { after, upto: None };
        let (mut ours, mut last) = (Sums::new(), Vec::new());
        self.source.stretch(here, &range, limit, &mut |line| {
            ours.add(here, line);
            last.clear();
            last.extend_from_slice(key(line, here.key));
            Ok(())
        })?;
        if limit == Some(ours.rows) {
            range.upto = Some(last);
        }
        let mut theirs = Sums::new();
        self.target.stretch(there, &range, None, &mut |line| {
            theirs.add(there, line);
            Ok(())
        })?;
        if ours.buckets != theirs.buckets {
            compared.is_equal = false;
            let differs: Vec<bool> =
                ours.buckets.iter().zip(&theirs.buckets).map(|(one, other)| one != other).collect();
            let mut found: BTreeMap<Key, [u128; 2]> = BTreeMap::new();
            suspects(&mut *self.source, here, &range, &differs, 0, &mut found)?;
            suspects(&mut *self.target, there, &range, &differs, 1, &mut found)?;
            let named = found.iter().filter(|(_key, [one, other])| one != other);
            let room = NAMED_MAX.saturating_sub(compared.differing.len());
            compared.differing.extend(named.take(room).map(|(key, _sums)| shown(key)));
        }
        Ok((ours, range))
    }
}

/// Collects the rows whose sum differs, as many as are held.
fn suspects(
    side: &mut dyn Side,
    table: &Table,
    range: &Range,
    differs: &[bool],
    which: usize,
    found: &mut BTreeMap<Key, [u128; 2]>,
) -> Result<(), MoveError> {
    side.stretch(table, range, None, &mut |line| {
        let key = key(line, table.key);
        let is_suspect = differs.get(bucket(key)).copied().unwrap_or(false);
        if is_suspect && (found.len() < HELD_ROWS_MAX || found.contains_key(key)) {
            let sums = found.entry(key.to_vec()).or_default();
            if let Some(sum) = sums.get_mut(which) {
                *sum = hash(line);
            }
        }
        Ok(())
    })
}
