//! Returns: accepted in one transaction, settled by a saga.

use std::collections::{BTreeMap, BTreeSet};

use contract::{Answer, Call, Command, Fault};
use kernel_api::{Currency, Id, Sku, Timestamp};
use ordering_api::{
    Allocation, Customer, LINES_MAX, Line, LineKind, Order, OrderStatus, Origin, QUANTITY_MAX,
    ReturnGoods, ReturnItems, ReturnNote, ReturnedItem, ReturnsError, TEXT_LENGTH_MAX,
    UnlinkedLine,
};

use ::store::{Abort, Tx};

use super::{
    Service,
    offers::offers,
    settling::SettlementSaga,
    writing::{hold, record},
};
use crate::{
    domain::{
        cart::{CODE_LENGTH_MAX, Offers, service},
        order::{Back, OrderState, Refusal, Wish, decide},
        returns::{self, Candidate, Left, Split, SplitError, promised, reversed, split},
        settlement, text,
    },
    store::{self, NoteRow},
};

/// What is kept as the reason when nobody gave one.
const NO_REASON: &str = "returned";

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
                    .map_err(|unmatched| unmatched.refusal(&wish))?;
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
        let deadline = self.bound(call);
        if let Err(fault) = self.runner.drive(note.cast(), deadline).await {
            // It is accepted and goes on by itself, so the answer is the note all the same.
            tracing::debug!(%note, ?fault, "the settlement goes on by itself");
        }
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

fn unsplit(error: SplitError) -> ReturnsError {
    match error {
        SplitError::TooLarge(index) => {
            ReturnsError::AmountTooLarge { field: format!("lines[{index}]") }
        }
        SplitError::TakesMoney => ReturnsError::NotGivenBack,
    }
}

/// The earlier sales that a return is matched to, held for this transaction.
pub(super) struct Matched {
    candidates: Vec<Candidate>,
    orders: BTreeMap<Id<Order>, OrderState>,
}

/// Why a matched return is not written.
pub(super) enum Unmatched {
    Split(SplitError),
    Order(OrderStatus),
    Failed(diesel::result::Error),
}

impl From<diesel::result::Error> for Unmatched {
    fn from(error: diesel::result::Error) -> Self {
        Self::Failed(error)
    }
}

impl Unmatched {
    fn refusal(self, _wish: &ReturnGoods) -> Abort<ReturnsError> {
        match self {
            Self::Split(error) => Abort::Refused(unsplit(error)),
            Self::Order(status) => Abort::Refused(ReturnsError::NotNow { status }),
            Self::Failed(error) => Abort::Failed(error),
        }
    }
}

impl Matched {
    /// What this customer bought of these products up to a moment and has not brought back, as far as these quantities
    /// need it. Without a customer, nothing.
    pub fn of(
        tx: &mut Tx<'_>,
        customer: Option<Id<Customer>>,
        wanted: &[(Sku, i64)],
        currency: Currency,
        upto: Timestamp,
    ) -> Result<Self, Abort<ReturnsError>> {
        let mut matched = Self { candidates: Vec::new(), orders: BTreeMap::new() };
        let Some(customer) = customer else { return Ok(matched) };
        if !store::customer_exists(tx.connection(), customer)? {
            return Err(Abort::Refused(ReturnsError::UnknownCustomer));
        }
        let skus: BTreeSet<&Sku> = wanted.iter().map(|(sku, _)| sku).collect();
        if skus.is_empty() {
            return Ok(matched);
        }
        let found = store::candidates(tx.connection(), customer, &skus, upto)?;
        // Only the orders that would give something are held, for the busiest customers have hundreds; in the order of
        // ids, so that two returns of one customer do not wait for each other in a circle.
        let mut trial = found.clone();
        let orders: BTreeSet<Id<Order>> = wanted
            .iter()
            .flat_map(|(sku, quantity)| returns::take(sku, *quantity, &mut trial).0)
            .map(|(allocation, _)| allocation.order)
            .collect();
        for id in orders {
            if let Some(order) = hold(tx, id)?
                && order.sale.currency == currency
            {
                matched.orders.insert(id, order);
            }
        }
        // What was found may have come back before its order was held: the held state counts.
        matched.candidates = found;
        for candidate in &mut matched.candidates {
            let order = matched.orders.get(&candidate.order);
            candidate.left = order.and_then(|o| o.left_of(candidate.line)).unwrap_or(0);
        }
        Ok(matched)
    }

    /// The return's items: each product line matched as far as there are sales, services after them.
    fn items(
        &mut self,
        wish: &ReturnGoods,
        offers: &Offers,
        currency: Currency,
    ) -> Vec<ReturnedItem> {
        let mut items = Vec::with_capacity(wish.lines.len() + wish.services.len());
        for line in &wish.lines {
            let offer = offers.get(&line.sku);
            let title = offer.map(|offer| offer.title.clone()).unwrap_or_default();
            let listed = offer.and_then(|offer| offer.price);
            let item = |quantity: i64, unit_price, allocations| {
                let price_overridden = line.unit_price.is_some();
                let kind = LineKind::Goods { sku: line.sku.clone(), price_overridden };
                let title = title.clone();
                let line = Line { kind, title, quantity: -quantity, unit_price };
                ReturnedItem { line, allocations }
            };
            match line.unit_price {
                Some(price) => items.push(item(
                    line.quantity,
                    price,
                    self.allocate(&line.sku, line.quantity).0.into_iter().map(|(a, _)| a).collect(),
                )),
                None => {
                    let (taken, rest) = self.allocate(&line.sku, line.quantity);
                    for (allocation, price) in taken {
                        items.push(item(allocation.quantity, price, vec![allocation]));
                    }
                    if rest > 0 {
                        let free = kernel_api::UnitPrice::new(0, currency);
                        items.push(item(rest, listed.unwrap_or(free), Vec::new()));
                    }
                }
            }
        }
        items.extend(wish.services.iter().cloned().map(|wish| {
            let line = service(wish);
            ReturnedItem { line: reversed(&line, line.quantity), allocations: Vec::new() }
        }));
        items
    }

