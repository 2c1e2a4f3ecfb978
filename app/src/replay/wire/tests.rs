//! What is sent is what the modules read.

use ordering_api::{Adjust, Content, ReturnGoods};

use super::*;
use crate::online_retail::{Documents, Item};

const SMALL: &str = include_str!("../../../tests/data/small-shop.csv");

fn document(invoice: &str) -> Document {
    let items = Documents::new(SMALL.as_bytes()).unwrap().map(Result::unwrap);
    let mut documents = items.filter_map(|item| match item {
        Item::Document(document) => Some(document),
        Item::Listed(_) => None,
    });
    documents.find(|document| document.invoice == invoice).unwrap()
}

#[test]
fn a_cart_names_its_customer_and_keeps_goods_and_services_apart() {
    let id = Id::fresh();
    let known = Known {
        prices: [("10001A".parse().unwrap(), UnitPrice::parse("2.55", Currency::GBP).unwrap())]
            .into(),
        customers: [("20001".to_owned(), id)].into(),
    };
    let mut body = Body::default();
    let text = body.cart(&document("700001"), &known);
    let cart: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(cart["reference"], "700001");
    assert_eq!(cart["customer"], id.to_string());
    let Content { lines, services } = serde_json::from_slice(&text).unwrap();
    assert_eq!(lines.len(), 3);
    assert_eq!((lines[0].quantity, lines[0].unit_price), (6, None));
    assert_eq!(lines[1].unit_price.unwrap().amount(), "0.85");
    assert_eq!((services[0].kind, services[0].quantity), (ServiceKind::Postage, 1));

    let guests: serde_json::Value =
        serde_json::from_slice(&body.cart(&document("700006"), &known)).unwrap();
    assert!(guests.get("customer").is_none());
}

#[test]
fn a_return_gives_back_positive_quantities_and_amounts() {
    let text = Body::default().give_back(&document("C700010"), &Known::default());
    let goods: ReturnGoods = serde_json::from_slice(&text).unwrap();
    assert_eq!(
        (goods.lines[0].quantity, goods.lines[0].unit_price.unwrap().amount()),
        (2, "2.55".to_owned())
    );
    let credit = &goods.services[0];
    assert_eq!(
        (credit.kind, credit.quantity, credit.unit_price.amount()),
        (ServiceKind::Discount, 1, "27.50".to_owned())
    );
}

#[test]
fn stock_is_adjusted_for_the_reasons_of_its_rows() {
    let found: inventory_api::Adjust =
        serde_json::from_slice(&Body::default().stock_adjustment(&document("700021"))).unwrap();
    assert_eq!((found.lines[0].change.get(), found.reason.as_str()), (7, "found"));
    let mute: inventory_api::Adjust =
        serde_json::from_slice(&Body::default().stock_adjustment(&document("700003"))).unwrap();
    assert_eq!(mute.reason.as_str(), NO_REASON);

    let mut long = document("700021");
    let of = |text: &str| Line { description: text.to_owned(), ..long.lines[0].clone() };
    long.lines = vec![of("found"), of(" found "), of(&"é".repeat(300))];
    let text = Body::default().stock_adjustment(&long);
    let long: inventory_api::Adjust = serde_json::from_slice(&text).unwrap();
    assert_eq!(long.reason.as_str().chars().count(), 200);
    assert!(long.reason.as_str().starts_with("found; é"));
}

#[test]
fn bad_debt_keeps_its_sign_with_quantities_above_zero() {
    let sums = ["A700015", "A700016", "A700017"].map(|invoice| {
        let text = Body::default().book_adjustment(&document(invoice), &Known::default());
        let Adjust { lines, .. } = serde_json::from_slice(&text).unwrap();
        (lines[0].quantity, lines[0].unit_price.amount())
    });
    assert_eq!(
        sums,
        [(1, "110.62"), (1, "-110.62"), (1, "-50.62")].map(|(n, a)| (n, a.to_owned()))
    );
}
