//! Taking over many SKUs at once.

use std::time::Duration;

use catalog_api::{
    Existing, IMPORT_ROWS_MAX, Import, ImportRow, Imported, RowOutcome, Shown, Which,
};
use kernel_api::{Bounded, UnitPrice};

use crate::world::{World, call, command, pence, sku};

pub fn rows(list: &[(&str, &str, i64)]) -> Vec<ImportRow> {
    let row = |(sku_text, title, price): &(&str, &str, i64)| ImportRow {
        sku: sku(sku_text),
        title: title.parse().unwrap(),
        description: Default::default(),
        price: pence(*price),
        from: None,
        published: true,
    };
    list.iter().map(row).collect()
}

async fn import_as(world: &World, existing: Existing, rows: Vec<ImportRow>) -> Vec<RowOutcome> {
    let wish = Import { existing, rows: Bounded::new(rows).unwrap() };
    let Imported { rows } = world.catalog.import(&command(), wish).await.unwrap();
    rows.iter().map(|row| row.outcome).collect()
}

pub async fn import(world: &World, rows: Vec<ImportRow>) -> Vec<RowOutcome> {
    import_as(world, Existing::Keep, rows).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_row_is_reported_and_the_same_rows_again_change_nothing() {
    World::each(async |world| {
        let list = rows(&[("A1", "Lantern", 100), ("B1", "Candle", 200), ("a1", "Lantern", 100)]);
        use RowOutcome::{Added, Unchanged};
        assert_eq!(import(&world, list.clone()).await, [Added, Added, Unchanged]);
        for existing in [Existing::Keep, Existing::Overwrite] {
            let again = import_as(&world, existing, list.clone()).await;
            assert_eq!(again, [Unchanged; 3]);
        }
        assert_eq!(world.titles(None, Shown::Published).await, ["Lantern", "Candle"]);
        assert_eq!(world.price("A1").await, Some(100));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_is_kept_or_overwritten_as_told() {
    World::each(async |world| {
        use RowOutcome::{Added, Changed, OtherCurrency, Unchanged};
        world.add("Lantern", "A1", 100).await;
        let mut list = rows(&[("A1", "Red lantern", 150), ("B1", "Candle", 1), ("A1", "X", 1)]);
        list[2].price = catalog_api::Price::new(UnitPrice::new(1, "EUR".parse().unwrap())).unwrap();
        assert_eq!(import(&world, list.clone()).await, [Unchanged, Added, OtherCurrency]);
        assert_eq!(world.price("A1").await, Some(100));
        world.clock.advance(Duration::from_secs(1));
        let over = import_as(&world, Existing::Overwrite, list).await;
        assert_eq!(over, [Changed, Unchanged, OtherCurrency]);
        assert_eq!(world.price("A1").await, Some(150));
        let product = world.catalog.product(&call(), Which::Sku(sku("A1"))).await.unwrap();
        assert_eq!((product.title.as_str(), product.version), ("Red lantern", 2));
        assert!(product.published);
        assert_eq!(world.titles(Some("red"), Shown::All).await, ["Red lantern"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_of_new_moments_are_added_to_what_is_kept() {
    World::each(async |world| {
        use RowOutcome::{Added, Changed, Unchanged};
        let now = world.clock.now();
        let (hour, day) = (Duration::from_secs(3600), Duration::from_secs(86_400));
        let mut list =
            rows(&[("A1", "L", 300), ("A1", "L", 100), ("A1", "L", 200), ("A1", "L", 9)]);
        list[0].from = Some(now.plus(hour));
        list[1].from = Some(now.minus(day));
        list[2].from = Some(now.minus(hour));
        list[3].from = Some(now.minus(hour));
        assert_eq!(import(&world, list).await, [Added, Changed, Changed, Unchanged]);
        assert_eq!(world.price("A1").await, Some(200));
        world.clock.advance(hour);
        assert_eq!(world.price("A1").await, Some(300));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_rows_as_allowed_are_taken_in_one_call() {
    World::each(async |world| {
        let row = |number: usize| rows(&[(&format!("S{number}"), "T", 1)]).remove(0);
        let list: Vec<_> = (0..IMPORT_ROWS_MAX).map(row).collect();
        assert_eq!(import(&world, list).await, [RowOutcome::Added; IMPORT_ROWS_MAX]);
        assert!(
            Bounded::<_, IMPORT_ROWS_MAX>::new((0..=IMPORT_ROWS_MAX).map(row).collect()).is_err()
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn imports_of_the_same_rows_at_once_add_each_once() {
    World::each(async |world| {
        let tasks: Vec<_> = (0..4)
            .map(|turn| {
                let world = std::sync::Arc::clone(&world);
                tokio::spawn(async move {
                    let row = |number: usize| rows(&[(&format!("S{number}"), "T", 1)]).remove(0);
                    let mut list: Vec<_> = (0..50).map(row).collect();
                    list.rotate_left(turn * 10);
                    import(&world, list).await
                })
            })
            .collect();
        let mut added = 0;
        for task in tasks {
            let outcomes = task.await.unwrap();
            added += outcomes.iter().filter(|outcome| **outcome == RowOutcome::Added).count();
        }
        assert_eq!(added, 50);
        assert_eq!(world.audit().await.len(), 50);
    })
    .await;
}
