//! Returns: matching what comes back to what was sold, and splitting the money over the sales.

use std::collections::BTreeMap;

use kernel_api::{Currency, Id, Money, Sku, UnitPrice};
use ordering_api::{
    Allocation, GivenBack, Line, Order, PartKind, ReturnNote, ReturnedItem, Settlement, Sum,
};
use uuid::Uuid;

use crate::domain::sum::{Tally, TooLarge};

const MICROS_PER_MINOR: i64 = 10_000;

/// A line of an earlier sale that what comes back may be matched to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub order: Id<Order>,
    pub line: i64,
    pub sku: Sku,
    pub unit_price: UnitPrice,
    /// How many have not come back yet.
    pub left: i64,
}

/// Takes `quantity` units from the candidates in their order (the newest sale first): what was taken, with the price
/// each was sold for, and how many found no sale.
pub(crate) fn take(
    sku: &Sku,
    mut quantity: i64,
    candidates: &mut [Candidate],
) -> (Vec<(Allocation, UnitPrice)>, i64) {
    let mut taken = Vec::new();
    for candidate in candidates.iter_mut().filter(|candidate| candidate.sku == *sku) {
        let some = quantity.min(candidate.left);
        if some > 0 {
            candidate.left -= some;
            quantity -= some;
            let Candidate { order, line, unit_price, .. } = *candidate;
            taken.push((Allocation { order, line, quantity: some }, unit_price));
        }
    }
    (taken, quantity)
}

/// What each order still has of the money that was paid for it.
pub(crate) type Left = BTreeMap<Id<Order>, i64>;

/// A return whose money is split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Split {
    pub sum: Sum,
    pub settlements: Vec<Settlement>,
}

/// Why the money of a return cannot be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SplitError {
    /// The item at this index makes the sum too large.
    TooLarge(usize),
    /// The return, or the part of it that no sale stands behind, would take money.
    TakesMoney,
}

/// Splits a return's money: for each order its allocations' sum, but never more than is left of what was paid for it;
/// all the rest is one unlinked credit. Each piece is rounded on its own, since each moves on its own.
///
/// The ids follow from the note's: the credit has its UUID, the refunds the numbers after it.
pub(crate) fn split(
    note: Id<ReturnNote>,
    items: &[ReturnedItem],
    left: &Left,
    currency: Currency,
) -> Result<Split, SplitError> {
    let (orders, mut credit) = gather(items, left)?;
    let mut whole = Tally::default();
    for (index, item) in items.iter().enumerate() {
        let line = &item.line;
        whole.add(line, line.quantity).map_err(|TooLarge| SplitError::TooLarge(index))?;
    }
    let mut settlements = Vec::new();
    for (order, mut tally) in orders {
        let paid_left = left.get(&order).copied().unwrap_or(0);
        let back = -tally.rounded(currency).minor;
        if back < 0 {
            return Err(SplitError::TakesMoney);
        }
        if back > paid_left {
            // Products only get here, see `gather`'s callers: what was paid for them is given back first, the rest
            // (they were discounted, or more is given back than was paid) is a credit.
            let excess = tally.micros() + paid_left.saturating_mul(MICROS_PER_MINOR);
            move_micros(&mut tally, &mut credit, excess)?;
        }
        push(&mut settlements, note, Some(order), &tally, currency);
    }
    if credit.rounded(currency).minor > 0 {
        return Err(SplitError::TakesMoney);
    }
    push(&mut settlements, note, None, &credit, currency);
    let total = -settlements.iter().map(|settlement| settlement.amount.minor).sum::<i64>();
    let sum = Sum { total: Money::new(total, currency), ..whole.sum(currency) };
    Ok(Split { sum, settlements })
}

/// Adds up the items: for each order that has a payment its share, and the rest.
fn gather(
    items: &[ReturnedItem],
    left: &Left,
) -> Result<(BTreeMap<Id<Order>, Tally>, Tally), SplitError> {
    let mut orders: BTreeMap<Id<Order>, Tally> = BTreeMap::new();
    let mut credit = Tally::default();
    for (index, item) in items.iter().enumerate() {
        let too_large = |TooLarge| SplitError::TooLarge(index);
        let mut rest = item.line.quantity;
        for allocation in &item.allocations {
            rest += allocation.quantity;
            let tally = if left.contains_key(&allocation.order) {
                orders.entry(allocation.order).or_default()
            } else {
                &mut credit
            };
            tally.add(&item.line, -allocation.quantity).map_err(too_large)?;
        }
        if rest != 0 {
            credit.add(&item.line, rest).map_err(too_large)?;
            credit.check_unbacked().map_err(too_large)?;
        }
    }
    Ok((orders, credit))
}

fn move_micros(from: &mut Tally, to: &mut Tally, micros: i64) -> Result<(), SplitError> {
    let too_large = |TooLarge| SplitError::TooLarge(0);
    from.add_micros(PartKind::Goods, -micros).map_err(too_large)?;
    to.add_micros(PartKind::Goods, micros).map_err(too_large)
}

/// Adds a settlement, unless it is nothing at all.
fn push(
    settlements: &mut Vec<Settlement>,
    note: Id<ReturnNote>,
    order: Option<Id<Order>>,
    tally: &Tally,
    currency: Currency,
) {
    let parts = tally.parts(currency);
    if parts.is_empty() {
        return;
    }
    let number = match order {
        Some(_) => u128::try_from(settlements.len() + 1).unwrap_or(u128::MAX),
        None => 0,
    };
    let id: Id<GivenBack> =
        Id::from_uuid(Uuid::from_u128(note.uuid().as_u128().wrapping_add(number)));
    let amount = Money::new(-tally.rounded(currency).minor, currency);
    settlements.push(Settlement { id, order, amount, parts });
}

/// A line as it comes back: `quantity` units of it, below zero.
pub(crate) fn reversed(line: &Line, quantity: i64) -> Line {
    Line { quantity: -quantity, ..line.clone() }
}

/// What settlements make of an order's promise: their amounts, by order.
pub(crate) fn promised(settlements: &[Settlement], order: Id<Order>) -> i64 {
    settlements
        .iter()
        .filter(|settlement| settlement.order == Some(order))
        .map(|settlement| settlement.amount.minor)
        .sum()
}
