//! Returns: accepted in one transaction, settled by a saga.

use std::collections::BTreeSet;

use contract::{Answer, Call, Command, Fault, Unknown};
use kernel_api::{Currency, Id, Sku, Timestamp};
use ordering_api::{
    Allocation, Customer, LINES_MAX, Origin, QUANTITY_MAX, ReturnGoods, ReturnItems, ReturnNote,
    ReturnedItem, ReturnsError,
};

use ::store::{Abort, Tx};

use super::{
    Service,
    matching::{Matched, unsplit},
    offers::offers,
    settling::SettlementSaga,
    writing::{hold, record},
};
use crate::{
    domain::{
        order::{Back, OrderState, Refusal, Wish, decide},
        return_wish::{check_goods, check_offers, check_reason},
        returns::{Left, Split, promised, reversed, split},
        settlement,
    },
    store::{self, NoteRow},
};

/// What is kept as the reason when nobody gave one.
pub(super) const NO_REASON: &str = "returned";

/// A return that was decided, ready to be written.
pub(super) struct Accepted {
    pub note: Id<ReturnNote>,
    pub cancellation: bool,
    pub reference: Option<String>,
    pub customer: Option<Id<Customer>>,
    pub reason: String,
    pub items: Vec<ReturnedItem>,
    pub split: Split,
}

/// The row of a return.
pub(super) fn note_row(
    accepted: &Accepted,
    (origin, source): (Origin, Option<(&str, i64)>),
    at: Timestamp,
) -> diesel::QueryResult<NoteRow> {
    let sum = &accepted.split.sum;
    Ok(NoteRow {
        id: accepted.note.to_string(),
        origin: store::to_word(&origin)?,
        settled: false,
        cancellation: accepted.cancellation,
        reference: accepted.reference.clone(),
        source: source.map(|(source, _)| source.to_owned()),
        source_rows: source.map_or(0, |(_, rows)| rows),
        customer: accepted.customer.map(|customer| customer.to_string()),
        currency: sum.net.currency.to_string(),
        items: store::to_json(&accepted.items)?,
        settlements: store::to_json(&accepted.split.settlements)?,
        parts: store::to_json(&sum.parts)?,
        net_micros: sum.net.micros,
        total_minor: sum.total.minor,
        reason: accepted.reason.clone(),
        accepted_at: at.micros(),
    })
}

/// The goods of a return: SKU and quantity, positive.
pub(super) fn goods_of(items: &[ReturnedItem]) -> Vec<(String, i64)> {
    items
        .iter()
        .filter_map(|item| Some((item.line.sku()?.to_string(), -item.line.quantity)))
        .collect()
}

/// Writes a live return and begins its settlement.
pub(super) fn accept<R>(
    tx: &mut Tx<'_>,
    runner: &saga::Runner,
    accepted: Accepted,
    at: Timestamp,
) -> Result<(), Abort<R>> {
    let row = note_row(&accepted, (Origin::Live, None), at)?;
    let goods = goods_of(&accepted.items);
    store::insert_note(tx.connection(), &row)?;
    store::insert_return_lines(tx.connection(), &row.id, &goods)?;
    let pieces = accepted.split.settlements.len();
    let state = settlement::State::begin(accepted.note, !goods.is_empty(), pieces);
    runner.start_in::<SettlementSaga>(tx, accepted.note.cast(), &state)?;
    Ok(())
}

impl Service {
    /// Lines of one order come back.
    pub(super) async fn take_back(
        &self,
        command: &Command,
        wish: ReturnItems,
    ) -> Answer<ReturnNote, ReturnsError> {
        check_reason(wish.reason.as_deref()).map_err(Fault::Refused)?;
        if wish.lines.is_empty() {
            return Err(Fault::Refused(ReturnsError::Empty));
        }
        if wish.lines.len() > LINES_MAX {
            return Err(Fault::Refused(ReturnsError::TooManyLines { limit: LINES_MAX }));
        }
        let note = Id::<ReturnNote>::fresh();
        let runner = self.runner.clone();
        let asked = wish.clone();
        let accepted: Id<ReturnNote> = self
            .store
            .command(command, "return_items", &asked, move |tx| {
                let order = hold(tx, wish.order)?.ok_or(Abort::Refused(ReturnsError::NotFound))?;
                if wish.version.is_some_and(|version| version != order.version) {
                    let version = order.version;
                    return Err(Abort::Refused(ReturnsError::VersionMismatch { version }));
                }
                take_lines_back(tx, &runner, note, &wish, order)?;
                Ok(note)
            })
            .await?;
        self.settle(command, accepted).await
    }

    /// Something comes back and nobody names the sale.
    pub(super) async fn take_goods_back(
        &self,
        command: &Command,
        wish: ReturnGoods,
    ) -> Answer<ReturnNote, ReturnsError> {
        let currency = wish.currency.unwrap_or(self.config.currency);
        check_goods(&wish, currency).map_err(Fault::Refused)?;
        let skus: BTreeSet<Sku> = wish.lines.iter().map(|line| line.sku.clone()).collect();
        let skus: Vec<Sku> = skus.into_iter().collect();
        let offers = offers(&*self.catalog, command, &skus).await?;
        check_offers(&wish, currency, &offers).map_err(Fault::Refused)?;
        let wanted: Vec<_> =
            wish.lines.iter().map(|line| (line.sku.clone(), line.quantity)).collect();
        let note = Id::<ReturnNote>::fresh();
        let runner = self.runner.clone();
        let asked = wish.clone();
        let accepted: Id<ReturnNote> = self
            .store
            .command(command, "return_goods", &asked, move |tx| {
                let at = tx.now();
                let mut matched = Matched::of(tx, wish.customer, &wanted, currency, at)?;
                let items = matched.items(&wish, &offers, currency);
                let accepted = matched
                    .write(tx, note, items, currency, at)
                    .map_err(|unmatched| unmatched.refusal())?;
                let accepted = Accepted {
                    reference: wish.reference.clone(),
                    customer: wish.customer,
                    reason: wish.reason.clone().unwrap_or_else(|| NO_REASON.to_owned()),
                    ..accepted
                };
                accept(tx, &runner, accepted, at)?;
                Ok(note)
            })
            .await?;
        self.settle(command, accepted).await
    }

