//! Returns, cancellations and adjustments: stock and money follow, and never more than was sold.

use std::{sync::atomic::Ordering, time::Duration};

use contract::{Call, Caller, Deadline, Fault};
use kernel_api::{Id, Money};
use ordering_api::{
    Adjust, Cancel, Content, GoodsWish, Order, OrderStatus, ReturnGoods, ReturnItems, ReturnLine,
    ReturnNote, ReturnStatus, ReturnWish, ReturnsError, SagaStatus, SagaWish, SagasWish,
    ServiceKind, UnlinkedLine,
};
use payments_api::PaymentKind;

use crate::world::{self, World, call, command, goods, money, pounds, service, sku, until};

fn items(order: Id<Order>, lines: &[(i64, i64)]) -> ReturnItems {
    let lines =
        lines.iter().map(|(line, quantity)| ReturnLine { line: *line, quantity: *quantity });
    ReturnItems { order, lines: lines.collect(), reason: None, version: None }
}

fn unlinked(customer: Option<Id<ordering_api::Customer>>, lines: &[(&str, i64)]) -> ReturnGoods {
    let lines = lines.iter().map(|(text, quantity)| UnlinkedLine {
        sku: sku(text),
        quantity: *quantity,
        unit_price: None,
    });
    ReturnGoods {
        customer,
        reference: Some("C536365".to_owned()),
        currency: None,
        lines: lines.collect(),
        services: Vec::new(),
        reason: None,
    }
}

fn amounts(note: &ReturnNote) -> Vec<(Option<Id<Order>>, Money)> {
    note.settlements.iter().map(|settlement| (settlement.order, settlement.amount)).collect()
}