    /// Takes what comes back of a product from the sales.
    pub fn allocate(
        &mut self,
        sku: &Sku,
        quantity: i64,
    ) -> (Vec<(Allocation, kernel_api::UnitPrice)>, i64) {
        returns::take(sku, quantity, &mut self.candidates)
    }

    /// Splits the money and adds the orders' events. The answer lacks what only the caller knows.
    pub fn write(
        &mut self,
        tx: &mut Tx<'_>,
        note: Id<ReturnNote>,
        items: Vec<ReturnedItem>,
        currency: Currency,
        at: Timestamp,
    ) -> Result<Accepted, Unmatched> {
        let left: Left = self.orders.iter().map(|(id, order)| (*id, order.left_minor())).collect();
        let parted = split(note, &items, &left, currency).map_err(Unmatched::Split)?;
        let mut backs: BTreeMap<Id<Order>, Vec<Back>> = BTreeMap::new();
        for allocation in items.iter().flat_map(|item| &item.allocations) {
            let Allocation { order, line, quantity } = *allocation;
            backs.entry(order).or_default().push(Back { line, quantity });
        }
        for (id, lines) in backs {
            let Some(order) = self.orders.get_mut(&id) else { continue };
            let promised_minor = promised(&parted.settlements, id);
            let wish = Wish::Return { note, lines, promised_minor };
            let event = decide(order, wish).map_err(|_moved| Unmatched::Order(order.status))?;
            record(tx, id, order, &event, at).map_err(unrecorded)?;
        }
        Ok(Accepted {
            note,
            cancellation: false,
            reference: None,
            customer: None,
            reason: NO_REASON.to_owned(),
            items,
            split: parted,
        })
    }

    /// The held order, for those who add more events to it.
    pub fn order_mut(&mut self, id: Id<Order>) -> Option<&mut OrderState> {
        self.orders.get_mut(&id)
    }
}

fn unrecorded(abort: Abort<contract::Never>) -> Unmatched {
    match abort {
        Abort::Refused(never) => match never {},
        Abort::Failed(error) => Unmatched::Failed(error),
    }
}

fn check_reason(reason: Option<&str>) -> Result<(), ReturnsError> {
    check_text("reason", reason, TEXT_LENGTH_MAX)
}

fn check_text(field: &str, text: Option<&str>, length_max: usize) -> Result<(), ReturnsError> {
    if text.is_none_or(|text| text::is_good(text, length_max)) {
        return Ok(());
    }
    Err(ReturnsError::BadText { field: field.to_owned(), length_max })
}

fn check_goods(wish: &ReturnGoods, currency: Currency) -> Result<(), ReturnsError> {
    check_reason(wish.reason.as_deref())?;
    check_text("reference", wish.reference.as_deref(), TEXT_LENGTH_MAX)?;
    match wish.lines.len() + wish.services.len() {
        0 => return Err(ReturnsError::Empty),
        count if count > LINES_MAX => return Err(ReturnsError::TooManyLines { limit: LINES_MAX }),
        _ => {}
    }
    for (index, line) in wish.lines.iter().enumerate() {
        let UnlinkedLine { quantity, unit_price, .. } = line;
        check_quantity(*quantity, &format!("lines[{index}]"))?;
        let field = format!("lines[{index}].unit_price");
        if unit_price.is_some_and(|price| price.micros < 0) {
            return Err(ReturnsError::NegativePrice { field });
        }
        if unit_price.is_some_and(|price| price.currency != currency) {
            return Err(ReturnsError::CurrencyMismatch { field, currency });
        }
    }
    for (index, wish) in wish.services.iter().enumerate() {
        check_quantity(wish.quantity, &format!("services[{index}]"))?;
        let code = format!("services[{index}].code");
        check_text(&code, Some(&wish.code), CODE_LENGTH_MAX)?;
        let title = Some(wish.title.as_str()).filter(|title| !title.is_empty());
        check_text(&format!("services[{index}].title"), title, TEXT_LENGTH_MAX)?;
        if wish.unit_price.currency != currency {
            let field = format!("services[{index}].unit_price");
            return Err(ReturnsError::CurrencyMismatch { field, currency });
        }
    }
    Ok(())
}

fn check_quantity(quantity: i64, at: &str) -> Result<(), ReturnsError> {
    if (1..=QUANTITY_MAX).contains(&quantity) {
        return Ok(());
    }
    Err(ReturnsError::QuantityOutOfRange { field: format!("{at}.quantity"), limit: QUANTITY_MAX })
}

/// Each product is known, and what the catalog would give back for it is in the return's currency.
fn check_offers(
    wish: &ReturnGoods,
    currency: Currency,
    offers: &Offers,
) -> Result<(), ReturnsError> {
    for (index, line) in wish.lines.iter().enumerate() {
        let field = || format!("lines[{index}].sku");
        let Some(offer) = offers.get(&line.sku) else {
            return Err(ReturnsError::UnknownSku { field: field(), sku: line.sku.clone() });
        };
        let listed = offer.price.filter(|_| line.unit_price.is_none());
        if listed.is_some_and(|price| price.currency != currency) {
            return Err(ReturnsError::CurrencyMismatch { field: field(), currency });
        }
    }
    Ok(())
}
