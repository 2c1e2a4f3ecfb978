//! A shop of a test's own on each database: ordering itself, and fakes of its neighbours.

use std::{future::Future, sync::Arc, time::Duration};

use catalog_api::fake::FakeCatalog;
use contract::{Call, Caller, Command, Deadline, Ownership};
use inventory_api::fake::FakeInventory;
use kernel_api::{Clock, Currency, Id, Money, PageRequest, Sku, Timestamp, UnitPrice};
use ordering_api::{
    Cart, CheckOut, Checkout, CheckoutStatus, Content, GoodsWish, NewCart, NewCustomer, Opener,
    Order, OrderWish, Ordering, SecretHash, ServiceKind, ServiceWish,
};
use ordering_impl::{Config, Running, Setup};
use payments_api::Payment;
use store::{Store, testing};
use tokio::sync::watch;

use crate::neighbours::Moody;

pub struct World {
    pub ordering: Arc<dyn Ordering>,
    pub catalog: Arc<FakeCatalog>,
    pub inventory: Arc<FakeInventory>,
    pub payments: Arc<Moody>,
    pub store: Store,
    running: Running,
    _ownership: watch::Sender<Ownership>,
    _database: testing::Private,
}

impl World {
    /// One on each database that is there, with these settings.
    pub async fn all(config: &Config) -> Vec<Self> {
        let mut worlds = Vec::new();
        for (store, database) in testing::both(&ordering_impl::descriptor().migrations, "ordering")
        {
            let clock = Clock::manual(Timestamp::from_micros(1_000_000_000_000_000));
            let (ownership, here) = watch::channel(Ownership::Here { epoch: 1 });
            let catalog = Arc::new(FakeCatalog::new());
            let inventory = Arc::new(FakeInventory::new(clock.clone()));
            let payments = Arc::new(Moody::new(&clock));
            let setup = Setup {
                store: store.clone(),
                config: config.clone(),
                ownership: here,
                catalog: Arc::<FakeCatalog>::clone(&catalog),
                inventory: Arc::<FakeInventory>::clone(&inventory),
                payments: Arc::<Moody>::clone(&payments),
            };
            let running = ordering_impl::start(setup).await;
            worlds.push(Self {
                ordering: Arc::clone(&running.contract),
                catalog,
                inventory,
                payments,
                store,
                running,
                _ownership: ownership,
                _database: database,
            });
        }
        worlds
    }

    /// Runs a test on each database that is there; afterwards the read models are what the events say.
    pub async fn each<F: Future<Output = ()>>(test: impl Fn(Arc<Self>) -> F) {
        Self::each_with(&Config::default(), test).await;
    }

    /// The same with settings of the test's own.
    pub async fn each_with<F: Future<Output = ()>>(config: &Config, test: impl Fn(Arc<Self>) -> F) {
        for world in Self::all(config).await {
            let world = Arc::new(world);
            test(Arc::clone(&world)).await;
            world.nothing_differs().await;
            world.running.stop().await;
        }
    }

    /// The catalog sells `sku` at `price` pounds, and there are `quantity` of it.
    pub fn sell(&self, sku: &str, price: &str, quantity: i64) {
        let title = format!("the {sku}").parse().unwrap();
        self.catalog.sell(sku.parse().unwrap(), title, pounds(price));
        if quantity > 0 {
            self.inventory.supply(&sku.parse().unwrap(), quantity);
        }
    }

    /// On hand and reserved of `sku`.
    pub fn stock(&self, sku: &str) -> (i64, i64) {
        self.inventory.quantities(&sku.parse().unwrap())
    }

    pub async fn customer(&self, reference: &str) -> Id<ordering_api::Customer> {
        let wish = NewCustomer {
            id: None,
            reference: Some(reference.to_owned()),
            name: None,
            country: Some("EIRE".to_owned()),
        };
        self.ordering.register_customer(&command(), wish).await.unwrap().id
    }

    /// A cart that the operator opens.
    pub async fn cart(&self, content: Content) -> Cart {
        self.cart_of(None, content).await
    }

