//! Tables of cases for the rules.

use inventory_api::{
    Change, CommitError, Hold, ImportError, LedgerSums, Location, Movement, MovementKind,
    ReleaseError, ReservationState, Violation,
};
use kernel_api::{Sku, Timestamp};

use super::{
    Band, Booked, Books, Level, Move, Place, audited, book, crossing, not_committed, not_released,
    shortages, sum,
};

fn sku(text: &str) -> Sku {
    text.parse().unwrap()
}

fn place(text: &str) -> Place {
    Place { sku: sku(text), location: Location::MAIN }
}

fn hold(text: &str, quantity: i64) -> Hold {
    Hold { sku: sku(text), location: Location::MAIN, quantity }
}

fn level(text: &str, on_hand: i64, reserved: i64) -> Level {
    Level { on_hand, reserved, ..Level::empty(place(text)) }
}

#[test]
fn lines_of_one_place_are_summed_in_the_order_of_places() {
    let elsewhere = Hold { location: "annex".parse().unwrap(), ..hold("B", 7) };
    let summed = sum([hold("B", 2), hold("A", 1), hold("B", 3), elsewhere.clone()]);
    assert_eq!(summed, [hold("A", 1), elsewhere, hold("B", 5)]);
    assert_eq!(sum([hold("A", 3), hold("A", -3)]), []);
}

#[test]
fn a_band_is_news_when_it_is_entered() {
    let check =
        |before, after, news| assert_eq!(crossing(before, after), news, "{before:?} {after:?}");
    check((0, 5), (0, 5), None);
    check((0, 5), (5, 5), Some(Band::Low));
    check((0, 5), (6, 5), Some(Band::Ample));
    check((6, 5), (5, 5), Some(Band::Low));
    check((7, 5), (6, 5), None);
    check((5, 5), (1, 5), None);
    check((1, 5), (0, 5), Some(Band::Depleted));
    check((6, 5), (0, 5), Some(Band::Depleted));
    check((5, 5), (6, 5), Some(Band::Ample));
    // A threshold of zero is never low, and a threshold can move under a level that stands still.
    check((9, 0), (1, 0), None);
    check((9, 0), (9, 10), Some(Band::Low));
}

#[test]
fn every_short_line_is_named_with_what_there_is() {
    let wanted: Vec<Move> = [hold("A", 2), hold("B", 9), hold("C", 1)].map(Move::hold).into();
    let made = [level("A", 5, 4)];
    let short = shortages(&wanted, &made, &[level("A", 5, 4), level("B", 10, 3)]);
    let found: Vec<_> =
        short.iter().map(|line| (line.sku.as_str(), line.wanted, line.available)).collect();
    assert_eq!(found, [("B", 9, 7), ("C", 1, 0)]);
}

#[test]
fn each_move_takes_what_it_should() {
    let check = |change: Move, expected: (i64, i64, i64, i64)| {
        assert_eq!((change.on_hand, change.reserved, change.entries, change.takes()), expected);
    };
    check(Move::hold(hold("A", 4)), (0, 4, 0, 4));
    check(Move::let_go(hold("A", 4)), (0, -4, 0, -4));
    check(Move::sell(hold("A", 4)), (-4, -4, 1, 0));
    check(Move::bring(hold("A", 4)), (4, 0, 1, -4));
    check(Move::bring(hold("A", -4)), (-4, 0, 1, 4));
}

#[test]
fn what_was_not_committed_or_released_is_explained_in_every_state() {
    let expires_at = Timestamp::from_micros(7);
    let check = |state, committed, released| {
        assert_eq!(not_committed(state, expires_at), committed, "{state:?}");
        assert_eq!(not_released(state), released, "{state:?}");
    };
    check(ReservationState::Open, Err(CommitError::Expired { expires_at }), Ok(()));
    check(ReservationState::Committed, Ok(()), Err(ReleaseError::Committed));
    check(ReservationState::Released, Err(CommitError::Released), Ok(()));
    check(ReservationState::Expired, Err(CommitError::Expired { expires_at }), Ok(()));
}

fn movement(text: &str, kind: MovementKind, quantity: i64) -> Movement {
    Movement {
        sku: sku(text),
        location: Location::MAIN,
        kind,
        quantity: Change::new(quantity).unwrap(),
        reason: None,
        reference: "row 1".parse().unwrap(),
        at: Timestamp::from_micros(1),
    }
}

#[test]
fn history_is_booked_on_top_of_what_is_there() {
    let levels = [Level { entries: 3, ..level("A", 10, 4) }];
    let history = [
        movement("A", MovementKind::Sold, -6),
        movement("B", MovementKind::Opening, 2),
        movement("A", MovementKind::Returned, 1),
    ];
    let Booked { moves, entries } = book(&levels, &history).unwrap();
    let found: Vec<_> =
        moves.iter().map(|m| (m.place.sku.as_str(), m.on_hand, m.entries)).collect();
    assert_eq!(found, [("A", -5, 2), ("B", 2, 1)]);
    let found: Vec<_> =
        entries.iter().map(|e| (e.sku.as_str(), e.number, e.quantity, e.on_hand)).collect();
    assert_eq!(found, [("A", 4, -6, 4), ("B", 1, 2, 2), ("A", 5, 1, 5)]);
}

#[test]
fn a_movement_keeps_the_sign_of_its_kind() {
    let check = |kind, quantity, fits: bool| {
        let booked = book(&[level("A", 10, 0)], &[movement("A", kind, quantity)]);
        assert_eq!(booked.is_ok(), fits, "{kind:?} {quantity}");
    };
    for kind in [MovementKind::Opening, MovementKind::Received, MovementKind::Returned] {
        check(kind, 1, true);
        check(kind, -1, false);
    }
    check(MovementKind::Sold, -1, true);
    check(MovementKind::Sold, 1, false);
    check(MovementKind::Adjusted, 1, true);
    check(MovementKind::Adjusted, -1, true);
}

#[test]
fn history_cannot_take_what_is_reserved() {
    let history = [movement("A", MovementKind::Sold, -6), movement("A", MovementKind::Sold, -1)];
    let refusal = book(&[level("A", 10, 4)], &history).unwrap_err();
    let ImportError::OutOfStock { movement: 1, line } = refusal else { panic!("{refusal}") };
    assert_eq!((line.wanted, line.available), (1, 0));
}

#[test]
fn an_audit_names_what_does_not_agree() {
    let sums = LedgerSums { opening: 9, sold: -4, ..LedgerSums::default() };
    let check = |on_hand, reserved, entries, held, expected: &[Violation]| {
        let level = Level { entries, ..level("A", on_hand, reserved) };
        let books = Books { held, sums, entries: 2, numbers: (1, 2), wrong: 0 };
        assert_eq!(audited(level, books).violations, expected);
    };
    check(5, 2, 2, 2, &[]);
    check(6, 2, 2, 2, &[Violation::OnHandIsNotLedger]);
    check(5, 2, 2, 1, &[Violation::ReservedIsNotHeld]);
    check(5, 6, 2, 6, &[Violation::Oversold]);
    check(5, 0, 3, 0, &[Violation::LedgerHasGap]);
    let ledger = |numbers, wrong| {
        let level = Level { entries: 2, ..level("A", 5, 0) };
        audited(level, Books { held: 0, sums, entries: 2, numbers, wrong }).violations
    };
    assert_eq!(ledger((1, 3), 0), [Violation::LedgerHasGap]);
    assert_eq!(ledger((0, 2), 0), [Violation::LedgerHasGap]);
    assert_eq!(ledger((1, 2), 1), [Violation::EntryIsNotSum]);
}
