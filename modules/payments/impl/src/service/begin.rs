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
    /// It was done, or declined, before: what was just written must not stand.
    Settled(Box<OperationRow>),
}

// The order of the statements is what makes this safe under READ COMMITTED: a key is looked for among the settled ones
// *after* the write that puts it among the pending ones. The write waits for whoever is settling the same key (the
// unique index), and the statement after it sees what they wrote. Looked for before, or in the write's own condition, it
// would be missed in between, and the provider asked under a second reference.

pub(super) fn begin_opening(
    tx: &mut Tx<'_>,
    opening: Opening,
    patience: Duration,
) -> Result<Begun, Abort<Stop<NotOpened>>> {
    let Opening { row, mut pending } = opening;
    pending.intent.since = tx.now();
    let row = PaymentRow {
        intent: Some(pending.intent.column()?),
        ask_again_at: Some(tx.now().plus(patience).micros()),
        created_at: tx.now().micros(),
        ..row
    };
    let opened = store::open(tx, &row)?;
    let request_hash = &pending.intent.request_hash;
    match (opened, store::operation(tx.connection(), &pending.key)?) {
        (true, None) => return Ok(Begun::Pending(Box::new(pending))),
        // A new payment under an old key is another request.
        (true, Some(_)) => return Err(Abort::Refused(Stop::KeyReused)),
        (false, Some(known)) => return known_key(known, request_hash),
        (false, None) => {}
    }
    let Some(found) = store::payment(tx.connection(), pending.payment)? else {
        // Nothing has this id, so it was the key: it is pending on another payment.
        return Err(Abort::Refused(Stop::KeyReused));
    };
    match found.pending()? {
        Some(other) if other.key == pending.key => same_request(other, request_hash),
        // Not pending under this key (any more), so settled under it by now or in use.
        Some(_) | None => match store::operation(tx.connection(), &pending.key)? {
            Some(known) => known_key(known, request_hash),
            None => Err(Abort::Refused(Stop::Refused(NotOpened::Exists))),
        },
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
    if let (Some(row), Ok(Decision::Ask(amount))) = (&found, &decided) {
        let pending = changing.pending(row, *amount, tx.now())?;
        match store::begin(tx, row, &pending, tx.now().plus(patience)) {
            Ok(true) => return unless_settled(tx, changing, pending),
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

/// After the write: was this key, or a refund of this id under another key, settled before?
fn unless_settled<R: Clone>(
    tx: &mut Tx<'_>,
    changing: &Changing<R>,
    pending: Pending,
) -> Result<Begun, Abort<Stop<R>>> {
    if let Some(known) = store::operation(tx.connection(), &changing.key)? {
        let same = known.request_hash == changing.request_hash;
        let stop = if same { Stop::Settled(Box::new(known)) } else { Stop::KeyReused };
        return Err(Abort::Refused(stop));
    }
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
