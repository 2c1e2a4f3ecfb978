//! Moving a module's data to another database while the module serves, and back.
//!
//! The steps, each a call of [`Mover`], in their order:
//!
//! 1. [`readiness`](Mover::readiness): what stands in the way, by name.
//! 2. [`prepare`](Mover::prepare): the target gets its tables and a fence row that names nobody.
//! 3. [`capture`](Mover::capture): from now on the source logs the key of each row that changes.
//! 4. [`copy`](Mover::copy): the rows, in chunks; from a large SQLite file into another one by pages.
//! 5. [`follow`](Mover::follow), again and again: the target becomes what the source is.
//! 6. [`verify`](Mover::verify): checksums of both sides at one moment.
//! 7. [`approach`](Mover::approach), before callers are held; then [`switch`](Mover::switch): the last changes under the
//!    fence's lock, then the source's row, then the target's.
//! 8. `back().follow()`: the old side follows the new one, so that [`back`](Mover::back)`().switch()` loses nothing.
//! 9. [`remove`](Mover::remove): everything that the move made.
//!
//! Invariant: at most one side may be written to by anybody but the mover. The source's fence row is committed first
//! and names the new owner; only then is the target's, together with the last changes, whose keys the source keeps.
//! Between the two nobody writes; after a crash there the source's row tells that [`flip`](Mover::flip) must bring the
//! switch to its end, and before it that nothing has happened.
//!
//! What is moved is read from the catalog: any table with a primary key of the portable types. What changes is found by
//! triggers that log keys, so no superuser is needed and no table's form matters; see `capture`, `follow` and `keys`.

mod aside;
mod capture;
mod copy;
mod ending;
mod error;
mod follow;
mod keys;
mod libpq;
mod lines;
mod lite;
mod names;
mod pg;
mod prepare;
mod seed;
mod shape;
mod side;
mod state;
mod switch;
mod verify;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use self::{
    lite::Lite,
    pg::Pg,
    shape::Table,
    side::{Change, Side},
};
use crate::{Location, Migrations, Standing};

pub use self::{
    aside::aside,
    copy::{Copied, Pace, Progress},
    ending::{Leftover, Removed},
    error::{MoveError, SideName, SwitchError},
    names::{MoveId, NoMoveId},
    prepare::{Readiness, TableSize},
    switch::{Switch, Switched},
    verify::{Compared, ComparedTable},
};
pub(crate) use self::{ending::is_being_moved, names::PREFIX};

/// The two databases of a move.
#[derive(Clone)]
pub struct Sides {
    /// The module.
    pub module: String,
    /// The move's id: a part of the name of all that it makes.
    pub id: MoveId,
    /// Where the data is.
    pub source: Location,
    /// Where it goes: a file that need not be there, or a schema as [`provision`](crate::provision) makes it.
    pub target: Location,
    /// The module's tables, for making the target's.
    pub migrations: Arc<Migrations>,
}

/// A batch that was followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Followed {
    /// Rows that were made equal.
    pub rows: u64,
    /// Changes that came meanwhile.
    pub left: u64,
}

/// Moves one module from one database to another. Blocking; a call opens the connections that it needs, or uses those
/// that the call before left. Every call may be made again after whatever happened, by this process or another one, and
/// goes on where the work stopped. Two processes that do so at once take turns.
pub struct Mover {
    sides: Sides,
    /// Rows by which the target says that it was given up.
    given_up: Vec<Standing>,
    links: Mutex<Option<Links>>,
    #[cfg(feature = "testing")]
    hook: Option<Hook>,
    #[cfg(feature = "testing")]
    target_pages_max: Option<u32>,
}

/// What a test does at a point inside of a call: an error ends the call there, as a crash would.
#[cfg(feature = "testing")]
pub type Hook = Arc<dyn Fn(Point) -> Result<(), MoveError> + Send + Sync>;

/// Points inside of the calls between which something is committed, or a lock is had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Point {
    /// Some pages of a copy by pages are on their way, and nothing is committed.
    Seeding,
    /// A chunk of the copy is committed.
    ChunkCopied,
    /// A batch is committed on the target, and not yet taken from the source's log.
    Applied,
    /// The switch has the lock.
    Locked,
    /// The target has everything, in an open transaction; the source's row is not written.
    CaughtUp,
    /// The source's row is written and not committed.
    Sealing,
    /// The source's row is committed, the target's is not.
    SourceCommitted,
    /// Both are.
    Flipped,
}