    pub async fn cart_of(
        &self,
        customer: Option<Id<ordering_api::Customer>>,
        content: Content,
    ) -> Cart {
        let wish = NewCart { customer, ..new_cart(content) };
        self.ordering.open_cart(&command(), wish).await.unwrap().cart
    }

    pub async fn check_out(&self, cart: &Cart, token: &str) -> Checkout {
        self.ordering.check_out(&command(), checkout_of(cart, token)).await.unwrap()
    }

    /// An order that is paid.
    pub async fn bought(
        &self,
        customer: Option<Id<ordering_api::Customer>>,
        content: Content,
    ) -> Order {
        let cart = self.cart_of(customer, content).await;
        match self.check_out(&cart, "tok_visa").await.status {
            CheckoutStatus::Completed { order } => self.order(order).await,
            other => panic!("{other:?}"),
        }
    }

    pub async fn order(&self, order: Id<Order>) -> Order {
        let wish = OrderWish { order, by: Opener::Operator };
        self.ordering.order(&call(), wish).await.unwrap()
    }

    /// The payment behind an order.
    pub async fn payment(&self, order: Id<Order>) -> Payment {
        use payments_api::Payments;
        self.payments.fake.payment(&call(), order.cast()).await.unwrap().payment
    }

    /// The facts told so far: name and key.
    pub async fn facts(&self) -> Vec<(String, String)> {
        self.store.sequence(&call(), 1000).await.unwrap();
        let page = self.store.feed(&call(), 0, 1000).await.unwrap();
        page.events.into_iter().map(|event| (event.kind, event.subject)).collect()
    }

    /// The names of the facts told of one key.
    pub async fn facts_of(&self, key: impl ToString) -> Vec<String> {
        let key = key.to_string();
        let facts = self.facts().await.into_iter();
        facts.filter(|(_, subject)| *subject == key).map(|(name, _)| name).collect()
    }

    /// The read models are what the events say, and writing them anew changes nothing.
    pub async fn nothing_differs(&self) {
        for _ in 0..2 {
            let audit = self.ordering.audit(&call(), page(500)).await.unwrap();
            assert_eq!(audit.differences, []);
            self.ordering.rebuild(&command(), page(500)).await.unwrap();
        }
    }
}

/// Waits for a condition, not for a time; a minute is only where it gives up.
pub async fn until<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let deadline = Deadline::within(Duration::from_secs(60));
    while !condition().await {
        assert!(!deadline.passed(), "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub fn page(limit: u32) -> PageRequest {
    PageRequest { after: None, limit: Some(limit) }
}

pub fn call() -> Call {
    Call::new(Caller::module("test"), Deadline::within(Duration::from_secs(60)))
}

/// A command with a key that was never used.
pub fn command() -> Command {
    command_with(&Id::<()>::fresh().to_string())
}

pub fn command_with(key: &str) -> Command {
    call().command(key.parse().unwrap())
}

pub fn pounds(amount: &str) -> UnitPrice {
    UnitPrice::parse(amount, Currency::GBP).unwrap()
}

pub fn money(amount: &str) -> Money {
    Money::parse(amount, Currency::GBP).unwrap()
}

pub fn sku(text: &str) -> Sku {
    text.parse().unwrap()
}

pub fn goods(lines: &[(&str, i64)]) -> Content {
    let lines = lines
        .iter()
        .map(|(text, quantity)| GoodsWish { sku: sku(text), quantity: *quantity, unit_price: None })
        .collect();
    Content { lines, services: Vec::new() }
}

pub fn service(kind: ServiceKind, amount: &str) -> ServiceWish {
    let code = format!("{kind:?}");
    ServiceWish { kind, code, title: String::new(), quantity: 1, unit_price: pounds(amount) }
}

pub fn new_cart(content: Content) -> NewCart {
    NewCart {
        operator: true,
        secret: secret("0"),
        customer: None,
        reference: None,
        currency: None,
        content,
    }
}

pub fn secret(text: &str) -> SecretHash {
    SecretHash(text.repeat(64))
}

pub fn checkout_of(cart: &Cart, token: &str) -> CheckOut {
    CheckOut { cart: cart.id, by: Opener::Operator, payment_token: Some(token.to_owned()) }
}
