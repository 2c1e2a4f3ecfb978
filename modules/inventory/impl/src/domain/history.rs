//! Booking a history of movements on the levels as they are now.

use std::collections::{BTreeMap, BTreeSet};

use inventory_api::{Entry, ImportError, Movement, MovementKind, Shortage};

use super::{Level, Move, Place};

/// What a history comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Booked {
    /// One move per place, in the order of places.
    pub moves: Vec<Move>,
    /// One entry per movement, in the order given.
    pub entries: Vec<Entry>,
}

/// The places that occur.
pub(crate) fn places(movements: &[Movement]) -> BTreeSet<Place> {
    movements.iter().map(place_of).collect()
}

fn place_of(movement: &Movement) -> Place {
    Place { sku: movement.sku.clone(), location: movement.location.clone() }
}

/// Books the movements in order. `levels` are those that exist of the places that occur.
pub(crate) fn book(levels: &[Level], movements: &[Movement]) -> Result<Booked, ImportError> {
    let mut now: BTreeMap<Place, Level> =
        levels.iter().map(|level| (level.place.clone(), level.clone())).collect();
    let mut moves: BTreeMap<Place, Move> = BTreeMap::new();
    let mut entries = Vec::with_capacity(movements.len());
    for (number, movement) in (0..).zip(movements) {
        if !sign_fits(movement.kind, movement.quantity.get()) {
            return Err(ImportError::WrongSign { movement: number });
        }
        let place = place_of(movement);
        let level = now.entry(place.clone()).or_insert_with(|| Level::empty(place.clone()));
        let quantity = movement.quantity.get();
        if level.available() + quantity < 0 {
            return Err(ImportError::OutOfStock {
                movement: number,
                line: Shortage {
                    sku: place.sku,
                    location: place.location,
                    wanted: -quantity,
                    available: level.available(),
                },
            });
        }
        level.on_hand += quantity;
        level.entries += 1;
        entries.push(entry(level, movement));
        let change = moves.entry(place.clone()).or_insert(Move {
            place,
            on_hand: 0,
            reserved: 0,
            entries: 0,
        });
        change.on_hand += quantity;
        change.entries += 1;
    }
    Ok(Booked { moves: moves.into_values().collect(), entries })
}

fn sign_fits(kind: MovementKind, quantity: i64) -> bool {
    match kind {
        MovementKind::Opening | MovementKind::Received | MovementKind::Returned => quantity > 0,
        MovementKind::Sold => quantity < 0,
        MovementKind::Adjusted => true,
    }
}

fn entry(after: &Level, movement: &Movement) -> Entry {
    Entry {
        sku: movement.sku.clone(),
        location: movement.location.clone(),
        number: after.entries,
        kind: movement.kind,
        quantity: movement.quantity.get(),
        on_hand: after.on_hand,
        reason: movement.reason.clone(),
        reference: movement.reference.clone(),
        at: movement.at,
    }
}
