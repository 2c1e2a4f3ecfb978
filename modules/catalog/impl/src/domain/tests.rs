//! Tables of cases.

use catalog_api::{Availability, Description, Existing, ImportRow, Price};
use contract::{Envelope, Event};
use inventory_api::{Location, StockDepleted, StockLow, StockReplenished};
use kernel_api::{Currency, Sku, Timestamp, UnitPrice};
use serde_json::value::to_raw_value;

use super::import::PricePlan;
use super::{
    InForce, Known, RowPlan, display_title, expect_version, in_force_now, plan, search_text,
    taken_twice, told,
};

const NOW: Timestamp = Timestamp::from_micros(1_000);

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn sku(text: &str) -> Sku {
    text.parse().unwrap()
}

#[test]
fn an_edit_wants_the_version_in_force_or_none() {
    for (expected, in_force, want) in
        [(Some(3), 3, Ok(())), (None, 3, Ok(())), (Some(2), 3, Err(3))]
    {
        assert_eq!(expect_version(expected, in_force), want);
    }
}

#[test]
fn the_kept_price_stands_until_the_next_one_has_come() {
    let cases = [
        (Some(5), None, Some(Some(5))),
        (None, None, Some(None)),
        (Some(5), Some(1_001), Some(Some(5))),
        (Some(5), Some(1_000), None),
        (None, Some(999), None),
    ];
    for (micros, next, want) in cases {
        let kept = InForce { micros, next_at: next.map(at) };
        assert_eq!(in_force_now(kept, NOW).ok(), want, "{kept:?}");
    }
}

#[test]
fn what_is_looked_for_is_found_in_lower_case_and_never_across_two_lines() {
    let variants = [("85123A", Some("Cream")), ("85123B", None)];
    let text = search_text("White HEART", variants.into_iter());
    assert_eq!(text, "white heart\n85123a\ncream\n85123b");
}

#[test]
fn a_long_title_is_cut_at_the_limit() {
    let title = "t".repeat(190).parse().unwrap();
    let label = "é".repeat(100).parse().unwrap();
    let shown = display_title(&title, Some(&label));
    assert_eq!(shown.as_str().chars().count(), 200);
    assert_eq!(
        display_title(&"Lantern".parse().unwrap(), Some(&"red".parse().unwrap())).as_str(),
        "Lantern (red)"
    );
}

#[test]
fn a_sku_named_twice_is_found_once() {
    let skus = ["B", "A", "b", "a", "A", "C"].map(sku);
    assert_eq!(taken_twice(skus.iter()), [sku("A"), sku("B")]);
}

fn row(title: &str, micros: i64, from: Option<i64>) -> ImportRow {
    ImportRow {
        sku: sku("85123A"),
        title: title.parse().unwrap(),
        description: Description::default(),
        price: Price::new(UnitPrice::new(micros, Currency::GBP)).unwrap(),
        from: from.map(at),
        published: true,
    }
}

fn known(title: &str, in_force: i64, at_moment: Option<i64>) -> Known {
    Known {
        title: title.into(),
        description: String::new(),
        published: true,
        currency: Currency::GBP,
        in_force: Some(in_force),
        at_moment,
    }
}

#[test]
fn each_row_has_its_plan() {
    let (keep, over) = (Existing::Keep, Existing::Overwrite);
    let change = |words, from: Option<i64>| RowPlan::Change {
        words,
        price: from.map(|from| PricePlan { from: at(from) }),
    };
    let cases = [
        ("same", keep, row("T", 5, None), known("T", 5, None), change(false, None)),
        ("kept words", keep, row("New", 5, None), known("T", 5, None), change(false, None)),
        ("kept price", keep, row("T", 6, None), known("T", 5, None), change(false, None)),
        ("new moment", keep, row("T", 6, Some(7)), known("T", 5, None), change(false, Some(7))),
        ("known moment", keep, row("T", 6, Some(7)), known("T", 5, Some(5)), change(false, None)),
        ("new words", over, row("New", 5, None), known("T", 5, None), change(true, None)),
        ("new price", over, row("T", 6, None), known("T", 5, None), change(false, Some(1_000))),
        ("replaced", over, row("T", 6, Some(7)), known("T", 5, Some(5)), change(false, Some(7))),
        ("all said", over, row("T", 6, Some(7)), known("T", 5, Some(6)), change(false, None)),
    ];
    for (name, existing, row, known, want) in cases {
        assert_eq!(plan(existing, &row, Some(&known), NOW), want, "{name}");
    }
    assert_eq!(plan(keep, &row("T", 5, None), None, NOW), RowPlan::Add);
    let euros = Known { currency: "EUR".parse().unwrap(), ..known("T", 5, None) };
    assert_eq!(plan(over, &row("T", 5, None), Some(&euros), NOW), RowPlan::OtherCurrency);
}

fn envelope<E: Event>(event: &E) -> Envelope {
    Envelope {
        specversion: "1.0".into(),
        id: "1".into(),
        source: "inventory".into(),
        kind: E::NAME.into(),
        dataversion: E::VERSION,
        subject: event.key(),
        time: NOW,
        position: 1,
        traceparent: None,
        data: to_raw_value(event).unwrap(),
    }
}

#[test]
fn only_stock_that_the_shop_sells_from_is_heard() {
    let (main, cellar): (Location, Location) = (Location::MAIN, "cellar".parse().unwrap());
    let low = |location| envelope(&StockLow { sku: sku("A"), location, available: 2, low_at: 5 });
    let depleted = |location| envelope(&StockDepleted { sku: sku("A"), location });
    let back = |location| envelope(&StockReplenished { sku: sku("A"), location, available: 9 });
    let cases = [
        (low(main.clone()), Some(Availability::Low)),
        (depleted(main.clone()), Some(Availability::SoldOut)),
        (back(main), Some(Availability::InStock)),
        (depleted(cellar), None),
        (Envelope { kind: "inventory.reservation.expired".into(), ..low(Location::MAIN) }, None),
        (Envelope { dataversion: 2, ..low(Location::MAIN) }, None),
    ];
    for (event, want) in cases {
        let heard = told(&event).unwrap();
        assert_eq!(heard.map(|told| told.availability), want, "{event:?}");
    }
    let broken = Envelope { data: to_raw_value(&1).unwrap(), ..low(Location::MAIN) };
    assert!(told(&broken).is_err());
}