    /// Drives the settlement of an accepted return for a while and answers the note as it then is.
    pub(super) async fn settle<R: Send + 'static>(
        &self,
        call: &Call,
        note: Id<ReturnNote>,
    ) -> Answer<ReturnNote, R> {
        // Read while there is time: whatever keeps us from looking again, it is accepted and goes on by itself.
        let accepted = self.noted(call, note).await.map_err(happened)?;
        let deadline = self.bound(call);
        if let Err(fault) = self.runner.drive(note.cast(), deadline).await {
            tracing::debug!(%note, ?fault, "the settlement goes on by itself");
        }
        match self.noted(call, note).await {
            Err(Fault::NotExecuted(_) | Fault::Unknown(_)) => Ok(accepted),
            seen => seen,
        }
    }

    async fn noted<R: Send + 'static>(
        &self,
        call: &Call,
        note: Id<ReturnNote>,
    ) -> Answer<ReturnNote, R> {
        self.store
            .read(call, move |c| {
                let row = store::note(c, note)?.ok_or(diesel::result::Error::NotFound)?;
                Ok(row.note()?)
            })
            .await
    }

    pub(super) async fn show_return(
        &self,
        call: &Call,
        id: Id<ReturnNote>,
    ) -> Answer<ReturnNote, ReturnsError> {
        self.store
            .read(call, move |c| {
                let row = store::note(c, id)?.ok_or(Abort::Refused(ReturnsError::NotFound))?;
                Ok(row.note()?)
            })
            .await
    }
}

/// What came to nothing after the return was written: that nothing was done would not be true.
fn happened<R>(fault: Fault<R>) -> Fault<R> {
    match fault {
        Fault::NotExecuted(why) => Fault::Unknown(Unknown { detail: why.to_string() }),
        other @ (Fault::Refused(_) | Fault::Unknown(_)) => other,
    }
}

fn take_lines_back(
    tx: &mut Tx<'_>,
    runner: &saga::Runner,
    note: Id<ReturnNote>,
    wish: &ReturnItems,
    mut order: OrderState,
) -> Result<(), Abort<ReturnsError>> {
    let (id, at) = (wish.order, tx.now());
    let mut items = Vec::with_capacity(wish.lines.len());
    for (index, back) in wish.lines.iter().enumerate() {
        let place = usize::try_from(back.line).ok();
        let sold = place.and_then(|place| order.sale.lines.get(place)).ok_or_else(|| {
            Abort::Refused(ReturnsError::UnknownLine { field: format!("lines[{index}].line") })
        })?;
        if !(1..=QUANTITY_MAX).contains(&back.quantity) {
            let field = format!("lines[{index}].quantity");
            let limit = QUANTITY_MAX;
            return Err(Abort::Refused(ReturnsError::QuantityOutOfRange { field, limit }));
        }
        let allocation = Allocation { order: id, line: back.line, quantity: back.quantity };
        items.push(ReturnedItem {
            line: reversed(sold, back.quantity),
            allocations: vec![allocation],
        });
    }
    let currency = order.sale.currency;
    let left = Left::from([(id, order.left_minor())]);
    let lines = wish.lines.iter().map(|b| Back { line: b.line, quantity: b.quantity }).collect();
    // The order's own rules first: they say more than the money's.
    let mut event = decide(&order, Wish::Return { note, lines, promised_minor: 0 })
        .map_err(|refusal| Abort::Refused(refused(refusal, currency)))?;
    let parted =
        split(note, &items, &left, currency).map_err(|error| Abort::Refused(unsplit(error)))?;
    if parted.settlements.iter().any(|settlement| settlement.order.is_none()) {
        let left = kernel_api::Money::new(order.left_minor(), currency);
        return Err(Abort::Refused(ReturnsError::MoreThanPaid { left }));
    }
    if let crate::domain::order::OrderEvent::Returned { promised_minor, .. } = &mut event {
        *promised_minor = promised(&parted.settlements, id);
    }
    record(tx, id, &mut order, &event, at)?;
    let accepted = Accepted {
        note,
        cancellation: false,
        reference: None,
        customer: order.sale.customer,
        reason: wish.reason.clone().unwrap_or_else(|| NO_REASON.to_owned()),
        items,
        split: parted,
    };
    accept(tx, runner, accepted, at)
}

fn refused(refusal: Refusal, currency: Currency) -> ReturnsError {
    match refusal {
        Refusal::NotNow(status) => ReturnsError::NotNow { status },
        Refusal::UnknownLine(index) => {
            ReturnsError::UnknownLine { field: format!("lines[{index}].line") }
        }
        Refusal::MoreThanSold { index, left } => {
            ReturnsError::MoreThanSold { field: format!("lines[{index}].quantity"), left }
        }
        Refusal::MoreThanPaid { left_minor } => {
            ReturnsError::MoreThanPaid { left: kernel_api::Money::new(left_minor, currency) }
        }
    }
}
