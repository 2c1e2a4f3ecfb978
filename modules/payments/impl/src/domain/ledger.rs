//! Double entry: what each fact books, in millionths, and how an entry is kept as transfers.

use kernel_api::{Currency, Exact, Money};
use ordering_api::{Part, PartKind};
use payments_api::{Account, OperationKind, Posting};

/// How many of the ledger's millionths make a hundredth.
const MICROS_PER_MINOR: i64 = 10_000;

/// What a fact books.
///
/// Invariant: the legs sum to zero, because [`Booking::of`] is the only way to make one; each account stands in at
/// most one leg, and no leg is zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Booking {
    currency: Currency,
    legs: Vec<(Account, i64)>,
}

/// One row of the ledger: an amount that goes from one account to another. Balanced by its form: there is no way to
/// write down a row that is not. An entry of n legs is kept as at most n - 1 of them, so a capture is one row, where
/// an entry row with its postings would be three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Transfer {
    pub debit: Account,
    pub credit: Account,
    /// Above zero.
    pub micros: i64,
}

impl Booking {
    /// A booking of these legs (debits above zero, credits below); nothing where they do not balance or do not fit.
    pub fn of(currency: Currency, legs: &[(Account, i64)]) -> Option<Self> {
        let mut merged = Vec::<(Account, i64)>::new();
        for (account, micros) in legs {
            match merged.iter_mut().find(|(known, _)| known == account) {
                Some((_, sum)) => *sum = sum.checked_add(*micros)?,
                None => merged.push((*account, *micros)),
            }
        }
        merged.retain(|(_, micros)| *micros != 0);
        let sum: i128 = merged.iter().map(|(_, micros)| i128::from(*micros)).sum();
        let fits = merged.iter().all(|(_, micros)| *micros != i64::MIN);
        (sum == 0 && fits).then_some(Self { currency, legs: merged })
    }

    /// The currency of all legs.
    pub fn currency(&self) -> Currency {
        self.currency
    }

    #[cfg(test)]
    pub fn legs_count(&self) -> usize {
        self.legs.len()
    }

    /// The rows that keep it: debits and credits paired off in order.
    pub fn transfers(&self) -> Vec<Transfer> {
        let side = |debit: bool| {
            self.legs.iter().copied().filter(move |(_, micros)| (*micros > 0) == debit)
        };
        let mut credits = side(false).map(|(account, micros)| (account, -micros));
        let mut open = credits.next();
        let mut transfers = Vec::with_capacity(self.legs.len());
        for (debit, mut owed) in side(true) {
            while let (true, Some((credit, left))) = (owed > 0, open) {
                let micros = owed.min(left);
                transfers.push(Transfer { debit, credit, micros });
                owed -= micros;
                open = if left > micros { Some((credit, left - micros)) } else { credits.next() };
            }
        }
        transfers
    }
}

/// The postings of an entry, from the rows that keep it: one per account, in the order of accounts.
pub(crate) fn postings(currency: Currency, transfers: &[Transfer]) -> Vec<Posting> {
    let sum = |account: Account| -> i64 {
        transfers
            .iter()
            .map(|row| match () {
                () if row.debit == account => row.micros,
                () if row.credit == account => -row.micros,
                () => 0,
            })
            .sum()
    };
    Account::ALL
        .into_iter()
        .map(|account| Posting { account, amount: Exact::new(sum(account), currency) })
        .filter(|posting| posting.amount.micros != 0)
        .collect()
}

/// Money that moved: captured comes to us, refunded and credited goes from us. What is set aside or given back
/// untaken moves nothing and books nothing.
pub(crate) fn moved(kind: OperationKind, amount: Money) -> Option<Booking> {
    let micros = amount.minor.checked_mul(MICROS_PER_MINOR)?;
    let to_us = match kind {
        OperationKind::Capture => micros,
        OperationKind::Refund | OperationKind::Credit => -micros,
        OperationKind::Authorise | OperationKind::Void => return None,
    };
    Booking::of(
        amount.currency,
        &[(Account::ProviderClearing, to_us), (Account::Receivable, -to_us)],
    )
}

/// Revenue of an order, or a correction of it: the customer owes the rounded sum, the accounts get the exact ones, and
/// rounding the rest. Nothing where the sums do not fit or are of two currencies.
pub(crate) fn earned(charged: Money, parts: &[Part]) -> Option<Booking> {
    revenue(charged, parts, |kind| match kind {
        PartKind::Goods => Account::Sales,
        PartKind::Services => Account::Services,
        PartKind::Discount => Account::Discounts,
        PartKind::Fee => Account::Fees,
        PartKind::BadDebt => Account::BadDebt,
    })
}

/// Revenue that goes back (`parts` below zero), all of it to one account: what it was is in ordering's books.
pub(crate) fn given_back(refunded: Money, parts: &[Part]) -> Option<Booking> {
    let owed = Money::new(refunded.minor.checked_neg()?, refunded.currency);
    revenue(owed, parts, |_kind| Account::Refunds)
}

fn revenue(owed: Money, parts: &[Part], account: impl Fn(PartKind) -> Account) -> Option<Booking> {
    let owed_micros = owed.minor.checked_mul(MICROS_PER_MINOR)?;
    let mut net: i64 = 0;
    let mut legs = vec![(Account::Receivable, owed_micros)];
    for part in parts {
        (part.net.currency == owed.currency).then_some(())?;
        net = net.checked_add(part.net.micros)?;
        legs.push((account(part.kind), part.net.micros.checked_neg()?));
    }
    legs.push((Account::Rounding, net.checked_sub(owed_micros)?));
    Booking::of(owed.currency, &legs)
}
