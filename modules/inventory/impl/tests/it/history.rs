//! Importing history.

use contract::Fault;
use inventory_api::{
    Change, Import, ImportError, Imported, LEDGER_IMPORT_MAX, Location, Movement, MovementKind,
};
use kernel_api::{Bounded, Timestamp};

use crate::world::{World, command, line, wish};

fn movement(sku: &str, kind: MovementKind, quantity: i64) -> Movement {
    Movement {
        sku: sku.parse().unwrap(),
        location: Location::MAIN,
        kind,
        quantity: Change::new(quantity).unwrap(),
        reason: None,
        reference: "row 1".parse().unwrap(),
        at: Timestamp::from_micros(1_291_191_960_000_000),
    }
}

fn batch(name: &str, movements: Vec<Movement>) -> Import {
    Import { batch: name.parse().unwrap(), movements: Bounded::new(movements).unwrap() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_twice_changes_nothing() {
    World::each(async |world| {
        let movements = vec![
            movement("A", MovementKind::Opening, 20),
            movement("A", MovementKind::Sold, -12),
            movement("B", MovementKind::Received, 3),
            movement("A", MovementKind::Returned, 1),
            movement("A", MovementKind::Adjusted, -2),
        ];
        let first = batch("part 1", movements.clone());
        let done = world.inventory.import(&command(), first.clone()).await.unwrap();
        assert_eq!(done, Imported { movements: 5, repeated: false });
        let before = (world.audit().await, world.facts().await);
        let done = world.inventory.import(&command(), first).await.unwrap();
        assert_eq!(done, Imported { movements: 5, repeated: true });
        assert_eq!((world.audit().await, world.facts().await), before);
        let sums = before.0[0].ledger;
        assert_eq!((sums.opening, sums.sold, sums.returned, sums.adjusted), (20, -12, 1, -2));
        // A history is news only by where it ends.
        let told: Vec<_> =
            before.1.iter().map(|(kind, key)| (kind.as_str(), key.as_str())).collect();
        assert_eq!(told, [("inventory.stock.low", "A"), ("inventory.stock.low", "B")]);
        let other = batch("part 1", vec![movement("A", MovementKind::Opening, 1)]);
        let refusal = world.inventory.import(&command(), other).await.unwrap_err();
        assert_eq!(refusal, Fault::Refused(ImportError::BatchReused));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_would_go_below_zero_changes_nothing() {
    World::each(async |world| {
        world.receive("A", 5).await;
        world.inventory.reserve(&command(), wish(vec![line("A", 2)])).await.unwrap();
        let movements = vec![
            movement("B", MovementKind::Opening, 1),
            movement("A", MovementKind::Sold, -3),
            movement("A", MovementKind::Sold, -1),
        ];
        let refusal = world.inventory.import(&command(), batch("b", movements)).await.unwrap_err();
        let Fault::Refused(ImportError::OutOfStock { movement: 2, line }) = refusal else {
            panic!("{refusal:?}")
        };
        assert_eq!((line.wanted, line.available), (1, 0));
        assert_eq!(world.stock("A").await, (5, 2, 3));
        assert_eq!(world.audit().await.len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_batch_fits() {
    World::each(async |world| {
        let movements = (0..LEDGER_IMPORT_MAX)
            .map(|number| movement(&format!("S{}", number % 700), MovementKind::Opening, 1))
            .collect();
        world.inventory.import(&command(), batch("b", movements)).await.unwrap();
        let levels = world.audit().await;
        assert!(levels.iter().all(|level| (7..=8).contains(&level.on_hand)), "{levels:?}");
    })
    .await;
}
