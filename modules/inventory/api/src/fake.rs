//! An inventory in memory, for the tests of others: it reserves, sells and takes back like the real one, and can be away
//! or lose an answer.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use contract::{Answer, Call, Command, Fault, Never, Reason, async_trait};
use kernel_api::{Clock, Id, Page, PageRequest, Sku};

use crate::{
    Adjust, AdjustError, Audited, CommitError, Entry, Hold, Import, ImportError, Imported,
    Inventory, Ledger, LedgerError, Level, Line, Location, PageError, PutBack, PutBackError,
    Receive, Reference, ReleaseError, Reservation, ReservationError, ReservationState,
    Reservations, Reserve, ReserveError, Reserved, SetLowAt, Shortage, Stock, StockError,
};

/// The fake. A repeated command is known by the reservation or reference that it names, not by its key, and lists are
/// one page. It keeps no ledger: `ledger`, `audit`, `adjust`, `set_low_at` and `import` are not there.
pub struct FakeInventory {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    levels: BTreeMap<(Sku, Location), Quantities>,
    reservations: BTreeMap<Id<Reservation>, Reservation>,
    put_back: BTreeSet<Reference>,
    away: bool,
    lose_next_answer: bool,
}

#[derive(Clone, Copy, Default)]
struct Quantities {
    on_hand: i64,
    reserved: i64,
}

impl FakeInventory {
    /// An inventory with nothing in it.
    pub fn new(clock: Clock) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// Puts more of a SKU on hand at `main`.
    pub fn supply(&self, sku: &Sku, quantity: i64) {
        self.lock().level(sku, &Location::MAIN).on_hand += quantity;
    }

    /// Goes away: every call ends in `NotExecuted(Unavailable)` until it is back.
    pub fn go_away(&self) {
        self.lock().away = true;
    }

    /// Comes back.
    pub fn come_back(&self) {
        self.lock().away = false;
    }

    /// Loses the answer of the next command: it has its effect and ends in `Unknown`.
    pub fn lose_next_answer(&self) {
        self.lock().lose_next_answer = true;
    }

    /// What is on hand and what is reserved of a SKU at `main`.
    pub fn quantities(&self, sku: &Sku) -> (i64, i64) {
        let found = *self.lock().level(sku, &Location::MAIN);
        (found.on_hand, found.reserved)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the state, unless the fake is away.
    fn ask<T, R>(&self, query: impl FnOnce(&mut State) -> Result<T, R>) -> Answer<T, R> {
        let mut state = self.lock();
        if state.away {
            return Err(Fault::not_executed(Reason::Unavailable, "the fake is away"));
        }
        query(&mut state).map_err(Fault::Refused)
    }

    /// Changes the state, and may lose the answer.
    fn tell<T, R>(&self, command: impl FnOnce(&mut State) -> Result<T, R>) -> Answer<T, R> {
        let answer = self.ask(command)?;
        if mem::take(&mut self.lock().lose_next_answer) {
            return Err(Fault::unknown("the fake lost the answer"));
        }
        Ok(answer)
    }
}

impl State {
    fn level(&mut self, sku: &Sku, location: &Location) -> &mut Quantities {
        self.levels.entry((sku.clone(), location.clone())).or_default()
    }

    fn bring(&mut self, lines: &[Line]) {
        for line in lines {
            self.level(&line.sku, &line.location).on_hand += line.quantity.get();
        }
    }

    /// Closes an open reservation; what it held is sold or given back.
    fn close(&mut self, mut closed: Reservation, state: ReservationState, clock: &Clock) {
        for hold in &closed.lines {
            let level = self.level(&hold.sku, &hold.location);
            level.reserved -= hold.quantity;
            if state == ReservationState::Committed {
                level.on_hand -= hold.quantity;
            }
        }
        closed.state = state;
        closed.closed_at = Some(clock.now());
        self.reservations.insert(closed.id, closed);
    }

    fn shown(&self) -> Vec<Level> {
        let shown = |((sku, location), q): (&(Sku, Location), &Quantities)| Level {
            sku: sku.clone(),
            location: location.clone(),
            on_hand: q.on_hand,
            reserved: q.reserved,
            available: q.on_hand - q.reserved,
            low_at: 0,
        };
        self.levels.iter().map(shown).collect()
    }
}

fn summed(lines: &[Line]) -> Vec<Hold> {
    let mut sums: BTreeMap<(Sku, Location), i64> = BTreeMap::new();
    for line in lines {
        *sums.entry((line.sku.clone(), line.location.clone())).or_default() += line.quantity.get();
    }
    let hold = |((sku, location), quantity)| Hold { sku, location, quantity };
    sums.into_iter().map(hold).collect()
}

fn not_there<T, R>() -> Answer<T, R> {
    Err(Fault::not_executed(Reason::Failed, "the fake inventory has no such method"))
}

#[async_trait]
impl Inventory for FakeInventory {
    async fn stock(&self, _call: &Call, sku: Sku) -> Answer<Stock, StockError> {
        self.ask(|state| {
            let mut levels = state.shown();
            levels.retain(|level| level.sku == sku);
            if levels.is_empty() {
                return Err(StockError::UnknownSku);
            }
            let on_hand = levels.iter().map(|level| level.on_hand).sum();
            let reserved = levels.iter().map(|level| level.reserved).sum();
            Ok(Stock { sku, on_hand, reserved, available: on_hand - reserved, levels })
        })
    }

