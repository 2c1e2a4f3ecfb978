//! The copy: table by table, chunk by chunk in the order of the keys, while the module serves.
//!
//! A chunk and how far the copy has come are one transaction of the target, so whoever goes on knows exactly what is
//! there. The log is not applied meanwhile: a chunk that was read before a row's deletion would bring it back after.

use std::{
    ops::ControlFlow,
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{
    Links, Location, Point,
    error::MoveError,
    follow::TURN,
    lines::{Lines, key},
    names::MoveId,
    seed::{Seeded, Steps},
    shape::count,
    side::{Begin, Key, Range, Wrote},
    state::{self, COPIED, COPY},
};

/// The longest sleep for the sake of the rate: how late a caller's wish to stop is heard.
const SLEEP_MAX: Duration = Duration::from_millis(500);

/// Chunks of a copy that has a rate: what comes at once is hardly felt, and most of the time is rest.
const CHUNKS_PER_SECOND: u64 = 10;

/// How fast a copy may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// Rows of one transaction, at most. Fewer hold less; more cost less.
    pub chunk_rows: u64,
    /// The bound on the rate; none where the copy may take what the databases give.
    pub rows_per_second: Option<u64>,
}

impl Default for Pace {
    fn default() -> Self {
        // Some megabytes and a tenth of a second: a crash repeats that much, and no snapshot is older.
        Self { chunk_rows: 25_000, rows_per_second: None }
    }
}

impl Pace {
    fn rate(&self) -> Option<u64> {
        self.rows_per_second.filter(|rate| *rate > 0)
    }

    /// A chunk is no more than the rate gives in a moment, or whole tables would be there at once.
    fn rows_of_chunk(&self) -> u64 {
        self.rate()
            .map_or(self.chunk_rows, |rate| self.chunk_rows.min(rate / CHUNKS_PER_SECOND))
            .max(1)
    }
}

/// How far a copy is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The table that is being copied; none while all are copied at once, by pages.
    pub table: String,
    /// Tables at their end.
    pub tables_done: usize,
    /// All tables.
    pub tables: usize,
    /// Rows copied, of all tables and by whoever copied before.
    pub rows: u64,
    /// The rows that the tables had when the copy of each began; those not begun are counted too. A fact, no estimate;
    /// rows that come and go meanwhile make it inexact.
    pub rows_expected: u64,
    /// All tables are being copied at once, by pages: to stop now loses what was done, and the rows are copied instead.
    pub is_seeding: bool,
}

/// How a call of [`copy`](super::Mover::copy) ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// Is everything copied? Otherwise the watcher stopped it.
    pub is_whole: bool,
    /// Rows that this call copied.
    pub rows: u64,
    /// How long it took.
    pub took: Duration,
}

/// How far one table is; what the target's state table keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    after: Option<String>,
    pub rows: u64,
    expected: u64,
    is_done: bool,
}

impl Place {
    /// That of a table that is copied.
    pub fn whole(rows: u64) -> Self {
        Self { after: None, rows, expected: rows, is_done: true }
    }

    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What the watcher is told, and whether it wants more.
pub(super) type Watch<'a> = &'a mut dyn FnMut(&Progress) -> ControlFlow<()>;

impl Links {
    pub fn copy(
        &mut self,
        (id, from, to): (&MoveId, &Location, &Location),
        pace: &Pace,
        watch: Watch<'_>,
        at: &dyn Fn(Point) -> Result<(), MoveError>,
    ) -> Result<Copied, MoveError> {
        let since = Instant::now();
        self.check_prepared(id)?;
        self.check_direction(id)?;
        let mut copied = 0;
        // Whoever wants it slow wants it by rows.
        if let (Location::Sqlite { path: from }, Location::Sqlite { path: to }, None) =
            (from, to, pace.rate())
        {
            match self.seed(id, (from, to), Steps { watch: &mut *watch, at })? {
                Seeded::Not => {}
                Seeded::Stopped => {
                    return Ok(Copied { is_whole: false, rows: 0, took: since.elapsed() });
                }
                Seeded::Whole(rows) => copied = rows,
            }
        }
        let mut places = self.places(id)?;
        for table in 0..places.len() {
            while places.get(table).is_some_and(|place| !place.is_done) {
                if !self.owed.wait(&self.progress(table, &places), &mut *watch) {
                    return Ok(Copied { is_whole: false, rows: copied, took: since.elapsed() });
                }
                let began = Instant::now();
                let rows = self.chunk(id, from, table, pace.rows_of_chunk(), &mut places)?;
                at(Point::ChunkCopied)?;
                copied += rows;
                self.owed.add(began, rows, pace);
                if watch(&self.progress(table, &places)).is_break() {
                    return Ok(Copied { is_whole: false, rows: copied, took: since.elapsed() });
                }
            }
        }
        if self.target.is_postgres() {
            // The planner knows nothing of tables that were filled a moment ago.
            self.target.run("ANALYZE")?;
        }
        self.target.begin(Begin::Apply(TURN), id)?;
        self.check_direction(id)?;
        state::put(&mut *self.target, id, COPIED, "1")?;
        self.target.commit()?;
        Ok(Copied { is_whole: true, rows: copied, took: since.elapsed() })
    }

