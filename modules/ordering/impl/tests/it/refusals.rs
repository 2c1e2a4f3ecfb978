//! What is refused and not told of beside the capability that it belongs to.

use contract::Fault;
use kernel_api::{Currency, Id, PageRequest, UnitPrice};
use ordering_api::{
    AbandonSaga, Abandonment, Adjust, AdjustError, Cancel, CancelError, CartError, CheckOut,
    CheckOutError, CheckoutStatus, CustomerError, CustomerKey, CustomersWish, IMPORT_CUSTOMERS_MAX,
    LINES_MAX, NewCart, NewCustomer, Opener, OrderError, OrderStatus, OrdersWish, QUANTITY_MAX,
    ReturnGoods, ReturnItems, ReturnLine, ReturnsError, SagaError, SagaWish, SagasWish,
    ServiceKind, Ship, ShipError, TEXT_LENGTH_MAX, UnlinkedLine,
};
use ordering_impl::Config;

use crate::world::{
    World, call, checkout_of, command, goods, new_cart, pounds, secret, service, sku,
};

fn refusal<T: std::fmt::Debug, R: std::fmt::Debug>(answer: contract::Answer<T, R>) -> R {
    match answer {
        Err(Fault::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

fn new_customer(reference: &str, name: Option<&str>) -> NewCustomer {
    let (reference, name) = (Some(reference.to_owned()), name.map(str::to_owned));
    NewCustomer { id: None, reference, name, country: None }
}

fn bad_page() -> PageRequest {
    PageRequest { after: Some("none of ours".to_owned()), limit: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_names_one_customer() {
    World::each(async |world| {
        let register = async |wish| world.ordering.register_customer(&command(), wish).await;
        let first = register(new_customer("1", Some("Ann"))).await.unwrap();
        assert_eq!(register(new_customer("1", Some("Ann"))).await.unwrap(), first);
        let customer = first.id;
        let other = refusal(register(new_customer("1", Some("Bob"))).await);
        assert_eq!(other, CustomerError::ReferenceTaken { customer });
        let long = "x".repeat(TEXT_LENGTH_MAX + 1);
        let long = refusal(register(new_customer(&long, None)).await);
        assert!(matches!(long, CustomerError::BadText { field, .. } if field == "reference"));
        register(new_customer(&"x".repeat(TEXT_LENGTH_MAX), None)).await.unwrap();
        let many: Vec<_> =
            (0..=IMPORT_CUSTOMERS_MAX).map(|n| new_customer(&format!("many {n}"), None)).collect();
        let import = async |some: &[NewCustomer]| {
            world.ordering.import_customers(&command(), some.to_vec()).await
        };
        let limit = IMPORT_CUSTOMERS_MAX;
        assert_eq!(refusal(import(&many).await), CustomerError::TooMany { limit });
        assert_eq!(import(&many[1..]).await, Ok(1000));
        assert_eq!(import(&many[1..]).await, Ok(0));
        let found = async |key| world.ordering.customer(&call(), key).await;
        assert_eq!(found(CustomerKey::Id(customer)).await.unwrap(), first);
        assert_eq!(found(CustomerKey::Reference("1".to_owned())).await.unwrap(), first);
        assert_eq!(refusal(found(CustomerKey::Id(Id::fresh())).await), CustomerError::NotFound);
        let wish = CustomersWish { page: bad_page() };
        let bad = world.ordering.customers(&call(), wish).await;
        assert_eq!(refusal(bad), CustomerError::BadCursor);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_have_a_length_and_no_control_characters() {
    World::each(async |world| {
        world.sell("A", "1", 1);
        let cart = |reference: &str| NewCart {
            reference: Some(reference.to_owned()),
            ..new_cart(goods(&[("A", 1)]))
        };
        for bad in ["", "a\u{7}b", &"x".repeat(TEXT_LENGTH_MAX + 1)] {
            let refused = refusal(world.ordering.open_cart(&command(), cart(bad)).await);
            assert!(matches!(refused, CartError::BadText { field, .. } if field == "reference"));
        }
        let good = cart(&"ö".repeat(TEXT_LENGTH_MAX));
        world.ordering.open_cart(&command(), good).await.unwrap();
        let order = world.bought(None, goods(&[("A", 1)])).await.id;
        let ship = Ship { order, tracking: Some("\n".to_owned()), version: None };
        let refused = refusal(world.ordering.ship(&command(), ship).await);
        assert!(matches!(refused, ShipError::BadText { .. }));
        let cancel = Cancel { order, reason: String::new(), version: None };
        let refused = refusal(world.ordering.cancel(&command(), cancel).await);
        assert!(matches!(refused, CancelError::BadText { .. }));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_cancelled_only_as_it_was_seen_and_before_it_is_shipped() {
    World::each(async |world| {
        world.sell("A", "1", 5);
        let order = world.bought(None, goods(&[("A", 1)])).await.id;
        let cancel = async |order, version| {
            let wish = Cancel { order, reason: "late".to_owned(), version };
            refusal(world.ordering.cancel(&command(), wish).await)
        };
        assert_eq!(cancel(order, Some(1)).await, CancelError::VersionMismatch { version: 2 });
        assert_eq!(cancel(Id::fresh(), None).await, CancelError::NotFound);
        let ship = Ship { order, tracking: None, version: None };
        world.ordering.ship(&command(), ship).await.unwrap();
        let status = OrderStatus::Shipped;
        assert_eq!(cancel(order, None).await, CancelError::NotNow { status });
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_return_of_an_order_is_refused_by_its_field() {
    World::each(async |world| {
        world.sell("A", "1", 5);
        let order = world.bought(None, goods(&[("A", 2)])).await.id;
        let back = async |order, lines: Vec<ReturnLine>, version| {
            let wish = ReturnItems { order, lines, reason: None, version };
            refusal(world.ordering.return_items(&command(), wish).await)
        };
        let one = |quantity| vec![ReturnLine { line: 0, quantity }];
        assert_eq!(back(Id::fresh(), one(1), None).await, ReturnsError::NotFound);
        let version = 2;
        assert_eq!(back(order, one(1), Some(7)).await, ReturnsError::VersionMismatch { version });
        for quantity in [0, -1, QUANTITY_MAX + 1] {
            let field = "lines[0].quantity".to_owned();
            let limit = QUANTITY_MAX;
            let expected = ReturnsError::QuantityOutOfRange { field, limit };
            assert_eq!(back(order, one(quantity), None).await, expected);
        }
        let many = vec![ReturnLine { line: 0, quantity: 1 }; LINES_MAX + 1];
        let limit = LINES_MAX;
        assert_eq!(back(order, many, None).await, ReturnsError::TooManyLines { limit });
        let wish = Cancel { order, reason: "no".to_owned(), version: None };
        world.ordering.cancel(&command(), wish).await.unwrap();
        let status = OrderStatus::Cancelled;
        assert_eq!(back(order, one(1), None).await, ReturnsError::NotNow { status });
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_return_without_a_sale_is_refused_by_its_field() {
    World::each(async |world| {
        world.sell("A", "1", 5);
        let back = async |change: &dyn Fn(&mut ReturnGoods)| {
            let line = UnlinkedLine { sku: sku("A"), quantity: 1, unit_price: None };
            let mut wish = ReturnGoods {
                customer: None,
                reference: None,
                currency: None,
                lines: vec![line],
                services: Vec::new(),
                reason: None,
            };
            change(&mut wish);
            refusal(world.ordering.return_goods(&command(), wish).await)
        };
        let at = |text: &str| text.to_owned();
        let currency = Currency::GBP;
        let euros = UnitPrice::new(1, "EUR".parse().unwrap());
        assert_eq!(
            back(&|wish| wish.lines[0].quantity = 0).await,
            ReturnsError::QuantityOutOfRange {
                field: at("lines[0].quantity"),
                limit: QUANTITY_MAX
            }
        );
        assert_eq!(
            back(&|wish| wish.lines[0].unit_price = Some(pounds("-1"))).await,
            ReturnsError::NegativePrice { field: at("lines[0].unit_price") }
        );
        assert_eq!(
            back(&|wish| wish.lines[0].unit_price = Some(euros)).await,
            ReturnsError::CurrencyMismatch { field: at("lines[0].unit_price"), currency }
        );
        assert_eq!(
            back(&|wish| {
                wish.lines[0].quantity = QUANTITY_MAX;
                wish.lines[0].unit_price = Some(pounds("5000"));
            })
            .await,
            ReturnsError::AmountTooLarge { field: at("lines[0]") }
        );
        let credit = |amount: &str| {
            let services = vec![service(ServiceKind::Manual, amount)];
            move |wish: &mut ReturnGoods| {
                (wish.lines, wish.services) = (Vec::new(), services.clone())
            }
        };
        assert_eq!(
            back(&credit("10000000.01")).await,
            ReturnsError::AmountTooLarge { field: at("lines[0]") }
        );
        let code = back(&|wish| {
            wish.services = vec![service(ServiceKind::Manual, "1")];
            wish.services[0].code = String::new();
        });
        assert!(
            matches!(code.await, ReturnsError::BadText { field, .. } if field == "services[0].code")
        );
        let limit = LINES_MAX;
        let many = back(&|wish| wish.lines = vec![wish.lines[0].clone(); LINES_MAX + 1]);
        assert_eq!(many.await, ReturnsError::TooManyLines { limit });
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adjustment_is_refused_by_its_field() {
    World::each(async |world| {
        let adjust = async |change: &dyn Fn(&mut Adjust)| {
            let lines = vec![service(ServiceKind::BadDebt, "1")];
            let (reference, order, customer, currency) = (None, None, None, None);
            let mut wish = Adjust { reference, order, customer, currency, lines };
            change(&mut wish);
            refusal(world.ordering.adjust(&command(), wish).await)
        };
        let at = |text: &str| text.to_owned();
        assert_eq!(adjust(&|wish| wish.lines.clear()).await, AdjustError::Empty);
        let limit = LINES_MAX;
        let many = adjust(&|wish| wish.lines = vec![wish.lines[0].clone(); LINES_MAX + 1]);
        assert_eq!(many.await, AdjustError::TooManyLines { limit });
        assert_eq!(
            adjust(&|wish| wish.customer = Some(Id::fresh())).await,
            AdjustError::UnknownCustomer
        );
        assert_eq!(
            adjust(&|wish| wish.lines[0].quantity = 0).await,
            AdjustError::QuantityOutOfRange { field: at("lines[0].quantity"), limit: QUANTITY_MAX }
        );
        assert_eq!(
            adjust(&|wish| wish.lines[0].unit_price = pounds("10000000.000001")).await,
            AdjustError::AmountTooLarge { field: at("lines[0]") }
        );
        // Whatever the signs: what comes off again was a slip, too.
        let largest =
            [service(ServiceKind::BadDebt, "10000000"), service(ServiceKind::Manual, "-1")];
        assert_eq!(
            adjust(&|wish| wish.lines = largest.to_vec()).await,
            AdjustError::AmountTooLarge { field: at("lines[1]") }
        );
        let [largest, _] = largest;
        let (reference, order, customer, currency) = (None, None, None, None);
        let wish = Adjust { reference, order, customer, currency, lines: vec![largest] };
        world.ordering.adjust(&command(), wish).await.unwrap();
        assert_eq!(
            adjust(&|wish| wish.currency = Some("EUR".parse().unwrap())).await,
            AdjustError::CurrencyMismatch {
                field: at("lines[0].unit_price"),
                currency: "EUR".parse().unwrap()
            }
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_that_left_the_catalog_cannot_be_checked_out() {
    let price_hold = settings::Duration::from_millis(0);
    World::each_with(&Config { price_hold, ..Config::default() }, async |world| {
        world.sell("A", "1", 5);
        let secret = secret("5");
        let wish =
            NewCart { operator: false, secret: secret.clone(), ..new_cart(goods(&[("A", 1)])) };
        let cart = world.ordering.open_cart(&command(), wish).await.unwrap().cart;
        world.catalog.hide(&sku("A"));
        let guest = CheckOut { by: Opener::Guest(secret), ..checkout_of(&cart, "tok") };
        let refused = refusal(world.ordering.check_out(&command(), guest).await);
        let field = "lines[0]".to_owned();
        assert_eq!(refused, CheckOutError::NotPublished { field, sku: sku("A") });
        // The staff may still sell it.
        let done = world.check_out(&cart, "tok").await;
        assert!(matches!(done.status, CheckoutStatus::Completed { .. }));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_stuck_saga_is_an_operators() {
    World::each(async |world| {
        world.sell("A", "1", 5);
        let order = world.bought(None, goods(&[("A", 1)])).await.id;
        let saga = order.cast();
        let retry =
            async |saga| refusal(world.ordering.retry_saga(&command(), SagaWish { saga }).await);
        assert_eq!(retry(saga).await, SagaError::NotStuck);
        assert_eq!(retry(Id::fresh()).await, SagaError::NotFound);
        let wish = AbandonSaga { saga, how: Abandonment::Compensate };
        let abandoned = world.ordering.abandon_saga(&command(), wish).await;
        assert_eq!(refusal(abandoned), SagaError::NotStuck);
        let shown = world.ordering.saga(&call(), SagaWish { saga }).await.unwrap();
        assert_eq!(shown.kind, "ordering.checkout");
        let wish = SagasWish { status: None, page: bad_page() };
        assert_eq!(refusal(world.ordering.sagas(&call(), wish).await), SagaError::BadCursor);
        let wish = OrdersWish { page: bad_page(), ..OrdersWish::default() };
        assert_eq!(refusal(world.ordering.orders(&call(), wish).await), OrderError::BadCursor);
    })
    .await;
}
