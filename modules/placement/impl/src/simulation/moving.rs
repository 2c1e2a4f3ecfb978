//! The mover in memory: each action as small effects, between any two of which anything may happen.

use placement_api::Leg;

use super::{
    Bug,
    chance::Chance,
    database::{Database, LAG_MAX, Owner, POSITIONS, ROWS, Refusal, Who},
};
use crate::domain::{Action, Seen, stands};

/// How long a lock is waited for.
const LOCK_TIME: i64 = 40_000;

/// An action under way. It belongs to a process, and dies or freezes with it, but not with the coordinator's patience.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub process: usize,
    pub action: Action,
    pub who: Who,
    pub leg: Leg,
    /// The source's epoch on this leg.
    pub epoch: u64,
    pub source: usize,
    pub target: usize,
    /// Which effect is next.
    pub at: u8,
    /// Until when a lock is waited for.
    pub until: i64,
    rows: [u64; ROWS],
    counts: [u16; ROWS],
}

/// What an effect leads to.
pub(super) enum Stepped {
    /// The next effect, after this long.
    Next(i64),
    End(Seen),
}

/// What effects happen to.
pub(super) struct Scene<'s> {
    pub databases: &'s mut [Database; 2],
    pub chance: &'s mut Chance,
    pub now: i64,
    pub bug: Option<Bug>,
}

type Went = Result<Stepped, Refusal>;

impl From<Refusal> for Stepped {
    fn from(refusal: Refusal) -> Self {
        Self::End(match refusal {
            Refusal::Failed => Seen::Failed,
            Refusal::Busy => Seen::NotNow,
            Refusal::Moved => Seen::Unknown,
        })
    }
}

impl Scene<'_> {
    fn next(&mut self) -> Went {
        let most = if self.chance.is(100) { 30_000 } else { 2_000 };
        Ok(Stepped::Next(self.chance.between(10, most)))
    }
}

impl Task {
    pub fn new(
        process: usize,
        action: Action,
        who: Who,
        (leg, epoch): (Leg, u64),
        (source, target): (usize, usize),
    ) -> Self {
        let (rows, counts) = ([0; ROWS], [0; ROWS]);
        Self { process, action, who, leg, epoch, source, target, at: 0, until: 0, rows, counts }
    }

    /// The next effect of what is done to databases.
    pub fn step(&mut self, scene: &mut Scene<'_>) -> Stepped {
        if self.until == 0 {
            self.until = scene.now + LOCK_TIME;
        }
        let went = match self.action {
            Action::Inspect => self.inspect(scene),
            Action::Prepare => {
                let prepared = scene.databases[self.target].prepare(self.who);
                prepared.map(|()| Stepped::End(Seen::Done))
            }
            Action::Capture => self.capture(scene),
            Action::Copy => self.copy(scene),
            Action::Follow | Action::Compare => self.follow(scene),
            Action::Fence => self.fence(scene),
            Action::Flip => self.flip(scene),
            Action::Ask => Ok(Stepped::End(self.ask(scene))),
            Action::Withdraw => self.withdraw(scene),
            Action::Clean => self.clean(scene),
            Action::Locate
            | Action::Audit
            | Action::Wait(_)
            | Action::Rest
            | Action::MakeReady
            | Action::MoveReads(_)
            | Action::Hold
            | Action::Unhold
            | Action::Record
            | Action::Settle
            | Action::ReadsBack
            | Action::StopHost => Ok(Stepped::End(Seen::Done)),
        };
        let stepped = went.unwrap_or_else(Stepped::from);
        if matches!(stepped, Stepped::End(_)) {
            // Its sessions end, and give up what they hold.
            scene.databases.iter_mut().for_each(|database| database.release(self.who.task));
        }
        stepped
    }

    fn next(&mut self, scene: &mut Scene<'_>) -> Went {
        self.at += 1;
        scene.next()
    }

    /// A lock that is another's is waited for, for a while.
    fn wait(&self, busy: Refusal, scene: &Scene<'_>) -> Went {
        if busy == Refusal::Busy && scene.now < self.until {
            return Ok(Stepped::Next(1000));
        }
        Err(busy)
    }

