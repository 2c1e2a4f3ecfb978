//! Whatever is done, in whatever order: the stock is what a simple model says, and the ledger explains it.

use std::{cell::Cell, collections::BTreeMap, time::Duration};

use contract::{Fault, Ownership};
use inventory_api::{Adjust, AdjustLine, Change, Location, PutBack, Reservation};
use kernel_api::{Bounded, Id, Timestamp};
use proptest::{prelude::*, test_runner::TestRunner};
use tokio::{runtime::Handle, task::block_in_place};

use crate::world::{World, call, command, line, wish};

/// The SKUs that the operations are about; few, so that they meet.
const SKUS: [&str; 3] = ["A", "B", "C"];

#[derive(Debug, Clone)]
enum Operation {
    Receive(usize, i64),
    Adjust(usize, i64),
    Reserve(Vec<(usize, i64)>),
    Commit(prop::sample::Index),
    Release(prop::sample::Index),
    PutBack(usize, i64),
    Wait(u64),
}

fn operation() -> impl Strategy<Value = Operation> {
    let sku = 0..SKUS.len();
    let change = prop_oneof![-9..=-1_i64, 1..=9_i64];
    prop_oneof![
        (sku.clone(), 1..30_i64).prop_map(|(sku, n)| Operation::Receive(sku, n)),
        (sku.clone(), change).prop_map(|(sku, n)| Operation::Adjust(sku, n)),
        prop::collection::vec((sku.clone(), 1..8_i64), 1..4).prop_map(Operation::Reserve),
        any::<prop::sample::Index>().prop_map(Operation::Commit),
        any::<prop::sample::Index>().prop_map(Operation::Release),
        (sku, 1..5_i64).prop_map(|(sku, n)| Operation::PutBack(sku, n)),
        (1..40_u64).prop_map(Operation::Wait),
    ]
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Stock {
    on_hand: i64,
    reserved: i64,
}

/// A reservation that is open or expired, as the model sees it: what it holds and until when.
struct Held {
    id: Id<Reservation>,
    holds: BTreeMap<usize, i64>,
    expires_at: Timestamp,
}

/// What inventory should be, in the plainest words.
struct Model<'a> {
    world: &'a World,
    /// Parts one case's SKUs and references from another's.
    case: usize,
    stock: [Stock; SKUS.len()],
    open: Vec<Held>,
    returns: usize,
}

impl Model<'_> {
    fn sku(&self, sku: usize) -> String {
        format!("{}-{}", SKUS[sku], self.case)
    }

    fn available(&self, sku: usize) -> i64 {
        self.stock[sku].on_hand - self.stock[sku].reserved
    }

    /// Does it on both sides and holds the outcomes against each other.
    async fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::Receive(sku, quantity) => {
                self.world.receive(&self.sku(sku), quantity).await;
                self.stock[sku].on_hand += quantity;
            }
            Operation::Adjust(sku, change) => self.adjust(sku, change).await,
            Operation::Reserve(lines) => self.reserve(lines).await,
            Operation::Commit(which) => self.close(which, true).await,
            Operation::Release(which) => self.close(which, false).await,
            Operation::PutBack(sku, quantity) => {
                self.returns += 1;
                let wish = PutBack {
                    reference: format!("return {}-{}", self.case, self.returns).parse().unwrap(),
                    reason: "unwanted".parse().unwrap(),
                    lines: Bounded::new(vec![line(&self.sku(sku), quantity)]).unwrap(),
                };
                self.world.inventory.put_back(&command(), wish).await.unwrap();
                self.stock[sku].on_hand += quantity;
            }
            Operation::Wait(seconds) => self.world.clock.advance(Duration::from_secs(seconds)),
        }
    }

    async fn adjust(&mut self, sku: usize, change: i64) {
        let line = AdjustLine {
            sku: self.sku(sku).parse().unwrap(),
            location: Location::MAIN,
            change: Change::new(change).unwrap(),
        };
        let wish = Adjust {
            reference: "count".parse().unwrap(),
            reason: "counted".parse().unwrap(),
            lines: Bounded::new(vec![line]).unwrap(),
        };
        let outcome = self.world.inventory.adjust(&command(), wish).await;
        assert_eq!(outcome.is_ok(), self.available(sku) + change >= 0, "{outcome:?}");
        if outcome.is_ok() {
            self.stock[sku].on_hand += change;
        }
    }

    async fn reserve(&mut self, lines: Vec<(usize, i64)>) {
        let mut holds: BTreeMap<usize, i64> = BTreeMap::new();
        for (sku, quantity) in &lines {
            *holds.entry(*sku).or_default() += quantity;
        }
        let lines = lines.iter().map(|(sku, n)| line(&self.sku(*sku), *n)).collect();
        let wish = wish(lines);
        let id = wish.reservation;
        let outcome = self.world.inventory.reserve(&command(), wish).await;
        let fits = holds.iter().all(|(sku, quantity)| self.available(*sku) >= *quantity);
        assert_eq!(outcome.is_ok(), fits, "{outcome:?}");
        if let Ok(reserved) = outcome {
            for (sku, quantity) in &holds {
                self.stock[*sku].reserved += quantity;
            }
            self.open.push(Held { id, holds, expires_at: reserved.expires_at });
        }
    }

    async fn close(&mut self, which: prop::sample::Index, commit: bool) {
        if self.open.is_empty() {
            return;
        }
        let which = which.index(self.open.len());
        let in_time = self.open[which].expires_at > self.world.clock.now();
        let id = self.open[which].id;
        let closed = if commit {
            self.world.inventory.commit(&command(), id).await.is_ok()
        } else {
            self.world.inventory.release(&command(), id).await.is_ok()
        };
        assert_eq!(closed, in_time || !commit);
        if closed {
            for (sku, quantity) in self.open.swap_remove(which).holds {
                self.stock[sku].reserved -= quantity;
                self.stock[sku].on_hand -= if commit { quantity } else { 0 };
            }
        }
    }

    async fn compare(&self) {
        for (sku, expected) in self.stock.iter().enumerate() {
            let code = self.sku(sku).parse().unwrap();
            let found = match self.world.inventory.stock(&call(), code).await {
                Ok(stock) => Stock { on_hand: stock.on_hand, reserved: stock.reserved },
                Err(Fault::Refused(_unknown)) => Stock::default(),
                Err(fault) => panic!("{fault:?}"),
            };
            assert_eq!(found, *expected, "{}", self.sku(sku));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_explains_every_quantity_whatever_is_done() {
    World::each(async |world| {
        // The sweeper waits, so that the model knows what is swept.
        let elsewhere = Ownership::Elsewhere { epoch: 1, owner: "another".to_owned() };
        world.ownership.send_replace(elsewhere);
        let handle = Handle::current();
        let case = Cell::new(0);
        let config =
            ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() };
        let operations = prop::collection::vec(operation(), 1..50);
        let outcome = TestRunner::new(config).run(&operations, |operations| {
            case.set(case.get() + 1);
            let mut model = Model {
                world: &world,
                case: case.get(),
                stock: [Stock::default(); SKUS.len()],
                open: Vec::new(),
                returns: 0,
            };
            block_in_place(|| {
                handle.block_on(async {
                    for operation in operations {
                        model.apply(operation).await;
                    }
                    model.compare().await;
                    world.no_violations().await;
                });
            });
            Ok(())
        });
        outcome.unwrap();
    })
    .await;
}
