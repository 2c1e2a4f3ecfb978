//! Levels, and the moves that change them.

use std::collections::{BTreeMap, BTreeSet};

use inventory_api::{Entry, Hold, Location, MovementKind, Reason, Reference, Shortage};
use kernel_api::{Sku, Timestamp};

/// Which level: one SKU at one location. Moves are always made in the order of places, so that two transactions never
/// wait for each other in a circle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub sku: Sku,
    pub location: Location,
}

/// What is known of one level.
///
/// Invariant: `0 <= reserved <= on_hand`; held by the guard of the one statement that moves stock and by the table's
/// checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Level {
    pub place: Place,
    pub on_hand: i64,
    pub reserved: i64,
    /// How many ledger entries it has, which is the number of the last one.
    pub entries: i64,
    /// Its own threshold; the module's default where it has none.
    pub low_at: Option<i64>,
}

/// A change of one level. Every command is a list of these, at most one per place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Move {
    pub place: Place,
    pub on_hand: i64,
    pub reserved: i64,
    /// How many ledger entries it adds. A move that changes `on_hand` adds at least one.
    pub entries: i64,
}

impl Level {
    /// A level that nothing was booked on yet.
    pub fn empty(place: Place) -> Self {
        Self { place, on_hand: 0, reserved: 0, entries: 0, low_at: None }
    }

    /// What can be reserved.
    pub fn available(&self) -> i64 {
        self.on_hand - self.reserved
    }
}

impl Move {
    /// Reserves what is available.
    pub fn hold(hold: Hold) -> Self {
        Self { on_hand: 0, reserved: hold.quantity, entries: 0, place: Place::of(hold) }
    }

    /// Makes available what was reserved.
    pub fn let_go(hold: Hold) -> Self {
        Self { on_hand: 0, reserved: -hold.quantity, entries: 0, place: Place::of(hold) }
    }

    /// Takes away what was reserved.
    pub fn sell(hold: Hold) -> Self {
        Self {
            on_hand: -hold.quantity,
            reserved: -hold.quantity,
            entries: 1,
            place: Place::of(hold),
        }
    }

    /// Brings what can be reserved at once, or takes it away.
    pub fn bring(hold: Hold) -> Self {
        Self { on_hand: hold.quantity, reserved: 0, entries: 1, place: Place::of(hold) }
    }

    /// How much it takes from what is available; negative when it gives.
    pub fn takes(&self) -> i64 {
        self.reserved - self.on_hand
    }
}

impl Place {
    fn of(hold: Hold) -> Self {
        Self { sku: hold.sku, location: hold.location }
    }
}

/// The lines with the same place summed, in the order of places. What sums to nothing is left out.
pub(crate) fn sum(lines: impl IntoIterator<Item = Hold>) -> Vec<Hold> {
    let mut sums: BTreeMap<Place, i64> = BTreeMap::new();
    for line in lines {
        let quantity = line.quantity;
        // At most 50 reservations of 2,000 lines of 1,000,000 each come together here: far from overflow.
        *sums.entry(Place::of(line)).or_default() += quantity;
    }
    sums.into_iter()
        .filter(|(_, quantity)| *quantity != 0)
        .map(|(Place { sku, location }, quantity)| Hold { sku, location, quantity })
        .collect()
}

/// The moves that were not made, beside what there is; `levels` are those that exist of their places.
pub(crate) fn shortages(wanted: &[Move], made: &[Level], levels: &[Level]) -> Vec<Shortage> {
    let made: BTreeSet<&Place> = made.iter().map(|level| &level.place).collect();
    let available: BTreeMap<&Place, i64> =
        levels.iter().map(|level| (&level.place, level.available())).collect();
    wanted
        .iter()
        .filter(|wish| !made.contains(&wish.place))
        .map(|wish| Shortage {
            sku: wish.place.sku.clone(),
            location: wish.place.location.clone(),
            wanted: wish.takes(),
            available: available.get(&wish.place).copied().unwrap_or(0),
        })
        .collect()
}

/// The ledger entries that explain `moves`, one each; `levels` are the same places after them.
pub(crate) fn entries(
    moves: &[Move],
    levels: &[Level],
    kind: MovementKind,
    (reason, reference, at): (Option<&Reason>, &Reference, Timestamp),
) -> Vec<Entry> {
    moves
        .iter()
        .zip(levels)
        .map(|(change, level)| Entry {
            sku: change.place.sku.clone(),
            location: change.place.location.clone(),
            number: level.entries,
            kind,
            quantity: change.on_hand,
            on_hand: level.on_hand,
            reason: reason.cloned(),
            reference: reference.clone(),
            at,
        })
        .collect()
}