/// The connections, and what the catalog said when they were made.
struct Links {
    source: Box<dyn Side>,
    target: Box<dyn Side>,
    /// The tables as the source has them, by name.
    tables: Vec<Table>,
    /// The same tables as the target has them.
    there: Vec<Table>,
    is_prepared: bool,
    /// The source's foreign keys are checked, where it gave them up while it followed.
    is_validated: bool,
    /// What an [approach](Mover::approach) found: the rows in which a lease stood then or was changed since.
    near: Option<BTreeSet<Change>>,
    owed: copy::Owed,
}

impl Mover {
    /// A mover between two databases. Connects to neither.
    pub fn new(sides: Sides) -> Self {
        Self {
            sides,
            given_up: Vec::new(),
            links: Mutex::new(None),
            #[cfg(feature = "testing")]
            hook: None,
            #[cfg(feature = "testing")]
            target_pages_max: None,
        }
    }

    /// The rows by which the target is known to have been given up in earlier moves, whose data is nobody's any more: the
    /// module may have been moved on since, so that the source's row is another by now.
    #[must_use]
    pub fn over(self, given_up: Vec<Standing>) -> Self {
        Self { given_up, ..self }
    }

    /// The two databases.
    pub fn sides(&self) -> &Sides {
        &self.sides
    }

    /// The way back: the same move with its sides swapped. After a switch it follows, verifies and switches in the other
    /// direction; its own `back` is this direction again. It needs no [`prepare`](Self::prepare), no
    /// [`capture`](Self::capture) and no [`copy`](Self::copy).
    #[must_use]
    pub fn back(&self) -> Self {
        let Sides { module, id, source, target, migrations } = self.sides.clone();
        Self::new(Sides { module, id, source: target, target: source, migrations })
    }

    /// What stands in the way, and how much is to be moved. Changes nothing, and makes no file.
    pub fn readiness(&self) -> Result<Readiness, MoveError> {
        let Sides { source, target, .. } = &self.sides;
        let mut here = self.open(source, SideName::Source)?;
        let places = (source, target);
        if !ending::exists(target) {
            return prepare::readiness(&mut *here, None, places);
        }
        let mut there = self.open(target, SideName::Target)?;
        let mut found = prepare::readiness(&mut *here, Some(&mut *there), places)?;
        if found.blockers.is_empty()
            && let Some(what) =
                prepare::is_not_empty((&mut *here, &mut *there), &self.sides, &self.given_up)?
        {
            found.blockers.push(what);
        }
        Ok(found)
    }

    /// Makes the target's tables, empties them and gives its fence row to nobody. Refuses a target that holds anything
    /// but the rows of a move that was given up, or of the side that the module was moved away from.
    pub fn prepare(&self) -> Result<(), MoveError> {
        let Sides { module, id, target, migrations, .. } = &self.sides;
        if !self.is_begun()? {
            prepare::make_tables(module, target, migrations)?;
        }
        self.with(|links| links.prepare(id, module, (migrations, &self.given_up)))
    }

    fn is_begun(&self) -> Result<bool, MoveError> {
        let Sides { id, target, .. } = &self.sides;
        if !ending::exists(target) {
            return Ok(false);
        }
        state::is_there(&mut *self.open(target, SideName::Target)?, id)
    }

    /// Begins to log what changes on the source. Waits for transactions that are open, a bounded time, without making
    /// anybody queue for long.
    pub fn capture(&self) -> Result<(), MoveError> {
        let id = &self.sides.id;
        self.with(|links| {
            if state::is_there(&mut *links.source, id)? && !state::leads(&mut *links.source, id)? {
                return Err(MoveError::OutOfOrder("the source does not lead any more".to_owned()));
            }
            state::create(&mut *links.source, id, true)?;
            capture::install(&mut *links.source, id, &links.tables)
        })
    }

    /// Copies what is not copied yet, telling `watch` after each chunk; until it is whole, or `watch` breaks.
    pub fn copy(
        &self,
        pace: &Pace,
        watch: &mut dyn FnMut(&Progress) -> std::ops::ControlFlow<()>,
    ) -> Result<Copied, MoveError> {
        let Sides { id, source, target, .. } = &self.sides;
        self.with(|links| {
            if !capture::is_installed(&mut *links.source, id, &links.tables)? {
                let what = "changes are not captured: a copy would miss them".to_owned();
                return Err(MoveError::OutOfOrder(what));
            }
            links.copy((id, source, target), pace, watch, &|point| self.at(point))
        })
    }

