//! The fake that others test with answers as the real inventory does.

use std::time::Duration;

use contract::{Answer, Fault};
use inventory_api::{Inventory, Line, PutBack, Reserve, fake::FakeInventory};
use kernel_api::{Bounded, Clock};

use crate::world::{World, call, command, line, wish};

/// What is done to an inventory that has ten of `A`; the numbers are places in the story's wishes.
enum Step {
    Reserve(usize),
    Commit(usize),
    Release(usize),
    PutBack,
    Wait,
}

/// The same story for any inventory: all its answers, as text.
async fn story(inventory: &dyn Inventory, clock: &Clock) -> Vec<String> {
    let annex = Line { location: "annex".parse().unwrap(), ..line("A", 1) };
    let short = vec![line("A", 6), line("A", 5), annex, line("B", 1)];
    let wishes: Vec<Reserve> =
        [short, vec![line("A", 4)], vec![line("A", 3)], vec![line("A", 2)]].map(wish).into();
    let mut told = Vec::new();
    for step in [
        Step::Commit(0),
        Step::Release(0),
        Step::Reserve(0),
        Step::Reserve(1),
        Step::Reserve(2),
        Step::Reserve(3),
        Step::Commit(1),
        Step::Commit(1),
        Step::Release(1),
        Step::Release(2),
        Step::Release(2),
        Step::Commit(2),
        Step::Wait,
        Step::Commit(3),
        Step::Release(3),
        Step::PutBack,
        Step::PutBack,
    ] {
        told.push(match step {
            Step::Reserve(which) => {
                let answer = inventory.reserve(&command(), wishes[which].clone()).await;
                text(&answer.map(|reserved| reserved.expires_at.since(clock.now())))
            }
            Step::Commit(which) => {
                let answer = inventory.commit(&command(), wishes[which].reservation).await;
                // The two run at different times.
                text(&answer).split("expires_at").next().unwrap_or_default().to_owned()
            }
            Step::Release(which) => {
                text(&inventory.release(&command(), wishes[which].reservation).await)
            }
            Step::PutBack => text(&inventory.put_back(&command(), put_back()).await),
            Step::Wait => {
                clock.advance(Duration::from_secs(60));
                String::new()
            }
        });
    }
    let stock = inventory.stock(&call(), "A".parse().unwrap()).await;
    told.push(text(&stock.map(|stock| (stock.on_hand, stock.reserved, stock.available))));
    told
}

fn put_back() -> PutBack {
    PutBack {
        reference: "return 1".parse().unwrap(),
        reason: "broken".parse().unwrap(),
        lines: Bounded::new(vec![line("A", 1)]).unwrap(),
    }
}

fn text<T: std::fmt::Debug, R: std::fmt::Debug>(answer: &Answer<T, R>) -> String {
    if let Err(Fault::NotExecuted(_) | Fault::Unknown(_)) = answer {
        panic!("{answer:?}");
    }
    format!("{answer:?}")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fake_tells_the_same_story() {
    World::each(async |world| {
        world.receive("A", 10).await;
        let real = story(&*world.inventory, &world.clock).await;
        let fake = FakeInventory::new(world.clock.clone());
        fake.supply(&"A".parse().unwrap(), 10);
        assert_eq!(story(&fake, &world.clock).await, real);
    })
    .await;
}
