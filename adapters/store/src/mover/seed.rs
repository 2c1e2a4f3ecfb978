//! The copy of a large SQLite file, by its pages: several times as fast as by its rows.
//!
//! SQLite's own online backup copies one moment of the source, held by a read transaction, into a file beside the
//! target. There what is the other side's is taken out and what is the target's own put in, so the pages that then go
//! into the target, in one transaction of it, are never anything but a sealed copy: no crash leaves a target that says
//! it is the source. One of pages that went there at once would, until it was mended in a transaction after.
//!
//! Changes since the capture began are logged, and followed as after a copy by rows. What is cut off here, by a crash
//! or by whoever watches, has done nothing, and is not tried again: the copy by rows goes on where it stopped, this
//! would begin anew each time.

use std::{
    fs,
    io::ErrorKind,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rusqlite::backup::{self, Backup, StepResult};

use super::{
    Links, Point,
    copy::{Place, Progress, Watch},
    ending::drop_all,
    error::{MoveError, SideName},
    follow::TURN,
    lite::{self, Lite},
    names::MoveId,
    prepare::room,
    shape::{STAYS, count},
    side::{Begin, Side as _, number},
    state::{self, COPIED, COPY, SEED},
    switch::standing,
};
use crate::provision::{escaped, identifier, literal};

/// The smallest source for which it pays: below, the copy by rows takes a quarter of a second.
const BYTES_MIN: u64 = 32 << 20;
/// The largest: some seconds, in which a wish to stop costs what was done. Above, going on after it matters more.
const BYTES_MAX: u64 = 1 << 30;
/// What the disk of the target must have left, in sizes of the source: the file beside, the target's journal, the target.
const ROOM: u64 = 3;
/// Pages between two looks at the clock, the watcher and the source's journal: some hundredths of a second.
const STEP_PAGES: i32 = 2048;
/// By how much the source's journal may grow while its moment is held, which keeps it from being emptied.
const JOURNAL_MAX: u64 = 128 << 20;
/// Each page is touched once, so a cache would be memory for nothing.
const CACHE: &str = "PRAGMA cache_size = -2048";
/// Between two tries for the target's turn.
const POLL: Duration = Duration::from_millis(1);

/// How it went.
pub(super) enum Seeded {
    /// Nothing was done: the rows are to be copied.
    Not,
    /// The watcher wants no more, and nothing was done.
    Stopped,
    /// So many rows are there.
    Whole(u64),
}

/// Who is asked after each step, and what for.
pub(super) struct Steps<'a> {
    pub watch: Watch<'a>,
    pub at: &'a dyn Fn(Point) -> Result<(), MoveError>,
}

/// Why the pages stop.
enum Stop {
    Wished,
    JournalGrows,
    Failed(MoveError),
}

impl From<MoveError> for Stop {
    fn from(error: MoveError) -> Self {
        Self::Failed(error)
    }
}

/// The file beside the target. It goes when this does; what a crash leaves, the move's end removes.
struct Beside(PathBuf);

impl Beside {
    fn make(target: &Path) -> Result<Self, MoveError> {
        clean(target)?;
        let path = beside(target);
        // Not by SQLite, which would give it wider rights.
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| away(&path, &error))?;
        Ok(Self(path))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        for path in with_journal(&self.0) {
            drop(fs::remove_file(path));
        }
    }
}

fn beside(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push("-carve");
    name.into()
}

