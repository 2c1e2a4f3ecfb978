//! The past: booked once, however often it is brought.

use contract::Fault;
use kernel_api::{Id, Timestamp};
use payments_api::{
    HISTORY_RECORDS_MAX, History, HistoryRecord, ImportError, Imported, OperationKind, Payment,
    PaymentState, Payments,
};

use super::{Shop, command, gbp, shops};

const AT: Timestamp = Timestamp::from_micros(1_291_000_000_000_000);

fn charge(payment: Id<Payment>, minor: i64) -> HistoryRecord {
    HistoryRecord::Charge { payment, order: payment.cast(), amount: gbp(minor), at: AT }
}

fn refund(payment: Id<Payment>, refund: Id<payments_api::Refund>, minor: i64) -> HistoryRecord {
    let reason = "returned".parse().unwrap();
    HistoryRecord::Refund { refund, payment, amount: gbp(minor), reason, at: AT }
}

async fn import(
    shop: &Shop,
    key: &str,
    records: Vec<HistoryRecord>,
) -> Result<Imported, Fault<ImportError>> {
    shop.service.import(&command(key), History { records }).await
}

#[tokio::test]
async fn history_is_booked_once_and_the_provider_is_not_asked() {
    for shop in shops() {
        let (a, b, credit, back) = (Id::fresh(), Id::fresh(), Id::fresh(), Id::fresh());
        let records = vec![
            charge(a, 1000),
            charge(b, 500),
            refund(a, back, 300),
            HistoryRecord::Credit {
                credit,
                amount: gbp(70),
                reason: "no sale".parse().unwrap(),
                at: AT,
            },
        ];
        let first = import(&shop, "one", records.clone()).await.unwrap();
        assert_eq!(first, Imported { booked: 4, known: 0 });
        assert_eq!(import(&shop, "one", records.clone()).await.unwrap(), first);
        let again = import(&shop, "two", records).await.unwrap();
        assert_eq!(again, Imported { booked: 0, known: 4 });

        let detail = shop.detail(a).await;
        assert_eq!(detail.payment.state, PaymentState::PartlyRefunded);
        assert!(detail.payment.history);
        assert_eq!(detail.payment.created_at, AT);
        assert_eq!(detail.history.len(), 2);
        assert_eq!(shop.detail(credit).await.payment.state, PaymentState::Credited);
        // A later import refunds what an earlier one charged.
        let later = import(&shop, "three", vec![refund(b, Id::fresh(), 500)]).await.unwrap();
        assert_eq!(later, Imported { booked: 1, known: 0 });
        assert_eq!(shop.detail(b).await.payment.state, PaymentState::Refunded);
        assert_eq!(shop.provider.asked.lock().unwrap().len(), 0);
        assert_eq!(shop.audited().await.entries, 5);
        shop.assert_clean().await;
    }
}

#[tokio::test]
async fn a_live_refund_of_history_is_paid_out_as_a_credit() {
    for shop in shops() {
        let payment = Id::fresh();
        import(&shop, "one", vec![charge(payment, 1000)]).await.unwrap();
        shop.refund("r", payment, 1000).await.unwrap();
        assert_eq!(shop.provider.asked.lock().unwrap()[0].kind, OperationKind::Credit);
        assert_eq!(shop.detail(payment).await.payment.state, PaymentState::Refunded);
        shop.assert_clean().await;
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_true_refuses_the_whole_import() {
    for shop in shops() {
        let live = shop.paid(1000).await;
        let (known, nobody) = (Id::fresh(), Id::fresh());
        import(&shop, "known", vec![charge(known, 100)]).await.unwrap();
        let good = || charge(Id::fresh(), 5);
        let cases = [
            (charge(Id::fresh(), 0), ImportError::BadAmount { record: 1 }),
            (refund(known, Id::fresh(), -1), ImportError::BadAmount { record: 1 }),
            (charge(known, 101), ImportError::Disagrees { record: 1 }),
            (charge(live, 1000), ImportError::Disagrees { record: 1 }),
            (refund(live, Id::fresh(), 10), ImportError::Disagrees { record: 1 }),
            (
                refund(nobody, Id::fresh(), 10),
                ImportError::NoSuchPayment { record: 1, payment: nobody },
            ),
            (refund(known, Id::fresh(), 101), ImportError::TooMuch { record: 1, left: gbp(100) }),
        ];
        for (place, (record, error)) in cases.into_iter().enumerate() {
            let answer = import(&shop, &format!("bad{place}"), vec![good(), record]).await;
            assert_eq!(answer, Err(Fault::Refused(error)));
        }
        let max = usize::try_from(HISTORY_RECORDS_MAX).unwrap();
        let many = |count| (0..count).map(|_| good()).collect::<Vec<_>>();
        let answer = import(&shop, "many", many(max + 1)).await;
        assert_eq!(answer, Err(Fault::Refused(ImportError::TooMany { max: HISTORY_RECORDS_MAX })));
        assert_eq!(shop.audited().await.payments, 2);
        let full = import(&shop, "full", many(max)).await.unwrap();
        assert_eq!(full.booked, HISTORY_RECORDS_MAX);
        shop.assert_clean().await;
    }
}
