//! Checkout where all goes well, and where somebody asks twice.

use contract::Fault;
use kernel_api::Id;
use ordering_api::{
    CartStatus, CartWish, CheckOut, CheckOutError, CheckoutStatus, CheckoutWish, Content, NewCart,
    Opener, OrderStatus, OrderWish, OrdersWish, Part, PartKind, ServiceKind, Ship, ShipError,
};
use ordering_impl::Config;
use payments_api::PaymentState;

use crate::world::{
    World, call, checkout_of, command, command_with, goods, money, new_cart, page, secret, service,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_becomes_a_paid_order() {
    World::each(async |world| {
        world.sell("A", "2.55", 10);
        let customer = world.customer("17850").await;
        let mut content = goods(&[("A", 2), ("A", 1)]);
        content.services =
            vec![service(ServiceKind::Postage, "3.5"), service(ServiceKind::Discount, "-0.655")];
        let order = world.bought(Some(customer), content).await;
        assert_eq!(order.status, OrderStatus::Paid);
        assert_eq!((order.version, order.customer), (2, Some(customer)));
        assert_eq!(
            (order.sum.net.amount(), order.sum.total),
            ("10.495".to_owned(), money("10.50"))
        );
        let kinds: Vec<_> = order.sum.parts.iter().map(|part: &Part| part.kind).collect();
        assert_eq!(kinds, [PartKind::Goods, PartKind::Services, PartKind::Discount]);
        assert_eq!(world.stock("A"), (7, 0));
        let payment = world.payment(order.id).await;
        assert_eq!((payment.state, payment.captured), (PaymentState::Captured, money("10.50")));
        assert_eq!(order.reservation.map(Id::cast), Some(order.id));
        assert_eq!(order.payment.map(Id::cast), Some(order.id));
        assert_eq!(
            world.facts_of(order.id).await,
            ["ordering.order.placed", "ordering.order.paid"]
        );
        let wish = OrdersWish { customer: Some(customer), reference: None, page: page(10) };
        let listed = world.ordering.orders(&call(), wish).await.unwrap();
        assert_eq!(listed.items.len(), 1);
        assert_eq!((listed.items[0].id, listed.items[0].lines), (order.id, 4));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_costs_nothing_needs_no_payment() {
    World::each(async |world| {
        world.sell("FREE", "0", 2);
        let cart = world.cart(goods(&[("FREE", 2)])).await;
        let wish = CheckOut { cart: cart.id, by: Opener::Operator, payment_token: None };
        let done = world.ordering.check_out(&command(), wish).await.unwrap();
        let CheckoutStatus::Completed { order } = done.status else { panic!("{done:?}") };
        let order = world.order(order).await;
        assert_eq!((order.status, order.payment), (OrderStatus::Paid, None));
        assert_eq!(world.stock("FREE"), (0, 0));
        assert_eq!(world.payments.fake.all(), []);
        assert_eq!(
            world.facts_of(order.id).await,
            ["ordering.order.placed", "ordering.order.paid"]
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn services_alone_need_no_stock() {
    World::each(async |world| {
        for (amount, paid) in [("4", true), ("0", false)] {
            let services = vec![service(ServiceKind::Manual, amount)];
            let order = world.bought(None, Content { lines: Vec::new(), services }).await;
            assert_eq!((order.status, order.reservation), (OrderStatus::Paid, None));
            assert_eq!(order.payment.is_some(), paid);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_becomes_one_order_however_often_it_is_checked_out() {
    World::each(async |world| {
        world.sell("A", "1", 10);
        let cart = world.cart(goods(&[("A", 1)])).await;
        let wishes = (0..8).map(|n| {
            let command = command_with(&format!("key {n}").replace(' ', "-"));
            let (world, wish) = (&world, checkout_of(&cart, "tok_visa"));
            async move { world.ordering.check_out(&command, wish).await.unwrap() }
        });
        let answers = futures_util::future::join_all(wishes).await;
        let again = world.check_out(&cart, "tok_other").await;
        assert!(answers.iter().all(|answer| *answer == again), "{answers:?}");
        assert!(matches!(again.status, CheckoutStatus::Completed { .. }));
        assert_eq!(world.stock("A"), (9, 0));
        assert_eq!(world.payments.fake.all().len(), 1);
        let listed = world.ordering.orders(&call(), OrdersWish::default()).await.unwrap();
        assert_eq!(listed.items.len(), 1);
        let wish = CartWish { cart: cart.id, by: Opener::Operator };
        let cart = world.ordering.cart(&call(), wish).await.unwrap();
        assert_eq!((cart.status, cart.checkout), (CartStatus::Ordered, Some(again.id)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_carts_secret_opens_its_order_and_its_checkout() {
    World::each(async |world| {
        world.sell("A", "1", 10);
        let wish = NewCart { operator: false, secret: secret("7"), ..new_cart(goods(&[("A", 1)])) };
        let cart = world.ordering.open_cart(&command(), wish).await.unwrap().cart;
        let guest = |hash: &str| Opener::Guest(secret(hash));
        let wish = |hash: &str| CheckOut {
            cart: cart.id,
            by: guest(hash),
            payment_token: Some("tok_visa".to_owned()),
        };
        let refused = Fault::Refused(CheckOutError::NotFound);
        assert_eq!(world.ordering.check_out(&command(), wish("8")).await, Err(refused.clone()));
        let done = world.ordering.check_out(&command(), wish("7")).await.unwrap();
        let CheckoutStatus::Completed { order } = done.status else { panic!("{done:?}") };
        let see = |hash: &str| OrderWish { order, by: guest(hash) };
        assert_eq!(world.ordering.order(&call(), see("7")).await.unwrap().id, order);
        assert!(world.ordering.order(&call(), see("8")).await.is_err());
        let look = |hash: &str| CheckoutWish { checkout: done.id, by: guest(hash) };
        assert_eq!(world.ordering.checkout(&call(), look("7")).await.unwrap(), done);
        assert_eq!(world.ordering.checkout(&call(), look("8")).await, Err(refused));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_that_cannot_be_bought_is_refused() {
    World::each(async |world| {
        world.sell("A", "1", 10);
        let refused = async |content: Content, token: Option<&str>| {
            let cart = world.cart(content).await;
            let payment_token = token.map(str::to_owned);
            let wish = CheckOut { cart: cart.id, by: Opener::Operator, payment_token };
            match world.ordering.check_out(&command(), wish).await {
                Err(Fault::Refused(refusal)) => refusal,
                other => panic!("{other:?}"),
            }
        };
        let token = Some("tok_visa");
        assert_eq!(refused(Content::default(), token).await, CheckOutError::EmptyCart);
        assert_eq!(refused(goods(&[("A", 1)]), None).await, CheckOutError::NoPaymentToken);
        let card = refused(goods(&[("A", 1)]), Some("4111111111111111")).await;
        assert!(
            matches!(&card, CheckOutError::BadPaymentToken { problem } if !problem.contains("4111"))
        );
        let mut negative = goods(&[("A", 1)]);
        negative.services = vec![service(ServiceKind::Discount, "-2")];
        let total = money("-1");
        assert_eq!(refused(negative, token).await, CheckOutError::NegativeTotal { total });
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_is_held_for_a_while_and_then_asked_for_again() {
    let mut config = Config::default();
    for (held, config) in [(true, config.clone()), {
        config.price_hold = settings::Duration::from_millis(0);
        (false, config)
    }] {
        World::each_with(&config, async |world| {
            world.sell("A", "1", 10);
            world.sell("B", "1", 10);
            let mut content = goods(&[("B", 1), ("A", 1)]);
            content.lines[0].unit_price = Some(crate::world::pounds("0.9"));
            let cart = world.cart(content).await;
            world.sell("A", "2", 0);
            world.sell("B", "2", 0);
            let answer = world.ordering.check_out(&command(), checkout_of(&cart, "tok")).await;
            if held {
                assert!(matches!(answer.unwrap().status, CheckoutStatus::Completed { .. }));
            } else {
                let (field, sku) = ("lines[1]".to_owned(), crate::world::sku("A"));
                assert_eq!(answer, Err(Fault::Refused(CheckOutError::PriceChanged { field, sku })));
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_order_is_shipped_once() {
    World::each(async |world| {
        world.sell("A", "1", 10);
        let order = world.bought(None, goods(&[("A", 1)])).await;
        let ship = |version| Ship { order: order.id, tracking: Some("T1".to_owned()), version };
        let wrong = world.ordering.ship(&command(), ship(Some(1))).await;
        assert_eq!(wrong, Err(Fault::Refused(ShipError::VersionMismatch { version: 2 })));
        let shipped = world.ordering.ship(&command_with("k"), ship(Some(2))).await.unwrap();
        assert_eq!((shipped.status, shipped.version), (OrderStatus::Shipped, 3));
        let again = world.ordering.ship(&command_with("k"), ship(Some(2))).await.unwrap();
        assert_eq!(again, shipped);
        let status = OrderStatus::Shipped;
        let twice = world.ordering.ship(&command(), ship(None)).await;
        assert_eq!(twice, Err(Fault::Refused(ShipError::NotNow { status })));
        let none = Ship { order: Id::fresh(), tracking: None, version: None };
        let missing = world.ordering.ship(&command(), none).await;
        assert_eq!(missing, Err(Fault::Refused(ShipError::NotFound)));
    })
    .await;
}
