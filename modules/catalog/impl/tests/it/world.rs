//! A catalog of a test's own on each database, with a clock that the test moves and an inventory that tells what the
//! test says.

use std::{future::Future, sync::Arc, time::Duration};

use catalog_api::{Add, Audited, Browse, Catalog, NewVariant, Price, Product, Quotes, Shown};
use catalog_impl::{Config, Running, Setup};
use contract::{Call, Caller, Command, Deadline, Event, Never, Ownership};
use events::{LocalFeed, Readers};
use kernel_api::{Bounded, Clock, Currency, Id, PageRequest, Sku, Timestamp, UnitPrice};
use store::{Store, testing};
use tokio::sync::watch;

pub struct World {
    pub catalog: Arc<dyn Catalog>,
    pub clock: Clock,
    /// Where inventory's facts are told.
    inventory: Store,
    running: Running,
    _ownership: watch::Sender<Ownership>,
    _databases: (testing::Private, testing::Private),
}

impl World {
    /// One on each database that is there.
    pub async fn all() -> Vec<Self> {
        let clock = Clock::manual(Timestamp::from_micros(1_000_000_000_000_000));
        let mut worlds = Vec::new();
        let migrations = catalog_impl::descriptor().migrations;
        for (store, database) in testing::both_at(&migrations, "catalog", &clock) {
            let (inventory, directory) = testing::sqlite_at(&migrations, clock.clone());
            let feed = LocalFeed::new(inventory.clone(), Arc::new(Readers::default()));
            let (ownership, here) = watch::channel(Ownership::Here { epoch: 1 });
            let setup = Setup {
                store,
                config: Config::default(),
                inventory_feed: Arc::new(feed),
                ownership: here,
            };
            let running = catalog_impl::start(setup).await;
            worlds.push(Self {
                catalog: Arc::clone(&running.contract),
                clock: clock.clone(),
                inventory,
                running,
                _ownership: ownership,
                _databases: (database, testing::Private::Sqlite(directory)),
            });
        }
        worlds
    }

    /// Runs a test on each database that is there.
    pub async fn each<F: Future<Output = ()>>(test: impl Fn(Arc<Self>) -> F) {
        for world in Self::all().await {
            let world = Arc::new(world);
            test(Arc::clone(&world)).await;
            for audited in world.audit().await {
                assert_eq!(audited.violations, [], "{audited:?}");
            }
            world.running.stop().await;
        }
    }

    /// Adds a product of one variant.
    pub async fn add(&self, title: &str, sku: &str, pence: i64) -> Product {
        self.catalog.add(&command(), product(title, &[(sku, pence)])).await.unwrap()
    }

    /// What a SKU costs now, in pence.
    pub async fn price(&self, sku_text: &str) -> Option<i64> {
        let wish = Quotes { skus: Bounded::new(vec![sku(sku_text)]).unwrap() };
        let quotes = self.catalog.quote(&call(), wish).await.unwrap();
        quotes[0].price.map(|price| price.micros / 10_000)
    }

    /// The titles of what is found.
    pub async fn titles(&self, text: Option<&str>, shown: Shown) -> Vec<String> {
        let page = PageRequest::default();
        let wish = Browse { text: text.map(|text| text.parse().unwrap()), shown, page };
        let page = self.catalog.products(&call(), wish).await.unwrap();
        page.items.into_iter().map(|product| product.title.to_string()).collect()
    }

    /// Tells what inventory would tell.
    pub async fn tell<E: Event + Clone + Send + 'static>(&self, event: E) {
        let call = call();
        let told = self.inventory.write::<_, Never>(&call, move |tx| Ok(tx.emit(&event)?));
        told.await.unwrap();
    }

    /// Every product with what is wrong with it, page by page.
    pub async fn audit(&self) -> Vec<Audited> {
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let page = PageRequest { after, limit: Some(2) };
            let page = self.catalog.audit(&call(), page).await.unwrap();
            found.extend(page.items);
            after = page.next;
            if after.is_none() {
                return found;
            }
        }
    }
}

pub fn sku(text: &str) -> Sku {
    text.parse().unwrap()
}

pub fn pence(pence: i64) -> Price {
    Price::new(UnitPrice::new(pence * 10_000, Currency::GBP)).unwrap()
}

/// A wish for a product with these variants.
pub fn product(title: &str, variants: &[(&str, i64)]) -> Add {
    let variants = variants.iter().map(|(text, price)| NewVariant {
        sku: sku(text),
        label: None,
        price: pence(*price),
    });
    Add {
        title: title.parse().unwrap(),
        description: "First line.\nSecond line.".parse().unwrap(),
        variants: Bounded::new(variants.collect()).unwrap(),
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