    fn inspect(&self, scene: &Scene<'_>) -> Went {
        let source = &scene.databases[self.source];
        source.reach()?;
        let fits = source.is_owner_at(self.epoch);
        Ok(Stepped::End(if fits { Seen::Done } else { Seen::Blocked }))
    }

    /// Making a trigger waits for the writers under way.
    fn capture(&mut self, scene: &mut Scene<'_>) -> Went {
        if self.at == 0 {
            return self.next(scene);
        }
        let source = &mut scene.databases[self.source];
        if source.writing > 0 && scene.bug != Some(Bug::CaptureAtOnce) {
            return self.wait(Refusal::Busy, scene);
        }
        source.capture(self.who, self.epoch)?;
        Ok(Stepped::End(Seen::Done))
    }

    /// Row by row: its turn, then the row, then the row there.
    fn copy(&mut self, scene: &mut Scene<'_>) -> Went {
        let copied = scene.databases[self.target].books_of(self.who.carve)?.copied;
        let Some(row) = (0..ROWS).find(|row| copied & (1 << row) == 0) else {
            return Ok(Stepped::End(Seen::Done));
        };
        match self.at % 3 {
            0 => {
                self.take_turn(scene)?;
                self.next(scene)
            }
            1 => {
                let source = &mut scene.databases[self.source];
                source.reach()?;
                self.rows = source.rows;
                self.next(scene)
            }
            _ => {
                self.apply(scene, 1 << row)?;
                let target = &mut scene.databases[self.target];
                target.books_of(self.who.carve)?.copied |= 1 << row;
                target.release(self.who.task);
                if self.at >= 8 { Ok(Stepped::End(Seen::NotYet)) } else { self.next(scene) }
            }
        }
    }

    /// Its turn at the target, where it may be taken: the target is this carve's, or follows the source.
    fn take_turn(&self, scene: &mut Scene<'_>) -> Result<(), Refusal> {
        let now = scene.now;
        let target = &mut scene.databases[self.target];
        target.books_of(self.who.carve)?;
        target.take_turn(self.who, now)?;
        if self.is_follower(target) { Ok(()) } else { Err(Refusal::Failed) }
    }

    /// May rows be applied at the target: sealed for this carve, or given up to the source?
    fn is_follower(&self, target: &Database) -> bool {
        match self.leg {
            Leg::There => target.owner == Owner::Sealed(self.who.carve),
            Leg::Back => target.owner == Owner::Side(self.source) && target.epoch == self.epoch,
        }
    }

    /// First its turn at the target, then one moment of the source, then the target has it, then the log is struck off.
    fn follow(&mut self, scene: &mut Scene<'_>) -> Went {
        let late = scene.bug == Some(Bug::LateTurn);
        match self.at {
            0 if late => self.next(scene),
            0 => match self.take_turn(scene) {
                Ok(()) => self.next(scene),
                Err(busy) => self.wait(busy, scene),
            },
            1 => {
                let now = scene.now;
                let source = &mut scene.databases[self.source];
                source.take_log(self.who, now)?;
                self.read_log(source)?;
                self.next(scene)
            }
            2 => {
                if late {
                    self.take_turn(scene)?;
                }
                self.apply_changes(scene)?;
                let target = &mut scene.databases[self.target];
                let equal = target.rows == self.rows;
                target.release(self.who.task);
                if self.action == Action::Compare && !equal {
                    return Ok(Stepped::End(Seen::Blocked));
                }
                self.next(scene)
            }
            _ => self.struck(scene),
        }
    }

    fn read_log(&mut self, source: &Database) -> Result<(), Refusal> {
        let log = source.log.filter(|(carve, _)| *carve == self.who.carve);
        // The switch took the log away, or a clean-up.
        let lost = if source.is_owner_at(self.epoch) { Refusal::Failed } else { Refusal::Moved };
        let (_, counts) = log.ok_or(lost)?;
        (self.rows, self.counts) = (source.rows, counts);
        Ok(())
    }

