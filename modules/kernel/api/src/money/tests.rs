//! What amounts must keep exact.

use proptest::prelude::{any, proptest};

use super::{Money, decimal, decimal_text};
use crate::{Currency, Exact, UnitPrice};

#[test]
fn a_decimal_is_read_exactly_or_refused() {
    for (text, places, value) in [
        ("3", 6, Some(3_000_000)),
        ("2.1", 6, Some(2_100_000)),
        ("0.001", 6, Some(1_000)),
        ("-11062.06", 6, Some(-11_062_060_000)),
        ("-0.05", 2, Some(-5)),
        ("-92233720368547758.08", 2, Some(i64::MIN)),
        ("92233720368547758.08", 2, None),
        ("0.001", 2, None),
        ("", 2, None),
        (".5", 2, None),
        ("5.", 2, None),
        ("1e3", 2, None),
        ("+1", 2, None),
        ("--1", 2, None),
        ("١", 2, None),
    ] {
        assert_eq!(decimal(text, places).ok(), value, "{text:?}");
    }
}

#[test]
fn money_is_a_decimal_string_in_json() {
    let money = Money::new(-1205, Currency::GBP);
    let json = serde_json::to_string(&money).unwrap();
    assert_eq!(json, r#"{"amount":"-12.05","currency":"GBP"}"#);
    assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), money);
    assert!(serde_json::from_str::<Money>(r#"{"amount":12.05,"currency":"GBP"}"#).is_err());
    assert!(serde_json::from_str::<Money>(r#"{"amount":"1","currency":"JPY"}"#).is_err());
}

#[test]
fn rounding_is_half_to_even_and_loses_nothing() {
    for (micros, minor) in
        [(5_000, 0), (15_000, 2), (25_000, 2), (-5_000, 0), (-15_000, -2), (14_999, 1), (1_000, 0)]
    {
        let exact = Exact::new(micros, Currency::GBP);
        assert_eq!(exact.rounded().minor, minor, "{micros}");
        assert_eq!(exact.rounded().minor * 10_000 + exact.rounding().micros, micros);
    }
}

#[test]
fn a_line_that_does_not_fit_is_nothing() {
    let price = UnitPrice::parse("9000000000000", Currency::GBP).unwrap();
    assert_eq!(price.times(2), None);
}

proptest! {
    #[test]
    fn every_amount_reads_back(value in any::<i64>()) {
        assert_eq!(decimal(&decimal_text(value, 2, 2), 2).unwrap(), value);
        assert_eq!(decimal(&decimal_text(value, 6, 0), 6).unwrap(), value);
    }
}
