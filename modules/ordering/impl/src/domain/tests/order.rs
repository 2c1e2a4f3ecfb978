//! The order's life: every status with every wish, and the fold of what was decided.

use kernel_api::{Currency, Id, Timestamp, UnitPrice};
use ordering_api::{Line, LineKind, OrderStatus, ServiceKind};

use crate::domain::order::{
    Back, OrderEvent, OrderState, Refusal, Sale, Wish, allowed, decide, fold,
};

const ALL: [OrderStatus; 6] = [
    OrderStatus::Placed,
    OrderStatus::Paid,
    OrderStatus::Shipped,
    OrderStatus::PartlyReturned,
    OrderStatus::Returned,
    OrderStatus::Cancelled,
];

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

fn line(quantity: i64, micros: i64) -> Line {
    let kind = LineKind::Goods { sku: "A".parse().unwrap(), price_overridden: false };
    let unit_price = UnitPrice::new(micros, Currency::GBP);
    Line { kind, title: String::new(), quantity, unit_price }
}

fn postage() -> Line {
    let kind = LineKind::Service { service: ServiceKind::Postage, code: "POST".to_owned() };
    Line { kind, ..line(1, 3_000_000) }
}

fn sale() -> Sale {
    Sale {
        reference: None,
        customer: None,
        secret: None,
        source: None,
        currency: Currency::GBP,
        lines: vec![line(3, 2_000_000), postage(), line(1, 1_000_000)],
    }
}

fn placed() -> OrderState {
    OrderState::begin(OrderEvent::Placed(sale()), at(1)).unwrap()
}

fn paid() -> OrderState {
    let mut order = placed();
    order.apply(&OrderEvent::Paid, at(2)).unwrap();
    order
}

fn back(line: i64, quantity: i64) -> Back {
    Back { line, quantity }
}

fn returned(lines: Vec<Back>) -> Wish {
    Wish::Return { note: Id::fresh(), lines, promised_minor: 0 }
}

#[test]
fn each_status_allows_what_its_table_says() {
    let note = Id::fresh();
    let text = String::new;
    // Placed, Paid, Shipped, PartlyReturned, Returned, Cancelled.
    let table = [
        (Wish::Pay, [true, false, false, false, false, false]),
        (Wish::GiveUp { reason: text() }, [true, false, false, false, false, false]),
        (Wish::Ship { tracking: None }, [false, true, false, false, false, false]),
        (Wish::Cancel { note, reason: text() }, [false, true, false, false, false, false]),
        (returned(Vec::new()), [false, true, true, true, true, false]),
        (Wish::Refund { note, amount_minor: 1 }, [false, true, true, true, true, true]),
    ];
    for (wish, row) in table {
        for (status, expected) in ALL.into_iter().zip(row) {
            let found = allowed(status, &wish);
            let expected = if expected { Ok(()) } else { Err(Refusal::NotNow(status)) };
            assert_eq!(found, expected, "{status:?}: {wish:?}");
        }
    }
}

#[test]
fn a_decided_event_always_applies() {
    for status in ALL {
        for wish in [
            Wish::Pay,
            Wish::GiveUp { reason: String::new() },
            Wish::Ship { tracking: None },
            Wish::Cancel { note: Id::fresh(), reason: String::new() },
            returned(vec![back(0, 1)]),
            Wish::Refund { note: Id::fresh(), amount_minor: 1 },
        ] {
            let mut order = OrderState { status, paid: status != OrderStatus::Placed, ..placed() };
            if let Ok(event) = decide(&order, wish) {
                order.apply(&event, at(9)).unwrap();
                assert_eq!((order.version, order.updated_at), (2, at(9)));
            }
        }
    }
}

#[test]
fn returns_are_counted_line_by_line() {
    let check = |lines: Vec<Back>, expected: Result<OrderStatus, Refusal>| {
        let mut order = paid();
        let found = decide(&order, returned(lines.clone())).map(|event| {
            order.apply(&event, at(3)).unwrap();
            order.status
        });
        assert_eq!(found, expected, "{lines:?}");
    };
    check(vec![back(0, 1)], Ok(OrderStatus::PartlyReturned));
    check(vec![back(0, 3), back(2, 1)], Ok(OrderStatus::Returned));
    check(vec![back(0, 1), back(0, 2), back(2, 1)], Ok(OrderStatus::Returned));
    // A credited service is no returned goods.
    check(vec![back(1, 1)], Ok(OrderStatus::Paid));
    check(vec![back(3, 1)], Err(Refusal::UnknownLine(0)));
    check(vec![back(0, 1), back(-1, 1)], Err(Refusal::UnknownLine(1)));
    check(vec![back(0, 4)], Err(Refusal::MoreThanSold { index: 0, left: 3 }));
    check(vec![back(0, 2), back(0, 2)], Err(Refusal::MoreThanSold { index: 1, left: 1 }));
    check(vec![back(0, 0)], Err(Refusal::MoreThanSold { index: 0, left: 3 }));
    check(vec![back(0, i64::MIN)], Err(Refusal::MoreThanSold { index: 0, left: 3 }));
}

#[test]
fn no_more_is_promised_than_was_paid() {
    let order = paid();
    assert_eq!(order.left_minor(), 1000);
    assert_eq!(placed().left_minor(), 0);
    let wish = |promised_minor| Wish::Return {
        note: Id::fresh(),
        lines: vec![back(0, 1)],
        promised_minor,
    };
    assert!(decide(&order, wish(1000)).is_ok());
    assert_eq!(decide(&order, wish(1001)), Err(Refusal::MoreThanPaid { left_minor: 1000 }));
}

#[test]
fn a_cancelled_order_owes_all_that_is_left() {
    let mut order = paid();
    let event = decide(&order, Wish::Cancel { note: Id::fresh(), reason: String::new() }).unwrap();
    order.apply(&event, at(3)).unwrap();
    assert_eq!(
        (order.status, order.promised_minor, order.left_minor()),
        (OrderStatus::Cancelled, 1000, 0)
    );
}

#[test]
fn a_stream_that_cannot_be_is_told_so() {
    let check = |events: Vec<OrderEvent>, seq: i64| {
        let found = fold(events.into_iter().map(|event| (event, at(1))));
        assert_eq!(found.unwrap_err().seq, seq);
    };
    check(vec![OrderEvent::Paid], 1);
    check(vec![OrderEvent::Placed(sale()), OrderEvent::Placed(sale())], 2);
    let lines = vec![back(7, 1)];
    let returned = OrderEvent::Returned { note: Id::fresh(), lines, promised_minor: 0 };
    check(vec![OrderEvent::Imported(sale()), returned], 2);
    assert_eq!(fold([]), Ok(None));
}
