//! Reserving, committing, releasing and expiring.

use std::{sync::Arc, time::Duration};

use contract::{Fault, Ownership, Reason};
use inventory_api::{
    CommitError, LINES_MAX, Line, Location, PutBack, PutBackError, QUANTITY_MAX, ReleaseError,
    ReservationState, Reservations, ReserveError,
};
use kernel_api::{Bounded, Id, PageRequest};

use crate::world::{World, call, command, command_with, line, until, wish};

#[tokio::test(flavor = "multi_thread")]
async fn of_64_buyers_of_the_last_unit_one_gets_it() {
    World::each(async |world| {
        world.receive("LAST", 1).await;
        let buyers: Vec<_> = (0..64)
            .map(|_| {
                let world = Arc::clone(&world);
                tokio::spawn(async move {
                    world.inventory.reserve(&command(), wish(vec![line("LAST", 1)])).await
                })
            })
            .collect();
        let mut winners = 0;
        for buyer in buyers {
            match buyer.await.unwrap() {
                Ok(_) => winners += 1,
                Err(Fault::Refused(ReserveError::OutOfStock { lines })) => {
                    assert_eq!((lines[0].wanted, lines[0].available), (1, 0));
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(winners, 1);
        assert_eq!(world.stock("LAST").await, (1, 1, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_command_asked_many_times_at_once_is_answered_once() {
    World::each(async |world| {
        for round in 0..20 {
            let sku = format!("R{round}");
            world.receive(&sku, 1).await;
            let (wish, key) = (wish(vec![line(&sku, 1)]), Id::<()>::fresh().to_string());
            let askers: Vec<_> = (0..8)
                .map(|_| {
                    let (world, wish, key) = (Arc::clone(&world), wish.clone(), key.clone());
                    tokio::spawn(
                        async move { world.inventory.reserve(&command_with(&key), wish).await },
                    )
                })
                .collect();
            for asker in askers {
                assert_eq!(asker.await.unwrap().unwrap().reservation, wish.reservation);
            }
            assert_eq!(world.stock(&sku).await, (1, 1, 0));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn baskets_in_opposite_order_never_wait_in_a_circle() {
    World::each(async |world| {
        let skus: Vec<String> = (0..20).map(|number| format!("S{number:02}")).collect();
        for sku in &skus {
            world.receive(sku, 1000).await;
        }
        let buyers: Vec<_> = (0..16)
            .map(|buyer| {
                let world = Arc::clone(&world);
                let mut lines: Vec<_> = skus.iter().map(|sku| line(sku, 1)).collect();
                if buyer % 2 == 0 {
                    lines.reverse();
                }
                tokio::spawn(async move {
                    for _ in 0..5 {
                        let wish = wish(lines.clone());
                        let id = wish.reservation;
                        world.inventory.reserve(&command(), wish).await.unwrap();
                        world.inventory.commit(&command(), id).await.unwrap();
                    }
                })
            })
            .collect();
        for buyer in buyers {
            buyer.await.unwrap();
        }
        assert_eq!(world.stock("S07").await, (920, 0, 920));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_short_line_refuses_all_and_every_short_line_is_named() {
    World::each(async |world| {
        world.receive("PLENTY", 10).await;
        world.receive("SCARCE", 2).await;
        let lines = vec![
            line("PLENTY", 4),
            line("SCARCE", 1),
            line("NONE", 1),
            // The same SKU twice is one wish for three.
            line("SCARCE", 2),
        ];
        let refusal = world.inventory.reserve(&command(), wish(lines)).await.unwrap_err();
        let Fault::Refused(ReserveError::OutOfStock { lines }) = refusal else {
            panic!("{refusal:?}")
        };
        let short: Vec<_> = lines.iter().map(|l| (l.sku.as_str(), l.wanted, l.available)).collect();
        assert_eq!(short, [("NONE", 1, 0), ("SCARCE", 3, 2)]);
        assert_eq!(world.stock("PLENTY").await, (10, 0, 10));
        assert_eq!(world.stock("SCARCE").await, (2, 0, 2));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_sells_once_and_the_ledger_says_to_whom() {
    World::each(async |world| {
        world.receive("A", 10).await;
        let wish = wish(vec![line("A", 4)]);
        let id = wish.reservation;
        world.inventory.reserve(&command(), wish).await.unwrap();
        assert_eq!(world.stock("A").await, (10, 4, 6));
        world.inventory.commit(&command(), id).await.unwrap();
        world.inventory.commit(&command(), id).await.unwrap();
        assert_eq!(world.stock("A").await, (6, 0, 6));
        let level = &world.audit().await[0];
        assert_eq!((level.ledger.received, level.ledger.sold), (10, -4));
        let refusal = world.inventory.release(&command(), id).await.unwrap_err();
        assert_eq!(refusal, Fault::Refused(ReleaseError::Committed));
        let kept = world.inventory.reservation(&call(), id).await.unwrap();
        assert_eq!(kept.state, ReservationState::Committed);
        assert_eq!(kept.closed_at, Some(world.clock.now()));
        assert_eq!(kept.lines[0].quantity, 4);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_released_can_be_bought_again_but_not_committed() {
    World::each(async |world| {
        world.receive("A", 5).await;
        let first = wish(vec![line("A", 5)]);
        let id = first.reservation;
        world.inventory.reserve(&command(), first).await.unwrap();
        world.inventory.release(&command(), id).await.unwrap();
        world.inventory.release(&command(), id).await.unwrap();
        assert_eq!(world.stock("A").await, (5, 0, 5));
        let refusal = world.inventory.commit(&command(), id).await.unwrap_err();
        assert_eq!(refusal, Fault::Refused(CommitError::Released));
        world.inventory.reserve(&command(), wish(vec![line("A", 5)])).await.unwrap();
        let unknown = world.inventory.commit(&command(), Id::fresh()).await.unwrap_err();
        assert_eq!(unknown, Fault::Refused(CommitError::NotFound));
        let unknown = world.inventory.release(&command(), Id::fresh()).await.unwrap_err();
        assert_eq!(unknown, Fault::Refused(ReleaseError::NotFound));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_expires_is_swept_and_cannot_be_committed() {
    World::each(async |world| {
        world.receive("A", 5).await;
        // Elsewhere, so that the sweeper waits.
        let elsewhere = Ownership::Elsewhere { epoch: 1, owner: "another".to_owned() };
        world.ownership.send_replace(elsewhere);
        let late = wish(vec![line("A", 5)]);
        let id = late.reservation;
        let held = world.inventory.reserve(&command(), late).await.unwrap();
        world.clock.advance(Duration::from_secs(60));
        assert_eq!(held.expires_at, world.clock.now());
        let expired = Fault::Refused(CommitError::Expired { expires_at: held.expires_at });
        assert_eq!(world.inventory.commit(&command(), id).await.unwrap_err(), expired);
        assert_eq!(world.stock("A").await, (5, 5, 0));

        world.ownership.send_replace(Ownership::Here { epoch: 1 });
        until("the reservation is swept", async || world.stock("A").await == (5, 0, 5)).await;
        let swept = world.inventory.reservation(&call(), id).await.unwrap();
        assert_eq!(swept.state, ReservationState::Expired);
        assert_eq!(world.inventory.commit(&command(), id).await.unwrap_err(), expired);
        world.inventory.release(&command(), id).await.unwrap();
        let told = ("inventory.reservation.expired".to_owned(), id.to_string());
        assert_eq!(world.facts().await.iter().filter(|fact| **fact == told).count(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_a_moment_before_the_end_is_in_time() {
    World::each(async |world| {
        world.receive("A", 1).await;
        let wish = wish(vec![line("A", 1)]);
        let id = wish.reservation;
        world.inventory.reserve(&command(), wish).await.unwrap();
        world.clock.advance(Duration::from_micros(59_999_999));
        world.inventory.commit(&command(), id).await.unwrap();
        assert_eq!(world.stock("A").await, (0, 0, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_is_the_same_effect_and_another_request_is_refused() {
    World::each(async |world| {
        world.receive("A", 10).await;
        let one = wish(vec![line("A", 3)]);
        let first = world.inventory.reserve(&command_with("k"), one.clone()).await.unwrap();
        world.clock.advance(Duration::from_secs(1));
        let again = world.inventory.reserve(&command_with("k"), one.clone()).await.unwrap();
        assert_eq!(first, again);
        assert_eq!(world.stock("A").await, (10, 3, 7));
        let other = world.inventory.reserve(&command_with("k"), wish(vec![line("A", 1)])).await;
        let Err(Fault::NotExecuted(why)) = other else { panic!("{other:?}") };
        assert_eq!(why.reason, Reason::KeyReused);
        let taken = world.inventory.reserve(&command(), one).await.unwrap_err();
        assert_eq!(taken, Fault::Refused(ReserveError::IdTaken));
        assert_eq!(world.stock("A").await, (10, 3, 7));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn locations_are_reserved_apart() {
    World::each(async |world| {
        world.receive("A", 2).await;
        let annex: Location = "annex".parse().unwrap();
        let there = Line { location: annex.clone(), ..line("A", 1) };
        let refusal = world.inventory.reserve(&command(), wish(vec![there])).await.unwrap_err();
        let Fault::Refused(ReserveError::OutOfStock { lines }) = refusal else {
            panic!("{refusal:?}")
        };
        assert_eq!((&lines[0].location, lines[0].available), (&annex, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_is_put_back_once_per_reference() {
    World::each(async |world| {
        world.receive("A", 3).await;
        let back = |quantity| PutBack {
            reference: "return 7".parse().unwrap(),
            reason: "broken".parse().unwrap(),
            lines: Bounded::new(vec![line("A", quantity)]).unwrap(),
        };
        world.inventory.put_back(&command(), back(2)).await.unwrap();
        world.inventory.put_back(&command(), back(2)).await.unwrap();
        assert_eq!(world.stock("A").await, (5, 0, 5));
        let reused = world.inventory.put_back(&command(), back(1)).await.unwrap_err();
        assert_eq!(reused, Fault::Refused(PutBackError::ReferenceReused));
        assert_eq!(world.stock("A").await, (5, 0, 5));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_reservation_fits() {
    World::each(async |world| {
        let skus: Vec<String> = (0..LINES_MAX).map(|number| format!("S{number:04}")).collect();
        world.receive(&skus[0], QUANTITY_MAX).await;
        let all: Vec<_> = skus.iter().map(|sku| line(sku, QUANTITY_MAX)).collect();
        let refusal = world.inventory.reserve(&command(), wish(all)).await.unwrap_err();
        let Fault::Refused(ReserveError::OutOfStock { lines }) = refusal else {
            panic!("{refusal:?}")
        };
        assert_eq!(lines.len(), LINES_MAX - 1);
        let one = vec![line(&skus[0], QUANTITY_MAX / 2000); LINES_MAX];
        world.inventory.reserve(&command(), wish(one)).await.unwrap();
        assert_eq!(world.stock(&skus[0]).await, (QUANTITY_MAX, QUANTITY_MAX, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reservations_are_listed_by_state_and_page() {
    World::each(async |world| {
        world.receive("A", 9).await;
        let mut open = Vec::new();
        for number in 0..5 {
            let wish = wish(vec![line("A", 1)]);
            let id = wish.reservation;
            world.inventory.reserve(&command(), wish).await.unwrap();
            if number == 2 {
                world.inventory.release(&command(), id).await.unwrap();
            } else {
                open.push(id);
            }
        }
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let page = PageRequest { after, limit: Some(2) };
            let of = Reservations { state: Some(ReservationState::Open), page };
            let page = world.inventory.reservations(&call(), of).await.unwrap();
            found.extend(page.items.into_iter().map(|reservation| reservation.id));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, open);
    })
    .await;
}
