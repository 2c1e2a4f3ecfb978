//! The tables: what the audit sees in them, and that they come and go.

use std::time::Duration;

use contract::{Answer, Never};
use inventory_api::Violation;
use store::{Abort, Tx, migrate, pending, revert_last};

use crate::world::{World, call, command, line, until, wish};

/// Writes past the module's rules.
async fn tamper(world: &World, sql: &'static str) -> Answer<(), Never> {
    let write = move |tx: &mut Tx<'_>| Ok::<_, Abort<Never>>(tx.connection().batch_execute(sql)?);
    world.store.write(&call(), write).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_finds_what_was_tampered_with() {
    for world in World::all().await {
        for sku in ["A", "B", "C", "D"] {
            world.receive(sku, 9).await;
        }
        world.inventory.reserve(&command(), wish(vec![line("B", 2)])).await.unwrap();
        let tampering = "UPDATE levels SET on_hand = 8 WHERE sku = 'A'; \
            UPDATE levels SET reserved = 1 WHERE sku = 'B'; \
            DELETE FROM ledger WHERE sku = 'C';";
        tamper(&world, tampering).await.unwrap();
        let found: Vec<_> = world.audit().await.into_iter().map(|level| level.violations).collect();
        assert_eq!(
            found,
            [
                vec![Violation::OnHandIsNotLedger],
                vec![Violation::ReservedIsNotHeld],
                vec![Violation::OnHandIsNotLedger, Violation::LedgerHasGap],
                vec![],
            ]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_finds_what_was_tampered_with_cleverly() {
    for world in World::all().await {
        for sku in ["A", "B", "C", "D", "E", "F"] {
            for _ in 0..3 {
                world.receive(sku, 3).await;
            }
        }
        world.inventory.reserve(&command(), wish(vec![line("C", 9), line("F", 1)])).await.unwrap();
        // Sums, counts and the other levels agree after each of these.
        let tampering = "UPDATE ledger SET quantity = 4 WHERE sku = 'A' AND number = 1; \
            UPDATE ledger SET quantity = 2 WHERE sku = 'A' AND number = 2; \
            UPDATE ledger SET number = 7 WHERE sku = 'B' AND number = 3; \
            DELETE FROM levels WHERE sku = 'C'; DELETE FROM ledger WHERE sku = 'C'; \
            DELETE FROM levels WHERE sku = 'E';";
        tamper(&world, tampering).await.unwrap();
        let found: Vec<_> = world.audit().await.into_iter().map(|level| level.violations).collect();
        assert_eq!(
            found,
            [
                vec![Violation::EntryIsNotSum],
                vec![Violation::LedgerHasGap],
                vec![Violation::ReservedIsNotHeld],
                vec![],
                vec![Violation::OnHandIsNotLedger, Violation::LedgerHasGap],
                vec![],
            ]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_whatever_oversells() {
    for world in World::all().await {
        world.receive("A", 1).await;
        for overselling in ["UPDATE levels SET reserved = 2", "UPDATE levels SET on_hand = -1"] {
            assert!(tamper(&world, overselling).await.is_err(), "{overselling}");
        }
        assert_eq!(world.stock("A").await, (1, 0, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_does_not_wait_for_a_reservation_that_is_being_closed() {
    for world in World::all().await {
        if !world.store.is_postgres() {
            // Its single writer has nobody to wait for.
            continue;
        }
        world.receive("A", 9).await;
        for _ in 0..2 {
            world.inventory.reserve(&command(), wish(vec![line("A", 1)])).await.unwrap();
        }
        let (held, is_held) = tokio::sync::oneshot::channel();
        let (let_go, may_go) = std::sync::mpsc::channel::<()>();
        let (mut held, store) = (Some(held), world.store.clone());
        let closing = tokio::spawn(async move {
            let write = move |tx: &mut Tx<'_>| {
                let lock = "UPDATE reservations SET reference = 'x' \
                    WHERE id = (SELECT MIN(id) FROM reservations)";
                tx.connection().batch_execute(lock)?;
                held.take().map(|held| held.send(()));
                may_go.recv().ok();
                Ok::<_, Abort<Never>>(())
            };
            store.write(&call(), write).await
        });
        is_held.await.unwrap();
        world.clock.advance(Duration::from_secs(61));
        until("the other one is swept", async || world.stock("A").await.1 == 1).await;
        let_go.send(()).unwrap();
        closing.await.unwrap().unwrap();
        until("both are swept", async || world.stock("A").await.1 == 0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tables_go_and_come_back() {
    for world in World::all().await {
        let migrations = inventory_impl::descriptor().migrations;
        let location = world.store.location();
        let last = revert_last("inventory", location, &migrations).unwrap();
        assert_eq!(pending("inventory", location, &migrations).unwrap().len(), 1, "{last}");
        assert_eq!(migrate("inventory", location, &migrations).unwrap().len(), 1);
        world.receive("A", 1).await;
        assert_eq!(world.stock("A").await, (1, 0, 1));
    }
}
