//! Any order of completion that the rules allow keeps stock at zero or above and every customer's story.

use std::collections::{BTreeMap, HashMap};

use kernel_api::{Currency, Timestamp, UnitPrice};
use proptest::prelude::*;

use super::*;
use crate::online_retail::{Article, opening::Balances};

fn document(kind: Kind, customer: Option<&str>, lines: &[(&str, i64)]) -> Document {
    let line = |(code, quantity): &(&str, i64)| Line {
        number: 1,
        article: Article::Goods(code.parse().unwrap()),
        description: String::new(),
        quantity: *quantity,
        price: UnitPrice::new(1_000_000, Currency::GBP),
    };
    Document {
        invoice: "700001".to_owned(),
        at: Timestamp::default(),
        customer: customer.map(str::to_owned),
        country: "EIRE".to_owned(),
        kind,
        lines: lines.iter().map(line).collect(),
    }
}

fn ready(order: &mut Order) -> Vec<Place> {
    std::iter::from_fn(|| order.next_ready()).map(|(place, _)| place).collect()
}

#[test]
fn a_customers_documents_go_one_by_one_and_strangers_go_together() {
    let mut order = Order::default();
    for customer in [Some("1"), Some("1"), Some("2"), None, None] {
        order.admit(document(Kind::Sale, customer, &[("A", 1)]));
    }
    assert_eq!(ready(&mut order), [0, 2, 3, 4]);
    order.settled(0);
    assert_eq!(ready(&mut order), [1]);
    (1..5).for_each(|place| order.settled(place));
    assert_eq!(order.open(), 0);
    assert!(order.latest_of_customer.is_empty() && order.giving.is_empty());
}

#[test]
fn who_takes_waits_for_all_who_gave_before_and_for_nobody_else() {
    let mut order = Order::default();
    order.admit(document(Kind::Return, None, &[("A", -1), ("A", -2)]));
    order.admit(document(Kind::StockAdjustment, None, &[("A", 4), ("B", -1)]));
    order.admit(document(Kind::Sale, None, &[("A", 5)]));
    order.admit(document(Kind::Sale, None, &[("B", 5)]));
    order.admit(document(Kind::Return, None, &[("B", -5)]));
    assert_eq!(ready(&mut order), [0, 1, 3, 4]);
    order.settled(1);
    assert!(ready(&mut order).is_empty());
    order.settled(0);
    assert_eq!(ready(&mut order), [2]);
}

fn any_document() -> impl Strategy<Value = Document> {
    let kind = prop_oneof![
        5 => Just(Kind::Sale),
        2 => Just(Kind::Return),
        2 => Just(Kind::StockAdjustment)
    ];
    let lines = prop::collection::vec((prop::sample::select(vec!["A", "B", "C"]), 1..9_i64), 1..4);
    let customer = prop::option::of(prop::sample::select(vec!["1", "2", "3"]));
    (kind, customer, lines, any::<u32>()).prop_map(|(kind, customer, mut lines, signs)| {
        for (index, (_, quantity)) in lines.iter_mut().enumerate() {
            let negative = match kind {
                Kind::Return => true,
                Kind::StockAdjustment => (signs >> index) & 1 == 1,
                Kind::Sale | Kind::BadDebt => false,
            };
            *quantity = if negative { -*quantity } else { *quantity };
        }
        document(kind, customer, &lines)
    })
}

/// What a document's effect does to stock: all of it at one moment between its beginning and its end.
fn effect(document: &Document) -> BTreeMap<Sku, i64> {
    let sign = if document.kind == Kind::StockAdjustment { 1 } else { -1 };
    let mut effect = BTreeMap::new();
    for (sku, line) in document.goods() {
        *effect.entry(sku.clone()).or_default() += sign * line.quantity;
    }
    effect
}

proptest! {
    #[test]
    fn concurrency_needs_no_more_stock_than_the_files_own_order(
        documents in prop::collection::vec(any_document(), 1..60),
        lanes in 1..9_usize,
        window in 1..20_usize,
        picks in prop::collection::vec(any::<prop::sample::Index>(), 400),
    ) {
        let mut balances = Balances::default();
        documents.iter().for_each(|document| balances.book(document));
        let mut stock: BTreeMap<Sku, i64> =
            balances.opening().map(|(sku, units)| (sku.clone(), units)).collect();
        let mut order = Order::default();
        let mut unread = documents.into_iter();
        let mut busy: Vec<(Place, Document, bool)> = Vec::new();
        let mut told: HashMap<String, Place> = HashMap::new();
        let mut picks = picks.into_iter();
        let mut ended = 0;
        loop {
            while order.open() < window {
                let Some(document) = unread.next() else { break };
                order.admit(document);
            }
            while busy.len() < lanes {
                let Some((place, document)) = order.next_ready() else { break };
                busy.push((place, document, false));
            }
            if busy.is_empty() {
                break;
            }
            // Somebody's effect happens, or somebody whose effect has happened ends.
            let Some(pick) = picks.next() else { break };
            let index = pick.index(busy.len());
            if !busy[index].2 {
                busy[index].2 = true;
                let (place, document, _) = &busy[index];
                for (sku, change) in effect(document) {
                    let there = stock.get_mut(&sku).unwrap();
                    *there += change;
                    prop_assert!(*there >= 0, "{sku} is short at {place}");
                }
                if let Some(customer) = &document.customer {
                    let before = told.insert(customer.clone(), *place);
                    prop_assert!(before < Some(*place));
                }
            } else {
                let (place, ..) = busy.swap_remove(index);
                order.settled(place);
                ended += 1;
            }
        }
        prop_assert!(picks.next().is_none() || order.open() == 0, "{ended} ended, the rest waits for ever");
    }
}
