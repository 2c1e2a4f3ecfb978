//! Receiving, adjusting, thresholds and what is told of them.

use contract::Fault;
use inventory_api::{
    Adjust, AdjustError, AdjustLine, Change, LOCATIONS_SHOWN_MAX, Ledger, LedgerError, Line,
    Location, LowAt, MovementKind, PageError, Receive, SetLowAt, StockError,
};
use kernel_api::{Bounded, PageRequest};

use crate::world::{World, call, command, line, wish};

fn adjust(sku: &str, change: i64) -> Adjust {
    let line = AdjustLine {
        sku: sku.parse().unwrap(),
        location: Location::MAIN,
        change: Change::new(change).unwrap(),
    };
    Adjust {
        reference: "count 1".parse().unwrap(),
        reason: "breakage".parse().unwrap(),
        lines: Bounded::new(vec![line]).unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sku_at_very_many_places_is_summed_whole_and_shown_in_part() {
    World::each(async |world| {
        let shown = usize::try_from(LOCATIONS_SHOWN_MAX).unwrap();
        let at = |number: usize| {
            let location = format!("shelf-{number:04}").parse().unwrap();
            Line { location, ..line("A", 1) }
        };
        let receive = async |lines: Vec<Line>| {
            let wish = Receive {
                reference: "delivery 1".parse().unwrap(),
                reason: "bought".parse().unwrap(),
                lines: Bounded::new(lines).unwrap(),
            };
            world.inventory.receive(&command(), wish).await.unwrap();
            world.inventory.stock(&call(), "A".parse().unwrap()).await.unwrap()
        };
        let stock = receive((0..shown).map(at).collect()).await;
        assert_eq!((stock.levels.len(), stock.on_hand), (shown, 1000));
        let stock = receive(vec![at(shown)]).await;
        assert_eq!((stock.levels.len(), stock.on_hand), (shown, 1001));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_quantity_is_explained_in_the_ledger() {
    World::each(async |world| {
        world.receive("A", 10).await;
        world.inventory.adjust(&command(), adjust("A", -3)).await.unwrap();
        world.inventory.adjust(&command(), adjust("A", 1)).await.unwrap();
        let sold = wish(vec![line("A", 2)]);
        let id = sold.reservation;
        world.inventory.reserve(&command(), sold).await.unwrap();
        world.inventory.commit(&command(), id).await.unwrap();
        let mut entries = Vec::new();
        let mut after = None;
        loop {
            let page = PageRequest { after, limit: Some(3) };
            let wish = Ledger { sku: "A".parse().unwrap(), page };
            let page = world.inventory.ledger(&call(), wish).await.unwrap();
            entries.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let found: Vec<_> =
            entries.iter().map(|e| (e.number, e.kind, e.quantity, e.on_hand)).collect();
        assert_eq!(
            found,
            [
                (1, MovementKind::Received, 10, 10),
                (2, MovementKind::Adjusted, -3, 7),
                (3, MovementKind::Adjusted, 1, 8),
                (4, MovementKind::Sold, -2, 6),
            ]
        );
        assert_eq!(entries[1].reason.as_ref().unwrap().as_str(), "breakage");
        assert_eq!(entries[3].reference.as_str(), "order 1");
        assert_eq!(entries[3].at, world.clock.now());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adjustment_cannot_take_what_is_reserved() {
    World::each(async |world| {
        world.receive("A", 10).await;
        world.inventory.reserve(&command(), wish(vec![line("A", 8)])).await.unwrap();
        let refusal = world.inventory.adjust(&command(), adjust("A", -3)).await.unwrap_err();
        let Fault::Refused(AdjustError::OutOfStock { lines }) = refusal else {
            panic!("{refusal:?}")
        };
        assert_eq!((lines[0].wanted, lines[0].available), (3, 2));
        world.inventory.adjust(&command(), adjust("A", -2)).await.unwrap();
        assert_eq!(world.stock("A").await, (8, 8, 0));
        let unknown = world.inventory.adjust(&command(), adjust("NONE", -1)).await;
        assert!(matches!(unknown, Err(Fault::Refused(AdjustError::OutOfStock { .. }))));
        let nothing = world.inventory.stock(&call(), "NONE".parse().unwrap()).await;
        assert_eq!(nothing.unwrap_err(), Fault::Refused(StockError::UnknownSku));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_band_is_told_when_it_is_entered() {
    World::each(async |world| {
        let check = async |expected: &[&str]| {
            let told: Vec<_> = world.facts().await.into_iter().map(|(kind, _)| kind).collect();
            let expected: Vec<_> =
                expected.iter().map(|band| format!("inventory.stock.{band}")).collect();
            assert_eq!(told, expected);
        };
        // The default threshold is 10.
        world.receive("A", 20).await;
        check(&["replenished"]).await;
        let low = wish(vec![line("A", 10)]);
        let id = low.reservation;
        world.inventory.reserve(&command(), low).await.unwrap();
        check(&["replenished", "low"]).await;
        world.inventory.commit(&command(), id).await.unwrap();
        check(&["replenished", "low"]).await;
        world.inventory.adjust(&command(), adjust("A", -10)).await.unwrap();
        check(&["replenished", "low", "depleted"]).await;
        world.receive("A", 4).await;
        check(&["replenished", "low", "depleted", "low"]).await;
        let threshold = SetLowAt {
            sku: "A".parse().unwrap(),
            location: Location::MAIN,
            low_at: Some(LowAt::new(3).unwrap()),
        };
        let level = world.inventory.set_low_at(&command(), threshold).await.unwrap();
        assert_eq!((level.available, level.low_at), (4, 3));
        check(&["replenished", "low", "depleted", "low", "replenished"]).await;
        assert!(world.facts().await.iter().all(|(_, key)| key == "A"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_tells_nothing() {
    World::each(async |world| {
        world.receive("A", 11).await;
        world.receive("B", 1).await;
        let told = world.facts().await;
        let both = wish(vec![line("A", 11), line("B", 2)]);
        world.inventory.reserve(&command(), both).await.unwrap_err();
        assert_eq!(world.facts().await, told);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn levels_are_listed_page_by_page() {
    World::each(async |world| {
        for sku in ["C", "A/1", "B"] {
            world.receive(sku, 1).await;
        }
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let page = PageRequest { after, limit: Some(1) };
            let page = world.inventory.levels(&call(), page).await.unwrap();
            found.extend(page.items.into_iter().map(|level| level.sku.to_string()));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, ["A/1", "B", "C"]);
        let page = PageRequest { after: Some("nonsense".to_owned()), limit: None };
        let refusal = world.inventory.levels(&call(), page).await.unwrap_err();
        assert_eq!(refusal, Fault::Refused(PageError::BadCursor));
        let unknown = Ledger { sku: "NONE".parse().unwrap(), page: PageRequest::default() };
        let refusal = world.inventory.ledger(&call(), unknown).await.unwrap_err();
        assert_eq!(refusal, Fault::Refused(LedgerError::UnknownSku));
    })
    .await;
}