    fn places(&mut self, id: &MoveId) -> Result<Vec<Place>, MoveError> {
        let known = state::all(&mut *self.target, id, COPY)?;
        let mut places = Vec::new();
        for table in &self.tables {
            let place = known.iter().find(|(name, _value)| *name == table.name);
            places.push(match place {
                Some((_name, value)) => read(value)?,
                None => Place { expected: count(&mut *self.source, table)?, ..Place::default() },
            });
        }
        Ok(places)
    }

    fn progress(&self, at: usize, places: &[Place]) -> Progress {
        Progress {
            table: self.tables.get(at).map(|table| table.name.clone()).unwrap_or_default(),
            tables_done: places.iter().filter(|place| place.is_done).count(),
            tables: places.len(),
            rows: places.iter().map(|place| place.rows).sum(),
            rows_expected: places.iter().map(|place| place.expected.max(place.rows)).sum(),
            is_seeding: false,
        }
    }

    /// Copies the next rows of a table; how many.
    fn chunk(
        &mut self,
        id: &MoveId,
        from: &Location,
        at: usize,
        rows: u64,
        places: &mut [Place],
    ) -> Result<u64, MoveError> {
        let (Some(table), Some(place)) = (self.tables.get(at).cloned(), places.get_mut(at)) else {
            return Ok(0);
        };
        if let (Some(lite), Location::Sqlite { path }) = (self.target.as_lite(), from) {
            lite.attach(path)?;
        }
        self.target.begin(Begin::Copy(TURN), id)?;
        self.check_direction(id)?;
        // Another mover may have gone on with it since.
        let name = format!("{COPY}{}", table.name);
        if let Some(value) = state::get(&mut *self.target, id, &name)? {
            *place = read(&value)?;
        }
        if place.is_done {
            return self.target.commit().map(|()| 0);
        }
        let after = place.after.clone().map(String::into_bytes);
        let straight = match (self.target.as_lite(), from) {
            (Some(lite), Location::Sqlite { path }) => {
                Some(lite.pull(path, &table, after.as_ref(), rows)?)
            }
            (Some(_) | None, _) => None,
        };
        let (count, last, is_done) = match straight {
            Some((count, last)) => (count, last.clone(), last.is_none()),
            None => {
                let (count, last) = self.through_lines(id, at, after.as_ref(), rows)?;
                (count, last, count < rows)
            }
        };
        place.rows += count;
        place.is_done = is_done;
        if let Some(last) = last {
            place.after = Some(String::from_utf8(last).map_err(|_bytes| {
                MoveError::Unfit(format!("a key of table {} is not UTF-8", table.name))
            })?);
        }
        let value = place.text();
        state::put(&mut *self.target, id, &name, &value)?;
        self.target.commit()?;
        Ok(count)
    }

    fn through_lines(
        &mut self,
        id: &MoveId,
        at: usize,
        after: Option<&Key>,
        rows: u64,
    ) -> Result<(u64, Option<Key>), MoveError> {
        let Some(table) = self.tables.get(at) else { return Ok((0, None)) };
        let (source, target) = (&mut self.source, &mut self.target);
        let range = Range { after: after.cloned(), upto: None };
        let (mut count, mut last) = (0, Vec::new());
        target.load(table)?;
        source.stretch(table, &range, Some(rows), &mut |line| {
            count += 1;
            last.clear();
            last.extend_from_slice(key(line, table.key));
            target.load_line(line)
        })?;
        if target.load_end()? == Wrote::All {
            return Ok((count, (count > 0).then_some(last)));
        }
        // A row of an older chunk holds a value that one of these holds now. Then both have changed since the capture
        // began, and the follower brings them as they are: what clashes may be left out here.
        target.roll_back();
        target.begin(Begin::Copy(TURN), id)?;
        let mut held = Lines::default();
        count = 0;
        source.stretch(table, &range, Some(rows), &mut |line| {
            count += 1;
            last.clear();
            last.extend_from_slice(key(line, table.key));
            held.push(line);
            Ok(())
        })?;
        target.add(table, &held)?;
        Ok((count, (count > 0).then_some(last)))
    }
}

fn read(value: &str) -> Result<Place, MoveError> {
    serde_json::from_str(value)
        .map_err(|error| MoveError::Unfit(format!("the place of the copy: {error}")))
}

/// When the next chunk may be copied. It stands beside the connections: calls that follow each other, each as short as
/// its caller likes, keep the rate together.
#[derive(Debug, Default)]
pub(super) struct Owed(Option<Instant>);

impl Owed {
    /// Sleeps until it may; `false` when the watcher wants no more.
    fn wait(&self, progress: &Progress, watch: Watch<'_>) -> bool {
        loop {
            let left = self.0.map(|at| at.saturating_duration_since(Instant::now()));
            let Some(left) = left.filter(|left| !left.is_zero()) else { return true };
            thread::sleep(left.min(SLEEP_MAX));
            if watch(progress).is_break() {
                return false;
            }
        }
    }

    /// So many rows were copied, since `began`.
    fn add(&mut self, began: Instant, rows: u64, pace: &Pace) {
        self.0 = pace.rate().map(|rate| {
            let due = Duration::from_micros(rows.saturating_mul(1_000_000) / rate);
            self.0.map_or(began, |at| at.max(began)) + due
        });
    }
}
