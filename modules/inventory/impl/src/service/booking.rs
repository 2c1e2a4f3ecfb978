//! What changes the quantity on hand without a reservation: receipts, corrections, returns and history.

use std::fmt::Write as _;

use diesel::QueryResult;
use inventory_api::{
    Adjust, AdjustError, AdjustLine, Hold, Import, ImportError, Imported, MovementKind, PutBack,
    PutBackError, Reason, Receive, Reference, Shortage,
};
use serde::Serialize;
use sha2::{Digest, Sha256};

use ::store::{Abort, Tx};

use super::{
    moving::{move_stock, surely},
    reserving::hold_of,
};
use crate::{
    domain::{Booked, Move, Place, book, entries, places, sum},
    store,
};

pub(super) fn receive<R>(
    tx: &mut Tx<'_>,
    wish: &Receive,
    low_at_default: i64,
) -> Result<(), Abort<R>> {
    let came = sum(wish.lines.iter().map(hold_of));
    let why = (MovementKind::Received, &wish.reason, &wish.reference);
    surely(bring(tx, came, why, low_at_default)?)
}

pub(super) fn adjust(
    tx: &mut Tx<'_>,
    wish: &Adjust,
    low_at_default: i64,
) -> Result<(), Abort<AdjustError>> {
    let differs = sum(wish.lines.iter().map(difference_of));
    let why = (MovementKind::Adjusted, &wish.reason, &wish.reference);
    bring(tx, differs, why, low_at_default)?
        .map_err(|lines| Abort::Refused(AdjustError::OutOfStock { lines }))
}

pub(super) fn put_back(
    tx: &mut Tx<'_>,
    wish: &PutBack,
    low_at_default: i64,
) -> Result<(), Abort<PutBackError>> {
    let came_back = sum(wish.lines.iter().map(hold_of));
    match booked_once(tx, "put_back", &wish.reference, &came_back)? {
        Once::Again => Ok(()),
        Once::Reused => Err(Abort::Refused(PutBackError::ReferenceReused)),
        Once::First => {
            let why = (MovementKind::Returned, &wish.reason, &wish.reference);
            surely(bring(tx, came_back, why, low_at_default)?)
        }
    }
}

/// One read of the levels, one statement that moves them, one that writes all entries.
pub(super) fn import(
    tx: &mut Tx<'_>,
    wish: &Import,
    low_at_default: i64,
) -> Result<Imported, Abort<ImportError>> {
    let movements = u32::try_from(wish.movements.len()).unwrap_or(u32::MAX);
    match booked_once(tx, "import", &wish.batch, &*wish.movements)? {
        Once::Again => return Ok(Imported { movements, repeated: true }),
        Once::Reused => return Err(Abort::Refused(ImportError::BatchReused)),
        Once::First => {}
    }
    let places = places(&wish.movements);
    let places: Vec<&Place> = places.iter().collect();
    store::open_levels(tx.connection(), &places)?;
    let levels = store::levels_to_change(tx.connection(), &places)?;
    let Booked { moves, entries } = book(&levels, &wish.movements).map_err(Abort::Refused)?;
    surely(move_stock(tx, &moves, low_at_default)?)?;
    store::insert_entries(tx.connection(), &entries)?;
    Ok(Imported { movements, repeated: false })
}

/// Changes what is on hand and explains it in the ledger; every short line when one is, and then nothing must stay.
fn bring(
    tx: &mut Tx<'_>,
    changes: Vec<Hold>,
    (kind, reason, reference): (MovementKind, &Reason, &Reference),
    low_at_default: i64,
) -> QueryResult<Result<(), Vec<Shortage>>> {
    let moves: Vec<Move> = changes.into_iter().map(Move::bring).collect();
    let places: Vec<&Place> = moves.iter().map(|change| &change.place).collect();
    store::open_levels(tx.connection(), &places)?;
    let levels = match move_stock(tx, &moves, low_at_default)? {
        Ok(levels) => levels,
        Err(short) => return Ok(Err(short)),
    };
    let explained = entries(&moves, &levels, kind, (Some(reason), reference, tx.now()));
    store::insert_entries(tx.connection(), &explained)?;
    Ok(Ok(()))
}

fn difference_of(line: &AdjustLine) -> Hold {
    Hold { sku: line.sku.clone(), location: line.location.clone(), quantity: line.change.get() }
}

/// Whether something with a reference of its own was booked before.
enum Once {
    First,
    Again,
    Reused,
}

/// Keys come and go (they are forgotten after a while, and a second run of an import may make others), but what a
/// reference names happens once for ever.
fn booked_once<Q: Serialize + ?Sized>(
    tx: &mut Tx<'_>,
    operation: &str,
    reference: &Reference,
    request: &Q,
) -> QueryResult<Once> {
    let request_hash = hash_of(request);
    let now = tx.now();
    if store::insert_booking(tx.connection(), operation, reference, &request_hash, now)? {
        return Ok(Once::First);
    }
    let booked = store::booking(tx.connection(), operation, reference)?;
    Ok(if booked == request_hash { Once::Again } else { Once::Reused })
}

fn hash_of<Q: Serialize + ?Sized>(request: &Q) -> String {
    let json = serde_json::to_vec(request).expect("texts and numbers are JSON");
    Sha256::digest(json).iter().fold(String::with_capacity(64), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("writing to a string cannot fail");
        hex
    })
}
