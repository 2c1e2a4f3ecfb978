//! The tables: what the audit sees in them, and that they come and go.

use contract::{Answer, Never};
use inventory_api::Violation;
use store::{Abort, Tx, migrate, pending, revert_last};

use crate::world::{World, call, command, line, wish};

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
