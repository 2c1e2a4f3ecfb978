//! What other modules may ask of inventory: stock, reservations and the stock ledger.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests may"))]

mod audit;
mod event;
#[cfg(feature = "fake")]
pub mod fake;
mod ledger;
mod number;
mod place;
mod reservation;
mod stock;

pub use audit::{Audited, LedgerSums, Violation};
pub use event::{ReservationExpired, StockDepleted, StockLow, StockReplenished};
pub use ledger::{
    Entry, Import, ImportError, Imported, LEDGER_IMPORT_MAX, Ledger, LedgerError, Movement,
    MovementKind,
};
pub use number::{
    Change, HOLD_SECONDS_MAX, HoldSeconds, LowAt, Number, NumberError, QUANTITY_MAX, Quantity,
};
pub use place::{Location, LocationError, Reason, Reference};
pub use reservation::{
    CommitError, Hold, PutBack, PutBackError, ReleaseError, Reservation, ReservationError,
    ReservationState, Reservations, Reserve, ReserveError, Reserved, Shortage,
};
pub use stock::{
    Adjust, AdjustError, AdjustLine, LINES_MAX, LOCATIONS_SHOWN_MAX, Level, Line, Lines, PageError,
    Receive, SetLowAt, Stock, StockError,
};

use contract::{Answer, Call, Command, Never};
use kernel_api::{Id, Page, PageRequest, Sku};

/// Stock per SKU and location, reservations of it, and the ledger that explains every quantity.
///
/// `available = on_hand - reserved` is never below zero, whoever asks at the same time.
/// Every command takes effect once per (caller, method, key); what else makes it idempotent stands with it.
#[contract::contract("inventory")]
pub trait Inventory: Send + Sync + 'static {
    /// The stock of one SKU at every location.
    #[query]
    async fn stock(&self, call: &Call, sku: Sku) -> Answer<Stock, StockError>;

    /// The levels of all SKUs, by SKU and location.
    #[query]
    async fn levels(&self, call: &Call, page: PageRequest) -> Answer<Page<Level>, PageError>;

    /// The ledger of one SKU: by location, then oldest first.
    #[query]
    async fn ledger(&self, call: &Call, wish: Ledger) -> Answer<Page<Entry>, LedgerError>;

    /// One reservation.
    #[query]
    async fn reservation(
        &self,
        call: &Call,
        id: Id<Reservation>,
    ) -> Answer<Reservation, ReservationError>;

    /// The reservations, by id.
    #[query]
    async fn reservations(
        &self,
        call: &Call,
        wish: Reservations,
    ) -> Answer<Page<Reservation>, PageError>;

    /// Every level beside what the ledger and the reservations say of it, by SKU and location. A page is one
    /// consistent view; two pages are not.
    #[query]
    async fn audit(&self, call: &Call, page: PageRequest) -> Answer<Page<Audited>, PageError>;

    /// Books goods that came in.
    #[command]
    async fn receive(&self, command: &Command, wish: Receive) -> Answer<(), Never>;

    /// Corrects what is on hand, up or down; all lines or none. What is reserved cannot be taken away.
    #[command]
    async fn adjust(&self, command: &Command, wish: Adjust) -> Answer<(), AdjustError>;

    /// Says from which available quantity down the SKU counts as low at a location.
    #[command]
    async fn set_low_at(&self, command: &Command, wish: SetLowAt) -> Answer<Level, Never>;

    /// Holds stock until it is committed, released or expired; all lines or none.
    #[command]
    async fn reserve(&self, command: &Command, wish: Reserve) -> Answer<Reserved, ReserveError>;

    /// Turns what is reserved into sold. A reservation is sold once: committing it again changes nothing and is no
    /// refusal.
    #[command]
    async fn commit(&self, command: &Command, id: Id<Reservation>) -> Answer<(), CommitError>;

    /// Gives reserved stock back to the buyers. Releasing what is released or expired already changes nothing and
    /// is no refusal.
    #[command]
    async fn release(&self, command: &Command, id: Id<Reservation>) -> Answer<(), ReleaseError>;

    /// Puts sold goods back on hand. A reference is put back once, whatever the key.
    #[command]
    async fn put_back(&self, command: &Command, wish: PutBack) -> Answer<(), PutBackError>;

    /// Books history, in the order given; all movements or none. A batch is booked once, whatever the key.
    #[command]
    async fn import(&self, command: &Command, wish: Import) -> Answer<Imported, ImportError>;
}

#[cfg(test)]
mod tests;