    /// Applies what changed on the source since the last batch, all of it, in one transaction of the target. Only after
    /// the copy.
    pub fn follow(&self) -> Result<Followed, MoveError> {
        let id = &self.sides.id;
        self.with(|links| {
            links.loosen(id)?;
            links.validate(id);
            links.near = None;
            links.begin_batch(id)?;
            let rows = links.apply(id, &[], &mut |_table, _key| {})?;
            links.target.commit()?;
            self.at(Point::Applied)?;
            links.source.commit()?;
            links.trim(id)?;
            Ok(Followed { rows, left: links.lag(id)? })
        })
    }

    /// Compares the sides, table by table, each part at a moment at which they must be equal. Follows on the way.
    pub fn verify(&self) -> Result<Compared, MoveError> {
        let id = &self.sides.id;
        self.with(|links| {
            links.loosen(id)?;
            links.near = None;
            let mut tables = Vec::new();
            for at in 0..links.tables.len() {
                tables.push(links.compare(id, at, &|| self.at(Point::Applied))?);
            }
            Ok(Compared { tables })
        })
    }

    /// Does what of a switch need not be done while callers are held: a [`switch`](Self::switch) soon after has little
    /// left to do. May be left out.
    pub fn approach(&self, wish: &Switch) -> Result<(), SwitchError> {
        let id = &self.sides.id;
        self.switching(|links| {
            links.loosen(id)?;
            links.approach(id, wish)
        })
    }

    /// Gives the module to another owner, whose database the target is: see [`Switch`] and [`SwitchError`]. Asked for
    /// again after its point of no return, it brings itself to its end.
    pub fn switch(&self, wish: &Switch) -> Result<Switched, SwitchError> {
        let id = &self.sides.id;
        self.switching(|links| {
            if links.near.is_none() {
                links.loosen(id)?;
            }
            links.switch(id, wish, &|point| self.at(point))
        })
    }

    /// As [`with`](Self::with); after a "not now" the connections are kept.
    fn switching<T>(
        &self,
        f: impl FnOnce(&mut Links) -> Result<T, SwitchError>,
    ) -> Result<T, SwitchError> {
        let mut failed = None;
        let done = self.with(|links| match f(links) {
            Ok(done) => Ok(Some(done)),
            Err(error @ SwitchError::NotNow(_)) => {
                failed = Some(error);
                Ok(None)
            }
            Err(SwitchError::Failed(error)) => Err(error),
            Err(SwitchError::Doubtful(error)) => {
                failed = Some(SwitchError::Doubtful(error.clone()));
                Err(error)
            }
        });
        match (done, failed) {
            (Ok(Some(done)), _) => Ok(done),
            (_, Some(error)) => Err(error),
            (Err(error), None) => Err(SwitchError::Failed(error)),
            (Ok(None), None) => Err(SwitchError::NotNow("no reason was given".to_owned())),
        }
    }

    /// Brings a switch to its end whose source row names the new owner already. Does nothing when it is at its end.
    pub fn flip(&self) -> Result<Standing, MoveError> {
        let id = &self.sides.id;
        self.with(|links| {
            let row = links.flip(id, &|point| self.at(point))?;
            keys::validate(&mut *links.target, id)?;
            Ok(row)
        })
    }

    /// The fence rows of the source and of the target.
    pub fn standing(&self) -> Result<(Standing, Standing), MoveError> {
        self.with(|links| {
            Ok((switch::standing(&mut *links.source)?, switch::standing(&mut *links.target)?))
        })
    }

    /// Removes all that the move made, on each side that can be reached. A target that never led loses its rows too.
    /// Afterwards the move is over: neither side follows the other.
    pub fn remove(&self) -> Result<Removed, MoveError> {
        let Sides { id, source, target, .. } = &self.sides;
        *self.links.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if let Location::Sqlite { path } = target {
            seed::clean(path)?;
        }
        let mut done = Removed::default();
        let places = [(source, SideName::Source), (target, SideName::Target)];
        for (location, name) in places {
            if !ending::exists(location) {
                continue;
            }
            let removed =
                self.open(location, name).and_then(|mut side| ending::remove(&mut *side, id));
            match removed {
                Ok(things) => done.things += things,
                Err(MoveError::Away { side, what }) => done.away.push(format!("{side}: {what}")),
                Err(other) => return Err(other),
            }
        }
        Ok(done)
    }

