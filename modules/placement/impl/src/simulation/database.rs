//! A module's database in memory: rows, fence row, change log and locks, with what the mover promises of each effect.

/// Clients, each with a key of its own.
pub(super) const CLIENTS: usize = 3;

/// Rows: for each client its list of effects and its answered keys, and what a switch itself changes at its source.
pub(super) const ROWS: usize = 2 * CLIENTS + 1;

/// The row that a switch changes in its lock: positions that it gives, leases that it ends.
pub(super) const POSITIONS: usize = ROWS - 1;

/// The most rows that may be left to follow when the fence falls.
pub(super) const LAG_MAX: usize = 2;

/// Whose processes may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// Never moved: whoever has it open.
    Whoever,
    /// The deployment with this number.
    Side(usize),
    /// Nobody: it is filled by this carve, or was.
    Sealed(u32),
}

impl Owner {
    pub fn name(self) -> &'static str {
        match self {
            Self::Whoever => "",
            Self::Side(0) => "monolith",
            Self::Side(_) => "child",
            Self::Sealed(_) => "carve:",
        }
    }
}

/// Who asks for an effect: a carve, and which of its tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Who {
    pub carve: u32,
    /// A number of its own in the schedule.
    pub task: u64,
}

/// What a move keeps of a side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Books {
    pub carve: u32,
    /// Which rows were copied here.
    pub copied: u32,
    /// Rows to follow again: a switch that was given up had applied what its rollback undid.
    pub redo: u32,
    /// At the target, the switch that has applied all; at the source, the one that gave it up.
    pub sealed_by: Option<u64>,
    /// At the source, the rows that this switch followed in its lock.
    pub last: u32,
}

#[derive(Debug, Clone)]
pub(super) struct Database {
    pub side: usize,
    pub is_up: bool,
    pub is_full: bool,
    pub epoch: u64,
    pub owner: Owner,
    /// A list holds an effect's number in each four bits, the newest lowest; answered keys are one bit each.
    pub rows: [u64; ROWS],
    /// How often each row changed and was not followed yet; of this carve.
    pub log: Option<(u32, [u16; ROWS])>,
    pub books: Option<Books>,
    /// Write transactions under way: they hold the fence row.
    pub writing: u32,
    /// Until when somebody waits for the fence: new writers wait behind.
    pub wanted_until: i64,
    /// It rises when the database goes away: all sessions end.
    pub session: u32,
    /// A session that holds a lock and does nothing is ended after this long, and what it did is undone. In some schedules
    /// longer than a lease, so that a coordinator that sleeps in a lock meets the next one; in some shorter.
    pub idle: i64,
    /// Who keeps writers out, and since when.
    pub fence: Option<(Who, i64)>,
    /// Who applies to this side.
    pub turn: Option<(Who, i64)>,
    /// Who takes the log's rows.
    pub reader: Option<(Who, i64)>,
}

/// An effect was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The database is away or full, or something is not there (any more).
    Failed,
    /// A lock is another's.
    Busy,
    /// The row is not what it should be.
    Moved,
}

impl Database {
    pub fn new(side: usize, idle: i64) -> Self {
        Self {
            side,
            is_up: true,
            is_full: false,
            epoch: 1,
            // The child's database is not there before a carve makes it.
            owner: if side == 0 { Owner::Whoever } else { Owner::Sealed(0) },
            rows: [0; ROWS],
            log: None,
            books: None,
            writing: 0,
            wanted_until: 0,
            session: 0,
            idle,
            fence: None,
            turn: None,
            reader: None,
        }
    }

    /// Does the row name the deployment whose database this is?
    pub fn is_owner(&self) -> bool {
        matches!(self.owner, Owner::Whoever) || self.owner == Owner::Side(self.side)
    }

    /// Is the row that of the owner since `epoch`?
    pub fn is_owner_at(&self, epoch: u64) -> bool {
        self.epoch == epoch && self.is_owner()
    }

    pub fn reach(&self) -> Result<(), Refusal> {
        if self.is_up { Ok(()) } else { Err(Refusal::Failed) }
    }

    /// It goes away: every session ends, and with it every lock.
    pub fn go_down(&mut self) {
        self.is_up = false;
        self.session += 1;
        (self.writing, self.fence, self.turn, self.reader) = (0, None, None, None);
    }

    /// The carve's books here.
    pub fn books_of(&mut self, carve: u32) -> Result<&mut Books, Refusal> {
        self.reach()?;
        self.books.as_mut().filter(|books| books.carve == carve).ok_or(Refusal::Failed)
    }

    fn open_books(&mut self, carve: u32) -> Result<(), Refusal> {
        match self.books {
            Some(books) if books.carve != carve => Err(Refusal::Failed),
            Some(_) => Ok(()),
            None => {
                self.books = Some(Books { carve, copied: 0, redo: 0, sealed_by: None, last: 0 });
                Ok(())
            }
        }
    }

    /// Makes the tables and seals them, where nobody owns them or the other side does.
    pub fn prepare(&mut self, who: Who) -> Result<(), Refusal> {
        self.reach()?;
        if self.books.is_none() {
            if self.is_owner() {
                return Err(Refusal::Failed);
            }
            self.owner = Owner::Sealed(who.carve);
            self.rows = [0; ROWS];
        }
        self.open_books(who.carve)
    }

