//! Moving stock inside a transaction, and telling what that makes of a level.

use diesel::{QueryResult, result::Error};
use inventory_api::{SetLowAt, Shortage, StockDepleted, StockLow, StockReplenished};

use ::store::{Abort, Tx};

use crate::{
    domain::{Band, Level, Move, Place, crossing, shortages},
    store,
};

/// Makes all moves and gives the levels after them, or, where one is short, every short one; then some moves may be
/// made already, so the transaction must be given up.
pub(super) fn move_stock(
    tx: &mut Tx<'_>,
    moves: &[Move],
    low_at_default: i64,
) -> QueryResult<Result<Vec<Level>, Vec<Shortage>>> {
    let levels = store::move_levels(tx.connection(), moves)?;
    if levels.len() < moves.len() {
        let places: Vec<&Place> = moves.iter().map(|change| &change.place).collect();
        let found = store::levels_to_change(tx.connection(), &places)?;
        return Ok(Err(shortages(moves, &levels, &found)));
    }
    for (change, level) in moves.iter().zip(&levels) {
        let before = level.available() + change.takes();
        let low_at = level.low_at.unwrap_or(low_at_default);
        tell(tx, level, low_at, crossing((before, low_at), (level.available(), low_at)))?;
    }
    Ok(Ok(levels))
}

/// The outcome of moves that no level can be short for: they give, or take what was reserved for them.
pub(super) fn surely<T, R>(outcome: Result<T, Vec<Shortage>>) -> Result<T, Abort<R>> {
    outcome.map_err(|short| {
        let defect = format!("what was reserved is not there: {short:?}");
        Abort::Failed(Error::QueryBuilderError(defect.into()))
    })
}

/// Sets a level's own threshold, making the level where there is none.
pub(super) fn set_low_at<R>(
    tx: &mut Tx<'_>,
    wish: &SetLowAt,
    low_at_default: i64,
) -> Result<inventory_api::Level, Abort<R>> {
    let place = Place { sku: wish.sku.clone(), location: wish.location.clone() };
    store::open_levels(tx.connection(), &[&place])?;
    let mut found = store::levels_to_change(tx.connection(), &[&place])?;
    let mut level = found.pop().ok_or(Error::NotFound)?;
    let own = wish.low_at.map(inventory_api::LowAt::get);
    let (old, new) = (level.low_at.unwrap_or(low_at_default), own.unwrap_or(low_at_default));
    store::set_low_at(tx.connection(), &place, own)?;
    level.low_at = own;
    let available = level.available();
    tell(tx, &level, new, crossing((available, old), (available, new)))?;
    Ok(shown(level, low_at_default))
}

/// The level as others see it.
pub(super) fn shown(level: Level, low_at_default: i64) -> inventory_api::Level {
    inventory_api::Level {
        on_hand: level.on_hand,
        reserved: level.reserved,
        available: level.available(),
        low_at: level.low_at.unwrap_or(low_at_default),
        sku: level.place.sku,
        location: level.place.location,
    }
}

fn tell(tx: &mut Tx<'_>, level: &Level, low_at: i64, entered: Option<Band>) -> QueryResult<()> {
    let Some(band) = entered else { return Ok(()) };
    let (sku, location) = (level.place.sku.clone(), level.place.location.clone());
    let available = level.available();
    match band {
        Band::Depleted => tx.emit(&StockDepleted { sku, location }),
        Band::Low => tx.emit(&StockLow { sku, location, available, low_at }),
        Band::Ample => tx.emit(&StockReplenished { sku, location, available }),
    }
}
