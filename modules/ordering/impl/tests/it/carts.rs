//! Carts: who may do what, what is refused, and naming which field.

use contract::Fault;
use kernel_api::{Currency, Id};
use ordering_api::{
    CartError, CartStatus, CartWish, Content, GoodsWish, LINES_MAX, LineKind, NewCart, Opener,
    PartKind, PutCart, QUANTITY_MAX, ServiceKind,
};

use ordering_impl::Config;

use crate::world::{
    World, call, command, command_with, goods, money, new_cart, pounds, secret, service, sku, until,
};

fn guests(content: Content) -> NewCart {
    NewCart { operator: false, ..new_cart(content) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_is_priced_by_the_catalog_and_replaced_whole() {
    World::each(async |world| {
        world.sell("A", "2.55", 10);
        world.sell("B", "0.001", 10);
        let cart = world.cart(goods(&[("a", 2), ("B", 3), ("A", 1)])).await;
        assert_eq!(cart.lines.len(), 3, "the same SKU twice stays two lines");
        assert_eq!(cart.lines[0].title, "the A");
        assert_eq!((cart.sum.net.amount(), cart.sum.total), ("7.653".to_owned(), money("7.65")));
        assert_eq!(cart.sum.parts.len(), 1);
        assert_eq!((cart.version, cart.status), (1, CartStatus::Open));
        let put = async |version, lines: &[(&str, i64)]| {
            let content = goods(lines);
            let wish =
                PutCart { cart: cart.id, by: Opener::Operator, version: Some(version), content };
            world.ordering.put_cart(&command(), wish).await
        };
        let new = put(1, &[("B", 5)]).await.unwrap();
        assert_eq!((new.version, new.lines.len()), (2, 1));
        assert_eq!(put(1, &[("B", 5)]).await.unwrap(), new, "the same replacement again");
        let other = put(1, &[("B", 6)]).await;
        assert_eq!(other, Err(Fault::Refused(CartError::VersionMismatch { version: 2 })));
        let never = put(i64::MAX, &[("B", 6)]).await;
        assert_eq!(never, Err(Fault::Refused(CartError::VersionMismatch { version: 2 })));
        let wish = CartWish { cart: cart.id, by: Opener::Operator };
        assert_eq!(world.ordering.cart(&call(), wish).await.unwrap(), new);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_replaces_whichever_version_stands_is_never_too_late() {
    World::each(async |world| {
        world.sell("A", "1", 1);
        let cart = world.cart(goods(&[])).await;
        let puts = (1..=16).map(|quantity| {
            let (content, by) = (goods(&[("A", quantity)]), Opener::Operator);
            let wish = PutCart { cart: cart.id, by, version: None, content };
            let world = &world;
            async move { world.ordering.put_cart(&command(), wish).await.unwrap().version }
        });
        let mut versions = futures_util::future::join_all(puts).await;
        versions.sort_unstable();
        assert_eq!(versions, (2..=17).collect::<Vec<_>>());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_opens_its_own_cart_and_no_other() {
    World::each(async |world| {
        world.sell("A", "1", 1);
        let open = async |hash: &str| {
            let wish = NewCart { secret: secret(hash), ..guests(goods(&[("A", 1)])) };
            world.ordering.open_cart(&command(), wish).await.unwrap().cart
        };
        let (mine, other) = (open("1").await, open("2").await);
        let see = async |cart, hash: &str| {
            let by = Opener::Guest(secret(hash));
            world.ordering.cart(&call(), CartWish { cart, by }).await
        };
        assert_eq!(see(mine.id, "1").await.unwrap(), mine);
        let refused = Err(Fault::Refused(CartError::NotFound));
        assert_eq!(see(other.id, "1").await, refused);
        assert_eq!(see(Id::fresh(), "1").await, refused);
        let by = Opener::Guest(secret("1"));
        let wish = PutCart { cart: other.id, by, version: None, content: Content::default() };
        assert_eq!(world.ordering.put_cart(&command(), wish).await, refused);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_opens_one_cart() {
    World::each(async |world| {
        world.sell("A", "1", 1);
        let open = |hash: &str| {
            let wish = NewCart { secret: secret(hash), ..guests(goods(&[("A", 1)])) };
            let world = &world;
            async move { world.ordering.open_cart(&command_with("k1"), wish).await.unwrap() }
        };
        let first = open("1").await;
        let again = open("1").await;
        assert_eq!((first.cart.id, first.secret_opens), (again.cart.id, again.secret_opens));
        let late = open("2").await;
        assert_eq!((late.cart.id, late.secret_opens), (first.cart.id, false));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_operator_may_set_is_named() {
    World::each(async |world| {
        world.sell("A", "1", 1);
        let refused = async |wish: NewCart| match world.ordering.open_cart(&command(), wish).await {
            Err(Fault::Refused(CartError::OperatorOnly { field })) => field,
            other => panic!("{other:?}"),
        };
        let priced = GoodsWish { sku: sku("A"), quantity: 1, unit_price: Some(pounds("0.5")) };
        let content = Content { lines: vec![priced], services: Vec::new() };
        assert_eq!(refused(guests(content)).await, "lines[0].unit_price");
        let services = vec![service(ServiceKind::Postage, "3")];
        let content = Content { lines: Vec::new(), services };
        assert_eq!(refused(guests(content.clone())).await, "services");
        let customer = Some(Id::fresh());
        let mine = NewCart { customer, ..guests(Content::default()) };
        assert_eq!(refused(mine).await, "customer");
        // The operator may.
        let cart = world.cart(content).await;
        assert_eq!(cart.sum.parts[0].kind, PartKind::Services);
        let unknown = NewCart { customer, ..new_cart(Content::default()) };
        let refused = world.ordering.open_cart(&command(), unknown).await;
        assert_eq!(refused, Err(Fault::Refused(CartError::UnknownCustomer)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_line_is_refused_by_its_place() {
    World::each(async |world| {
        world.sell("A", "1", 1);
        world.sell("HIDDEN", "1", 1);
        world.catalog.hide(&sku("HIDDEN"));
        let refused = async |lines: &[(&str, i64)]| match world
            .ordering
            .open_cart(&command(), guests(goods(lines)))
            .await
        {
            Err(Fault::Refused(refusal)) => refusal,
            other => panic!("{other:?}"),
        };
        let field = |text: &str| text.to_owned();
        assert_eq!(
            refused(&[("A", 1), ("NONE", 1)]).await,
            CartError::UnknownSku { field: field("lines[1].sku"), sku: sku("NONE") }
        );
        assert_eq!(
            refused(&[("HIDDEN", 1)]).await,
            CartError::NotPublished { field: field("lines[0].sku"), sku: sku("HIDDEN") }
        );
        for quantity in [0, -1, QUANTITY_MAX + 1, i64::MAX, i64::MIN] {
            assert_eq!(
                refused(&[("A", 1), ("A", quantity)]).await,
                CartError::QuantityOutOfRange {
                    field: field("lines[1].quantity"),
                    limit: QUANTITY_MAX
                }
            );
        }
        let many = vec![("A", 1); LINES_MAX + 1];
        assert_eq!(refused(&many).await, CartError::TooManyLines { limit: LINES_MAX });
        let most = world.cart(goods(&[("A", QUANTITY_MAX); 2])).await;
        assert_eq!(most.lines.len(), 2);
        world.cart(goods(&vec![("A", 1); LINES_MAX])).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_amount_is_refused_by_its_place() {
    World::each(async |world| {
        world.sell("A", "1000", 1);
        let refused = async |content: Content| {
            match world.ordering.open_cart(&command(), new_cart(content)).await {
                Err(Fault::Refused(refusal)) => refusal,
                other => panic!("{other:?}"),
            }
        };
        // A thousand million is the most.
        let content = goods(&[("A", QUANTITY_MAX), ("A", 1)]);
        let field = "lines[1]".to_owned();
        assert_eq!(refused(content).await, CartError::AmountTooLarge { field });
        let huge = service(ServiceKind::Manual, "9000000000000");
        let content = Content { lines: Vec::new(), services: vec![huge] };
        let field = "services[0]".to_owned();
        assert_eq!(refused(content).await, CartError::AmountTooLarge { field });
        let mut content = goods(&[("A", 1)]);
        content.lines[0].unit_price = Some(pounds("-1"));
        let field = "lines[0].unit_price".to_owned();
        assert_eq!(refused(content.clone()).await, CartError::NegativePrice { field });
        let euros = "EUR".parse::<Currency>().unwrap();
        content.lines[0].unit_price = Some(kernel_api::UnitPrice::new(1, euros));
        let field = "lines[0].unit_price".to_owned();
        let currency = Currency::GBP;
        assert_eq!(refused(content).await, CartError::CurrencyMismatch { field, currency });
        let mut discount = service(ServiceKind::Discount, "-5");
        discount.code = "a\nb".to_owned();
        let content = Content { lines: Vec::new(), services: vec![discount] };
        assert!(matches!(refused(content).await, CartError::BadText { field, .. } if field == "services[0].code"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overridden_price_is_kept_and_marked() {
    World::each(async |world| {
        world.sell("A", "2", 5);
        let mut content = goods(&[("A", 1), ("A", 1)]);
        content.lines[1].unit_price = Some(pounds("1.5"));
        let order = world.bought(None, content).await;
        let line = |index: usize| &order.lines[index].line;
        assert_eq!((line(0).unit_price, line(1).unit_price), (pounds("2"), pounds("1.5")));
        let marked = LineKind::Goods { sku: sku("A"), price_overridden: true };
        assert_eq!(line(1).kind, marked);
        assert_eq!(world.stock("A"), (3, 0), "two lines, one sum");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_that_nobody_buys_is_forgotten() {
    let cart_retention = settings::Duration::from_millis(0);
    let sweep_every = settings::Duration::from_millis(5);
    let config = Config { cart_retention, sweep_every, ..Config::default() };
    World::each_with(&config, async |world| {
        world.sell("A", "1", 5);
        let open = world.cart(goods(&[("A", 1)])).await.id;
        let see = async |cart| {
            let wish = CartWish { cart, by: Opener::Operator };
            world.ordering.cart(&call(), wish).await
        };
        until("the cart is forgotten", async || see(open).await.is_err()).await;
    })
    .await;
    let kept = Config { sweep_every, ..Config::default() };
    World::each_with(&kept, async |world| {
        world.sell("A", "1", 5);
        let open = world.cart(goods(&[("A", 1)])).await;
        world.bought(None, goods(&[("A", 1)])).await;
        let wish = CartWish { cart: open.id, by: Opener::Operator };
        assert_eq!(world.ordering.cart(&call(), wish).await.unwrap(), open);
    })
    .await;
}
