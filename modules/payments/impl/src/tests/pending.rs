//! Intents whose caller or process went away: nothing is lost, nothing is done twice.

use std::{future::Future, time::Duration};

use async_trait::async_trait;
use contract::Fault;
use kernel_api::Id;
use payments_api::{OperationKind, Outcome, PaymentState};

use super::{AGAIN, Shop, is_unknown, shops};
use crate::{
    provider::{Ask, NoAnswer, Provider},
    service::{Patience, Service},
};

/// Runs a future until it waits for the provider, and drops it there: what a kill does to it.
async fn killed(future: impl Future) {
    drop(tokio::time::timeout(Duration::from_millis(60), future).await);
}

/// A provider that is never reached.
struct Unreached;

#[async_trait]
impl Provider for Unreached {
    async fn ask(&self, _ask: &Ask) -> Result<Outcome, NoAnswer> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_kill_after_the_providers_effect_is_resolved_after_the_restart() {
    for shop in shops() {
        let payment = Id::fresh();
        killed(shop.authorise("a", payment, 1000, "tok_timeout")).await;
        assert_eq!(shop.detail(payment).await.payment.state, PaymentState::Pending);

        let shop = shop.restarted();
        assert_eq!(shop.service.resolve_due().await.unwrap(), 0, "it may still be under way");
        shop.clock.advance(AGAIN);
        assert_eq!(shop.service.resolve_due().await.unwrap(), 1);
        assert_eq!(shop.detail(payment).await.payment.state, PaymentState::Authorised);
        // The caller comes back and learns what happened.
        shop.authorise("a", payment, 1000, "tok_timeout").await.unwrap();
        assert_eq!(shop.provider.effects(), 1);

        killed(shop.capture("c", payment, 1000)).await;
        let shop = shop.restarted();
        shop.capture("c", payment, 1000).await.unwrap();
        assert_eq!(shop.detail(payment).await.payment.state, PaymentState::Captured);
        assert_eq!(shop.audited().await.entries, 1);
        shop.assert_clean().await;
    }
}

#[tokio::test]
async fn a_kill_before_the_provider_is_reached_is_resolved_by_asking_it() {
    for shop in shops() {
        let payment = Id::fresh();
        let patience = Patience { answer: super::ANSWER, again: AGAIN };
        let unreached = Service::new(shop.store.clone(), std::sync::Arc::new(Unreached), patience);
        let dying = Shop { service: unreached, ..shop.restarted() };
        killed(dying.authorise("a", payment, 1000, "tok_approve")).await;
        assert_eq!(shop.detail(payment).await.payment.state, PaymentState::Pending);
        shop.clock.advance(AGAIN);
        assert_eq!(shop.service.resolve_due().await.unwrap(), 1);
        assert_eq!(shop.detail(payment).await.payment.state, PaymentState::Authorised);
        assert_eq!(shop.provider.effects(), 1);
    }
}

#[tokio::test]
async fn a_provider_that_stays_silent_is_asked_ever_more_rarely() {
    for shop in shops() {
        let payment = Id::fresh();
        assert!(is_unknown(&shop.authorise("a", payment, 1000, "tok_silent").await));
        let mut askings = 0;
        for _second in 0..60 {
            shop.clock.advance(Duration::from_secs(10));
            askings += shop.service.resolve_due().await.unwrap();
        }
        assert!((3..15).contains(&askings), "{askings} in ten minutes");
        let pending = shop.detail(payment).await.payment;
        assert_eq!(pending.pending, Some(OperationKind::Authorise));
        assert_eq!(shop.audited().await.pending, 1);
    }
}

#[tokio::test]
async fn an_operation_behind_a_pending_one_settles_that_first() {
    for shop in shops() {
        let payment = Id::fresh();
        shop.authorise("a", payment, 1000, "tok_timeout:capture").await.unwrap();
        assert!(is_unknown(&shop.capture("c", payment, 700).await));
        let receipt = shop.void("v", payment, None).await.unwrap();
        assert_eq!(receipt.amount.minor, 300, "the capture counts");
        let detail = shop.detail(payment).await;
        assert_eq!(detail.payment.captured.minor, 700);
        assert_eq!(shop.capture("c", payment, 700).await.unwrap().amount.minor, 700);
        assert_eq!(detail.history.len(), 3);
        shop.assert_clean().await;
    }
}

#[tokio::test]
async fn an_operation_behind_a_silent_one_is_not_executed() {
    for shop in shops() {
        let payment = Id::fresh();
        shop.authorise("a", payment, 1000, "tok_silent:capture").await.unwrap();
        assert!(is_unknown(&shop.capture("c", payment, 700).await));
        let answer = shop.void("v", payment, None).await;
        let Err(Fault::NotExecuted(reason)) = answer else { panic!("{answer:?}") };
        assert!(reason.reason.is_passing() && reason.retry_after.is_some(), "{reason:?}");
        assert_eq!(shop.detail(payment).await.payment.voided.minor, 0);
    }
}
