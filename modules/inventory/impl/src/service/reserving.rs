//! The life of a reservation: made, then committed, released or expired.

use std::time::Duration;

use inventory_api::{
    CommitError, Hold, Line, MovementKind, ReleaseError, Reservation, ReservationExpired,
    ReservationState, Reserve, ReserveError, Reserved,
};
use kernel_api::Id;

use ::store::{Abort, Tx};

use super::moving::{move_stock, surely};
use crate::{
    domain::{Move, entries, not_committed, not_released, sum},
    store,
};

/// How many reservations the sweeper closes in one transaction: buyers wait for its locks.
const SWEEP_MAX: u16 = 50;

/// The reservation comes first, since it meets nobody; the levels, which buyers compete for, are locked last and so for
/// the shortest time.
pub(super) fn reserve(
    tx: &mut Tx<'_>,
    wish: &Reserve,
    low_at_default: i64,
) -> Result<Reserved, Abort<ReserveError>> {
    let holds = sum(wish.lines.iter().map(hold_of));
    let moves: Vec<Move> = holds.iter().cloned().map(Move::hold).collect();
    let seconds = u64::try_from(wish.expires_in_s.get()).expect("a holding time is positive");
    let expires_at = tx.now().plus(Duration::from_secs(seconds));
    let new = Reservation {
        id: wish.reservation,
        reference: wish.reference.clone(),
        state: ReservationState::Open,
        lines: holds,
        created_at: tx.now(),
        expires_at,
        closed_at: None,
    };
    if !store::insert_reservation(tx.connection(), &new)? {
        return Err(Abort::Refused(ReserveError::IdTaken));
    }
    move_stock(tx, &moves, low_at_default)?
        .map_err(|lines| Abort::Refused(ReserveError::OutOfStock { lines }))?;
    Ok(Reserved { reservation: new.id, expires_at })
}

pub(super) fn commit(
    tx: &mut Tx<'_>,
    id: &Id<Reservation>,
    low_at_default: i64,
) -> Result<(), Abort<CommitError>> {
    let now = tx.now();
    let Some(closed) = store::commit_reservation(tx.connection(), *id, now)? else {
        let found = store::reservation(tx.connection(), *id)?
            .ok_or(Abort::Refused(CommitError::NotFound))?;
        return not_committed(found.state, found.expires_at).map_err(Abort::Refused);
    };
    let moves: Vec<Move> = closed.holds.into_iter().map(Move::sell).collect();
    let levels = surely(move_stock(tx, &moves, low_at_default)?)?;
    let sold = entries(&moves, &levels, MovementKind::Sold, (None, &closed.reference, now));
    store::insert_entries(tx.connection(), &sold)?;
    Ok(())
}

pub(super) fn release(
    tx: &mut Tx<'_>,
    id: &Id<Reservation>,
    low_at_default: i64,
) -> Result<(), Abort<ReleaseError>> {
    let now = tx.now();
    let Some(closed) = store::release_reservation(tx.connection(), *id, now)? else {
        let found = store::reservation(tx.connection(), *id)?
            .ok_or(Abort::Refused(ReleaseError::NotFound))?;
        return not_released(found.state).map_err(Abort::Refused);
    };
    let moves: Vec<Move> = closed.holds.into_iter().map(Move::let_go).collect();
    surely(move_stock(tx, &moves, low_at_default)?)?;
    Ok(())
}

/// Gives back what expired reservations hold; `true` when there may be more of them.
pub(super) fn sweep<R>(tx: &mut Tx<'_>, low_at_default: i64) -> Result<bool, Abort<R>> {
    let now = tx.now();
    let closed = store::expire_reservations(tx.connection(), now, i64::from(SWEEP_MAX))?;
    let more = closed.len() >= usize::from(SWEEP_MAX);
    for expired in &closed {
        let (reservation, reference) = (expired.id, expired.reference.clone());
        tx.emit(&ReservationExpired { reservation, reference })?;
    }
    let holds = sum(closed.into_iter().flat_map(|expired| expired.holds));
    if !holds.is_empty() {
        let moves: Vec<Move> = holds.into_iter().map(Move::let_go).collect();
        surely(move_stock(tx, &moves, low_at_default)?)?;
    }
    Ok(more)
}

pub(super) fn hold_of(line: &Line) -> Hold {
    Hold { sku: line.sku.clone(), location: line.location.clone(), quantity: line.quantity.get() }
}
