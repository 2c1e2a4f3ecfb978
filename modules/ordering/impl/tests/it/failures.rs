//! Checkouts that fail, and what is left of them: nothing.

use std::sync::atomic::Ordering;

use contract::Fault;
use ordering_api::{
    Cancel, CancelError, Cart, CartError, CartStatus, CartWish, CheckoutFailure, CheckoutStatus,
    CheckoutWish, Opener, OrderStatus, OrdersWish, PutCart, Shortage, SkuFlow,
};
use ordering_impl::Config;
use payments_api::PaymentState;

use crate::world::{
    World, call, checkout_of, command, command_with, goods, money, page, sku, until,
};

async fn failure(world: &World, cart: &Cart, token: &str) -> CheckoutFailure {
    match world.check_out(cart, token).await.status {
        CheckoutStatus::Failed { failure } => failure,
        other => panic!("{other:?}"),
    }
}

/// The cart is open again, nothing is held and there is no order.
async fn nothing_is_left(world: &World, cart: &Cart, on_hand: i64) {
    let wish = CartWish { cart: cart.id, by: Opener::Operator };
    let cart = world.ordering.cart(&call(), wish).await.unwrap();
    assert_eq!((cart.status, cart.checkout), (CartStatus::Open, None));
    assert_eq!(world.stock("A"), (on_hand, 0));
    let orders = world.ordering.orders(&call(), OrdersWish::default()).await.unwrap();
    assert!(orders.items.iter().all(|order| order.status == OrderStatus::Cancelled));
    let held = |payment: &payments_api::Payment| {
        payment.authorised.minor - payment.voided.minor - payment.refunded.minor
    };
    assert!(world.payments.fake.all().iter().all(|payment| held(payment) == 0));
    let books = world.ordering.books(&call(), ()).await.unwrap();
    assert!(books.iter().all(|books| books.net.micros == 0), "{books:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_short_line_refuses_all() {
    World::each(async |world| {
        world.sell("A", "1", 3);
        world.sell("B", "1", 1);
        let cart = world.cart(goods(&[("A", 2), ("B", 1), ("A", 2)])).await;
        let short = Shortage { sku: sku("A"), wanted: 4, available: 3 };
        let shortages = vec![short];
        let failed = failure(&world, &cart, "tok").await;
        assert_eq!(failed, CheckoutFailure::OutOfStock { shortages });
        nothing_is_left(&world, &cart, 3).await;
        // With more stock the same cart can be bought.
        world.sell("A", "1", 1);
        let done = world.check_out(&cart, "tok").await;
        assert!(matches!(done.status, CheckoutStatus::Completed { .. }));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_payment_releases_the_stock() {
    World::each(async |world| {
        world.sell("A", "1", 3);
        let cart = world.cart(goods(&[("A", 2)])).await;
        let declined = world
            .ordering
            .check_out(&command_with("k"), checkout_of(&cart, "tok_decline"))
            .await
            .unwrap();
        let CheckoutStatus::Failed { failure } = &declined.status else { panic!("{declined:?}") };
        assert!(matches!(failure, CheckoutFailure::PaymentDeclined { .. }), "{failure:?}");
        nothing_is_left(&world, &cart, 3).await;
        let again = world
            .ordering
            .check_out(&command_with("k"), checkout_of(&cart, "tok_decline"))
            .await
            .unwrap();
        assert_eq!(again, declined, "the same key is the same checkout");
        let wish = CheckoutWish { checkout: declined.id, by: Opener::Operator };
        assert_eq!(world.ordering.checkout(&call(), wish).await.unwrap(), declined);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorisation_without_answer_is_asked_for_again() {
    World::each(async |world| {
        world.sell("A", "1", 3);
        for (token, left) in [("tok_timeout", 2), ("tok_timeout_lost", 1)] {
            let cart = world.cart(goods(&[("A", 1)])).await;
            let done = world.check_out(&cart, token).await;
            let CheckoutStatus::Completed { order } = done.status else { panic!("{done:?}") };
            assert_eq!(world.payment(order).await.captured, money("1"));
            assert_eq!(world.stock("A"), (left, 0));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_of_the_stock_is_asked_for_again() {
    World::each(async |world| {
        world.sell("A", "1", 3);
        world.inventory.lose_next_answer();
        let cart = world.cart(goods(&[("A", 1)])).await;
        let done = world.check_out(&cart, "tok").await;
        assert!(matches!(done.status, CheckoutStatus::Completed { .. }), "{done:?}");
        assert_eq!(world.stock("A"), (2, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reservation_that_ran_out_voids_the_payment() {
    World::each(async |world| {
        world.sell("A", "1", 3);
        world.payments.slow.store(true, Ordering::SeqCst);
        let cart = world.cart(goods(&[("A", 2)])).await;
        let failed = failure(&world, &cart, "tok").await;
        assert_eq!(failed, CheckoutFailure::ReservationExpired);
        let payments = world.payments.fake.all();
        assert_eq!((payments.len(), payments[0].state), (1, PaymentState::Voided));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_capture_undoes_everything() {
    World::each(async |world| {
        world.sell("A", "1", 3);
        world.payments.declines_captures.store(true, Ordering::SeqCst);
        let cart = world.cart(goods(&[("A", 2)])).await;
        let failed = failure(&world, &cart, "tok").await;
        assert!(matches!(failed, CheckoutFailure::CaptureDeclined { .. }), "{failed:?}");
        nothing_is_left(&world, &cart, 3).await;
        let orders = world.ordering.orders(&call(), OrdersWish::default()).await.unwrap();
        let id = orders.items[0].id;
        assert_eq!(world.facts_of(id).await, ["ordering.order.placed", "ordering.order.cancelled"]);
        // Its stock went out and came back, as inventory says too.
        let flows = world.ordering.sku_flows(&call(), page(10)).await.unwrap();
        assert_eq!(flows.items, [SkuFlow { sku: sku("A"), sold: 2, returned: 2 }]);
        // What was given up cannot be cancelled again, and the cart can still be bought.
        let wish = Cancel { order: id, reason: "late".to_owned(), version: None };
        let status = OrderStatus::Cancelled;
        let refused = world.ordering.cancel(&command(), wish).await;
        assert_eq!(refused, Err(Fault::Refused(CancelError::NotNow { status })));
        world.payments.declines_captures.store(false, Ordering::SeqCst);
        let done = world.check_out(&cart, "tok").await;
        assert!(matches!(done.status, CheckoutStatus::Completed { .. }));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_captured_by_hand_goes_back_when_the_checkout_fails() {
    World::each(async |world| {
        world.sell("A", "1", 3);
        world.payments.captured_by_hand.store(true, Ordering::SeqCst);
        let cart = world.cart(goods(&[("A", 2)])).await;
        let failed = failure(&world, &cart, "tok").await;
        assert!(matches!(failed, CheckoutFailure::CaptureDeclined { .. }), "{failed:?}");
        nothing_is_left(&world, &cart, 3).await;
        let payment = world.payments.fake.all().remove(0);
        assert_eq!((payment.captured, payment.refunded), (money("0.01"), money("0.01")));
        assert_eq!(payment.voided, money("1.99"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkout_answers_within_its_bound_and_goes_on() {
    let checkout_bound = settings::Duration::from_millis(50);
    World::each_with(&Config { checkout_bound, ..Config::default() }, async |world| {
        world.sell("A", "1", 3);
        let cart = world.cart(goods(&[("A", 1)])).await;
        world.inventory.go_away();
        let begun = world.check_out(&cart, "tok").await;
        assert_eq!(begun.status, CheckoutStatus::Running);
        // Meanwhile the cart cannot change.
        let content = goods(&[("A", 2)]);
        let wish = PutCart { cart: cart.id, by: Opener::Operator, version: None, content };
        let refused = world.ordering.put_cart(&command(), wish).await;
        let checkout = Some(begun.id);
        assert_eq!(refused, Err(Fault::Refused(CartError::NotOpen { checkout })));
        assert_eq!(world.ordering.settling(&call(), ()).await.unwrap().running, 1);
        world.inventory.come_back();
        until("the checkout is done", async || {
            let wish = CheckoutWish { checkout: begun.id, by: Opener::Operator };
            let checkout = world.ordering.checkout(&call(), wish).await.unwrap();
            matches!(checkout.status, CheckoutStatus::Completed { .. })
        })
        .await;
        assert_eq!(world.stock("A"), (2, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_buyers_of_the_last_unit_one_gets_it() {
    World::each(async |world| {
        world.sell("A", "1", 1);
        let buyers = (0..64).map(|_| {
            let world = &world;
            async move {
                let cart = world.cart(goods(&[("A", 1)])).await;
                matches!(
                    world.check_out(&cart, "tok").await.status,
                    CheckoutStatus::Completed { .. }
                )
            }
        });
        let got = futures_util::future::join_all(buyers).await;
        assert_eq!(got.iter().filter(|got| **got).count(), 1);
        assert_eq!(world.stock("A"), (0, 0));
        assert_eq!(world.payments.fake.all().len(), 1);
    })
    .await;
}
