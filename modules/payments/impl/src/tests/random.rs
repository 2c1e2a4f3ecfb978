//! Whatever is asked in whatever order: the sums hold, the ledger balances, money moves once.

use std::collections::BTreeMap;

use contract::Fault;
use kernel_api::Id;
use payments_api::{Account, BalancesWanted, Outcome, Payments};
use proptest::{prelude::*, test_runner::TestRunner};

use super::{Shop, call, shops};

const TOKENS: [&str; 8] = [
    "tok_approve",
    "tok_decline",
    "tok_decline:capture",
    "tok_decline:refund",
    "tok_flaky",
    "tok_flaky:capture",
    "tok_twice",
    "tok_late",
];

#[derive(Debug, Clone)]
enum Step {
    Authorise { token: usize, minor: i64 },
    Capture { payment: usize, minor: i64 },
    Void { payment: usize, minor: Option<i64> },
    Refund { payment: usize, minor: i64 },
    Resolve,
}

fn steps() -> impl Strategy<Value = Vec<(Step, u32)>> {
    let payment = 0..6_usize;
    let minor = -1..400_i64;
    let step = prop_oneof![
        (0..TOKENS.len(), 1..400_i64).prop_map(|(token, minor)| Step::Authorise { token, minor }),
        (payment.clone(), minor.clone())
            .prop_map(|(payment, minor)| Step::Capture { payment, minor }),
        (payment.clone(), proptest::option::of(minor.clone()))
            .prop_map(|(payment, minor)| Step::Void { payment, minor }),
        (payment, minor).prop_map(|(payment, minor)| Step::Refund { payment, minor }),
        Just(Step::Resolve),
    ];
    // Each step is asked one to three times with its key.
    proptest::collection::vec((step, 1..4_u32), 1..25)
}

async fn ask(shop: &Shop, key: &str, step: &Step, payments: &mut Vec<Id<payments_api::Payment>>) {
    let at = |place: usize| payments.get(place).copied().unwrap_or_else(Id::fresh);
    let faults = match step {
        Step::Authorise { token, minor } => {
            let payment = match key.split_once('#').map(|(_, again)| again) {
                Some("0") | None => {
                    payments.push(Id::fresh());
                    *payments.last().unwrap()
                }
                Some(_) => *payments.last().unwrap(),
            };
            let key = key.split_once('#').map_or(key, |(key, _)| key);
            shop.authorise(key, payment, *minor, TOKENS[*token]).await.err().map(executed)
        }
        Step::Capture { payment, minor } => {
            shop.capture(key, at(*payment), *minor).await.err().map(executed)
        }
        Step::Void { payment, minor } => {
            shop.void(key, at(*payment), *minor).await.err().map(executed)
        }
        Step::Refund { payment, minor } => {
            shop.refund(key, at(*payment), *minor).await.err().map(executed)
        }
        Step::Resolve => {
            shop.clock.advance(super::AGAIN);
            shop.service.resolve_due().await.unwrap();
            None
        }
    };
    drop(faults);
}

fn executed<R>(fault: Fault<R>) -> Fault<()> {
    fault.map(|_refusal| ())
}

/// What the provider really moved, payment by payment, is what the payments and the ledger say.
async fn check(shop: &Shop) {
    shop.clock.advance(super::AGAIN * 100);
    shop.service.resolve_due().await.unwrap();
    shop.assert_clean().await;
    let mut moved = BTreeMap::new();
    for (ask, outcome) in shop.provider.answered.lock().unwrap().iter() {
        if *outcome == Outcome::Done {
            moved.insert(ask.reference.clone(), (ask.kind, ask.amount.minor));
        }
    }
    let clearing: i64 = moved
        .values()
        .map(|(kind, minor)| match kind {
            payments_api::OperationKind::Capture => *minor,
            payments_api::OperationKind::Refund | payments_api::OperationKind::Credit => -minor,
            payments_api::OperationKind::Authorise | payments_api::OperationKind::Void => 0,
        })
        .sum();
    let balances = shop.service.balances(&call(), BalancesWanted::default()).await.unwrap();
    let all: i64 = balances.accounts.iter().map(|balance| balance.balance.micros).sum();
    assert_eq!(all, 0);
    let booked = balances
        .accounts
        .iter()
        .find(|balance| balance.account == Account::ProviderClearing)
        .map_or(0, |balance| balance.balance.micros);
    assert_eq!(booked, clearing * 10_000);
}

#[test]
fn no_order_of_operations_unbalances_the_ledger() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut runner = TestRunner::new(ProptestConfig { cases: 12, ..ProptestConfig::default() });
    let ran = runner.run(&steps(), |steps| {
        runtime.block_on(async {
            for shop in shops() {
                let mut payments = Vec::new();
                for (place, (step, times)) in steps.iter().enumerate() {
                    for again in 0..*times {
                        let key = match step {
                            Step::Authorise { .. } => format!("{place}#{again}"),
                            _ => format!("{place}"),
                        };
                        ask(&shop, &key, step, &mut payments).await;
                    }
                }
                check(&shop).await;
            }
        });
        Ok(())
    });
    ran.unwrap();
}
