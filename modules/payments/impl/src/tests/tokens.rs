//! What each token does, and that no token charges twice.

use contract::Fault;
use kernel_api::Id;
use payments_api::{AuthoriseError, CaptureError, OperationKind, PaymentState};

use super::{is_unknown, shops};

#[tokio::test]
async fn an_approved_payment_is_authorised_captured_and_refunded() {
    for shop in shops() {
        let payment = shop.paid(1000).await;
        assert_eq!(shop.detail(payment).await.payment.state, PaymentState::Captured);
        shop.refund("refund", payment, 1000).await.unwrap();
        let detail = shop.detail(payment).await;
        assert_eq!(detail.payment.state, PaymentState::Refunded);
        let kinds: Vec<_> = detail.history.iter().map(|operation| operation.kind).collect();
        assert_eq!(
            kinds,
            [OperationKind::Authorise, OperationKind::Capture, OperationKind::Refund]
        );
        shop.assert_clean().await;
    }
}

#[tokio::test]
async fn a_declined_payment_is_declined_for_good_and_moves_nothing() {
    for shop in shops() {
        for token in ["tok_decline", "tok_nobody_knows"] {
            let payment = Id::fresh();
            for _again in 0..2 {
                let answer = shop.authorise(token, payment, 1000, token).await;
                let Err(Fault::Refused(AuthoriseError::Declined { .. })) = answer else {
                    panic!("{answer:?}")
                };
            }
            let detail = shop.detail(payment).await;
            assert_eq!(detail.payment.state, PaymentState::Declined);
            assert_eq!(detail.history.len(), 1);
            let capture = shop.capture(token, payment, 1).await;
            let state = PaymentState::Declined;
            assert_eq!(capture, Err(Fault::Refused(CaptureError::WrongState { state })));
        }
        assert_eq!(shop.provider.asked.lock().unwrap().len(), 2, "a no is kept, not asked again");
        assert_eq!(shop.audited().await.entries, 0);
    }
}

#[tokio::test]
async fn a_declined_capture_leaves_the_payment_as_it_was_and_a_new_key_tries_again() {
    for shop in shops() {
        let payment = Id::fresh();
        shop.authorise("a", payment, 1000, "tok_decline:capture").await.unwrap();
        let no = shop.capture("c1", payment, 1000).await;
        assert!(matches!(no, Err(Fault::Refused(CaptureError::Declined { .. }))), "{no:?}");
        assert_eq!(shop.detail(payment).await.payment.state, PaymentState::Authorised);
        let no_again = shop.capture("c1", payment, 1000).await;
        assert_eq!(no_again, no);
        assert_eq!(shop.provider.asked.lock().unwrap().len(), 2);
        shop.capture("c2", payment, 1000).await.unwrap_err();
        assert_eq!(shop.provider.asked.lock().unwrap().len(), 3);
    }
}

/// Each of these ends in `Unknown` first, and the same key settles it, with one effect.
#[tokio::test]
async fn silence_is_unknown_and_the_same_key_settles_it() {
    for shop in shops() {
        for token in ["tok_timeout", "tok_timeout_lost", "tok_flaky"] {
            let payment = Id::fresh();
            let first = shop.authorise(token, payment, 1000, token).await;
            assert!(is_unknown(&first), "{token}: {first:?}");
            let pending = shop.detail(payment).await.payment;
            assert_eq!(pending.state, PaymentState::Pending);
            assert_eq!(pending.pending, Some(OperationKind::Authorise));
            let receipt = shop.authorise(token, payment, 1000, token).await.unwrap();
            assert_eq!(shop.authorise(token, payment, 1000, token).await.unwrap(), receipt);
            assert_eq!(shop.detail(payment).await.payment.state, PaymentState::Authorised);

            let first = shop.capture(token, payment, 600).await;
            assert!(is_unknown(&first), "{token}: {first:?}");
            let pending = shop.detail(payment).await.payment;
            assert_eq!((pending.state, pending.captured.minor), (PaymentState::Authorised, 0));
            shop.capture(token, payment, 600).await.unwrap();
            assert_eq!(shop.detail(payment).await.payment.captured.minor, 600);
        }
        assert_eq!(shop.provider.effects(), 6, "three authorisations and three captures");
        assert_eq!(shop.audited().await.entries, 3);
        shop.assert_clean().await;
    }
}

#[tokio::test]
async fn a_late_answer_is_an_answer() {
    for shop in shops() {
        let payment = Id::fresh();
        shop.authorise("late", payment, 1000, "tok_late").await.unwrap();
        assert_eq!(shop.detail(payment).await.payment.state, PaymentState::Authorised);
    }
}

#[tokio::test]
async fn an_answer_that_comes_twice_counts_once() {
    for shop in shops() {
        let payment = Id::fresh();
        shop.authorise("twice", payment, 1000, "tok_twice").await.unwrap();
        shop.capture("twice", payment, 1000).await.unwrap();
        let mut heard = 0;
        loop {
            let notice = shop.notices.lock().unwrap().try_recv();
            let Ok(notice) = notice else { break };
            shop.service.heard(notice).await.unwrap();
            heard += 1;
        }
        assert_eq!(heard, 2);
        let detail = shop.detail(payment).await;
        assert_eq!((detail.payment.captured.minor, detail.history.len()), (1000, 2));
        assert_eq!(shop.audited().await.entries, 1);
        shop.assert_clean().await;
    }
}

#[tokio::test]
async fn a_notice_settles_what_is_pending() {
    for shop in shops() {
        let payment = Id::fresh();
        assert!(is_unknown(&shop.authorise("silent", payment, 1000, "tok_silent").await));
        let reference = shop.provider.asked.lock().unwrap()[0].reference.clone();
        let notice = |reference: String| crate::provider::Notice {
            payment,
            reference,
            outcome: payments_api::Outcome::Done,
        };
        shop.service.heard(notice("another".to_owned())).await.unwrap();
        assert_eq!(shop.detail(payment).await.payment.state, PaymentState::Pending);
        shop.service.heard(notice(reference)).await.unwrap();
        assert_eq!(shop.detail(payment).await.payment.state, PaymentState::Authorised);
    }
}
