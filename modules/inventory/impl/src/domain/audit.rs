//! Holding a level against the books.

use inventory_api::{Audited, LedgerSums, Violation};

use super::Level;

/// What the books say of one level.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Books {
    /// What the open reservations hold.
    pub held: i64,
    /// The sums of its ledger.
    pub sums: LedgerSums,
    /// How many entries its ledger has.
    pub entries: i64,
    /// Their first and last number.
    pub numbers: (i64, i64),
    /// How many of them say that something else was on hand than they sum to.
    pub wrong: i64,
}

/// The level beside the books, with everything that does not agree.
pub(crate) fn audited(level: Level, books: Books) -> Audited {
    let dense = books.numbers == (1, books.entries) || books.entries == 0;
    let broken = [
        (level.on_hand != books.sums.total(), Violation::OnHandIsNotLedger),
        (level.reserved != books.held, Violation::ReservedIsNotHeld),
        (level.available() < 0, Violation::Oversold),
        (level.entries != books.entries || !dense, Violation::LedgerHasGap),
        (books.wrong > 0, Violation::EntryIsNotSum),
    ];
    Audited {
        sku: level.place.sku,
        location: level.place.location,
        on_hand: level.on_hand,
        reserved: level.reserved,
        held: books.held,
        ledger: books.sums,
        violations: broken.into_iter().filter_map(|(is, what)| is.then_some(what)).collect(),
    }
}
