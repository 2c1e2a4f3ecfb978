//! Orders: shown, shipped, cancelled.

use contract::{Answer, Call, Command, Fault};
use kernel_api::{Id, Page};
use ordering_api::{
    Allocation, Cancel, CancelError, Order, OrderCancelled, OrderError, OrderLine, OrderShipped,
    OrderSummary, OrderWish, OrdersWish, ReturnNote, ReturnedItem, Ship, ShipError,
    TEXT_LENGTH_MAX,
};

use ::store::{Abort, Tx};

use super::{
    Service,
    carts::opens,
    paging,
    returning::{Accepted, accept},
    writing::{hold, load, record},
};
use crate::{
    domain::{
        order::{OrderState, Refusal, Wish, decide},
        returns::{Left, reversed, split},
        text,
    },
    store::{self, OrdersFilter, SummaryRow},
};

impl Service {
    pub(super) async fn show_order(
        &self,
        call: &Call,
        wish: OrderWish,
    ) -> Answer<Order, OrderError> {
        let OrderWish { order: id, by } = wish;
        self.store
            .read(call, move |c| {
                let order = load(c, id)?.ok_or(Abort::Refused(OrderError::NotFound))?;
                let secret = order.sale.secret.as_ref().map(|secret| secret.0.as_str());
                if !opens(&by, secret) {
                    return Err(Abort::Refused(OrderError::NotFound));
                }
                Ok(order_of(id, order))
            })
            .await
    }

    pub(super) async fn list_orders(
        &self,
        call: &Call,
        wish: OrdersWish,
    ) -> Answer<Page<OrderSummary>, OrderError> {
        let OrdersWish { customer, reference, page } = wish;
        let after =
            paging::after(page.after.as_deref()).ok_or(Fault::Refused(OrderError::BadCursor))?;
        let limit = page.limit();
        let filter =
            OrdersFilter { customer: customer.map(|customer| customer.to_string()), reference };
        self.store
            .read(call, move |c| {
                let rows = store::summaries(c, &filter, &after, i64::from(limit) + 1)?;
                let page = Page::of(rows, limit, |row| row.id.clone());
                let items: Result<_, _> = page.items.into_iter().map(SummaryRow::summary).collect();
                Ok(Page { items: items?, next: page.next })
            })
            .await
    }

    pub(super) async fn ship_order(
        &self,
        command: &Command,
        wish: Ship,
    ) -> Answer<Order, ShipError> {
        if wish.tracking.as_deref().is_some_and(|text| !text::is_good(text, TEXT_LENGTH_MAX)) {
            let field = "tracking".to_owned();
            return Err(Fault::Refused(ShipError::BadText { field, length_max: TEXT_LENGTH_MAX }));
        }
        let id = wish.order;
        let asked = wish.clone();
        let () = self
            .store
            .command(command, "ship", &asked, move |tx| {
                let mut order = hold(tx, id)?.ok_or(Abort::Refused(ShipError::NotFound))?;
                if wish.version.is_some_and(|version| version != order.version) {
                    let version = order.version;
                    return Err(Abort::Refused(ShipError::VersionMismatch { version }));
                }
                let tracking = wish.tracking.clone();
                let event = decide(&order, Wish::Ship { tracking: tracking.clone() })
                    .map_err(|_only_not_now| ShipError::NotNow { status: order.status })
                    .map_err(Abort::Refused)?;
                let at = tx.now();
                record(tx, id, &mut order, &event, at)?;
                tx.emit(&OrderShipped { order: id, tracking, at })?;
                Ok(())
            })
            .await?;
        // The kept answer is nothing: an order may be large, and it is read as it is now.
        let by = ordering_api::Opener::Operator;
        self.show_order(command, OrderWish { order: id, by })
            .await
            .map_err(|fault| fault.map(|_gone| ShipError::NotFound))
    }

    pub(super) async fn cancel_order(
        &self,
        command: &Command,
        wish: Cancel,
    ) -> Answer<ReturnNote, CancelError> {
        if !text::is_good(&wish.reason, TEXT_LENGTH_MAX) {
            let field = "reason".to_owned();
            return Err(Fault::Refused(CancelError::BadText {
                field,
                length_max: TEXT_LENGTH_MAX,
            }));
        }
        let note = Id::<ReturnNote>::fresh();
        let runner = self.runner.clone();
        let asked = wish.clone();
        let accepted: Id<ReturnNote> = self
            .store
            .command(command, "cancel", &asked, move |tx| {
                let order = hold(tx, wish.order)?.ok_or(Abort::Refused(CancelError::NotFound))?;
                if wish.version.is_some_and(|version| version != order.version) {
                    let version = order.version;
                    return Err(Abort::Refused(CancelError::VersionMismatch { version }));
                }
                call_off(tx, &runner, note, &wish, order)?;
                Ok(note)
            })
            .await?;
        self.settle(command, accepted).await
    }
}

fn call_off(
    tx: &mut Tx<'_>,
    runner: &saga::Runner,
    note: Id<ReturnNote>,
    wish: &Cancel,
    mut order: OrderState,
) -> Result<(), Abort<CancelError>> {
    let (id, at) = (wish.order, tx.now());
    let event = decide(&order, Wish::Cancel { note, reason: wish.reason.clone() })
        .map_err(|refusal| match refusal {
            Refusal::NotNow(status) => CancelError::NotNow { status },
            Refusal::UnknownLine(_)
            | Refusal::MoreThanSold { .. }
            | Refusal::MoreThanPaid { .. } => CancelError::NotNow { status: order.status },
        })
        .map_err(Abort::Refused)?;
    let items: Vec<_> = (0_i64..)
        .zip(&order.sale.lines)
        .map(|(line, sold)| ReturnedItem {
            line: reversed(sold, sold.quantity),
            allocations: vec![Allocation { order: id, line, quantity: sold.quantity }],
        })
        .collect();
    let left = Left::from([(id, order.left_minor())]);
    let currency = order.sale.currency;
    let parted = split(note, &items, &left, currency)
        .map_err(|_fits| diesel::result::Error::RollbackTransaction)?;
    record(tx, id, &mut order, &event, at)?;
    tx.emit(&OrderCancelled { order: id, paid: true, reason: wish.reason.clone(), at })?;
    let accepted = Accepted {
        note,
        cancellation: true,
        reference: order.sale.reference.clone(),
        customer: order.sale.customer,
        reason: wish.reason.clone(),
        items,
        split: parted,
    };
    accept(tx, runner, accepted, at)?;
    Ok(())
}

/// An order as it is shown.
pub(super) fn order_of(id: Id<Order>, order: OrderState) -> Order {
    let refunded = order.refunded();
    let OrderState { version, origin, status, sale, returned, sum, placed_at, updated_at, .. } =
        order;
    let has_goods = sale.lines.iter().any(|line| line.sku().is_some());
    Order {
        id,
        version,
        origin,
        status,
        reference: sale.reference,
        customer: sale.customer,
        reservation: has_goods.then(|| id.cast()),
        payment: (sum.total.minor != 0).then(|| id.cast()),
        lines: sale
            .lines
            .into_iter()
            .zip(returned)
            .map(|(line, returned)| OrderLine { line, returned })
            .collect(),
        sum,
        refunded,
        placed_at,
        updated_at,
    }
}
