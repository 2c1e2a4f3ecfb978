//! The module as the wiring starts it: subscription, resolver and routes.

use std::{sync::Arc, time::Duration};

use ::store::{Store, testing};
use contract::{Never, Ownership};
use events::LocalFeed;
use kernel_api::{Currency, Exact, Id, Timestamp};
use ordering_api::{OrderPaid, Part, PartKind};
use payments_api::{Authorise, BalancesWanted, PaymentState};
use tokio::sync::watch;

use super::{call, command, gbp, is_unknown};
use crate::{Config, Running, Setup, start, start::MIGRATIONS};

/// How long a condition may take on a busy machine.
const BOUND: Duration = Duration::from_secs(20);

async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let waited = tokio::time::timeout(BOUND, async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what}");
}

struct Module {
    running: Running,
    ordering: Store,
    ownership: watch::Sender<Ownership>,
    _private: (testing::Private, tempfile::TempDir),
}

async fn modules() -> Vec<Module> {
    let mut modules = Vec::new();
    for (store, private) in testing::both(&MIGRATIONS, "payments") {
        let (ordering, directory) = testing::sqlite(&MIGRATIONS);
        let (ownership, here) = watch::channel(Ownership::Here { epoch: 1 });
        let config = Config {
            provider_timeout: settings::Duration::from_millis(50),
            resolve_after: settings::Duration::from_millis(100),
            resolve_every: settings::Duration::from_millis(20),
            ..Config::default()
        };
        let feed = LocalFeed::new(ordering.clone(), Arc::default());
        let setup = Setup { store, config, ownership: here, ordering_feed: Arc::new(feed) };
        let running = start(setup).await;
        modules.push(Module { running, ordering, ownership, _private: (private, directory) });
    }
    modules
}

#[tokio::test]
async fn what_ordering_tells_is_booked_once() {
    for module in modules().await {
        for _order in 0..20 {
            let call = call();
            let told = module.ordering.write::<_, Never>(&call, |tx| {
                let parts =
                    vec![Part { kind: PartKind::Goods, net: Exact::new(1_001_000, Currency::GBP) }];
                let at = Timestamp::from_micros(1);
                Ok(tx.emit(&OrderPaid { order: Id::fresh(), charged: gbp(100), parts, at })?)
            });
            told.await.unwrap();
        }
        let payments = &module.running.contract;
        eventually("twenty orders in the books", || async {
            let balances = payments.balances(&call(), BalancesWanted::default()).await.unwrap();
            balances.net.iter().map(|net| net.micros).sum::<i64>() == 20 * 1_001_000
        })
        .await;
        module.running.stop().await;
    }
}

#[tokio::test]
async fn a_pending_payment_settles_by_itself_while_the_module_is_here() {
    for module in modules().await {
        let payments = &module.running.contract;
        module.ownership.send_replace(Ownership::Elsewhere { epoch: 2, owner: "other".to_owned() });
        let payment = Id::fresh();
        let token = "tok_timeout".parse().unwrap();
        let wish = Authorise { payment, order: payment.cast(), amount: gbp(100), token };
        assert!(is_unknown(&payments.authorise(&command("a"), wish).await));
        module.ownership.send_replace(Ownership::Here { epoch: 3 });
        eventually("the payment is authorised", || async {
            let detail = payments.payment(&call(), payment).await.unwrap();
            detail.payment.state == PaymentState::Authorised
        })
        .await;
        module.running.stop().await;
    }
}