fn journal(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

fn with_journal(path: &Path) -> [PathBuf; 2] {
    [path.to_owned(), journal(path)]
}

fn away(path: &Path, error: &std::io::Error) -> MoveError {
    MoveError::Away { side: SideName::Target, what: format!("{}: {error}", path.display()) }
}

/// Removes what a crash left beside the target.
pub(super) fn clean(target: &Path) -> Result<(), MoveError> {
    for path in with_journal(&beside(target)) {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(away(&path, &error)),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

impl Links {
    /// Fills the target by pages, where that is the better way.
    pub fn seed(
        &mut self,
        id: &MoveId,
        (from, to): (&Path, &Path),
        steps: Steps<'_>,
    ) -> Result<Seeded, MoveError> {
        if !self.claim(id, to)? {
            return Ok(Seeded::Not);
        }
        let since = Instant::now();
        match self.seed_claimed(id, (from, to), steps) {
            Ok(rows) => {
                tracing::info!(id = %id, rows, ms = since.elapsed().as_millis(), "copied by pages");
                Ok(Seeded::Whole(rows))
            }
            Err(Stop::Wished) => Ok(Seeded::Stopped),
            Err(Stop::JournalGrows) => {
                tracing::info!(id = %id, "the source writes too much to be held: its rows are copied");
                Ok(Seeded::Not)
            }
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    /// Is it the better way, and nobody's who was here before?
    fn claim(&mut self, id: &MoveId, to: &Path) -> Result<bool, MoveError> {
        let bytes = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
        let bytes = u64::try_from(number(&mut *self.source, bytes)?).unwrap_or(0);
        let has_room = room(to).is_none_or(|room| room / ROOM > bytes);
        if !(BYTES_MIN..=BYTES_MAX).contains(&bytes) || !has_room {
            return Ok(false);
        }
        self.target.begin(Begin::Apply(TURN), id)?;
        self.check_direction(id)?;
        let is_first = state::get(&mut *self.target, id, SEED)?.is_none() && self.is_bare(id)?;
        if is_first {
            state::put(&mut *self.target, id, SEED, "1")?;
        }
        self.target.commit()?;
        Ok(is_first)
    }

    /// Has nothing been copied into the target?
    fn is_bare(&mut self, id: &MoveId) -> Result<bool, MoveError> {
        Ok(state::get(&mut *self.target, id, COPIED)?.is_none()
            && state::all(&mut *self.target, id, COPY)?.is_empty())
    }

    fn seed_claimed(
        &mut self,
        id: &MoveId,
        (from, to): (&Path, &Path),
        steps: Steps<'_>,
    ) -> Result<u64, Stop> {
        let sealed = standing(&mut *self.target)?;
        let mut source = Lite::open(from, SideName::Source)?;
        source.run(&format!("{CACHE}; BEGIN"))?;
        let mut places = Vec::new();
        for table in &self.tables {
            let rows = count(&mut source, table)?;
            places.push((table.name.clone(), Place::whole(rows)));
        }
        let rows = places.iter().map(|(_table, place)| place.rows).sum();

        let file = Beside::make(to)?;
        let mut side = Lite::open(&file.0, SideName::Target)?;
        // Its own alone: without `main` it would hold for the target that is attached to it, too.
        side.run(&format!(
            "{CACHE}; PRAGMA main.locking_mode = EXCLUSIVE; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF"
        ))?;
        let mut told = Told { tables: places.len(), rows, copied: 0, steps };
        let journal_max = length(&journal(from)) + JOURNAL_MAX;
        Pages::between(&source, &mut side)?.run(&mut told, &mut || {
            if length(&journal(from)) > journal_max { Err(Stop::JournalGrows) } else { Ok(()) }
        })?;
        source.run("COMMIT")?;
        drop(source);
        make_targets_own(&mut side, id, to, &places)?;

        let mut target = Lite::open(to, SideName::Target)?;
        target.run(CACHE)?;
        target.sync_for(Begin::Copy(TURN))?;
        let pages = Pages::between(&side, &mut target)?;
        pages.take_turn()?;
        // With the turn taken nobody can come between what is read here and the pages' commit.
        self.check_direction(id)?;
        if !self.is_bare(id)? || standing(&mut *self.target)? != sealed {
            return Err(busy("another mover was quicker").into());
        }
        told.copied = 1;
        pages.run(&mut told, &mut || Ok(()))?;
        drop(pages);
        // All pages went through it, and it would keep their room.
        if let Err(error) = target.run("PRAGMA wal_checkpoint(TRUNCATE)") {
            tracing::debug!(%error, "the target's journal keeps its size");
        }
        Ok(rows)
    }
}

fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |file| file.len())
}

/// Takes out what moves made on the source, and puts in what the target has of its own: its fence row, its part of the
/// move's state, and the tables that do not move.
fn make_targets_own(
    side: &mut Lite,
    id: &MoveId,
    target: &Path,
    places: &[(String, Place)],
) -> Result<(), MoveError> {
    let uri = literal(&format!("file:{}?mode=ro", escaped(&target.to_string_lossy())));
    side.run(&format!("ATTACH {uri} AS carve_target; BEGIN"))?;
    drop_all(side)?;
    for table in STAYS {
        let table = identifier(table);
        side.run(&format!(
            "DELETE FROM main.{table}; INSERT INTO main.{table} SELECT * FROM carve_target.{table}"
        ))?;
    }
    state::create(side, id, false)?;
    let state = id.state();
    side.run(&format!(
        "INSERT OR REPLACE INTO main.{state} (name, value) SELECT name, value FROM carve_target.{state}"
    ))?;
    for (table, place) in places {
        state::put(side, id, &format!("{COPY}{table}"), &place.text())?;
    }
    side.run("COMMIT; DETACH carve_target")
}

/// What the watcher is told of pages that are copied twice.
struct Told<'a> {
    tables: usize,
    rows: u64,
    /// How often all of them were copied.
    copied: u64,
    steps: Steps<'a>,
}

impl Told<'_> {
    fn tell(&mut self, left: u64, pages: u64) -> Result<(), Stop> {
        (self.steps.at)(Point::Seeding)?;
        let pages = pages.max(1);
        let done = self.copied * pages + pages.saturating_sub(left);
        let progress = Progress {
            table: String::new(),
            tables_done: 0,
            tables: self.tables,
            rows: self.rows * done / (2 * pages),
            rows_expected: self.rows,
            is_seeding: true,
        };
        if (self.steps.watch)(&progress).is_break() { Err(Stop::Wished) } else { Ok(()) }
    }
}

/// Pages on their way from one file into another. They are there when all of them are, and else none.
struct Pages<'a> {
    backup: Backup<'a, 'a>,
}

