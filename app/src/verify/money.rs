//! Orders, reservations and payments: none without the others.

use std::collections::HashMap;

use anyhow::Result;
use inventory_api::{ReservationState, Reservations};
use kernel_api::Money;
use ordering_api::{
    Document, DocumentDetail, DocumentKind, DocumentsWish, OrderStatus, Origin, ReturnStatus,
};
use payments_api::{Payment, PaymentKind, PaymentState};
use uuid::Uuid;

use super::{Verifier, figures::Orders, report::Checks};
use crate::insist::call;

const RESERVED: &str = "no order without its reservation, no sold stock without its order";
const PAID: &str = "no order without its payment";
const ORDERED: &str = "no charge without its order, no credit without its return";
const RETURNED: &str = "every return has been settled";

/// What the other modules have, by UUID; what an order accounts for is taken out.
struct Others {
    reservations: HashMap<Uuid, ReservationState>,
    payments: HashMap<Uuid, Payment>,
}

impl Verifier<'_> {
    pub(super) async fn check_orders(&self, checks: &mut Checks) -> Result<Orders> {
        for invariant in [RESERVED, PAID, ORDERED, RETURNED] {
            checks.check(invariant);
        }
        // Orders last: a reservation or a payment that is made while we read belongs to an order that we then see.
        let mut others =
            Others { reservations: self.reservations().await?, payments: self.payments().await? };
        let in_state = |state| {
            let states = others.reservations.values().filter(|found| **found == state);
            u64::try_from(states.count()).unwrap_or(u64::MAX)
        };
        let mut orders = Orders {
            reservations_open: in_state(ReservationState::Open),
            reservations_committed: in_state(ReservationState::Committed),
            ..Orders::default()
        };
        for kind in [DocumentKind::Order, DocumentKind::Return, DocumentKind::Adjustment] {
            let ordering = &self.modules.ordering;
            let asked = async |page| {
                ordering.documents(&call(&self.caller), DocumentsWish { kind, page }).await
            };
            self.pace
                .each("documents", asked, |document| {
                    count(&mut orders, &document);
                    check_document(&document, &mut others, checks);
                })
                .await?;
        }
        check_rest(others, checks);
        Ok(orders)
    }

    async fn reservations(&self) -> Result<HashMap<Uuid, ReservationState>> {
        let inventory = &self.modules.inventory;
        let mut found = HashMap::new();
        let asked = async |page| {
            let wish = Reservations { state: None, page };
            inventory.reservations(&call(&self.caller), wish).await
        };
        self.pace
            .each("reservations", asked, |reservation| {
                found.insert(reservation.id.uuid(), reservation.state);
            })
            .await?;
        Ok(found)
    }

    async fn payments(&self) -> Result<HashMap<Uuid, Payment>> {
        let payments = &self.modules.payments;
        let mut found = HashMap::new();
        let asked = async |page| payments.payments(&call(&self.caller), page).await;
        self.pace
            .each("payments", asked, |payment| {
                found.insert(payment.id.uuid(), payment);
            })
            .await?;
        Ok(found)
    }
}

fn count(orders: &mut Orders, document: &Document) {
    match &document.detail {
        DocumentDetail::Order { status, .. } => {
            match document.origin {
                Origin::Live => orders.live += 1,
                Origin::History => orders.history += 1,
            }
            orders.cancelled += u64::from(*status == OrderStatus::Cancelled);
        }
        DocumentDetail::Return { .. } => orders.returns += 1,
        DocumentDetail::Adjustment => orders.adjustments += 1,
    }
}

fn check_document(document: &Document, others: &mut Others, checks: &mut Checks) {
    match &document.detail {
        DocumentDetail::Order { status, reservation, payment, refunded } => {
            let is_cancelled = *status == OrderStatus::Cancelled;
            if let Some(reservation) = reservation {
                let state = others.reservations.remove(&reservation.uuid());
                // History's goods moved in the stock ledger, which is compared by SKU.
                if document.origin == Origin::Live
                    && !is_cancelled
                    && state != Some(ReservationState::Committed)
                {
                    let finding = format!("order {}: its reservation is {state:?}", document.id);
                    checks.check(RESERVED).broken(finding);
                }
            }
            if let Some(payment) = payment {
                let found = others.payments.remove(&payment.uuid());
                let problem = unpaid(document.total, *refunded, is_cancelled, found.as_ref());
                if let Some(problem) = problem {
                    checks.check(PAID).broken(format!("order {}: {problem}", document.id));
                }
            }
        }
        DocumentDetail::Return { status, settlements } => {
            if *status != ReturnStatus::Settled {
                checks.check(RETURNED).broken(format!("return {} is {status:?}", document.id));
            }
            let credits =
                settlements.iter().filter(|one| one.order.is_none() && one.amount.minor > 0);
            for credit in credits {
                let paid = others.payments.remove(&credit.id.uuid());
                let out = paid.map(|payment| payment.refunded);
                if out != Some(credit.amount) {
                    let finding = format!(
                        "return {}: credit {} is {}, payments has {out:?}",
                        document.id, credit.id, credit.amount
                    );
                    checks.check(RETURNED).broken(finding);
                }
            }
        }
        DocumentDetail::Adjustment => {}
    }
}

/// What is wrong with an order's payment.
fn unpaid(
    total: Money,
    refunded: Money,
    is_cancelled: bool,
    payment: Option<&Payment>,
) -> Option<String> {
    let Some(payment) = payment else { return Some("it has no payment".to_owned()) };
    if is_cancelled {
        let kept = payment.captured != payment.refunded;
        return kept.then(|| format!("cancelled, but {} of its payment is kept", payment.captured));
    }
    if payment.captured != total {
        return Some(format!("its total is {total}, captured was {}", payment.captured));
    }
    (payment.refunded != refunded)
        .then(|| format!("{refunded} should have gone back, {} did", payment.refunded))
}

/// What no document accounts for.
fn check_rest(others: Others, checks: &mut Checks) {
    for (id, state) in others.reservations {
        match state {
            ReservationState::Committed => {
                checks.check(RESERVED).broken(format!("reservation {id} is sold and has no order"));
            }
            // Counted in the figures of stock; an open one expires by itself.
            ReservationState::Open | ReservationState::Released | ReservationState::Expired => {}
        }
    }
    for (id, payment) in others.payments {
        let nothing = payment.captured.minor == 0 && payment.refunded.minor == 0;
        let problem = match (payment.kind, payment.state) {
            (_, PaymentState::Declined | PaymentState::Voided) if nothing => continue,
            (PaymentKind::Credit, _) => "a credit without a return",
            (PaymentKind::Charge, PaymentState::Authorised | PaymentState::Pending) => {
                "money held without an order"
            }
            (PaymentKind::Charge, _) => "a charge without an order",
        };
        checks.check(ORDERED).broken(format!("payment {id}: {problem} ({:?})", payment.state));
    }
}
