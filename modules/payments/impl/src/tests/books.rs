//! Revenue from ordering's events, rounding, balances, the journal and the audit.

use contract::{Envelope, Event, Never};
use events::Handler;
use kernel_api::{Currency, Exact, Id, PageRequest, Timestamp};
use ordering_api::{OrderAdjusted, OrderPaid, OrderPlaced, OrderRefunded, Part, PartKind};
use payments_api::{Account, BalancesWanted, Credit, EntryReason, Payments};

use super::{Shop, call, command, gbp, shops};
use crate::service::Revenue;

fn part(kind: PartKind, micros: i64) -> Part {
    Part { kind, net: Exact::new(micros, Currency::GBP) }
}

fn envelope<E: Event>(event: &E) -> Envelope {
    Envelope {
        specversion: "1.0".to_owned(),
        id: Id::<E>::fresh().to_string(),
        source: "ordering".to_owned(),
        kind: E::NAME.to_owned(),
        dataversion: E::VERSION,
        subject: event.key(),
        time: Timestamp::from_micros(0),
        position: 1,
        traceparent: None,
        data: serde_json::value::to_raw_value(event).unwrap(),
    }
}

async fn hear(shop: &Shop, envelope: &Envelope) -> Result<(), String> {
    let (call, envelope) = (call(), envelope.clone());
    let heard = shop.store.write::<_, Never>(&call, move |tx| {
        Ok(Revenue.apply(tx, &envelope).map_err(|error| error.to_string()))
    });
    heard.await.unwrap()
}

fn paid(order: Id<payments_api::Order>, charged: i64, parts: Vec<Part>) -> Envelope {
    let at = Timestamp::from_micros(7);
    envelope(&OrderPaid { order: order.cast(), charged: gbp(charged), parts, at })
}

async fn balance(shop: &Shop, account: Account) -> i64 {
    let balances = shop.service.balances(&call(), BalancesWanted::default()).await.unwrap();
    let found = balances.accounts.iter().find(|balance| balance.account == account);
    found.map_or(0, |balance| balance.balance.micros)
}

async fn net(shop: &Shop) -> i64 {
    let balances = shop.service.balances(&call(), BalancesWanted::default()).await.unwrap();
    let sum: i64 = balances.accounts.iter().map(|balance| balance.balance.micros).sum();
    assert_eq!(sum, 0, "every entry balances, so all of them do");
    balances.net.iter().map(|net| net.micros).sum()
}

#[tokio::test]
async fn prices_finer_than_a_penny_are_exact_and_rounding_takes_the_rest() {
    for shop in shops() {
        let payment = shop.paid(1000).await;
        let parts = vec![part(PartKind::Goods, 10_501_000), part(PartKind::Discount, -500_000)];
        hear(&shop, &paid(payment.cast(), 1000, parts)).await.unwrap();
        assert_eq!(net(&shop).await, 10_001_000);
        for (account, micros) in [
            (Account::ProviderClearing, 10_000_000),
            (Account::Receivable, 0),
            (Account::Sales, -10_501_000),
            (Account::Discounts, 500_000),
            (Account::Rounding, 1_000),
        ] {
            assert_eq!(balance(&shop, account).await, micros, "{account:?}");
        }
        assert_eq!(shop.audited().await.receivables, Vec::new());
    }
}

#[tokio::test]
async fn an_event_is_booked_once_however_often_it_comes() {
    for shop in shops() {
        let payment = shop.paid(500).await;
        let event = paid(payment.cast(), 500, vec![part(PartKind::Goods, 5_000_000)]);
        for _again in 0..3 {
            hear(&shop, &event).await.unwrap();
        }
        assert_eq!(net(&shop).await, 5_000_000);
    }
}