    async fn levels(&self, _call: &Call, _page: PageRequest) -> Answer<Page<Level>, PageError> {
        self.ask(|state| Ok(Page { items: state.shown(), next: None }))
    }

    async fn ledger(&self, _call: &Call, _wish: Ledger) -> Answer<Page<Entry>, LedgerError> {
        not_there()
    }

    async fn reservation(
        &self,
        _call: &Call,
        id: Id<Reservation>,
    ) -> Answer<Reservation, ReservationError> {
        self.ask(|state| state.reservations.get(&id).cloned().ok_or(ReservationError::NotFound))
    }

    async fn reservations(
        &self,
        _call: &Call,
        wish: Reservations,
    ) -> Answer<Page<Reservation>, PageError> {
        self.ask(|state| {
            let wanted = |one: &&Reservation| wish.state.is_none_or(|state| one.state == state);
            let items = state.reservations.values().filter(wanted).cloned().collect();
            Ok(Page { items, next: None })
        })
    }

    async fn audit(&self, _call: &Call, _page: PageRequest) -> Answer<Page<Audited>, PageError> {
        not_there()
    }

    async fn receive(&self, _command: &Command, wish: Receive) -> Answer<(), Never> {
        self.tell(|state| {
            state.bring(&wish.lines);
            Ok(())
        })
    }

    async fn adjust(&self, _command: &Command, _wish: Adjust) -> Answer<(), AdjustError> {
        not_there()
    }

    async fn set_low_at(&self, _command: &Command, _wish: SetLowAt) -> Answer<Level, Never> {
        not_there()
    }

    async fn reserve(&self, _command: &Command, wish: Reserve) -> Answer<Reserved, ReserveError> {
        let now = self.clock.now();
        let seconds = u64::try_from(wish.expires_in_s.get()).unwrap_or(0);
        let expires_at = now.plus(Duration::from_secs(seconds));
        self.tell(|state| {
            let lines = summed(&wish.lines);
            if let Some(known) = state.reservations.get(&wish.reservation) {
                if known.lines != lines {
                    return Err(ReserveError::IdTaken);
                }
                return Ok(Reserved { reservation: known.id, expires_at: known.expires_at });
            }
            let mut short = Vec::new();
            for hold in &lines {
                let level = *state.level(&hold.sku, &hold.location);
                let available = level.on_hand - level.reserved;
                if available < hold.quantity {
                    let (sku, location) = (hold.sku.clone(), hold.location.clone());
                    short.push(Shortage { sku, location, wanted: hold.quantity, available });
                }
            }
            if !short.is_empty() {
                return Err(ReserveError::OutOfStock { lines: short });
            }
            for hold in &lines {
                state.level(&hold.sku, &hold.location).reserved += hold.quantity;
            }
            let new = Reservation {
                id: wish.reservation,
                reference: wish.reference,
                state: ReservationState::Open,
                lines,
                created_at: now,
                expires_at,
                closed_at: None,
            };
            state.reservations.insert(new.id, new);
            Ok(Reserved { reservation: wish.reservation, expires_at })
        })
    }

    async fn commit(&self, _command: &Command, id: Id<Reservation>) -> Answer<(), CommitError> {
        self.tell(|state| {
            let found = state.reservations.get(&id).cloned().ok_or(CommitError::NotFound)?;
            let expires_at = found.expires_at;
            match found.state {
                ReservationState::Open if expires_at > self.clock.now() => {
                    state.close(found, ReservationState::Committed, &self.clock);
                    Ok(())
                }
                ReservationState::Open | ReservationState::Expired => {
                    Err(CommitError::Expired { expires_at })
                }
                ReservationState::Committed => Ok(()),
                ReservationState::Released => Err(CommitError::Released),
            }
        })
    }

    async fn release(&self, _command: &Command, id: Id<Reservation>) -> Answer<(), ReleaseError> {
        self.tell(|state| {
            let found = state.reservations.get(&id).cloned().ok_or(ReleaseError::NotFound)?;
            match found.state {
                ReservationState::Open => {
                    state.close(found, ReservationState::Released, &self.clock);
                    Ok(())
                }
                ReservationState::Committed => Err(ReleaseError::Committed),
                ReservationState::Released | ReservationState::Expired => Ok(()),
            }
        })
    }

    async fn put_back(&self, _command: &Command, wish: PutBack) -> Answer<(), PutBackError> {
        self.tell(|state| {
            if state.put_back.insert(wish.reference) {
                state.bring(&wish.lines);
            }
            Ok(())
        })
    }

    async fn import(&self, _command: &Command, _wish: Import) -> Answer<Imported, ImportError> {
        not_there()
    }
}
