//! Splitting a return's money: nothing is lost, and no order gives back more than was paid for it.

use kernel_api::{Currency, Id, UnitPrice};
use ordering_api::{Allocation, Line, LineKind, Order, ReturnedItem, ServiceKind};
use proptest::prelude::*;

use crate::domain::returns::{Candidate, Left, SplitError, split, take};

fn item(quantity: i64, micros: i64, allocations: Vec<Allocation>) -> ReturnedItem {
    let kind = LineKind::Goods { sku: "A".parse().unwrap(), price_overridden: false };
    let unit_price = UnitPrice::new(micros, Currency::GBP);
    let line = Line { kind, title: String::new(), quantity: -quantity, unit_price };
    ReturnedItem { line, allocations }
}

fn credit(micros: i64) -> ReturnedItem {
    let mut item = item(1, micros, Vec::new());
    let (service, code) = (ServiceKind::Discount, "D".to_owned());
    item.line.kind = LineKind::Service { service, code };
    item
}

fn from(order: Id<Order>, quantity: i64) -> Allocation {
    Allocation { order, line: 0, quantity }
}

#[test]
fn the_candidates_are_taken_in_their_order() {
    let (new, old) = (Id::<Order>::fresh(), Id::<Order>::fresh());
    let candidate = |order, sku: &str, left| Candidate {
        order,
        line: 0,
        sku: sku.parse().unwrap(),
        unit_price: UnitPrice::new(1, Currency::GBP),
        left,
    };
    let mut candidates = [candidate(new, "A", 2), candidate(new, "B", 9), candidate(old, "A", 2)];
    let mut taken = |quantity| {
        let (taken, rest) = take(&"A".parse().unwrap(), quantity, &mut candidates);
        let taken: Vec<_> = taken.iter().map(|(one, _)| (one.order, one.quantity)).collect();
        (taken, rest)
    };
    assert_eq!(taken(3), (vec![(new, 2), (old, 1)], 0));
    assert_eq!(taken(3), (vec![(old, 1)], 2));
    assert_eq!(taken(1), (Vec::new(), 1));
}

#[test]
fn each_order_gives_back_its_share_and_the_rest_is_a_credit() {
    let (one, two, note) = (Id::fresh(), Id::fresh(), Id::fresh());
    let left = Left::from([(one, 500), (two, 100)]);
    let check = |items: &[ReturnedItem], expected: &[(Option<Id<Order>>, i64)], total: i64| {
        let found = split(note, items, &left, Currency::GBP).unwrap();
        let mut amounts: Vec<_> =
            found.settlements.iter().map(|s| (s.order, s.amount.minor)).collect();
        let mut expected = expected.to_vec();
        amounts.sort();
        expected.sort();
        assert_eq!((amounts, found.sum.total.minor), (expected, total));
        let parts: i64 = found
            .settlements
            .iter()
            .flat_map(|settlement| &settlement.parts)
            .map(|part| part.net.micros)
            .sum();
        assert_eq!(parts, found.sum.net.micros);
        let ids: std::collections::BTreeSet<_> = found.settlements.iter().map(|s| s.id).collect();
        assert_eq!(ids.len(), found.settlements.len());
    };
    check(&[item(2, 1_000_000, vec![from(one, 2)])], &[(Some(one), 200)], -200);
    check(&[item(3, 1_000_000, vec![from(one, 2)])], &[(Some(one), 200), (None, 100)], -300);
    check(
        &[item(4, 1_000_000, vec![from(one, 1), from(two, 3)]), credit(500_000)],
        &[(Some(one), 100), (Some(two), 100), (None, 250)],
        -450,
    );
    // Each piece is rounded by itself.
    check(&[item(2, 4_000, vec![from(one, 1)])], &[(Some(one), 0), (None, 0)], 0);
    check(&[item(1, 0, vec![from(one, 1)])], &[], 0);
    // An order without a payment of ours: all of it is a credit.
    check(&[item(1, 1_000_000, vec![from(Id::fresh(), 1)])], &[(None, 100)], -100);
    assert_eq!(
        split(note, &[credit(-1_000_000)], &left, Currency::GBP),
        Err(SplitError::TakesMoney)
    );
    let huge = [item(1_000_000, 900_000_000_000, Vec::new())];
    assert_eq!(split(note, &huge, &left, Currency::GBP), Err(SplitError::TooLarge(0)));
}

proptest! {
    #[test]
    fn nothing_is_lost_and_no_order_gives_more_than_it_has(
        lines in prop::collection::vec((1_i64..50, 0_i64..5_000_000, 0_i64..60, 0_usize..3), 1..12),
        lefts in prop::collection::vec(0_i64..10_000, 3),
    ) {
        let orders: Vec<Id<Order>> = (0..3).map(|_| Id::fresh()).collect();
        let left: Left = orders.iter().copied().zip(lefts).collect();
        let items: Vec<_> = lines
            .into_iter()
            .map(|(quantity, micros, matched, order)| {
                let matched = matched.min(quantity);
                let allocations =
                    if matched > 0 { vec![from(orders[order], matched)] } else { Vec::new() };
                item(quantity, micros, allocations)
            })
            .collect();
        let found = split(Id::fresh(), &items, &left, Currency::GBP).unwrap();
        let whole: i64 =
            items.iter().map(|i| i.line.quantity * i.line.unit_price.micros).sum();
        let mut net = 0;
        for settlement in &found.settlements {
            prop_assert!(settlement.amount.minor >= 0);
            if let Some(order) = settlement.order {
                prop_assert!(settlement.amount.minor <= left[&order]);
            }
            let parts: i64 = settlement.parts.iter().map(|part| part.net.micros).sum();
            prop_assert!((parts + settlement.amount.minor * 10_000).abs() <= 5_000);
            net += parts;
        }
        prop_assert_eq!(net, whole);
        prop_assert_eq!(found.sum.net.micros, whole);
    }
}
