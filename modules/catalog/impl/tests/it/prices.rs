//! Prices with history, and quotes.

use std::{sync::Arc, time::Duration};

use catalog_api::{Price, PricePoint, Prices, PricesError, Publish, Quotes, Reprice, RepriceError};
use contract::Fault;
use kernel_api::{Bounded, PageRequest, Timestamp, UnitPrice};

use crate::world::{World, call, command, pence, sku};

const MINUTE: Duration = Duration::from_secs(60);

async fn reprice(world: &World, at: Option<Timestamp>, price: i64) -> PricePoint {
    let wish = Reprice { sku: sku("A1"), price: pence(price), from: at };
    world.catalog.reprice(&command(), wish).await.unwrap()
}

async fn history(world: &World) -> Vec<(Timestamp, i64)> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let wish = Prices { sku: sku("A1"), page: PageRequest { after, limit: Some(2) } };
        let page = world.catalog.price_history(&call(), wish).await.unwrap();
        found.extend(page.items.iter().map(|point| (point.from, point.price.micros / 10_000)));
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_price_holds_from_its_moment_until_the_next() {
    World::each(async |world| {
        world.add("Lantern", "A1", 100).await;
        let start = world.clock.now();
        assert_eq!(world.price("A1").await, Some(100));
        reprice(&world, Some(start.plus(2 * MINUTE)), 300).await;
        reprice(&world, Some(start.plus(MINUTE)), 200).await;
        assert_eq!(world.price("A1").await, Some(100), "planned, not in force");
        world.clock.advance(MINUTE);
        assert_eq!(world.price("A1").await, Some(200));
        world.clock.advance(MINUTE - Duration::from_micros(1));
        assert_eq!(world.price("A1").await, Some(200));
        world.clock.advance(Duration::from_micros(1));
        assert_eq!(world.price("A1").await, Some(300), "at its moment");
        reprice(&world, Some(start.plus(MINUTE)), 250).await;
        assert_eq!(world.price("A1").await, Some(300), "a correction of the past");
        reprice(&world, None, 400).await;
        assert_eq!(world.price("A1").await, Some(400));
        let moments = [(start, 100), (start.plus(MINUTE), 250), (start.plus(2 * MINUTE), 400)];
        assert_eq!(history(&world).await, moments);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_price_again_changes_nothing() {
    World::each(async |world| {
        world.add("Lantern", "A1", 100).await;
        let at = world.clock.now().plus(MINUTE);
        let first = reprice(&world, Some(at), 200).await;
        world.clock.advance(MINUTE / 2);
        assert_eq!(reprice(&world, Some(at), 200).await, first);
        assert_eq!(history(&world).await.len(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_are_fine_bounded_and_in_one_currency() {
    World::each(async |world| {
        world.add("Lantern", "A1", 100).await;
        let fine = Price::new(UnitPrice::parse("0.001", pence(1).get().currency).unwrap()).unwrap();
        let wish = |sku_text: &str, price| Reprice { sku: sku(sku_text), price, from: None };
        world.catalog.reprice(&command(), wish("A1", fine)).await.unwrap();
        let quotes = Quotes { skus: Bounded::new(vec![sku("A1")]).unwrap() };
        let quotes = world.catalog.quote(&call(), quotes).await.unwrap();
        assert_eq!(quotes[0].price.unwrap().to_string(), "0.001 GBP");
        let euros = Price::new(UnitPrice::new(1, "EUR".parse().unwrap())).unwrap();
        let other = world.catalog.reprice(&command(), wish("A1", euros)).await;
        assert_eq!(other, Err(Fault::Refused(RepriceError::OtherCurrency)));
        let nobody = world.catalog.reprice(&command(), wish("B1", fine)).await;
        assert_eq!(nobody, Err(Fault::Refused(RepriceError::UnknownSku)));
        let nobody = Prices { sku: sku("B1"), page: PageRequest::default() };
        let nobody = world.catalog.price_history(&call(), nobody).await;
        assert_eq!(nobody, Err(Fault::Refused(PricesError::UnknownSku)));
    })
    .await;
}

#[test]
fn a_price_has_limits_on_either_side() {
    let price = |micros| Price::new(UnitPrice::new(micros, pence(1).get().currency));
    assert!(price(-1).is_err() && price(0).is_ok());
    assert!(price(catalog_api::PRICE_MICROS_MAX).is_ok());
    assert!(price(catalog_api::PRICE_MICROS_MAX + 1).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn quotes_come_in_the_order_asked_without_the_unknown() {
    World::each(async |world| {
        let a = world.add("Lantern", "A1", 100).await;
        world.add("Candle", "B1", 200).await;
        let wish = Publish { product: a.id, expected: None };
        world.catalog.publish(&command(), wish).await.unwrap();
        let skus = ["B1", "NOPE", "a1", "B1"].map(sku).to_vec();
        let wish = Quotes { skus: Bounded::new(skus).unwrap() };
        let quotes = world.catalog.quote(&call(), wish).await.unwrap();
        let found: Vec<_> =
            quotes.iter().map(|q| (q.sku.as_str(), q.title.as_str(), q.published)).collect();
        let candle = ("B1", "Candle", false);
        assert_eq!(found, [candle, ("A1", "Lantern", true), candle]);
        assert_eq!(quotes[1].product, a.id);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_price_one_sku_at_once_leave_what_is_kept_right() {
    World::each(async |world| {
        world.add("Lantern", "A1", 1).await;
        let start = world.clock.now();
        let tasks: Vec<_> = (0..16_u32)
            .map(|number| {
                let world = Arc::clone(&world);
                let at = if number % 2 == 0 {
                    start.minus(number * MINUTE)
                } else {
                    start.plus(number * MINUTE)
                };
                tokio::spawn(async move { reprice(&world, Some(at), i64::from(number) + 2).await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        // What is kept beside the SKU is compared with the history by the audit that ends every test.
        assert_eq!(world.price("A1").await, Some(2), "the one from this very moment");
        assert_eq!(history(&world).await.len(), 16);
    })
    .await;
}