    fn changed(&self) -> u32 {
        (0..ROWS).filter(|row| self.counts[*row] > 0).fold(0, |rows, row| rows | 1 << row)
    }

    /// What changed, and what a switch that was given up had applied.
    fn apply_changes(&self, scene: &mut Scene<'_>) -> Result<(), Refusal> {
        let changed = self.changed();
        let redo = scene.databases[self.target].books_of(self.who.carve)?.redo;
        self.apply(scene, changed | redo)?;
        let books = scene.databases[self.target].books_of(self.who.carve)?;
        (books.redo, books.sealed_by) = (0, None);
        Ok(())
    }

    fn apply(&self, scene: &mut Scene<'_>, which: u32) -> Result<(), Refusal> {
        let now = scene.now;
        let target = &mut scene.databases[self.target];
        target.reach()?;
        if !target.holds_turn(self.who, now) {
            return Err(Refusal::Failed);
        }
        target.apply(&self.rows, which)
    }

    fn struck(&mut self, scene: &mut Scene<'_>) -> Went {
        let now = scene.now;
        let source = &mut scene.databases[self.source];
        source.reach()?;
        // The session was ended: what it would have struck off stays.
        if !source.holds_log(self.who, now) {
            return Err(Refusal::Failed);
        }
        source.strike(self.who.carve, &self.counts);
        if !source.is_owner_at(self.epoch) {
            return Err(Refusal::Moved);
        }
        let near = source.lag() <= LAG_MAX || self.action == Action::Compare;
        Ok(Stepped::End(if near { Seen::Done } else { Seen::NotYet }))
    }

    fn fence(&mut self, scene: &mut Scene<'_>) -> Went {
        match self.at {
            0 => {
                self.take_turn(scene)?;
                if scene.bug == Some(Bug::FollowBeforeLock) {
                    self.read_log(&scene.databases[self.source])?;
                    self.apply_changes(scene)?;
                }
                self.next(scene)
            }
            1 => self.lock(scene),
            2 => {
                self.is_fit(scene)?;
                if scene.bug == Some(Bug::FlipFirst) {
                    self.open(scene)?;
                }
                self.next(scene)
            }
            3 => self.follow_in_lock(scene),
            4 => self.give_up(scene),
            // The source is given up: whatever happens now, the rows are asked.
            _ if self.open(scene).is_err() => Ok(Stepped::End(Seen::Unknown)),
            _ => Ok(Stepped::End(Seen::Done)),
        }
    }

    /// Waits for the fence, new writers behind.
    fn lock(&mut self, scene: &mut Scene<'_>) -> Went {
        let now = scene.now;
        let source = &mut scene.databases[self.source];
        match source.take_fence(self.who, now) {
            Ok(()) => self.next(scene),
            Err(busy) => {
                source.wanted_until = now + 1500;
                self.wait(busy, scene)
            }
        }
    }

    /// All that must hold inside the lock.
    fn is_fit(&self, scene: &mut Scene<'_>) -> Result<(), Refusal> {
        let source = &mut scene.databases[self.source];
        source.books_of(self.who.carve)?;
        if !source.is_owner_at(self.epoch) {
            return Err(Refusal::Moved);
        }
        if source.log.is_none_or(|(carve, _)| carve != self.who.carve) {
            return Err(Refusal::Failed);
        }
        if source.lag() > LAG_MAX {
            return Err(Refusal::Busy);
        }
        self.take_turn(scene)
    }

    /// What is left, and what the switch itself changes at the source and has not committed there yet.
    fn follow_in_lock(&mut self, scene: &mut Scene<'_>) -> Went {
        if !matches!(scene.bug, Some(Bug::FollowBeforeLock | Bug::NoFollow)) {
            let now = scene.now;
            let source = &mut scene.databases[self.source];
            // Where nothing is to be taken, nothing is locked.
            if source.lag() > 0 {
                source.take_log(self.who, now)?;
            }
            self.read_log(source)?;
        } else {
            self.rows = scene.databases[self.target].rows;
        }
        self.rows[POSITIONS] += 1;
        self.counts[POSITIONS] = 1;
        self.apply_changes(scene)?;
        let target = &mut scene.databases[self.target];
        let books = target.books_of(self.who.carve)?;
        books.redo |= self.changed();
        books.sealed_by = Some(self.who.task);
        target.turn = None;
        self.next(scene)
    }

