//! One key, one effect.

use contract::{Answer, Fault, Reason};
use kernel_api::Id;
use payments_api::{AuthoriseError, Payments, Refund, RefundError, RefundPayment};
use tokio::task::JoinSet;

use super::{command, gbp, is_unknown, shops};

fn is_reused<T, R>(answer: &Answer<T, R>) -> bool {
    matches!(answer, Err(Fault::NotExecuted(reason)) if reason.reason == Reason::KeyReused)
}

#[tokio::test]
async fn one_key_from_many_callers_at_once_is_one_charge() {
    for shop in shops() {
        let shop = std::sync::Arc::new(shop);
        let payment = Id::fresh();
        let mut callers = JoinSet::new();
        for _caller in 0..8 {
            let shop = std::sync::Arc::clone(&shop);
            callers.spawn(async move {
                let authorised = shop.authorise("k", payment, 1000, "tok_late").await.unwrap();
                (authorised, shop.capture("k", payment, 1000).await.unwrap())
            });
        }
        let receipts = callers.join_all().await;
        assert!(receipts.windows(2).all(|pair| pair[0] == pair[1]), "{receipts:?}");
        assert_eq!(shop.provider.effects(), 2, "one authorisation, one capture");
        assert_eq!(shop.detail(payment).await.history.len(), 2);
        assert_eq!(shop.audited().await.entries, 1);
        shop.assert_clean().await;
    }
}

#[tokio::test]
async fn many_captures_at_once_never_take_more_than_was_authorised() {
    for shop in shops() {
        let shop = std::sync::Arc::new(shop);
        let payment = Id::fresh();
        shop.authorise("k", payment, 1000, "tok_approve").await.unwrap();
        let mut callers = JoinSet::new();
        for caller in 0..8 {
            let shop = std::sync::Arc::clone(&shop);
            callers.spawn(async move {
                // Whoever is told to come back does so, with the same key.
                loop {
                    match shop.capture(&format!("c{caller}"), payment, 300).await {
                        Err(Fault::NotExecuted(r)) => {
                            assert!(r.reason.is_passing(), "{r:?}");
                            tokio::task::yield_now().await;
                        }
                        answer => return answer.is_ok(),
                    }
                }
            });
        }
        let taken = callers.join_all().await.into_iter().filter(|taken| *taken).count();
        assert_eq!(taken, 3);
        assert_eq!(shop.detail(payment).await.payment.captured.minor, 900);
        assert_eq!(shop.audited().await.entries, 3);
        shop.assert_clean().await;
    }
}

#[tokio::test]
async fn a_key_with_another_request_is_refused_whether_pending_or_settled() {
    for shop in shops() {
        let (settled, pending, other) = (Id::fresh(), Id::fresh(), Id::fresh());
        shop.authorise("s", settled, 1000, "tok_approve").await.unwrap();
        assert!(is_unknown(&shop.authorise("p", pending, 1000, "tok_timeout").await));
        for (key, payment) in [("s", settled), ("s", other), ("p", pending), ("p", other)] {
            let answer = shop.authorise(key, payment, 999, "tok_approve").await;
            assert!(is_reused(&answer), "{key}: {answer:?}");
        }
        shop.capture("c", settled, 10).await.unwrap();
        assert!(is_reused(&shop.capture("c", settled, 11).await));
        let silent = Id::fresh();
        shop.authorise("x", silent, 1000, "tok_timeout:capture").await.unwrap();
        assert!(is_unknown(&shop.capture("y", silent, 10).await));
        assert!(is_reused(&shop.capture("y", silent, 11).await));
        assert!(is_reused(&shop.capture("y", settled, 10).await));
        assert_eq!(shop.capture("y", silent, 10).await.unwrap().amount, gbp(10));
        assert!(shop.service.payment(&super::call(), other).await.is_err());
        shop.assert_clean().await;
    }
}

#[tokio::test]
async fn a_payment_id_is_used_once() {
    for shop in shops() {
        let payment = Id::fresh();
        shop.authorise("a", payment, 1000, "tok_approve").await.unwrap();
        let again = shop.authorise("b", payment, 1000, "tok_approve").await;
        assert_eq!(again, Err(Fault::Refused(AuthoriseError::PaymentExists)));
        assert_eq!(shop.provider.effects(), 1);
    }
}

#[tokio::test]
async fn a_refund_id_pays_back_once_whatever_the_key() {
    for shop in shops() {
        let payment = shop.paid(1000).await;
        let refund = Id::<Refund>::fresh();
        let wish = RefundPayment {
            payment,
            refund,
            amount: gbp(400),
            reason: "returned".parse().unwrap(),
        };
        let receipt = shop.service.refund(&command("r1"), wish.clone()).await.unwrap();
        assert_eq!(shop.service.refund(&command("r1"), wish.clone()).await.unwrap(), receipt);
        let another = shop.service.refund(&command("r2"), wish).await;
        assert_eq!(another, Err(Fault::Refused(RefundError::RefundExists)));
        let detail = shop.detail(payment).await;
        assert_eq!(detail.payment.refunded.minor, 400);
        assert_eq!(detail.history.last().unwrap().refund, Some(refund));
        assert_eq!(detail.payment.pending, None);
    }
}