#[tokio::test]
async fn what_is_accepted_is_told_even_when_the_time_is_over() {
    World::each(async |world| {
        world.sell("A", "2", 10);
        let order = world.bought(None, goods(&[("A", 3)])).await;
        let deadline = Deadline::within(Duration::from_secs(3));
        *world.payments.holds_everything.lock().unwrap() = Some(deadline);
        let call = Call::new(Caller::module("test"), deadline);
        let command = call.command("in-a-hurry".parse().unwrap());
        let note = world.ordering.return_items(&command, items(order.id, &[(0, 2)])).await.unwrap();
        assert!(deadline.passed());
        assert_eq!((note.status, note.lines.len()), (ReturnStatus::Accepted, 1));
        let wish = ReturnWish { id: note.id };
        until("it goes on by itself", || async {
            let stands = world.ordering.return_note(&world::call(), wish.clone()).await;
            stands.unwrap().status == ReturnStatus::Settled
        })
        .await;
        assert_eq!(world.stock("A"), (9, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_come_back_in_parts_and_never_more_than_sold() {
    World::each(async |world| {
        world.sell("A", "2", 10);
        world.sell("B", "1", 10);
        let mut content = goods(&[("A", 3), ("B", 1)]);
        content.services = vec![service(ServiceKind::Postage, "3")];
        let order = world.bought(None, content).await;
        let note =
            world.ordering.return_items(&command(), items(order.id, &[(0, 2)])).await.unwrap();
        assert_eq!((note.status, note.sum.total), (ReturnStatus::Settled, money("-4")));
        assert_eq!(amounts(&note), [(Some(order.id), money("4"))]);
        assert_eq!(world.stock("A"), (9, 0));
        let now = world.order(order.id).await;
        assert_eq!((now.status, now.refunded), (OrderStatus::PartlyReturned, money("4")));
        assert_eq!(now.lines[0].returned, 2);
        let refused = async |lines: &[(i64, i64)]| match world
            .ordering
            .return_items(&command(), items(order.id, lines))
            .await
        {
            Err(Fault::Refused(refusal)) => refusal,
            other => panic!("{other:?}"),
        };
        let field = |text: &str| text.to_owned();
        let left = |at: &str, left| ReturnsError::MoreThanSold { field: field(at), left };
        assert_eq!(refused(&[(0, 2)]).await, left("lines[0].quantity", 1));
        assert_eq!(refused(&[(0, 1), (0, 1)]).await, left("lines[1].quantity", 0));
        let unknown = ReturnsError::UnknownLine { field: field("lines[0].line") };
        assert_eq!(refused(&[(3, 1)]).await, unknown);
        assert_eq!(refused(&[(-1, 1)]).await, unknown);
        assert_eq!(refused(&[]).await, ReturnsError::Empty);
        // All the goods, then the postage.
        world.ordering.return_items(&command(), items(order.id, &[(0, 1), (1, 1)])).await.unwrap();
        assert_eq!(world.order(order.id).await.status, OrderStatus::Returned);
        world.ordering.return_items(&command(), items(order.id, &[(2, 1)])).await.unwrap();
        let now = world.order(order.id).await;
        assert_eq!(now.refunded, money("10"));
        assert_eq!(world.payment(order.id).await.refunded, money("10"));
        assert_eq!((world.stock("A"), world.stock("B")), ((10, 0), (10, 0)));
        let refunds = world.facts_of(order.id).await;
        assert_eq!(refunds.iter().filter(|name| *name == "ordering.order.refunded").count(), 3);
        let books = world.ordering.books(&call(), ()).await.unwrap();
        assert_eq!((books[0].net.micros, books[0].documents), (0, 4));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discount_must_come_back_with_the_goods() {
    World::each(async |world| {
        world.sell("A", "10", 1);
        let mut content = goods(&[("A", 1)]);
        content.services = vec![service(ServiceKind::Discount, "-4")];
        let order = world.bought(None, content).await;
        let all = world.ordering.return_items(&command(), items(order.id, &[(0, 1)])).await;
        let left = money("6");
        assert_eq!(all, Err(Fault::Refused(ReturnsError::MoreThanPaid { left })));
        let only = world.ordering.return_items(&command(), items(order.id, &[(1, 1)])).await;
        assert_eq!(only, Err(Fault::Refused(ReturnsError::NotGivenBack)));
        let both = items(order.id, &[(0, 1), (1, 1)]);
        let note = world.ordering.return_items(&command(), both).await.unwrap();
        assert_eq!(amounts(&note), [(Some(order.id), money("6"))]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_return_is_matched_to_the_newest_sales_of_the_customer() {
    World::each(async |world| {
        world.sell("A", "2", 10);
        let customer = Some(world.customer("17850").await);
        let other = Some(world.customer("17851").await);
        let first = world.bought(customer, goods(&[("A", 2)])).await;
        world.sell("A", "3", 0);
        let second = world.bought(customer, goods(&[("A", 1)])).await;
        world.bought(other, goods(&[("A", 5)])).await;
        world.sell("A", "4", 0);
        // Four come back: one at 3, two at 2, and one that nobody sold, at the catalog's 4.
        let wish = unlinked(customer, &[("A", 4)]);
        let note = world.ordering.return_goods(&command(), wish).await.unwrap();
        assert_eq!(
            amounts(&note),
            [(Some(first.id), money("4")), (Some(second.id), money("3")), (None, money("4"))]
        );
        let lines: Vec<_> =
            note.lines.iter().map(|l| (l.line.quantity, l.line.unit_price)).collect();
        assert_eq!(lines, [(-1, pounds("3")), (-2, pounds("2")), (-1, pounds("4"))]);
        assert_eq!((note.status, note.sum.total), (ReturnStatus::Settled, money("-11")));
        assert_eq!(world.order(first.id).await.status, OrderStatus::Returned);
        assert_eq!(world.payment(second.id).await.refunded, money("3"));
        let credits: Vec<_> = world
            .payments
            .fake
            .all()
            .into_iter()
            .filter(|payment| payment.kind == PaymentKind::Credit)
            .map(|payment| (payment.id, payment.amount))
            .collect();
        assert_eq!(credits, [(note.settlements[2].id.cast(), money("4"))]);
        assert_eq!(world.stock("A"), (6, 0));
        assert_eq!(world.facts_of(note.id).await, ["ordering.order.refunded"]);
        let flows = world.ordering.sku_flows(&call(), crate::world::page(10)).await.unwrap();
        assert_eq!((flows.items[0].sold, flows.items[0].returned), (8, 4));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_of_its_own_is_given_back_but_not_more_than_was_paid() {
    World::each(async |world| {
        world.sell("A", "2", 10);
        let customer = Some(world.customer("1").await);
        let order = world.bought(customer, goods(&[("A", 2)])).await;
        let mut wish = unlinked(customer, &[("A", 2)]);
        wish.lines[0].unit_price = Some(pounds("2.5"));
        wish.services = vec![service(ServiceKind::Manual, "0.004")];
        let note = world.ordering.return_goods(&command(), wish).await.unwrap();
        assert_eq!(amounts(&note), [(Some(order.id), money("4")), (None, money("1"))]);
        assert_eq!(note.sum.net.amount(), "-5.004");
        assert_eq!(note.sum.total, money("-5"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_return_of_nobody_is_a_credit() {
    World::each(async |world| {
        world.sell("A", "2", 0);
        let mut wish = unlinked(None, &[("A", 1)]);
        wish.services = vec![service(ServiceKind::Discount, "5.5")];
        let note = world.ordering.return_goods(&command(), wish.clone()).await.unwrap();
        assert_eq!(amounts(&note), [(None, money("7.50"))]);
        assert_eq!(world.stock("A"), (1, 0));
        let seen = world.ordering.return_note(&call(), ReturnWish { id: note.id }).await.unwrap();
        assert_eq!(seen, note);
        // Refused: a product that is not there, a customer who is not there, money the wrong way.
        let refused =
            async |wish: ReturnGoods| match world.ordering.return_goods(&command(), wish).await {
                Err(Fault::Refused(refusal)) => refusal,
                other => panic!("{other:?}"),
            };
        let field = "lines[0].sku".to_owned();
        let unknown = ReturnsError::UnknownSku { field, sku: sku("NONE") };
        assert_eq!(refused(unlinked(None, &[("NONE", 1)])).await, unknown);
        let nobody = unlinked(Some(Id::fresh()), &[("A", 1)]);
        assert_eq!(refused(nobody).await, ReturnsError::UnknownCustomer);
        wish.services = vec![service(ServiceKind::Discount, "-5.5")];
        assert_eq!(refused(wish).await, ReturnsError::NotGivenBack);
        assert_eq!(refused(unlinked(None, &[])).await, ReturnsError::Empty);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_order_gives_everything_back() {
    World::each(async |world| {
        world.sell("A", "2.005", 3);
        world.sell("FREE", "0", 1);
        let order = world.bought(None, goods(&[("A", 3), ("FREE", 1)])).await;
        let wish = Cancel { order: order.id, reason: "changed his mind".to_owned(), version: None };
        let note = world.ordering.cancel(&command(), wish).await.unwrap();
        assert!(note.cancellation);
        assert_eq!(amounts(&note), [(Some(order.id), order.sum.total)]);
        assert_eq!((world.stock("A"), world.stock("FREE")), ((3, 0), (1, 0)));
        let now = world.order(order.id).await;
        assert_eq!((now.status, now.refunded), (OrderStatus::Cancelled, order.sum.total));
        let told = world.facts_of(order.id).await;
        assert_eq!(told[2..], ["ordering.order.cancelled", "ordering.order.refunded"]);
        let books = world.ordering.books(&call(), ()).await.unwrap();
        assert_eq!((books[0].net.micros, books[0].rounded.minor), (0, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_is_declined_waits_for_an_operator() {
    World::each(async |world| {
        world.sell("A", "2", 3);
        let order = world.bought(None, goods(&[("A", 3)])).await;
        world.payments.declines_refunds.store(true, Ordering::SeqCst);
        let note =
            world.ordering.return_items(&command(), items(order.id, &[(0, 1)])).await.unwrap();
        assert_eq!(note.status, ReturnStatus::Accepted);
        assert_eq!(world.order(order.id).await.refunded, money("0"));
        let stuck = SagasWish { status: Some(SagaStatus::Stuck), ..SagasWish::default() };
        let stuck = world.ordering.sagas(&call(), stuck).await.unwrap().items;
        assert_eq!((stuck.len(), stuck[0].step.as_str()), (1, "pay_0"));
        assert_eq!(stuck[0].id.cast(), note.id);
        assert_eq!(world.ordering.settling(&call(), ()).await.unwrap().stuck, 1);
        world.payments.declines_refunds.store(false, Ordering::SeqCst);
        let saga = SagaWish { saga: stuck[0].id };
        world.ordering.retry_saga(&command(), saga).await.unwrap();
        until("the refund is paid", async || world.order(order.id).await.refunded == money("2"))
            .await;
        until("the return is settled", async || {
            let wish = ReturnWish { id: note.id };
            world.ordering.return_note(&call(), wish).await.unwrap().status == ReturnStatus::Settled
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_returns_at_once_take_what_was_sold_once() {
    World::each(async |world| {
        world.sell("A", "2", 4);
        let order = world.bought(None, goods(&[("A", 4)])).await;
        let tries = (0..8).map(|_| {
            let (world, wish) = (&world, items(order.id, &[(0, 1)]));
            async move { world.ordering.return_items(&command(), wish).await.is_ok() }
        });
        let accepted = futures_util::future::join_all(tries).await;
        assert_eq!(accepted.iter().filter(|accepted| **accepted).count(), 4);
        assert_eq!(world.stock("A"), (4, 0));
        assert_eq!(world.payment(order.id).await.refunded, money("8"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adjustment_moves_neither_goods_nor_money() {
    World::each(async |world| {
        let lines = vec![service(ServiceKind::BadDebt, "-11062.06")];
        let wish = Adjust {
            reference: Some("A563186".to_owned()),
            order: None,
            customer: None,
            currency: None,
            lines,
        };
        let made = world.ordering.adjust(&command(), wish.clone()).await.unwrap();
        assert_eq!(made.sum.total, money("-11062.06"));
        assert_eq!(world.payments.fake.all(), []);
        assert_eq!(world.facts_of(made.id).await, ["ordering.order.adjusted"]);
        let books = world.ordering.books(&call(), ()).await.unwrap();
        assert_eq!(books[0].adjustments.amount(), "-11062.06");
        let unknown = Adjust { order: Some(Id::fresh()), ..wish };
        assert!(world.ordering.adjust(&command(), unknown).await.is_err());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_free_line_comes_back_without_money() {
    World::each(async |world| {
        world.sell("A", "2", 1);
        let free = GoodsWish { sku: sku("A"), quantity: 1, unit_price: Some(pounds("0")) };
        let content = Content { lines: vec![free], services: Vec::new() };
        let order = world.bought(None, content).await;
        let note =
            world.ordering.return_items(&command(), items(order.id, &[(0, 1)])).await.unwrap();
        assert_eq!((note.status, amounts(&note)), (ReturnStatus::Settled, Vec::new()));
        assert_eq!(world.order(order.id).await.status, OrderStatus::Returned);
        assert_eq!(world.stock("A"), (1, 0));
    })
    .await;
}
