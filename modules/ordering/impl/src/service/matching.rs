//! Matching a return to earlier sales, and writing what it makes of their orders.

use std::collections::{BTreeMap, BTreeSet};

use kernel_api::{Currency, Id, Sku, Timestamp, UnitPrice};
use ordering_api::{
    Allocation, Customer, Line, LineKind, Order, OrderStatus, ReturnGoods, ReturnNote,
    ReturnedItem, ReturnsError,
};

use ::store::{Abort, Tx};

use super::{
    returning::{Accepted, NO_REASON},
    writing::{hold, record},
};
use crate::{
    domain::{
        cart::{Offers, service},
        order::{Back, OrderState, Wish, decide},
        returns::{self, Candidate, Left, SplitError, promised, reversed, split},
    },
    store,
};

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
    /// As the caller of a live return reads it.
    pub fn refusal(self) -> Abort<ReturnsError> {
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
    pub fn items(
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
                        let free = UnitPrice::new(0, currency);
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
    pub fn allocate(&mut self, sku: &Sku, quantity: i64) -> (Vec<(Allocation, UnitPrice)>, i64) {
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

/// Why the money of a return is not split, as its caller reads it.
pub(super) fn unsplit(error: SplitError) -> ReturnsError {
    match error {
        SplitError::TooLarge(index) => {
            ReturnsError::AmountTooLarge { field: format!("lines[{index}]") }
        }
        SplitError::TakesMoney => ReturnsError::NotGivenBack,
    }
}
