//! The contract, kept: each command is one transaction, each query one read.

mod booking;
mod moving;
mod paging;
mod reserving;

use std::sync::Arc;

use contract::{Answer, Call, Command, Never, async_trait};
use inventory_api::{
    Adjust, AdjustError, Audited, CommitError, Entry, Import, ImportError, Imported, Inventory,
    LOCATIONS_SHOWN_MAX, Ledger, LedgerError, Level, PageError, PutBack, PutBackError, Receive,
    ReleaseError, Reservation, ReservationError, Reservations, Reserve, ReserveError, Reserved,
    SetLowAt, Stock, StockError,
};
use kernel_api::{Id, Page, PageRequest, Sku};
use serde::{Serialize, de::DeserializeOwned};

use ::store::{Abort, Store, Tx};

use crate::{domain, store};

/// Inventory on its own store.
pub(crate) struct Service {
    store: Store,
    low_at_default: i64,
}

/// What a command does in its transaction. The last argument is the threshold of levels that have none of their own.
type Body<Q, T, R> = fn(&mut Tx<'_>, &Q, i64) -> Result<T, Abort<R>>;

impl Service {
    pub fn new(store: Store, low_at_default: i64) -> Self {
        Self { store, low_at_default }
    }

    /// Gives back what expired reservations hold, as many as one transaction takes; `true` when there may be more.
    pub async fn sweep(&self, call: &Call) -> Answer<bool, Never> {
        let low_at_default = self.low_at_default;
        self.store.write(call, move |tx| reserving::sweep(tx, low_at_default)).await
    }

    /// Runs a command in one transaction, once per key.
    async fn run<Q, T, R>(
        &self,
        command: &Command,
        operation: &'static str,
        wish: Q,
        body: Body<Q, T, R>,
    ) -> Answer<T, R>
    where
        Q: Serialize + Send + Sync + 'static,
        T: Serialize + DeserializeOwned + Send + 'static,
        R: Send + 'static,
    {
        let (wish, low_at_default) = (Arc::new(wish), self.low_at_default);
        let asked = Arc::clone(&wish);
        self.store
            .command(command, operation, &*asked, move |tx| body(tx, &wish, low_at_default))
            .await
    }
}

#[async_trait]
impl Inventory for Service {
    async fn stock(&self, call: &Call, sku: Sku) -> Answer<Stock, StockError> {
        let low_at_default = self.low_at_default;
        self.store
            .read(call, move |c| {
                let (levels, totals) = store::stock(c, &sku, i64::from(LOCATIONS_SHOWN_MAX))?;
                if levels.is_empty() {
                    return Err(Abort::Refused(StockError::UnknownSku));
                }
                Ok(stock_of(sku.clone(), levels, totals, low_at_default))
            })
            .await
    }

    async fn levels(&self, call: &Call, page: PageRequest) -> Answer<Page<Level>, PageError> {
        let (low_at_default, limit) = (self.low_at_default, page.limit());
        let after = paging::place_of(page.after)?;
        self.store
            .read(call, move |c| {
                let rows = store::levels(c, (&after.0, &after.1), i64::from(limit) + 1)?;
                let page = Page::of(rows, limit, |level| paging::cursor_of(&level.place));
                Ok(page.map(|level| moving::shown(level, low_at_default)))
            })
            .await
    }

    async fn ledger(&self, call: &Call, wish: Ledger) -> Answer<Page<Entry>, LedgerError> {
        let limit = wish.page.limit();
        let after = paging::entry_of(wish.page.after)?;
        self.store
            .read(call, move |c| {
                let rows = store::ledger(c, &wish.sku, (&after.0, after.1), i64::from(limit) + 1)?;
                if rows.is_empty() && store::stock(c, &wish.sku, 1)?.0.is_empty() {
                    return Err(Abort::Refused(LedgerError::UnknownSku));
                }
                Ok(Page::of(rows, limit, |e| paging::cursor_after(&e.location, e.number)))
            })
            .await
    }

    async fn reservation(
        &self,
        call: &Call,
        id: Id<Reservation>,
    ) -> Answer<Reservation, ReservationError> {
        self.store
            .read(call, move |c| {
                store::reservation(c, id)?.ok_or(Abort::Refused(ReservationError::NotFound))
            })
            .await
    }

    async fn reservations(
        &self,
        call: &Call,
        wish: Reservations,
    ) -> Answer<Page<Reservation>, PageError> {
        let limit = wish.page.limit();
        let after = paging::id_of(wish.page.after)?;
        self.store
            .read(call, move |c| {
                let rows = store::reservations(c, &after, wish.state, i64::from(limit) + 1)?;
                Ok(Page::of(rows, limit, |reservation| reservation.id.to_string()))
            })
            .await
    }

    async fn audit(&self, call: &Call, page: PageRequest) -> Answer<Page<Audited>, PageError> {
        let limit = page.limit();
        let after = paging::place_of(page.after)?;
        self.store
            .read(call, move |c| {
                let rows = store::audit(c, (&after.0, &after.1), i64::from(limit) + 1)?;
                let page = Page::of(rows, limit, |(level, _)| paging::cursor_of(&level.place));
                Ok(page.map(|(level, books)| domain::audited(level, books)))
            })
            .await
    }

    async fn receive(&self, command: &Command, wish: Receive) -> Answer<(), Never> {
        self.run(command, "receive", wish, booking::receive).await
    }

    async fn adjust(&self, command: &Command, wish: Adjust) -> Answer<(), AdjustError> {
        self.run(command, "adjust", wish, booking::adjust).await
    }

    async fn set_low_at(&self, command: &Command, wish: SetLowAt) -> Answer<Level, Never> {
        self.run(command, "set_low_at", wish, moving::set_low_at).await
    }

    async fn reserve(&self, command: &Command, wish: Reserve) -> Answer<Reserved, ReserveError> {
        self.run(command, "reserve", wish, reserving::reserve).await
    }

    async fn commit(&self, command: &Command, id: Id<Reservation>) -> Answer<(), CommitError> {
        self.run(command, "commit", id, reserving::commit).await
    }

    async fn release(&self, command: &Command, id: Id<Reservation>) -> Answer<(), ReleaseError> {
        self.run(command, "release", id, reserving::release).await
    }

    async fn put_back(&self, command: &Command, wish: PutBack) -> Answer<(), PutBackError> {
        self.run(command, "put_back", wish, booking::put_back).await
    }

    async fn import(&self, command: &Command, wish: Import) -> Answer<Imported, ImportError> {
        self.run(command, "import", wish, booking::import).await
    }
}

fn stock_of(
    sku: Sku,
    levels: Vec<domain::Level>,
    (on_hand, reserved): (i64, i64),
    low_at_default: i64,
) -> Stock {
    let available = on_hand - reserved;
    let levels = levels.into_iter().map(|level| moving::shown(level, low_at_default)).collect();
    Stock { sku, on_hand, reserved, available, levels }
}
