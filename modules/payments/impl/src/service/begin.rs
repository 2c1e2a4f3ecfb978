//! The first transaction: from a key to an intent, or to what the key has come to already.

use std::time::Duration;

use ::store::{Abort, Tx};

use super::{
    refusals::{NotChanged, NotOpened},
    wishes::{Changing, Opening},
};
use crate::{
    domain::Decision,
    store::{self, OperationRow, PaymentRow, Pending},
};

/// Where a key stands after the first transaction.
pub(super) enum Begun {
    /// The intent stands, from now or from an earlier call: ask the provider.
    Pending(Box<Pending>),
    /// It was done, or declined, before.
    Settled(Box<OperationRow>),
    /// Another operation of the payment is pending.
    Behind(Box<Pending>),
    /// Another operation of the payment has begun, and perhaps ended, in the meantime.
    Overtaken,
}

/// Why the first transaction gives up. It is rolled back.
pub(super) enum Stop<R> {
    Refused(R),
    KeyReused,
}

pub(super) fn begin_opening(
    tx: &mut Tx<'_>,
    opening: Opening,
    patience: Duration,
) -> Result<Begun, Abort<Stop<NotOpened>>> {
    let Opening { row, mut pending } = opening;
    if let Some(known) = store::operation(tx.connection(), &pending.key)? {
        return known_key(known, &pending.intent.request_hash);
    }
    pending.intent.since = tx.now();
    let row = PaymentRow {
        intent: Some(pending.intent.column()?),
        ask_again_at: Some(tx.now().plus(patience).micros()),
        created_at: tx.now().micros(),
        ..row
    };
    if store::open(tx, &row)? {
        return Ok(Begun::Pending(Box::new(pending)));
    }
    match store::payment(tx.connection(), pending.payment)? {
        Some(found) => match found.pending()? {
            Some(other) if other.key == pending.key => {
                same_request(other, &pending.intent.request_hash)
            }
            Some(_) | None => Err(Abort::Refused(Stop::Refused(NotOpened::Exists))),
        },
        // Nothing has this id, so it was the key: it is pending on another payment.
        None => Err(Abort::Refused(Stop::KeyReused)),
    }
}

pub(super) fn begin_change<R>(
    tx: &mut Tx<'_>,
    changing: &Changing<R>,
    patience: Duration,
) -> Result<Begun, Abort<Stop<R>>>
where
    R: From<NotChanged> + Clone,
{
    let found = store::payment(tx.connection(), changing.payment)?;
    let decided = match &found {
        Some(row) => row.standing()?.decide(changing.wish).map_err(NotChanged::Refused),
        None => Err(NotChanged::NoSuchPayment),
    };
    // The straight way first: the write itself makes sure that neither the key nor the payment is in use.
    if let (Some(row), Ok(Decision::Ask(amount))) = (&found, &decided) {
        let pending = changing.pending(row, *amount, tx.now())?;
        match store::begin(tx, &pending, tx.now().plus(patience)) {
            Ok(true) => return refund_is_new(tx, changing, pending),
            Ok(false) => {}
            Err(error) if store::is_key_pending_elsewhere(&error) => {
                return Err(Abort::Refused(Stop::KeyReused));
            }
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(known) = store::operation(tx.connection(), &changing.key)? {
        return known_key(known, &changing.request_hash);
    }
    let before = found.as_ref().map(PaymentRow::pending).transpose()?.flatten();
    match (before, decided) {
        (Some(other), _) if other.key == changing.key => {
            same_request(other, &changing.request_hash)
        }
        (Some(other), _) => Ok(Begun::Behind(Box::new(other))),
        (None, Ok(_)) => Ok(Begun::Overtaken),
        (None, Err(refusal)) => Err(Abort::Refused(Stop::Refused(refusal.into()))),
    }
}

/// The same refund id under another key is another attempt at the same refund: it must not pay twice.
fn refund_is_new<R: Clone>(
    tx: &mut Tx<'_>,
    changing: &Changing<R>,
    pending: Pending,
) -> Result<Begun, Abort<Stop<R>>> {
    match &changing.refund {
        Some(refund) if store::is_refund(tx.connection(), refund.id)? => {
            Err(Abort::Refused(Stop::Refused(refund.exists.clone())))
        }
        Some(_) | None => Ok(Begun::Pending(Box::new(pending))),
    }
}

fn known_key<R>(known: OperationRow, request_hash: &str) -> Result<Begun, Abort<Stop<R>>> {
    if known.request_hash == request_hash {
        Ok(Begun::Settled(Box::new(known)))
    } else {
        Err(Abort::Refused(Stop::KeyReused))
    }
}

fn same_request<R>(pending: Pending, request_hash: &str) -> Result<Begun, Abort<Stop<R>>> {
    if pending.intent.request_hash == request_hash {
        Ok(Begun::Pending(Box::new(pending)))
    } else {
        Err(Abort::Refused(Stop::KeyReused))
    }
}
