//! Parts and sums: what is left can be taken, more cannot.

use contract::Fault;
use kernel_api::{Id, Money, Page, PageRequest};
use payments_api::{
    AuthoriseError, CaptureError, Credit, CreditError, Payment, PaymentState, Payments,
    RefundError, VoidError,
};

use super::{Shop, call, command, gbp, shops};

async fn sums(shop: &Shop, payment: Id<Payment>) -> (i64, i64, i64, i64, PaymentState) {
    let payment = shop.detail(payment).await.payment;
    let Payment { authorised, captured, voided, refunded, state, .. } = payment;
    (authorised.minor, captured.minor, voided.minor, refunded.minor, state)
}

#[tokio::test]
async fn parts_are_taken_given_back_and_paid_back_until_nothing_is_left() {
    for shop in shops() {
        let payment = Id::fresh();
        shop.authorise("a", payment, 1000, "tok_approve").await.unwrap();
        shop.capture("c1", payment, 300).await.unwrap();
        shop.capture("c2", payment, 200).await.unwrap();
        assert_eq!(sums(&shop, payment).await, (1000, 500, 0, 0, PaymentState::PartlyCaptured));
        let left = gbp(500);
        let refused = shop.capture("c3", payment, 501).await;
        assert_eq!(refused, Err(Fault::Refused(CaptureError::TooMuch { left })));
        let refused = shop.void("v1", payment, Some(501)).await;
        assert_eq!(refused, Err(Fault::Refused(VoidError::TooMuch { left })));
        let refused = shop.refund("r1", payment, 501).await;
        assert_eq!(refused, Err(Fault::Refused(RefundError::TooMuch { left })));

        shop.void("v2", payment, Some(100)).await.unwrap();
        let rest = shop.void("v3", payment, None).await.unwrap();
        assert_eq!(rest.amount, gbp(400));
        assert_eq!(shop.void("v3", payment, None).await.unwrap(), rest);
        assert_eq!(sums(&shop, payment).await, (1000, 500, 500, 0, PaymentState::Captured));
        let state = PaymentState::Captured;
        let refused = shop.void("v4", payment, None).await;
        assert_eq!(refused, Err(Fault::Refused(VoidError::WrongState { state })));

        shop.refund("r2", payment, 499).await.unwrap();
        assert_eq!(sums(&shop, payment).await.4, PaymentState::PartlyRefunded);
        shop.refund("r3", payment, 1).await.unwrap();
        assert_eq!(sums(&shop, payment).await, (1000, 500, 500, 500, PaymentState::Refunded));
        let state = PaymentState::Refunded;
        let refused = shop.refund("r4", payment, 1).await;
        assert_eq!(refused, Err(Fault::Refused(RefundError::WrongState { state })));
        assert_eq!(shop.audited().await.entries, 4, "two captures and two refunds");
        shop.assert_clean().await;
    }
}

#[tokio::test]
async fn amounts_that_are_none_are_refused_and_write_nothing() {
    for shop in shops() {
        let payment = Id::fresh();
        for minor in [0, -1, i64::MIN, i64::MAX] {
            let refused = shop.authorise("a", payment, minor, "tok_approve").await;
            assert_eq!(refused, Err(Fault::Refused(AuthoriseError::BadAmount)), "{minor}");
        }
        shop.authorise("a", payment, 1000, "tok_approve").await.unwrap();
        for minor in [0, -1, i64::MIN] {
            let refused = shop.capture("c", payment, minor).await;
            assert_eq!(refused, Err(Fault::Refused(CaptureError::BadAmount)), "{minor}");
        }
        let dollars = Money::new(1, "USD".parse().unwrap());
        let wish = payments_api::Capture { payment, amount: dollars };
        let refused = shop.service.capture(&command("d"), wish).await;
        assert_eq!(refused, Err(Fault::Refused(CaptureError::BadAmount)));
        let nobody = shop.capture("n", Id::fresh(), 1).await;
        assert_eq!(nobody, Err(Fault::Refused(CaptureError::NoSuchPayment)));
        let detail = shop.detail(payment).await;
        assert_eq!((detail.history.len(), detail.payment.pending), (1, None));
    }
}

#[tokio::test]
async fn an_unlinked_credit_pays_out_once() {
    for shop in shops() {
        let credit = Id::fresh();
        let wish = |minor, token: Option<&str>| Credit {
            credit,
            amount: gbp(minor),
            reason: "no sale was found".parse().unwrap(),
            token: token.map(|token| token.parse().unwrap()),
        };
        let bad = shop.service.credit(&command("k"), wish(0, None)).await;
        assert_eq!(bad, Err(Fault::Refused(CreditError::BadAmount)));
        let receipt = shop.service.credit(&command("k"), wish(750, None)).await.unwrap();
        assert_eq!(shop.service.credit(&command("k"), wish(750, None)).await.unwrap(), receipt);
        let taken = shop.service.credit(&command("l"), wish(750, None)).await;
        assert_eq!(taken, Err(Fault::Refused(CreditError::CreditExists)));
        let detail = shop.detail(credit).await;
        assert_eq!(detail.payment.state, PaymentState::Credited);
        assert_eq!(detail.payment.order, None);
        assert_eq!(detail.history[0].reason.as_ref().unwrap().as_str(), "no sale was found");
        let refused = shop.refund("r", credit, 1).await;
        let state = PaymentState::Credited;
        assert_eq!(refused, Err(Fault::Refused(RefundError::WrongState { state })));

        let declined = Id::fresh();
        let no = Credit { credit: declined, ..wish(750, Some("tok_decline")) };
        let answer = shop.service.credit(&command("m"), no).await;
        assert!(matches!(answer, Err(Fault::Refused(CreditError::Declined { .. }))));
        assert_eq!(shop.detail(declined).await.payment.state, PaymentState::Declined);
        shop.assert_clean().await;
    }
}

#[tokio::test]
async fn payments_come_in_pages_by_id() {
    for shop in shops() {
        let mut made = Vec::new();
        for _payment in 0..5 {
            made.push(shop.paid(100).await);
        }
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let request = PageRequest { after, limit: Some(2) };
            let Page { items, next } = shop.service.payments(&call(), request).await.unwrap();
            seen.extend(items.into_iter().map(|payment| payment.id));
            after = next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, made);
    }
}
