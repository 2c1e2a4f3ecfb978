//! The limits, one on either side each, and the words.

use kernel_api::Bounded;
use serde_json::json;

use crate::{
    Change, HOLD_SECONDS_MAX, HoldSeconds, LINES_MAX, Line, Lines, Location, LowAt, MovementKind,
    Number, QUANTITY_MAX, Quantity, ReservationState,
};

fn check<const MIN: i64, const MAX: i64>(number: i64, allowed: bool) {
    assert_eq!(Number::<MIN, MAX>::new(number).is_ok(), allowed, "{number} of {MIN} to {MAX}");
    let read = serde_json::from_value::<Number<MIN, MAX>>(json!(number));
    assert_eq!(read.is_ok(), allowed, "{number} of {MIN} to {MAX}");
}

#[test]
fn numbers_keep_their_limits() {
    for (number, allowed) in
        [(0, false), (1, true), (QUANTITY_MAX, true), (QUANTITY_MAX + 1, false), (i64::MIN, false)]
    {
        check::<1, QUANTITY_MAX>(number, allowed);
    }
    for (number, allowed) in [
        (-QUANTITY_MAX - 1, false),
        (-QUANTITY_MAX, true),
        (0, false),
        (QUANTITY_MAX, true),
        (QUANTITY_MAX + 1, false),
    ] {
        check::<{ -QUANTITY_MAX }, QUANTITY_MAX>(number, allowed);
    }
    assert!(LowAt::new(-1).is_err() && LowAt::new(0).is_ok());
    assert!(HoldSeconds::new(0).is_err() && HoldSeconds::new(HOLD_SECONDS_MAX).is_ok());
    assert!(HoldSeconds::new(HOLD_SECONDS_MAX + 1).is_err());
    assert_eq!(
        Change::new(0).unwrap_err().to_string(),
        "0 is not allowed: it must be -1000000 to 1000000, not 0"
    );
}

#[test]
fn locations_are_short_lower_case_words() {
    let check = |text: &str, allowed| {
        assert_eq!(text.parse::<Location>().is_ok(), allowed, "`{text}`");
    };
    check("main", true);
    check("shelf-7", true);
    check(&"a".repeat(32), true);
    check(&"a".repeat(33), false);
    check("", false);
    check("Main", false);
    check("a/b", false);
}

#[test]
fn a_line_is_of_main_unless_told_and_has_no_unknown_field() {
    let line: Line = serde_json::from_value(json!({ "sku": "a1", "quantity": 2 })).unwrap();
    assert_eq!((line.location, line.quantity), (Location::MAIN, Quantity::new(2).unwrap()));
    let unknown = json!({ "sku": "a1", "quantity": 2, "qty": 3 });
    assert!(serde_json::from_value::<Line>(unknown).is_err());
}

#[test]
fn a_command_has_one_to_two_thousand_lines() {
    let line: Line = serde_json::from_value(json!({ "sku": "a1", "quantity": 2 })).unwrap();
    let check = |count, allowed| {
        let lines: Result<Lines<Line>, _> = Bounded::new(vec![line.clone(); count]);
        assert_eq!(lines.is_ok(), allowed, "{count}");
    };
    check(0, false);
    check(1, true);
    check(LINES_MAX, true);
    check(LINES_MAX + 1, false);
}

#[test]
fn the_words_in_tables_are_those_in_json() {
    for kind in MovementKind::ALL {
        assert_eq!(json!(kind), kind.as_str());
    }
    for state in ReservationState::ALL {
        assert_eq!(json!(state), state.as_str());
    }
}