    /// Writes down what changes from now on; no write transaction is under way, so none is missed.
    pub fn capture(&mut self, who: Who, epoch: u64) -> Result<(), Refusal> {
        self.reach()?;
        if !self.is_owner_at(epoch) {
            return Err(Refusal::Failed);
        }
        self.open_books(who.carve)?;
        if self.log.is_none_or(|(carve, _)| carve != who.carve) {
            self.log = Some((who.carve, [0; ROWS]));
        }
        Ok(())
    }

    /// Keeps every writer out.
    pub fn take_fence(&mut self, who: Who, now: i64) -> Result<(), Refusal> {
        self.reach()?;
        if self.writing > 0 {
            Err(Refusal::Busy)
        } else {
            take(&mut self.fence, who, (now - self.idle, now))
        }
    }

    pub fn holds_fence(&self, who: Who, now: i64) -> bool {
        holds(self.fence, who, now - self.idle)
    }

    /// Becomes the only one that applies here.
    pub fn take_turn(&mut self, who: Who, now: i64) -> Result<(), Refusal> {
        self.reach()?;
        take(&mut self.turn, who, (now - self.idle, now))
    }

    pub fn holds_turn(&self, who: Who, now: i64) -> bool {
        holds(self.turn, who, now - self.idle)
    }

    /// Becomes the only one that takes the log's rows.
    pub fn take_log(&mut self, who: Who, now: i64) -> Result<(), Refusal> {
        self.reach()?;
        take(&mut self.reader, who, (now - self.idle, now))
    }

    pub fn holds_log(&self, who: Who, now: i64) -> bool {
        holds(self.reader, who, now - self.idle)
    }

    /// Is anything locked here by somebody?
    pub fn is_locked(&self, now: i64) -> bool {
        let all = [self.fence, self.turn, self.reader];
        all.into_iter().flatten().any(|(_, since)| now < since + self.idle)
    }

    /// Gives up what a task holds, whatever it is.
    pub fn release(&mut self, task: u64) {
        self.fence = self.fence.filter(|(by, _)| by.task != task);
        self.turn = self.turn.filter(|(by, _)| by.task != task);
        self.reader = self.reader.filter(|(by, _)| by.task != task);
    }

    /// Must a writer wait now?
    fn is_fenced(&self, now: i64) -> bool {
        now < self.wanted_until || self.fence.is_some_and(|(_, since)| now < since + self.idle)
    }

    /// A writer begins, and holds the fence row; none where it must wait. It says whether its changes are captured.
    pub fn begin(&mut self, now: i64) -> Option<bool> {
        if self.is_fenced(now) {
            return None;
        }
        // Whoever slept on it has lost it.
        self.fence = None;
        self.writing += 1;
        Some(self.log.is_some())
    }

    /// How many rows are left to follow.
    pub fn lag(&self) -> usize {
        self.log.map_or(0, |(_, counts)| counts.iter().filter(|count| **count > 0).count())
    }

    /// Takes over rows as they were at the source.
    pub fn apply(&mut self, rows: &[u64; ROWS], which: u32) -> Result<(), Refusal> {
        if self.is_full {
            return Err(Refusal::Failed);
        }
        for (number, (row, value)) in self.rows.iter_mut().zip(rows).enumerate() {
            if which & (1 << number) != 0 {
                *row = *value;
            }
        }
        Ok(())
    }

    /// Strikes off what was followed.
    pub fn strike(&mut self, carve: u32, counts: &[u16; ROWS]) {
        if let Some((of, log)) = &mut self.log
            && *of == carve
        {
            for (left, done) in log.iter_mut().zip(counts) {
                *left = left.saturating_sub(*done);
            }
        }
    }

    /// A client's command: once per key, and written down where changes are.
    pub fn command(&mut self, client: usize, effect: u64, captured: bool) {
        let (list, answers) = (client, CLIENTS + client);
        if self.rows[answers] & (1 << effect) != 0 {
            return;
        }
        self.rows[list] = self.rows[list] << 4 | effect;
        self.rows[answers] |= 1 << effect;
        if let Some((_, counts)) = self.log.as_mut().filter(|_| captured) {
            counts[list] += 1;
            counts[answers] += 1;
        }
    }

    /// Removes all that a carve made here; a side that never became owner stays sealed, and empty.
    pub fn remove(&mut self, carve: u32) {
        self.books = self.books.filter(|books| books.carve != carve);
        self.log = self.log.filter(|(of, _)| *of != carve);
        if self.owner == Owner::Sealed(carve) {
            self.rows = [0; ROWS];
        }
    }
}

/// Takes a lock that nobody has since after `dead`.
fn take(lock: &mut Option<(Who, i64)>, who: Who, (dead, now): (i64, i64)) -> Result<(), Refusal> {
    if lock.is_some_and(|(by, since)| by != who && since > dead) {
        return Err(Refusal::Busy);
    }
    *lock = Some((who, now));
    Ok(())
}

fn holds(lock: Option<(Who, i64)>, who: Who, dead: i64) -> bool {
    lock.is_some_and(|(by, since)| by == who && since > dead)
}