    /// The point of no return.
    fn give_up(&mut self, scene: &mut Scene<'_>) -> Went {
        let (lost, now) = (scene.chance.is(20), scene.now);
        let source = &mut scene.databases[self.source];
        if !source.holds_fence(self.who, now) {
            // Whether the commit came through is not known to it; it did not.
            return Ok(Stepped::End(Seen::Unknown));
        }
        source.epoch = self.epoch + 1;
        source.owner = Owner::Side(self.target);
        source.rows[POSITIONS] = self.rows[POSITIONS];
        let books = source.books_of(self.who.carve)?;
        (books.sealed_by, books.last) = (Some(self.who.task), self.changed());
        // What is applied here from now on is not written down again.
        source.log = None;
        if lost { Ok(Stepped::End(Seen::Unknown)) } else { self.next(scene) }
    }

    /// Opens the target. Where somebody has followed since the switch had applied all, what it followed last is followed
    /// again from the source, which does not change any more.
    fn open(&self, scene: &mut Scene<'_>) -> Result<(), Refusal> {
        let (carve, epoch) = (self.who.carve, self.epoch + 1);
        let owner = Owner::Side(self.target);
        self.take_turn(scene)?;
        let source = &mut scene.databases[self.source];
        let given_up = *source.books_of(carve)?;
        let rows = source.rows;
        let target = &mut scene.databases[self.target];
        let followed = target.books_of(carve)?.sealed_by != given_up.sealed_by;
        if followed && scene.bug != Some(Bug::OpenAsItIs) {
            target.apply(&rows, given_up.last)?;
        }
        let books = target.books_of(carve)?;
        (books.redo, books.sealed_by) = (0, None);
        target.log = Some((carve, [0; ROWS]));
        (target.epoch, target.owner) = (epoch, owner);
        Ok(())
    }

    fn flip(&mut self, scene: &mut Scene<'_>) -> Went {
        if self.at == 0 {
            return match self.take_turn(scene) {
                Ok(()) => self.next(scene),
                Err(busy) => self.wait(busy, scene),
            };
        }
        let source = &scene.databases[self.source];
        source.reach()?;
        if source.epoch != self.epoch + 1 || source.owner != Owner::Side(self.target) {
            return Err(Refusal::Moved);
        }
        self.open(scene)?;
        Ok(Stepped::End(Seen::Done))
    }

    fn ask(&self, scene: &Scene<'_>) -> Seen {
        let row = |at: usize| {
            let database = &scene.databases[at];
            database.is_up.then_some((database.epoch, database.owner.name()))
        };
        let to = Owner::Side(self.target).name();
        stands(row(self.source), row(self.target), self.epoch, to)
    }

    fn withdraw(&mut self, scene: &mut Scene<'_>) -> Went {
        match self.at {
            0 => self.next(scene),
            1 => self.lock(scene),
            _ => {
                let now = scene.now;
                let source = &mut scene.databases[self.source];
                if !source.holds_fence(self.who, now) {
                    return Err(Refusal::Failed);
                }
                if !source.is_owner_at(self.epoch) {
                    return Err(Refusal::Moved);
                }
                source.log = source.log.filter(|(carve, _)| *carve != self.who.carve);
                Ok(Stepped::End(Seen::Done))
            }
        }
    }

    fn clean(&mut self, scene: &mut Scene<'_>) -> Went {
        let now = scene.now;
        let at = if self.at == 0 { self.source } else { self.target };
        let database = &mut scene.databases[at];
        database.reach()?;
        // Its tables are another's for the moment.
        if database.is_locked(now) {
            return self.wait(Refusal::Busy, scene);
        }
        database.remove(self.who.carve);
        if self.at == 0 { self.next(scene) } else { Ok(Stepped::End(Seen::Done)) }
    }
}