impl<'a> Pages<'a> {
    fn between(from: &'a Lite, to: &'a mut Lite) -> Result<Self, MoveError> {
        Ok(Self { backup: from.backup_into(to)? })
    }

    fn step(&self, pages: i32) -> Result<StepResult, MoveError> {
        self.backup.step(pages).map_err(|error| lite::error(SideName::Target, &error))
    }

    /// Keeps everybody else from writing to the file that the pages go into.
    fn take_turn(&self) -> Result<(), MoveError> {
        let until = Instant::now() + TURN;
        loop {
            match self.step(0)? {
                StepResult::More | StepResult::Done => return Ok(()),
                _busy if Instant::now() < until => thread::sleep(POLL),
                _busy => return Err(busy("no turn to write")),
            }
        }
    }

    fn run(
        &self,
        told: &mut Told<'_>,
        look: &mut dyn FnMut() -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        loop {
            let stepped = self.step(STEP_PAGES)?;
            match stepped {
                StepResult::Done => return Ok(()),
                StepResult::More => {}
                _busy => return Err(busy("its pages are not to be had").into()),
            }
            let backup::Progress { remaining, pagecount } = self.backup.progress();
            told.tell(
                u64::try_from(remaining).unwrap_or(0),
                u64::try_from(pagecount).unwrap_or(0),
            )?;
            look()?;
        }
    }
}

fn busy(what: &str) -> MoveError {
    MoveError::Busy { side: SideName::Target, what: what.to_owned() }
}