#[tokio::test]
async fn refunds_credits_and_adjustments_find_their_receivables() {
    for shop in shops() {
        let payment = shop.paid(500).await;
        hear(&shop, &paid(payment.cast(), 500, vec![part(PartKind::Goods, 5_000_000)]))
            .await
            .unwrap();
        shop.refund("r", payment, 200).await.unwrap();
        let credit = Id::fresh();
        let (amount, reason) = (gbp(100), "no sale".parse().unwrap());
        let wish = Credit { credit, amount, reason, token: None };
        shop.service.credit(&command("c"), wish).await.unwrap();
        let unexplained = shop.audited().await.receivables;
        assert_eq!(unexplained.len(), 2, "money went back, revenue did not yet: {unexplained:?}");

        let at = Timestamp::from_micros(8);
        let back = |order, refund, minor, micros| OrderRefunded {
            order,
            note: Id::fresh(),
            refund,
            refunded: gbp(minor),
            parts: vec![part(PartKind::Goods, micros)],
            at,
        };
        hear(&shop, &envelope(&back(Some(payment.cast()), Id::fresh(), 200, -2_000_000)))
            .await
            .unwrap();
        hear(&shop, &envelope(&back(None, credit.cast(), 100, -999_000))).await.unwrap();
        assert_eq!(shop.audited().await.receivables, Vec::new());

        let adjustment = OrderAdjusted {
            order: None,
            adjustment: Id::fresh(),
            charged: gbp(-1_106_206),
            parts: vec![part(PartKind::BadDebt, -11_062_060_000)],
            at,
        };
        hear(&shop, &envelope(&adjustment)).await.unwrap();
        let open = shop.audited().await.receivables;
        assert_eq!(open.len(), 1);
        assert_eq!(open[0].subject, adjustment.adjustment.to_string());
        assert_eq!(open[0].open, open[0].adjusted, "explained");
        assert_eq!(net(&shop).await, 5_000_000 - 2_000_000 - 999_000 - 11_062_060_000);
        shop.assert_clean().await;
    }
}

#[tokio::test]
async fn events_of_other_kinds_are_passed_over_and_unfit_ones_are_poison() {
    for shop in shops() {
        let placed = OrderPlaced {
            order: Id::fresh(),
            customer: None,
            total: gbp(1),
            lines: 1,
            at: Timestamp::from_micros(0),
        };
        hear(&shop, &envelope(&placed)).await.unwrap();
        let much = vec![part(PartKind::Goods, i64::MAX), part(PartKind::Services, 1)];
        hear(&shop, &paid(Id::fresh(), 1, much)).await.unwrap_err();
        let mut newer = paid(Id::fresh(), 1, Vec::new());
        newer.dataversion = 99;
        hear(&shop, &newer).await.unwrap_err();
        let mut broken = paid(Id::fresh(), 1, Vec::new());
        broken.data = serde_json::value::to_raw_value("no event").unwrap();
        hear(&shop, &broken).await.unwrap_err();
        assert_eq!(shop.audited().await.entries, 0);
    }
}

#[tokio::test]
async fn the_journal_shows_both_sides_in_pages() {
    for shop in shops() {
        let payment = shop.paid(500).await;
        let parts = vec![part(PartKind::Goods, 4_000_000), part(PartKind::Services, 1_001_000)];
        hear(&shop, &paid(payment.cast(), 500, parts)).await.unwrap();
        shop.refund("r", payment, 500).await.unwrap();
        let mut entries = Vec::new();
        let mut after = None;
        loop {
            let request = PageRequest { after, limit: Some(1) };
            let page = shop.service.entries(&call(), request).await.unwrap();
            entries.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let mut reasons: Vec<_> = entries.iter().map(|entry| entry.reason).collect();
        reasons.sort_unstable();
        use EntryReason::{Captured, OrderPaid, Refunded};
        assert_eq!(reasons, [Captured, Refunded, OrderPaid]);
        for entry in &entries {
            let sum: i64 = entry.postings.iter().map(|posting| posting.amount.micros).sum();
            assert_eq!(sum, 0, "{entry:?}");
            assert_eq!(entry.subject, payment.to_string());
        }
        let revenue = entries.iter().find(|entry| entry.reason == OrderPaid).unwrap();
        assert_eq!(revenue.postings.len(), 4, "{revenue:?}");
    }
}
