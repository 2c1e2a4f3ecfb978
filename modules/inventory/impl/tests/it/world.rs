//! An inventory of a test's own on each database, with a clock that the test moves.

use std::{future::Future, sync::Arc, time::Duration};

use contract::{Call, Caller, Command, Deadline, Ownership};
use inventory_api::{Audited, HoldSeconds, Inventory, Line, Location, Quantity, Receive, Reserve};
use inventory_impl::{Config, Running, Setup};
use kernel_api::{Bounded, Clock, Id, PageRequest, Timestamp};
use store::{Store, testing};
use tokio::sync::watch;

pub struct World {
    pub inventory: Arc<dyn Inventory>,
    pub clock: Clock,
    pub ownership: watch::Sender<Ownership>,
    pub store: Store,
    running: Running,
    _database: testing::Private,
}

impl World {
    /// One on each database that is there.
    pub async fn all() -> Vec<Self> {
        let clock = Clock::manual(Timestamp::from_micros(1_000_000_000_000_000));
        let mut worlds = Vec::new();
        for (store, database) in
            testing::both_at(&inventory_impl::descriptor().migrations, "inventory", &clock)
        {
            let (ownership, here) = watch::channel(Ownership::Here { epoch: 1 });
            let config =
                Config { sweep_every: settings::Duration::from_millis(5), ..Config::default() };
            let setup = Setup { store: store.clone(), config, ownership: here };
            let running = inventory_impl::start(setup).await;
            worlds.push(Self {
                inventory: Arc::clone(&running.contract),
                clock: clock.clone(),
                ownership,
                store,
                running,
                _database: database,
            });
        }
        worlds
    }

    /// Runs a test on each database that is there.
    pub async fn each<F: Future<Output = ()>>(test: impl Fn(Arc<Self>) -> F) {
        for world in Self::all().await {
            let world = Arc::new(world);
            test(Arc::clone(&world)).await;
            world.no_violations().await;
            world.running.stop().await;
        }
    }

    /// Books `quantity` of `sku` as received.
    pub async fn receive(&self, sku: &str, quantity: i64) {
        let wish = Receive {
            reference: "delivery 1".parse().unwrap(),
            reason: "bought".parse().unwrap(),
            lines: Bounded::new(vec![line(sku, quantity)]).unwrap(),
        };
        self.inventory.receive(&command(), wish).await.unwrap();
    }

    /// On hand, reserved and available of `sku`.
    pub async fn stock(&self, sku: &str) -> (i64, i64, i64) {
        let stock = self.inventory.stock(&call(), sku.parse().unwrap()).await.unwrap();
        (stock.on_hand, stock.reserved, stock.available)
    }

    /// The facts told so far: name and key.
    pub async fn facts(&self) -> Vec<(String, String)> {
        self.store.sequence(&call(), 1000).await.unwrap();
        let page = self.store.feed(&call(), 0, 1000).await.unwrap();
        page.events.into_iter().map(|event| (event.kind, event.subject)).collect()
    }

    /// Every level beside the books.
    pub async fn audit(&self) -> Vec<Audited> {
        let mut levels = Vec::new();
        let mut after = None;
        loop {
            let page = PageRequest { after, limit: Some(300) };
            let page = self.inventory.audit(&call(), page).await.unwrap();
            levels.extend(page.items);
            after = page.next;
            if after.is_none() {
                return levels;
            }
        }
    }

    /// The invariants hold after every test.
    pub async fn no_violations(&self) {
        for level in self.audit().await {
            assert_eq!(level.violations, [], "{level:?}");
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

pub fn line(sku: &str, quantity: i64) -> Line {
    Line {
        sku: sku.parse().unwrap(),
        location: Location::MAIN,
        quantity: Quantity::new(quantity).unwrap(),
    }
}

/// A wish to hold lines for a minute.
pub fn wish(lines: Vec<Line>) -> Reserve {
    Reserve {
        reservation: Id::fresh(),
        reference: "order 1".parse().unwrap(),
        lines: Bounded::new(lines).unwrap(),
        expires_in_s: HoldSeconds::new(60).unwrap(),
    }
}
