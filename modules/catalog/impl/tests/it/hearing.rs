//! Inventory's facts become what is shown.

use catalog_api::{Availability, Which};
use inventory_api::{Location, StockDepleted, StockLow, StockReplenished};

use crate::world::{World, call, sku, until};

async fn is(world: &World, availability: Availability) {
    until(availability.as_str(), || async {
        let product = world.catalog.product(&call(), Which::Sku(sku("A1"))).await.unwrap();
        product.variants[0].availability == availability
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn availability_follows_inventory() {
    World::each(async |world| {
        world.add("Lantern", "A1", 100).await;
        is(&world, Availability::Unknown).await;
        let (main, cellar) = (Location::MAIN, "cellar".parse::<Location>().unwrap());
        world.tell(StockReplenished { sku: sku("A1"), location: main.clone(), available: 9 }).await;
        is(&world, Availability::InStock).await;
        world.tell(StockDepleted { sku: sku("A1"), location: cellar }).await;
        let low = StockLow { sku: sku("A1"), location: main.clone(), available: 2, low_at: 5 };
        world.tell(low).await;
        is(&world, Availability::Low).await;
        world.tell(StockDepleted { sku: sku("A1"), location: main }).await;
        is(&world, Availability::SoldOut).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_before_the_product_is_there_counts() {
    World::each(async |world| {
        world.tell(StockDepleted { sku: sku("A1"), location: Location::MAIN }).await;
        world.add("Lantern", "A1", 100).await;
        is(&world, Availability::SoldOut).await;
    })
    .await;
}