    /// What moves left in a database, whoever made it.
    pub fn leftovers(location: &Location) -> Result<Vec<Leftover>, MoveError> {
        if !ending::exists(location) {
            return Ok(Vec::new());
        }
        let id = MoveId::new("doctor").map_err(|error| MoveError::Unfit(error.to_string()))?;
        ending::leftovers(&mut *open(location, SideName::Source, &id)?)
    }

    fn open(&self, location: &Location, name: SideName) -> Result<Box<dyn Side>, MoveError> {
        let side = open(location, name, &self.sides.id)?;
        #[cfg(feature = "testing")]
        let side = self.starved(side)?;
        Ok(side)
    }

    /// Runs `f` with the connections. After an error they are closed, and with them every transaction that was open.
    fn with<T>(&self, f: impl FnOnce(&mut Links) -> Result<T, MoveError>) -> Result<T, MoveError> {
        let mut held = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let mut links = match held.take() {
            Some(links) => links,
            None => self.connect()?,
        };
        let done = f(&mut links)?;
        *held = Some(links);
        Ok(done)
    }

    fn connect(&self) -> Result<Links, MoveError> {
        let Sides { source, target, .. } = &self.sides;
        let mut source = self.open(source, SideName::Source)?;
        let mut target = self.open(target, SideName::Target)?;
        let (here, there) = (shape::shape(&mut *source)?, shape::shape(&mut *target)?);
        let mut blockers = here.blockers;
        blockers.extend(there.blockers);
        blockers.extend(shape::differences(&here.tables, &there.tables));
        if !blockers.is_empty() {
            return Err(MoveError::Blocked(blockers));
        }
        Ok(Links {
            source,
            target,
            tables: here.tables,
            there: there.tables,
            is_prepared: false,
            is_validated: false,
            near: None,
            owed: copy::Owed::default(),
        })
    }
}

fn open(location: &Location, name: SideName, id: &MoveId) -> Result<Box<dyn Side>, MoveError> {
    Ok(match location {
        Location::Sqlite { path } => Box::new(Lite::open(path, name)?),
        Location::Postgres { url } => Box::new(Pg::open(url, name, id)?),
    })
}

impl Links {
    /// A side that follows has no foreign keys.
    fn loosen(&mut self, id: &MoveId) -> Result<(), MoveError> {
        self.check_prepared(id)?;
        keys::loosen(&mut *self.target, id)
    }

    /// A side that leads since a switch has foreign keys again; the rows that were there are checked now, since the pause
    /// does not wait for that.
    fn validate(&mut self, id: &MoveId) {
        if self.is_validated {
            return;
        }
        match keys::validate(&mut *self.source, id) {
            Ok(()) => self.is_validated = true,
            // The next batch tries it again.
            Err(error) => {
                tracing::warn!(%error, "foreign keys are not validated yet");
                self.source.roll_back();
            }
        }
    }
}

#[cfg(not(feature = "testing"))]
impl Mover {
    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "tests stop here")]
    fn at(&self, _point: Point) -> Result<(), MoveError> {
        Ok(())
    }
}

#[cfg(feature = "testing")]
impl Mover {
    /// The same mover, which asks `hook` at each [`Point`].
    #[must_use]
    pub fn hooked(self, hook: Hook) -> Self {
        Self { hook: Some(hook), ..self }
    }

    /// The same mover, whose SQLite target may not have more than so many pages: a full disk.
    #[must_use]
    pub fn starving(self, target_pages_max: u32) -> Self {
        Self { target_pages_max: Some(target_pages_max), ..self }
    }

    fn at(&self, point: Point) -> Result<(), MoveError> {
        self.hook.as_ref().map_or(Ok(()), |hook| hook(point))
    }

    fn starved(&self, mut side: Box<dyn Side>) -> Result<Box<dyn Side>, MoveError> {
        let is_target = side.name() == SideName::Target;
        if let (Some(pages), Some(lite), true) = (self.target_pages_max, side.as_lite(), is_target)
        {
            lite.starve(pages)?;
        }
        Ok(side)
    }
}
